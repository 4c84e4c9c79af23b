# SPDX-License-Identifier: GPL-3.0-or-later
"""From a request to a run: what the pool should be made of, whether so much may be taken away, and the loop or its forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.decide.scaling import too_many_to_go
from ansible_collections.immutable.fleet.plugins.module_utils.decide.target import replicas_of
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Around, Job, Ports, Result, RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.engine.telling import told_of
from ansible_collections.immutable.fleet.plugins.module_utils.entry.faces import Face
from ansible_collections.immutable.fleet.plugins.module_utils.entry.parse import DrainRequest, PoolRequest
from ansible_collections.immutable.fleet.plugins.module_utils.entry.wiring import Kit, prober_of, probes_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, FleetError, Refused
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot

if TYPE_CHECKING:
    from ansible_collections.immutable.fleet.plugins.module_utils.entry.forecast import Forecast


SPEED_WITHOUT_HASTE = 10  # of a simulated world's clock: 6 s of ours for a minute


class Watched(Around):
    """A job that remembers the first and the last snapshot it was asked about: for `--diff`, and for what the task returns."""

    def __init__(self, job: Job, *, only_heals: bool = False) -> None:
        super().__init__(job)
        self.only_heals = only_heals  # it begins no rollout, whose image the record would have to hold
        self.first: Snapshot | None = None
        self.last: Snapshot | None = None
        self.forecast: Forecast | None = None  # in check mode
        self.unhealthy: dict[str, str] = {}  # why, by plain machine marked for it in this run: a mark on the record is no step

    def decide(self, snapshot: Snapshot, now: datetime) -> Decision:
        """The job's own decision."""
        self.first = first = self.first or snapshot
        self.last = snapshot
        for name, note in snapshot.record.leaving.items():
            if name not in first.record.leaving and note.why.startswith("unhealthy"):
                self.unhealthy[name] = note.why
        return self._job.decide(snapshot, now)


class ScaleGuard(Around):
    """A pool's job that refuses, at its first look, to take more machines away than one run may.

    An operator's number was guarded when it was asked for. `forward` says how to go on where the limit is no option of the task.
    """

    def __init__(self, job: Job, pool: Pool, limit: int | str, *, forward: str = "") -> None:
        super().__init__(job)
        self._forward = forward
        self._replicas = pool.replicas
        self._limit = limit
        self._has_looked = False

    def decide(self, snapshot: Snapshot, now: datetime) -> Decision:
        """The job's own decision, once it is clear that it may."""
        if not self._has_looked:
            is_asked = replicas_of(self._replicas, snapshot.steering) == self._replicas
            refusal = self._too_many_to_go(snapshot.machines) if is_asked else None
            if refusal is not None:
                refusal.forward = self._forward or refusal.forward
                return Decision(finished=True, failure=refusal)
            self._has_looked = True
        return self._job.decide(snapshot, now)

    def _too_many_to_go(self, machines: Mapping[str, Machine]) -> Refused | None:
        """Slots are counted, not machines: in the middle of a rollout a slot may have two."""
        slots = {machine.vm.slot for machine in machines.values() if not machine.is_going}
        return too_many_to_go(len(slots - {None}), self._replicas, self._limit)


def pool_job(request: PoolRequest, ports: Ports, seen: LockFact, now: datetime) -> Watched:
    """The job of `node_pool`. Resolves the template, so that an unknown image or flavor is refused before anything is touched.

    `seen` is the pool's lock: a rollout that is under way goes on with the image it began with. `now` is the run's clock, around
    which windows are known.
    """
    pool = request.pool
    if ports.balancer is not None:
        ports.balancer.find_backend()
    if request.is_absent:
        from ansible_collections.immutable.fleet.plugins.module_utils.decide.remove import removal

        return Watched(removal(pool))
    if pool.strategy.windows or pool.strategy.budgets:
        from ansible_collections.immutable.fleet.plugins.module_utils.entry import schedules

        pool = replace(pool, strategy=schedules.resolved(pool.strategy, now))
    from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout

    if ports.cloud is not None:
        pool = replace(pool, revision=ports.cloud.resolve(seen.record.pinned))
    return Watched(ScaleGuard(Rollout(pool), pool, request.max_scale_down))


def drain_job(request: DrainRequest) -> Watched:
    """The job of `node_drain`."""
    from ansible_collections.immutable.fleet.plugins.module_utils.decide.drain_nodes import DrainNodes

    return Watched(DrainNodes(request.nodes, request.policy, request.state))


def seen_lock(ports: Ports) -> LockFact:
    """The pool's lock and record before the run; a job without a lock finds it free. Raises what its server answers."""
    if ports.lock is None:
        return LockFact()
    try:
        return ports.lock.read()
    except Denied as error:
        raise _in_full(error, ports) from error


def run(
    job: Watched,
    kit: Kit,
    settings: RunSettings,
    face: Face,
    *,
    check: bool,
    seen: LockFact,
) -> Result:
    """Do it, or in check mode find out what would be done: the job keeps the forecast."""
    face.now = kit.runtime.now
    # A world's clock may run so fast that its minute is over before this process has looked once.
    settings = replace(settings, seen=seen, first_look=settings.first_look * max(1.0, kit.speed / SPEED_WITHOUT_HASTE))
    if job.pool is not None:
        pinned = seen.record.pinned if job.only_heals else job.pool.revision.image
        settings = replace(settings, pinned=pinned, replicas=job.pool.replicas)
    if check:
        from ansible_collections.immutable.fleet.plugins.module_utils.entry.forecast import forecast
        from ansible_collections.immutable.fleet.plugins.module_utils.model.durations import load_past

        try:
            job.forecast = forecast(job, kit.ports, settings, kit.runtime, load_past(seen.record.past), tells=face.draws_report)
        except Denied as error:
            raise _in_full(error, kit.ports) from error
        _tell_plan(job.forecast, face)
        return job.forecast.result
    from ansible_collections.immutable.fleet.plugins.module_utils.engine import loop
    from ansible_collections.immutable.fleet.plugins.module_utils.engine.preflight import with_preflight

    face.stops.wake_with(kit.runtime.wake)
    ports = kit.ports
    if job.pool is not None:
        ports = replace(ports, probes=probes_of(job.pool.strategy, settings.call_timeout, face.redact))
        if job.pool.probes and ports.prober is None:
            ports = replace(ports, prober=prober_of(job.pool, face.redact))
    checked = with_preflight(job, ports, kit.runtime, waits=settings.wait)
    asked = job.pool.revision.id if job.pool is not None else ""
    result = loop.run(checked, ports, kit.runtime, face.reporter, settings, face.stops)
    if isinstance(result.failure, Denied) and not result.changed:
        result = replace(result, failure=_in_full(result.failure, ports))
    is_as_asked = job.pool is not None and job.pool.revision.id == asked and result.failure is None and not result.pending
    if face.draws_report and result.changed and is_as_asked:  # what was held up or turned round compares with nothing
        face.other_surges = _other_surges(job, settings, seen)
    return result


def _in_full(error: Denied, ports: Ports) -> FleetError:
    from ansible_collections.immutable.fleet.plugins.module_utils.engine.access import in_full

    return in_full(error, ports.access)


def _other_surges(job: Watched, settings: RunSettings, seen: LockFact) -> tuple[tuple[int, timedelta], ...]:
    """`(surge, median duration)`: what the same run would have taken with other surges, for its report."""
    from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
    from ansible_collections.immutable.fleet.plugins.module_utils.entry.forecast import learned_from, seen_of, surges_beside, with_surges
    from ansible_collections.immutable.fleet.plugins.module_utils.model.durations import load_past

    pool, first = job.pool, job.first
    if pool is None or first is None or not pool.replicas or first.backend is not None:
        return ()
    facts = seen_of(first)
    learned = learned_from(facts, pool, load_past(seen.record.past))
    return with_surges(Rollout, pool, facts, settings, learned, surges_beside(pool))


def _tell_plan(foreseen: Forecast, face: Face) -> None:
    """The plan as events, at the times it expects: who shows a run's progress shows a plan as well. What it comes to is told last."""
    from ansible_collections.immutable.fleet.plugins.module_utils.entry.outlook import sentences_of

    now, roll, ends_at = foreseen.at, foreseen.roll, foreseen.ends_at
    first = Event(at=now, kind="plan", text="nothing is changed; times are estimates")
    steps = [Event(at=now + step.after, kind=step.verb, machine=step.machine, text=step.reason) for step in foreseen.steps]
    met = [told_of(blocker, now + after) for after, blocker in foreseen.met]
    sentences = [Event(at=ends_at, kind="plan", text=sentence) for sentence in sentences_of(foreseen)]
    for event in (first, *sorted((*steps, *met), key=lambda event: event.at), *sentences):
        face.reporter.tell(event)
    face.draw((first, *foreseen.told, *(event for event in met if event not in foreseen.told), *sentences))
    ending = "the plan ends here" + (f", pending: {roll.pending}" if roll.pending else "")
    face.reporter.tell(Event(at=ends_at, kind="end", text=ending if roll.failure is None else str(roll.failure)))
