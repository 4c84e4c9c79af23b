# SPDX-License-Identifier: GPL-3.0-or-later
"""What the conformance suite needs of an adapter's surroundings: one small protocol per port.

A harness makes the outside world do what a real one does by itself: pods that run, a quota that is spent, time that
passes. `can_...` says what a balancer is able to, and so what a test expects of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import NewMachine
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Balancer, Cloud, Cluster, ImageStore, Lock

Found = TypeVar("Found")


class Waiting(Protocol):
    """Common to all: time that passes, and a tidy end."""

    def until(self, look: Callable[[], Found | None], what: str) -> Found:
        """The first answer of `look` that is true. Bounded; fails the test with `what` when time is up."""

    def clean_up(self) -> None:
        """Remove everything that the test made."""


class CloudHarness(Waiting, Protocol):
    """Clouds for pools that no one else uses."""

    def cloud(self, pool: str = "one") -> Cloud:
        """A fresh adapter, as a fresh process has it; the same `pool` names the same pool."""

    def cloud_of_unknown_image(self) -> Cloud:
        """One whose template asks for an image that does not exist."""

    def new_machine(self, name: str, pool: str = "one") -> NewMachine:
        """A machine this cloud can make; `name` is used as it is, or made unique with a suffix."""

    def lose_reply(self, verb: str) -> None:
        """The next call of `verb` has its effect, and its caller gets `Transient`."""

    def exhaust(self) -> None:
        """The next create meets a spent quota."""

    def leave_room(self, machines: int) -> None:
        """So many more machines than exist now fit the quota."""

    def leave_port(self, machine: NewMachine) -> None:
        """The next create of `machine` dies after its port was made, and gets `Transient`. Of CLOUDS_OF_PARTS only."""


class ClusterHarness(Waiting, Protocol):
    """A cluster with nodes that no one else uses."""

    def cluster(self) -> Cluster:
        """A fresh adapter, started."""

    def add_node(self) -> str:
        """A ready node that takes pods; its name."""

    def run_pods(self, count: int, *, node: str, min_available: tuple[int, ...] = ()) -> str:
        """Pods of one workload that runs on `node`, ready, with one PDB for each number; the workload's name prefix."""


class LockHarness(Waiting, Protocol):
    """Locks of pools that no one else uses."""

    def lock(self, pool: str = "one") -> Lock:
        """A fresh adapter, as another controller has it."""

    def delete_locks(self) -> None:
        """Somebody deletes what the locks of all pools are kept in."""


class ImageStoreHarness(Waiting, Protocol):
    """An image store in which the test has a golden image of a name that no one else uses."""

    def store(self) -> ImageStore:
        """A fresh adapter, as a fresh process has it."""

    format: str  # of the files that it takes, as qemu-img calls it

    def image(self) -> str:
        """The name of the test's golden image."""

    def write(self, path: Path, content: str) -> None:
        """A file that the store takes, another one for another content."""

    def lose_reply(self, verb: str) -> None:
        """The next call of `verb` has its effect, and its caller gets `Transient`."""

    def cut_upload(self) -> None:
        """The next upload ends in the middle, as that of a process that is killed."""


class BalancerHarness(Waiting, Protocol):
    """One backend that no one else uses, in which a person may have put a member by hand."""

    can_hold_names: bool  # members are called as their machines; else their address tells
    can_count_sessions: bool
    can_be_busy: bool  # a change takes its time, and another one meanwhile is refused

    def balancer(self, pool: str = "one") -> Balancer:
        """A fresh adapter, as a fresh process has it; the same `pool` names the same pool."""

    def balancer_of_unknown_backend(self) -> Balancer:
        """One that is told to use a backend that does not exist."""

    def start_machine(self, pool: str = "one") -> tuple[str, str]:
        """The name and the address of a machine that answers the balancer's checks, and is no member yet."""

    def stop_machine(self, name: str) -> None:
        """The machine answers nobody any more."""

    def add_by_hand(self) -> str:
        """A person puts a member into the backend, with a machine that answers; its address."""

    def open_sessions(self) -> None:
        """Members that serve and are healthy have open sessions now, which go on for a while."""

    def end_sessions(self) -> None:
        """Those sessions end by themselves, soon."""

    def broken_sessions(self) -> int:
        """How many ended before that."""
