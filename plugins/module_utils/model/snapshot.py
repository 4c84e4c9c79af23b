# SPDX-License-Identifier: GPL-3.0-or-later
"""All facts of one instant, as `decide` gets them."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import GateLook
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget, EvictionTry, Look, Node
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Steering
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, Starts

if TYPE_CHECKING:  # few pools have a balancer
    from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import Backend
    from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import Capture


@dataclass(frozen=True, slots=True, kw_only=True)
class Creating:
    """A create that was sent and not yet seen in a list: exists, but is not available."""

    name: str
    slot: int
    failure_domain: str
    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubles:
    """What creates met in this run. `after` holds creates back until then; `fatal` ends the run once nothing is in flight.

    Memory that may be lost: a new run starts with a clean slate and meets the same trouble again.
    """

    after: datetime | None = None
    what: str = ""
    since: datetime | None = None
    count: int = 0
    fatal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One world. Only things of the pool (and, for `node_drain`, the nodes asked for); immutable, shared freely.

    `nodes` are Nodes with our pool label that match no VM, and in a pool without a cloud all that were asked for.
    `deleted` names those of `nodes` whose VM was deleted, so that it cannot be in a list by mistake only.
    `half_owned` carry one of our marks only: they are counted as existing, reported, and never touched.
    `stale` maps a source ("cloud", "cluster", "balancer") to the instant since when it gave no new facts.
    `busy` holds the keys of calls in flight beside those laid over machines.
    Two are equal that show the same, whenever that was.
    """

    at: datetime = field(compare=False)
    began_at: datetime  # of this run: clocks that rest on a mark start no earlier
    machines: Mapping[str, Machine] = field(default_factory=dict)
    creating: tuple[Creating, ...] = ()
    nodes: Mapping[str, Node] = field(default_factory=dict)
    deleted: AbstractSet[str] = frozenset()
    budgets: Mapping[str, Budget] = field(default_factory=dict)
    evictions: Mapping[str, EvictionTry] = field(default_factory=dict)  # by pod UID
    looks: Mapping[str, Look] = field(default_factory=dict)  # the last direct read, by decision.look_key
    leftovers: tuple[Leftover, ...] = ()
    half_owned: tuple[str, ...] = ()
    stale: Mapping[str, datetime] = field(default_factory=dict)
    busy: frozenset[str] = frozenset()
    troubles: Troubles = field(default_factory=Troubles)
    starts: Starts | None = None  # how many creates beside those in no list yet, by the newest list; None: any number
    own_node: str = ""  # the node this run lives on goes last (FM42)
    settled_at: datetime | None = None  # after a lock was taken over: no create before then, a dead holder's may still arrive
    is_settled: bool = True  # no call in flight and no answer waiting to be seen
    progressed_at: datetime | None = None  # when this run last came nearer to its end, for progress_deadline
    record: PoolRecord = field(default_factory=PoolRecord)  # what earlier runs left, and this one wrote
    steering: Steering = field(default_factory=Steering)  # what operators asked
    ahead: timedelta = timedelta(
        0
    )  # of the API server's clock, else the cloud's: what to take off an instant for a reader on another controller
    gates: Mapping[tuple[str, str], GateLook] = field(default_factory=dict)  # last answers, by step and machine
    reset: AbstractSet[str] = frozenset()  # machines that this run has reset, as far as it knows: of a reset nothing is seen
    preserved: AbstractSet[str] = frozenset()  # machines that are kept for a look, and hence left out of `machines`
    backend: Backend | None = None  # of the pool's balancer, where it has one
    captures: tuple[Capture, ...] = ()  # images of builders' disks
    fetched: AbstractSet[str] = frozenset()  # ids of those whose bytes this run has brought here
    asked: Mapping[str, datetime] = field(
        default_factory=dict, compare=False
    )  # when this run last asked for a deletion, a switch or a copy, by decision.key_of: not all of it shows in a list at once
    leftovers_at: datetime | None = field(default=None, compare=False)  # as_of of the list that showed them; None: none has yet

    @property
    def may_create(self) -> bool:
        """Whether every call that a dead holder of the lock had sent must have arrived by now."""
        return self.settled_at is None or self.at >= self.settled_at
