# SPDX-License-Identifier: GPL-3.0-or-later
"""Between a job and the loop: what can be known before the first write is known before it.

Promises: a turn that makes nothing asks nothing. Before the first create the cloud is asked once what it has left; until it has
answered nothing is sent, while the loop goes on observing and takes the lock. A run that has written already is not refused any
more: it meets a lack of room as the loop meets all others, by waiting.
Why here: the question is a call, which a decision cannot make, and its answer belongs to one run, which facts do not.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.decide import preflight
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Job, Ports
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker, Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import PortError
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import DrainPolicy, Pool, limits_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Cloud, Runtime

if TYPE_CHECKING:  # only a run that makes machines needs it
    from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Room


def with_preflight(job: Job, ports: Ports, runtime: Runtime) -> Job:
    """The job with its preflight; as it is where it never makes a machine."""
    if job.pool is None or ports.cloud is None:
        return job
    return Preflight(job, job.pool, ports.cloud, runtime)


class Preflight:
    """The job of a pool, held back until it is known that it may begin."""

    def __init__(self, job: Job, pool: Pool, cloud: Cloud, runtime: Runtime) -> None:
        self.pool = pool
        self.policy: DrainPolicy = job.policy
        self._job, self._cloud, self._runtime = job, cloud, runtime
        self._has_begun = False  # something was sent
        self._has_asked = False
        self._room: Room | None = None  # as answered
        self._is_judged = False
        self._most: int | None = None  # machines of the pool that there is room for
        self._told: tuple[Blocker, ...] = ()  # what holds for the whole run

    def decide(self, snapshot: Snapshot, now: datetime) -> Decision:
        """The job's own decision, or nothing yet, or its end."""
        decision = self._job.decide(snapshot, now)
        if not self._is_judged and preflight.wants_room(decision):
            if self._room is None:
                self._ask()
                return replace(decision, actions=())
            decision = self._judge(self._room, snapshot, decision)
        if self._most is not None and decision.actions:
            decision = preflight.within(self._most, snapshot, decision)
        if decision.actions and not self._has_begun:
            self._has_begun = True
            decision = replace(decision, blockers=(*decision.blockers, *preflight.hindrances(self.pool, snapshot)))
        return replace(decision, blockers=(*decision.blockers, *self._told)) if self._told else decision

    def _judge(self, room: Room, snapshot: Snapshot, decision: Decision) -> Decision:
        self._is_judged = True
        limits = limits_of(self.pool)
        self._told = preflight.tight_room(room, limits, snapshot, decision)
        refusal = None if self._has_begun else preflight.refusal(room, self.pool, limits, snapshot, decision)
        if refusal is None:
            self._most = preflight.most_machines(room, snapshot)
            return decision
        return replace(decision, actions=(), finished=True, failure=refusal, wake_at=None)

    def _ask(self) -> None:
        if not self._has_asked:
            self._has_asked = True
            self._runtime.submit(self._cloud.room, self._answered)

    def _answered(self, result: object, error: Exception | None) -> None:
        from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Room

        if isinstance(result, Room):
            self._room = result
        elif isinstance(error, PortError):
            self._room = Room(unknown=(f"what room is left is not known: {error}",))
        elif error is not None:
            raise error
