# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is given and what comes out of it: values shared by the loop, check mode and the faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker, Decision, Tally
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import FleetError
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import DrainPolicy, Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import Image, LockFact
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.ports import (
    Access,
    Balancer,
    Captures,
    Cloud,
    Cluster,
    Lock,
    Probe,
    Prober,
)

STEERING_LOOK = timedelta(seconds=4)


class Job(Protocol):
    """What is to be brought about: a rollout, a removal, a drain of existing nodes, a builder."""

    @property
    def pool(self) -> Pool | None:
        """The pool that creates are for; None where nothing is ever created."""

    @property
    def policy(self) -> DrainPolicy:
        """How nodes are emptied."""

    def decide(self, snapshot: Snapshot, now: datetime) -> Decision:
        """The pure function this project is about."""

    def retarget(self, revision: Revision) -> None:
        """Make `revision` from now on. Asked only of a job whose pool is made of something."""


class Around:
    """A job around another one, which decides what it lets through; all else is the job's own."""

    def __init__(self, job: Job) -> None:
        self._job = job

    @property
    def pool(self) -> Pool | None:
        """As the job's."""
        return self._job.pool

    @property
    def policy(self) -> DrainPolicy:
        """As the job's."""
        return self._job.policy

    def retarget(self, revision: Revision) -> None:
        """As the job's."""
        self._job.retarget(revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The adapters of one run. `cloud` is None for `node_drain`; `cluster` is None for a pool of plain VMs."""

    cloud: Cloud | None = None
    cluster: Cluster | None = None
    balancer: Balancer | None = None  # of a pool of plain VMs
    lock: Lock | None = None  # None: nothing that two runs could both do
    captures: Captures | None = None  # of builders' disks
    access: Access | None = None  # None: nothing is ever denied there
    probes: Mapping[str, Probe] = field(default_factory=dict)  # by "gate", "before_drain", "before_delete"; a rehearsal has none
    prober: Prober | None = None  # None: the services of machines are not asked


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How the run behaves, whatever it decides."""

    holder: str  # who holds the lock: user, host and process, for a person to read
    lock_ttl: timedelta = timedelta(seconds=60)
    call_timeout: timedelta = timedelta(seconds=20)
    max_staleness: timedelta = timedelta(seconds=60)
    first_look: timedelta = timedelta(seconds=60)  # how long it may take before the sources are called unreachable
    timeout: timedelta | None = None  # of the whole run
    wait: bool = True  # False: one turn, its calls answered, and out
    own_pod: str = ""  # the pod this run lives in, where it lives in one: its node goes last (FM42)
    pinned: Image = field(default_factory=dict)  # the resolved image, kept in the pool record until the end (FM37)
    replicas: int = 0  # as the variables ask, kept in the record, too: an operator's number holds while they ask for the same
    seen: LockFact = field(default_factory=LockFact)  # the pool's lock as it was read before the run
    steering_look: timedelta | None = STEERING_LOOK  # how old an operator's wish may get unseen; None: nobody can have one


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One action as it was started: the line of a plan or of a story. `verb` as in style.md's table of words."""

    at: datetime
    after: timedelta  # since the run's beginning
    verb: str  # create | choose | evict | look | delete | delete node | label | quarantine | cordon | uncordon | clear | capture | fetch
    machine: str
    reason: str
    slot: int | None = None
    failure_domain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of it. `steps` are in order; `changed` is whether any write was sent (or, in check mode, would be)."""

    changed: bool
    duration: timedelta
    turns: int
    steps: tuple[Step, ...] = ()
    blockers: tuple[Blocker, ...] = ()
    tally: Tally = field(default_factory=Tally)
    pending: str = ""  # why it ended well with machines that are not as asked for: paused, outside of a window
    machines: Mapping[str, Machine] = field(default_factory=dict)
    failure: FleetError | None = None
