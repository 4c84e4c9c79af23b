# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a builder against a cloud in memory, and what is left of runs that were killed after each call of theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.builder import BuildFailed, Site, bring_about
from ansible_collections.immutable.fleet.plugins.module_utils.decide.building import ABSENT, CAPTURED, OPENED, Step, Wanted
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import WHOLE, Capture
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Stopped, Throttled, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Room
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import ERROR, RUNNING, STOPPED, Leftover, NewMachine, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Listing
from ansible_collections.immutable.fleet.tests.unit.builders import NOW

HOURS = timedelta(hours=4)


class Killed(BaseException):
    """SIGKILL: nothing of the run goes on."""


@dataclass
class Cloud:
    """Does at once what it is asked for.

    `loses_at` is the call whose answer is lost, `kills_at` the one after which the run is killed; it has no time for those that it
    `refuses`, once each, does not list ports so many times, and does not delete the machine that somebody `locked`.
    """

    vms: dict[str, Vm] = field(default_factory=dict)
    ports: dict[str, Leftover] = field(default_factory=dict)
    images: dict[str, Capture] = field(default_factory=dict)
    builds_to: str = RUNNING
    loses_at: int = 0
    refuses: list[str] = field(default_factory=list)
    locked: str = ""
    hides_ports: int = 0
    kills_at: int = 0
    calls: list[str] = field(default_factory=list)
    at: datetime = NOW

    def _may(self, call: str) -> None:
        if call in self.refuses:
            self.refuses.remove(call)
            raise Throttled(what="not now")

    def _did(self, call: str) -> None:
        self.calls.append(call)
        if len(self.calls) == self.kills_at:
            raise Killed
        if len(self.calls) == self.loses_at:
            raise Transient(what="no answer")

    def resolve(self, pinned: Mapping[str, str] | None = None) -> Revision:
        raise AssertionError(pinned)

    def room(self) -> Room:
        raise AssertionError

    def watch(self, on_change: Callable[[], None]) -> bool:
        raise AssertionError(on_change)

    def list_vms(self, since: datetime | None, *, with_leftovers: bool) -> Listing:
        assert (since, with_leftovers) == (None, True)
        idle = tuple(port for port in self.ports.values() if port.machine not in self.vms)
        self.hides_ports -= 1
        return Listing(as_of=self.at, vms=tuple(self.vms.values()), leftovers=None if self.hides_ports >= 0 else idle)

    def create(self, machine: NewMachine) -> None:
        self._may("create")
        port = Leftover(kind="port", id=f"port-{machine.name}", name=f"{machine.name}-0", machine=machine.name, created_at=self.at)
        self.ports[machine.name] = port
        self._did("port")
        self.vms[machine.name] = Vm(
            id=f"id-{machine.name}", name=machine.name, status=self.builds_to, created_at=self.at, addresses=("10.0.0.7",)
        )
        self._did("create")

    def delete(self, vm: Vm) -> None:
        self._may("delete")
        if vm.name == self.locked:
            raise Conflict(what="it is locked")
        self.vms.pop(vm.name, None)
        self._did("delete")

    def power(self, vm: Vm, wanted: str) -> None:
        self.vms[vm.name] = replace(vm, status=STOPPED)
        self._did(wanted)

    def clear(self, leftover: Leftover) -> None:
        self.ports.pop(leftover.machine, None)
        self._did("clear")


@dataclass
class Images:
    """The cloud's other half."""

    cloud: Cloud

    def list(self) -> tuple[Capture, ...]:
        return tuple(self.cloud.images.values())

    def begin(self, vm: Vm) -> None:
        self.cloud.images[vm.name] = Capture(id=f"image-{vm.name}", builder=vm.name, status=WHOLE, created_at=self.cloud.at)
        self.cloud._did("capture")

    def fetch(self, capture: Capture, file: Path) -> None:
        file.write_text(capture.builder)
        self.cloud._did("fetch")

    def remove(self, capture: Capture) -> None:
        self.cloud.images.pop(capture.builder, None)
        self.cloud._did("remove")


@dataclass
class Host:
    """Time passes while it waits. It wants to stop after `patience`."""

    cloud: Cloud
    patience: timedelta = timedelta(minutes=10)
    heard: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began_at = self.cloud.at

    def now(self) -> datetime:
        return self.cloud.at

    def tell(self, event: Event) -> None:
        self.heard.append(f"{event.machine} {event.text}")

    def stop_reason(self) -> str:
        return "timeout" if self.cloud.at - self._began_at > self.patience else ""

    def wait(self, seconds: float) -> None:
        self.cloud.at += timedelta(seconds=seconds)


def bring(cloud: Cloud, state: str, builder: str = "b-0-aaaaa", file: Path | None = None) -> list[Step]:
    """What was done."""
    machine = NewMachine(name=builder, slot=0, failure_domain="", revision="r", fields={}, attempt=1, created_at=cloud.at)
    done: list[Step] = []
    site = Site(cloud=cloud, captures=Images(cloud), machine=machine, file=file)
    bring_about(Wanted(state=state, builder=builder, max_age=HOURS), site, Host(cloud), done)
    return done


def left(cloud: Cloud) -> list[str]:
    return [*cloud.vms, *cloud.ports, *cloud.images]


def whole_life(cloud: Cloud, file: Path, builder: str = "b-0-aaaaa") -> None:
    bring(cloud, OPENED, builder)
    bring(cloud, CAPTURED, builder, file)
    bring(cloud, ABSENT, builder)


def test_a_builder_lives_and_leaves_nothing(tmp_path: Path) -> None:
    """Its disk is copied while it is off."""
    cloud = Cloud()
    whole_life(cloud, tmp_path / "disk")
    assert cloud.calls == ["port", "create", "power off", "capture", "fetch", "delete", "clear", "remove"]
    assert ((tmp_path / "disk").read_text(), left(cloud)) == ("b-0-aaaaa", [])


@pytest.mark.parametrize("call", range(1, 9))
def test_whatever_a_killed_run_left_is_swept_by_age(tmp_path: Path, call: int) -> None:
    """Killed after any of its calls: another run minutes later leaves it alone, one hours later removes all of it."""
    cloud = Cloud(kills_at=call)
    with pytest.raises(Killed):
        whole_life(cloud, tmp_path / "disk")
    found = left(cloud)
    whole_life(cloud, tmp_path / "disk", "b-0-bbbbb")
    assert left(cloud) == found
    cloud.at += HOURS
    whole_life(cloud, tmp_path / "disk", "b-0-ccccc")
    assert left(cloud) == []


@pytest.mark.parametrize("call", range(2, 9))
def test_a_lost_answer_is_looked_up(tmp_path: Path, call: int) -> None:
    """What a call did shows in the next list, and nothing is made twice."""
    cloud = Cloud(loses_at=call)
    whole_life(cloud, tmp_path / "disk")
    assert (cloud.calls.count("create"), cloud.calls.count("capture"), left(cloud)) == (1, 1, [])


def test_what_was_refused_for_now_is_asked_for_again(tmp_path: Path) -> None:
    """At once: it had no effect, so there is nothing to be looked up."""
    cloud = Cloud(refuses=["create", "delete"])
    whole_life(cloud, tmp_path / "disk")
    assert (left(cloud), cloud.at < NOW + timedelta(minutes=1)) == ([], True)


def test_what_cannot_be_swept_keeps_nobody_from_building(tmp_path: Path) -> None:
    """A server that somebody locked, of a build that was killed."""
    cloud = Cloud(locked="b-0-aaaaa")
    bring(cloud, OPENED)
    cloud.at += HOURS + timedelta(minutes=1)
    bring(cloud, OPENED, "b-0-bbbbb")
    bring(cloud, CAPTURED, "b-0-bbbbb", tmp_path / "disk")
    assert list(cloud.vms) == ["b-0-aaaaa", "b-0-bbbbb"]


def test_a_port_that_nobody_lists_is_waited_for() -> None:
    """A list without ports does not say that there are none."""
    cloud = Cloud()
    bring(cloud, OPENED)
    cloud.hides_ports = 3
    bring(cloud, ABSENT)
    assert left(cloud) == []


def test_a_machine_that_never_shows_fails_the_build() -> None:
    """The answer for its port was lost, so it was never asked for; the port goes with the builder."""
    cloud = Cloud(loses_at=1)
    with pytest.raises(BuildFailed, match="never listed"):
        bring(cloud, OPENED)
    bring(cloud, ABSENT)
    assert left(cloud) == []


def test_a_builder_in_error_fails_the_build_and_is_removed() -> None:
    cloud = Cloud(builds_to=ERROR)
    with pytest.raises(BuildFailed, match="ERROR"):
        bring(cloud, OPENED)
    bring(cloud, ABSENT)
    assert left(cloud) == []


def test_a_build_that_takes_too_long_says_where_it_stood() -> None:
    with pytest.raises(Stopped, match="stopped: timeout; the cloud builds it"):
        bring(Cloud(builds_to="building"), OPENED)
