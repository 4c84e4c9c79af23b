# SPDX-License-Identifier: GPL-3.0-or-later
"""The one loop: observe, decide, act, wait for the next event.

The same code does the job (threads, real clock), rehearses it (check mode: a copy of the world, virtual time) and is
tested (seeded worlds, virtual time). Nothing but `runtime.wait` waits. Killed between any two lines, the next run's first
snapshot tells it all it needs: what must outlive a run is a mark on the thing itself, or on the lock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.engine import answers
from ansible_collections.immutable.fleet.plugins.module_utils.engine.course import Course
from ansible_collections.immutable.fleet.plugins.module_utils.engine.journal import Journal
from ansible_collections.immutable.fleet.plugins.module_utils.engine.polling import Polling
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Job, Ports, Result, RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.engine.serving import Serving
from ansible_collections.immutable.fleet.plugins.module_utils.engine.telling import Teller
from ansible_collections.immutable.fleet.plugins.module_utils.engine.world import World
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import (
    Action,
    AskGate,
    Create,
    Decision,
    LookAt,
    Tally,
    subject_of,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Denied,
    FleetError,
    Invalid,
    PortError,
    Stalled,
    Transient,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Listing, Reporter, Runtime

if TYPE_CHECKING:  # a run that changes nothing needs no lock
    from ansible_collections.immutable.fleet.plugins.module_utils.engine.lock import Keeper

STOP_LOOK = timedelta(seconds=1)  # how often a stop request is looked for while nothing else happens


def run(
    job: Job,
    ports: Ports,
    runtime: Runtime,
    reporter: Reporter | None,
    settings: RunSettings,
    stop: Callable[[], str] | None = None,
) -> Result:
    """Bring about what `job` asks for, and say what came of it. Never raises a FleetError: it is the result's `failure`.

    `stop` is asked each turn and answers why to stop, or "".
    """
    loop = _Loop(job, ports, runtime, reporter, settings, stop)
    try:
        failure = loop.start() or loop.turns()
    except FleetError as error:
        failure = error
    return loop.finish(failure)


class _Loop:
    def __init__(
        self,
        job: Job,
        ports: Ports,
        runtime: Runtime,
        reporter: Reporter | None,
        settings: RunSettings,
        stop: Callable[[], str] | None,
    ) -> None:
        self._job, self._ports, self._runtime, self._settings, self._stop = job, ports, runtime, settings, stop
        self._began_at = runtime.now()
        self._ends_at = self._began_at + settings.timeout if settings.timeout is not None else None
        self._world = World(
            pool=job.pool.name if job.pool is not None else "",
            began_at=self._began_at,
            call_timeout=settings.call_timeout,
            has_cloud=ports.cloud is not None,
            has_cluster=ports.cluster is not None,
            has_balancer=ports.balancer is not None,
        )
        self._polling = Polling(pushes=False)
        self._serving = Serving(ports, job.pool, runtime, self._world)
        self._teller = Teller(reporter, job.pool)
        self._journal = Journal(self._world, self._teller, self._began_at)
        self._course = Course(job, ports.cloud, runtime, self._teller.retargeted)
        self._keeper: Keeper | None = None
        self._record, self._steering = settings.seen.record, settings.seen.steering
        self._decision = Decision()
        self._snapshot: Snapshot | None = None
        self._progressed_at = self._began_at
        self._progress: Tally = Tally()
        self._turns = 0
        self._lives_on: str | None = None
        self._fatal: FleetError | None = None
        self._list_error: PortError | None = None

    # The loop -----------------------------------------------------------------------------------------------------------
    def start(self) -> FleetError | None:
        """Open the sources. What they refuse here is refused before anything is touched."""
        if self._ports.cloud is not None:
            self._polling = Polling(pushes=self._ports.cloud.watch(self._cloud_changed))
            self._list(self._began_at)  # takes its time: the cluster's first lists run beside it
        if self._ports.cluster is not None:
            self._ports.cluster.start(self._runtime.wake)
        return None

    def turns(self) -> FleetError | None:
        """Turn until finished, stopped or failed; the failure, if it is one."""
        while True:
            self._turns += 1
            now = self._runtime.now()
            self._observe(now)
            is_set = self._course.is_set(self._record, self._steering, now)
            failure = self._reason_to_end(now)
            if failure is not None:
                return failure
            wake_at = None
            if self._world.has_facts and is_set:
                decision = self._decide(now)
                if self._is_over(decision, now):
                    return decision.failure
                if (self._settings.wait or self._journal.wrote_at is None) and not decision.asks_first:
                    self._act(decision, now)
                if not self._settings.wait and not self._flying() and (self._journal.wrote_at is not None or not decision.actions):
                    return None
                wake_at = _first(decision.wake_at, *self._world.held_off.values())
            self._runtime.wait(_first(wake_at, self._lock_turn(now), self._next_look(now), self._ends_at))

    def finish(self, failure: FleetError | None) -> Result:
        """Let calls in flight answer (for one call timeout at most), give the lock back, and report."""
        deadline = self._runtime.now() + self._settings.call_timeout
        while (self._flying() or (self._keeper is not None and self._keeper.is_calling)) and self._runtime.now() < deadline:
            self._runtime.wait(deadline)
        if self._keeper is not None:
            from ansible_collections.immutable.fleet.plugins.module_utils.engine.past import with_past

            self._keeper.release(lambda record: with_past(record, self._journal.steps))
        if self._ports.cluster is not None:
            self._ports.cluster.stop()
        now = self._runtime.now()
        pending = self._decision.pending if failure is None else ""
        self._teller.ended(failure, pending, now)
        return Result(
            changed=self._journal.wrote_at is not None,
            duration=now - self._began_at,
            turns=self._turns,
            steps=tuple(self._journal.steps),
            blockers=self._decision.blockers,
            tally=self._decision.tally,
            machines=self._snapshot.machines if self._snapshot is not None else {},
            pending=pending,
            failure=failure,
        )

    # Observe --------------------------------------------------------------------------------------------------------------
    def _cloud_changed(self) -> None:
        self._polling.told()
        self._runtime.wake()

    def _observe(self, now: datetime) -> None:
        if self._ports.cluster is not None:
            self._world.take_view(self._ports.cluster.view(), now)
        if self._ports.cloud is not None:
            due = self._list_due(now)
            if due is not None and due <= now:
                self._list(now)
        self._serving.turn(now, is_busy=self._is_busy())
        self._world.settle()
        if self._keeper is not None:
            self._record = self._keeper.record
            self._teller.steered(self._steering, self._keeper.steering, now)
            self._steering = self._keeper.steering

    def _list(self, now: datetime) -> None:
        cloud, captures = self._ports.cloud, self._ports.captures
        if cloud is None:
            return
        is_full = self._polling.begin(now)
        since = None if self._polling.asks_all else self._world.listed_at

        def answered(result: object, error: Exception | None) -> None:
            tells = result.tells if isinstance(result, Listing) else True
            self._polling.ended(self._runtime.now(), failed=error is not None, tells=tells)
            if isinstance(result, Listing):
                self._list_error = None
                self._world.take_listing(result)
            elif isinstance(error, PortError):
                self._list_error = error
                if isinstance(error, Denied | Invalid):
                    self._fatal = error
            elif error is not None:
                raise error

        def listed() -> Listing:
            listing = cloud.list_vms(since, with_leftovers=is_full)
            return listing if captures is None else replace(listing, captures=captures.list())

        self._runtime.submit(listed, answered)

    def _is_busy(self) -> bool:
        tally = self._decision.tally
        return bool(self._world.calls or tally.going or tally.booting or tally.not_ready or tally.creating or tally.quarantined)

    def _list_due(self, now: datetime) -> datetime | None:
        is_unsure = self._decision.tally.not_ready > 0 or any(sent.is_unknown for sent in self._world.calls.values())
        return self._polling.due(now, is_busy=self._is_busy(), is_unsure=is_unsure)

    def _next_look(self, now: datetime) -> datetime | None:
        due = self._list_due(now) if self._ports.cloud is not None else None
        return _first(due, self._serving.next_due(now), now + STOP_LOOK if self._stop is not None else None)

    # Decide ---------------------------------------------------------------------------------------------------------------
    def _decide(self, now: datetime) -> Decision:
        self._snapshot = snapshot = self._world.snapshot(
            now,
            max_staleness=self._settings.max_staleness,
            settled_at=self._keeper.settles_at() if self._keeper is not None else None,
            own_node=self._own_node(),
            progressed_at=self._progressed_at,
            record=self._record,
            steering=self._steering,
        )
        decision = self._job.decide(snapshot, now)
        if decision.tally != self._progress:
            if decision.tally.up_to_date > self._progress.up_to_date:
                answers.create_worked(self._world)
            self._progress, self._progressed_at = decision.tally, now
        self._decision = decision
        if self._job.pool is not None:
            self._teller.scaled(self._job.pool.replicas, now)
        self._teller.turn(snapshot, decision, now)
        return decision

    def _own_node(self) -> str:
        """The node that carries this very run, looked for once; "" where it runs outside of the cluster."""
        if self._lives_on is None:
            pod, view = self._settings.own_pod, self._world.view
            nodes = view.nodes.values() if pod and view is not None else ()
            self._lives_on = next((node.name for node in nodes if any(p.name == pod for p in node.pods)), "")
        return self._lives_on

    def _is_over(self, decision: Decision, now: datetime) -> bool:
        """An end is judged on a full list that was begun after our last write and after the last machine's end; not where no news comes.

        What a machine leaves behind, such as its ports, is in no list before its end, and in full ones only.
        """
        if not decision.finished:
            return False
        instants = [at for at in (self._journal.wrote_at, self._world.gone_at) if at is not None]
        if isinstance(decision.failure, Stalled) or not instants or self._ports.cloud is None:
            return True
        since = max(instants)
        is_seen = self._serving.is_seen_since(since)
        if self._world.full_at is not None and self._world.full_at > since:
            return is_seen
        self._polling.ask_full()
        return False

    def _reason_to_end(self, now: datetime) -> FleetError | None:
        fatal = self._fatal or self._course.failure or self._serving.failure
        if fatal is not None:
            return fatal
        if self._keeper is not None and self._keeper.failure is not None:
            return self._keeper.failure
        why = self._stop() if self._stop is not None else ""
        if why:
            return self._stopped(f"stopped: {why}", now)
        if self._ends_at is not None and now >= self._ends_at:
            return self._stopped(f"the run's timeout of {say_duration(self._ends_at - self._began_at)} has passed", self._ends_at)
        if not self._world.has_facts and now - self._began_at >= self._settings.first_look:
            return self._list_error or self._serving.error or Transient(what="no answer to the first look", since=self._began_at)
        return None

    def _stopped(self, what: str, since: datetime) -> FleetError:
        from ansible_collections.immutable.fleet.plugins.module_utils.decide.verdict import stopped

        return stopped(what, self._job.pool, self._record, self._steering, since)

    # Act --------------------------------------------------------------------------------------------------------------------
    def _act(self, decision: Decision, now: datetime) -> None:
        if self._ports.lock is not None and self._keeper is None:
            from ansible_collections.immutable.fleet.plugins.module_utils.engine.lock import Keeper

            # To wait, too: what is waited for may be another run's work.
            self._keeper = Keeper(self._ports.lock, self._runtime, self._settings, self._job.pool)
        if decision.record is not None:
            self._note_record(decision.record)
        if not decision.actions or not self._may_write(now):
            return
        for action in decision.actions:
            back_off = self._world.troubles.after
            if isinstance(action, Create) and back_off is not None and now < back_off:
                continue  # a failed machine's delete, just sent, began it: it was not known when this was decided
            self._send(action, now)

    def _note_record(self, record: PoolRecord) -> None:
        """What the next run has to know goes on the lock before anything rests on it; a job without a lock remembers it."""
        if self._keeper is None:
            self._record = record
            self._runtime.wake()
        else:
            self._keeper.write(record)

    def _may_write(self, now: datetime) -> bool:
        """The lock is surely ours, and the cloud was listed after it became so: another run may have ended just before."""
        keeper = self._keeper
        if keeper is None:
            return True
        if not keeper.may_write(now) or keeper.acquired_at is None:
            return False
        is_seen = self._serving.is_seen_since(keeper.acquired_at)
        if self._ports.cloud is None or (self._world.listed_at or self._began_at) > keeper.acquired_at:
            return is_seen
        self._polling.ask_full()
        return False

    def _lock_turn(self, now: datetime) -> datetime | None:
        return self._keeper.turn(now) if self._keeper is not None else None

    def _send(self, action: Action, now: datetime) -> None:
        pool = self._job.pool
        name = subject_of(action)
        if isinstance(action, Create) and not name and pool is not None:
            name = self._fresh_name(pool.name, action.slot)
        self._journal.note(action, self._world.owner_of(name), now)
        from ansible_collections.immutable.fleet.plugins.module_utils.engine.handlers import call_of  # a no-op calls nothing

        call = call_of(action, name, now, self._ports, pool)
        key = self._world.send(action, name, now)
        keeper = self._keeper

        def guard() -> None:
            if keeper is not None and not keeper.may_write(self._runtime.now()):
                raise _NotSent(what="the lock may have run out: not sent")

        def answered(result: object, error: Exception | None) -> None:
            self._take(key, action, name, result, error)

        self._runtime.submit(call, answered, guard)

    def _fresh_name(self, pool: str, slot: int) -> str:
        while True:
            name = marks.machine_name(pool, slot, self._runtime.fresh_suffix(marks.NAME_SUFFIX_LENGTH))
            if not self._world.knows(name):
                return name

    def _take(self, key: str, action: Action, name: str, result: object, error: Exception | None) -> None:
        now = self._runtime.now()
        if not isinstance(action, LookAt | AskGate):
            self._journal.wrote_at = now
        if error is None:
            answers.take_answer(self._world, key, result, now)
        elif isinstance(error, _NotSent):
            self._world.refused(key, now)
        elif isinstance(error, PortError):
            self._teller.refused(action, self._world.owner_of(name), error, now)
            self._fatal = answers.take_error(self._world, key, error, now) or self._fatal
        else:
            raise error

    def _flying(self) -> bool:
        return any(sent.answered_at is None for sent in self._world.calls.values())


class _NotSent(PortError):
    """The lock's guard held a write back: nothing left the house."""


def _first(*instants: datetime | None) -> datetime | None:
    return min((instant for instant in instants if instant is not None), default=None)
