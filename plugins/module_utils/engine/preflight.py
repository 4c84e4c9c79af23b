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

from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Job, Ports
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker, Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import PortError
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import DrainPolicy, Pool, limits_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Cloud, Runtime

if TYPE_CHECKING:  # only a run that makes machines needs it
    from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Room


def with_preflight(job: Job, ports: Ports, runtime: Runtime, *, waits: bool = True) -> Job:
    """The job with its preflight; as it is where it never makes a machine. `waits` as the run's: see RunSettings."""
    if job.pool is None or ports.cloud is None:
        return job
    return Preflight(job, ports.cloud, runtime, waits=waits)


class Preflight:
    """The job of a pool, held back until it is known that it may begin."""

    def __init__(self, job: Job, cloud: Cloud, runtime: Runtime, *, waits: bool) -> None:
        self.policy: DrainPolicy = job.policy
        self._job, self._cloud, self._runtime, self._waits = job, cloud, runtime, waits
        self._has_begun = False  # something was sent
        self._has_asked = False
        self._room: Room | None = None  # as answered
        self._is_judged = False
        self._most: int | None = None  # machines of the pool that there is room for
        self._told: tuple[Blocker, ...] = ()  # what holds for the whole run

    @property
    def pool(self) -> Pool | None:
        """As the job's."""
        return self._job.pool

    def retarget(self, revision: Revision) -> None:
        """As the job's."""
        self._job.retarget(revision)

    def decide(self, snapshot: Snapshot, now: datetime) -> Decision:
        """The job's own decision, or nothing yet, or its end."""
        decision, pool = self._job.decide(snapshot, now), self._job.pool
        if pool is None:
            return decision
        if not decision.actions:
            return replace(decision, blockers=(*decision.blockers, *self._told)) if self._told else decision
        from ansible_collections.immutable.fleet.plugins.module_utils.decide import preflight

        if not self._is_judged and preflight.wants_room(decision):
            self._ask()
            if self._room is None:
                return replace(decision, actions=())
            decision = self._judge(self._room, pool, snapshot, decision)
        if self._most is not None:
            decision = preflight.within(self._most, snapshot, decision)
        if decision.actions and not self._has_begun:
            self._has_begun = True
            decision = replace(decision, blockers=(*decision.blockers, *preflight.hindrances(pool, snapshot)))
        return replace(decision, blockers=(*decision.blockers, *self._told)) if self._told else decision

    def _judge(self, room: Room, pool: Pool, snapshot: Snapshot, decision: Decision) -> Decision:
        from ansible_collections.immutable.fleet.plugins.module_utils.decide import preflight

        self._is_judged, limits = True, limits_of(pool)
        refusal = None if self._has_begun else preflight.refusal(room, pool, limits, snapshot, decision)
        if refusal is None:
            self._most = preflight.most_machines(room, snapshot)
            self._told = preflight.tight_room(room, limits, snapshot, decision)
            return decision
        return replace(decision, actions=(), finished=True, failure=refusal, wake_at=None)

    def _ask(self) -> None:
        """Once. A run of one turn has nothing to do until the answer comes, and for it no action would be the end."""
        if self._has_asked:
            return
        self._has_asked = True
        if self._waits:
            self._runtime.submit(self._cloud.room, self._answered)
            return
        try:
            self._answered(self._cloud.room(), None)
        except PortError as error:
            self._answered(None, error)

    def _answered(self, result: object, error: Exception | None) -> None:
        from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Room

        if isinstance(result, Room):
            self._room = result
        elif isinstance(error, PortError):
            self._room = Room(unknown=(f"what room is left is not known: {error}",))
        elif error is not None:
            raise error
