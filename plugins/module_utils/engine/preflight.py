# SPDX-License-Identifier: GPL-3.0-or-later
"""Between a job and the loop: what can be known before the first write is known before it.

Promises: a run that finds all in order asks nothing. One that does not asks the API server first whether its account may do all
that the job takes; until that is known nothing is written, not even the lock. Before the first create the cloud is asked once
what it has left; until it has answered nothing is sent, while the loop goes on observing and takes the lock. A run that has
written already is not refused any more: it meets a lack of room as the loop meets all others, by waiting.
Why here: the questions are calls, which a decision cannot make, and their answers belong to one run, which facts do not.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.engine.access import Admission
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Around, Job, Ports
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker, Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, PortError
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool, limits_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Cloud, Runtime

if TYPE_CHECKING:  # only a run that makes machines needs it
    from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Room


def with_preflight(job: Job, ports: Ports, runtime: Runtime, *, waits: bool = True) -> Job:
    """The job with its preflight; as it is where there is nobody to ask. `waits` as the run's: see RunSettings."""
    if ports.cloud is None and ports.access is None:
        return job
    return Preflight(job, ports, runtime, waits=waits)


class Preflight(Around):
    """A job, held back until it is known that it may begin."""

    def __init__(self, job: Job, ports: Ports, runtime: Runtime, *, waits: bool) -> None:
        super().__init__(job)
        self._cloud, self._runtime, self._waits = ports.cloud, runtime, waits
        self._admission = Admission(ports.access, runtime, waits=waits) if ports.access is not None else None
        self._is_admitted = False
        self._has_begun = False  # something was sent
        self._has_asked = False
        self._room: Room | None = None  # as answered
        self._denied: Denied | None = None  # the account lacks what each create needs
        self._is_judged = False
        self._most: int | None = None  # machines of the pool that there is room for
        self._told: tuple[Blocker, ...] = ()  # what holds for the whole run

    def decide(self, snapshot: Snapshot, now: datetime) -> Decision:
        """The job's own decision, or nothing yet, or its end."""
        decision, pool = self._job.decide(snapshot, now), self._job.pool
        if self._admission is not None and not decision.finished:
            held = self._held_back(self._admission, decision, snapshot)
            if held is not None:
                return held
        if pool is None or self._cloud is None or not decision.actions:
            return replace(decision, blockers=(*decision.blockers, *self._told)) if self._told else decision
        from ansible_collections.immutable.fleet.plugins.module_utils.decide import preflight

        if not self._is_judged and preflight.wants_room(decision):
            self._ask(self._cloud)
            if self._denied is not None and not self._has_begun:
                return replace(decision, actions=(), finished=True, failure=self._denied, wake_at=None)
            if self._room is None:
                return replace(decision, actions=())
            decision = self._judge(self._room, pool, snapshot, decision)
        if self._most is not None:
            decision = preflight.within(self._most, snapshot, decision)
        if decision.actions and not self._has_begun:
            self._has_begun = True
            self._told += preflight.own_node(pool, snapshot)
            decision = replace(decision, blockers=(*decision.blockers, *preflight.hindrances(pool, snapshot)))
        return replace(decision, blockers=(*decision.blockers, *self._told)) if self._told else decision

    def _held_back(self, admission: Admission, decision: Decision, snapshot: Snapshot) -> Decision | None:
        """Nothing, while the account's rights are asked for; the end, where some are missing; None: it may begin."""
        if self._is_admitted:
            return None
        from ansible_collections.immutable.fleet.plugins.module_utils.decide import access

        admission.ask(removes=access.removes_pods(snapshot))
        if not admission.is_known:
            return replace(decision, actions=(), record=None, asks_first=True)
        if admission.refusal is not None:
            return replace(decision, actions=(), record=None, finished=True, failure=admission.refusal, wake_at=None)
        self._is_admitted = True
        if admission.unknown:
            self._told += (access.not_known(admission.unknown),)
        return None

    def _judge(self, room: Room, pool: Pool, snapshot: Snapshot, decision: Decision) -> Decision:
        from ansible_collections.immutable.fleet.plugins.module_utils.decide import preflight

        self._is_judged, limits = True, limits_of(pool)
        refusal = None if self._has_begun else preflight.refusal(room, pool, limits, snapshot, decision)
        if refusal is None:
            self._most = preflight.most_machines(room, snapshot)
            self._told += preflight.tight_room(room, limits, snapshot, decision)
            return decision
        return replace(decision, actions=(), finished=True, failure=refusal, wake_at=None)

    def _ask(self, cloud: Cloud) -> None:
        """Once. A run of one turn has nothing to do until the answer comes, and for it no action would be the end."""
        if self._has_asked:
            return
        self._has_asked = True
        if self._waits:
            self._runtime.submit(cloud.room, self._answered)
            return
        try:
            self._answered(cloud.room(), None)
        except PortError as error:
            self._answered(None, error)

    def _answered(self, result: object, error: Exception | None) -> None:
        from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Room

        if isinstance(result, Room):
            self._room = result
        elif isinstance(error, PortError):
            self._denied = error if isinstance(error, Denied) else None
            self._room = Room(unknown=(f"what room is left is not known: {error}",))
        elif error is not None:
            raise error
