# SPDX-License-Identifier: GPL-3.0-or-later
"""One replay of check mode: the real loop on a copy of the observed world, in virtual time. Nothing real is written to."""

from __future__ import annotations

import gc
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.cloud import SimulatedCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.cluster import SimulatedCluster
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.lock import SimulatedLock
from ansible_collections.immutable.fleet.plugins.module_utils.decide import classes
from ansible_collections.immutable.fleet.plugins.module_utils.engine import loop
from ansible_collections.immutable.fleet.plugins.module_utils.engine.preflight import with_preflight
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Around, Job, Ports, Result, RunSettings, Step
from ansible_collections.immutable.fleet.plugins.module_utils.engine.virtual import VirtualRuntime
from ansible_collections.immutable.fleet.plugins.module_utils.entry.learning import EMPTY, Learned
from ansible_collections.immutable.fleet.plugins.module_utils.entry.observing import Seen
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import Capture
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker, Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Room
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Access, Balancer, Captures, Prober, Reporter
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.beats import Beats
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Chance
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.from_facts import empty_alike, world_of
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.quiet import QuietSession
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import Session
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World

Resolver = Callable[["Mapping[str, str] | None"], Revision]  # as Cloud.resolve

BEAT_OF_THOUSAND = timedelta(seconds=10)
LONGEST_BEAT = timedelta(seconds=10)
UNCONTESTED = timedelta(days=1)  # nobody else is after a rehearsal's lock, so it need not be renewed
LEAST_MACHINES = 100  # of a pool whose replays are told in beats


@dataclass(frozen=True, slots=True)
class Replay:
    """How it went once: `result` is that of a run now, and where a window has to open first `later` that of one at its opening.

    `first` are the machines at its beginning; `evicted` is `{namespace/owner: evictions}`. `met` is what blocked or was waited for on
    the way, each cause once, and how long after the beginning it was met.
    """

    result: Result
    first: Mapping[str, Machine]
    evicted: Mapping[str, int]
    met: tuple[tuple[timedelta, Blocker], ...] = ()
    later: Result | None = None
    opens_after: timedelta = timedelta(0)

    @property
    def roll(self) -> Result:
        """The run that may roll."""
        return self.later or self.result

    @property
    def steps(self) -> tuple[Step, ...]:
        """All that is done, `after` counted from the beginning."""
        late = self.later.steps if self.later is not None else ()
        return (*self.result.steps, *(replace(step, after=step.after + self.opens_after) for step in late))


def replay(
    job: Job,
    seen: Seen,
    settings: RunSettings,
    learned: Learned,
    seed: int,
    resolver: Resolver | None = None,
    real_room: Callable[[], Room] | None = None,
    access: Access | None = None,
    reporter: Reporter | None = None,
    at_opening: tuple[datetime, Job] | None = None,
) -> Replay:
    """What `loop.run` would do from what was `seen`.

    `at_opening` is when the window opens that is shut now, and the job of the run that finds it open: the world goes on until then,
    so that what is under way now has ended. `resolver` says what the names of images mean, should an operator steer; `real_room` what
    the cloud has left; `access` what the account may do.
    """
    chance = Chance(seed)
    pool = job.pool.name if job.pool is not None else ""
    profile = learned.profile(chance)
    beats = beats_of(seen, job.pool, seed)
    world = world_of(
        seen.listing.vms if seen.listing is not None else (),
        seen.view,
        seen.at,
        profile,
        seed,
        pool=pool,
        leftovers=(seen.listing.leftovers or ()) if seen.listing is not None else (),
        lock=seen.lock,
        beats=beats,
        backend=seen.members,
        shows_readiness=job.pool is not None and bool(job.pool.strategy.steps),
    )
    if learned.samples[EMPTY]:
        empty_alike(world, profile.pod_stop)
    session = QuietSession(world)
    cluster = _CountingCluster(session, pool)
    rehearsed = Ports(
        cloud=SimulatedCloud(session, pool, "", resolver=resolver, real_room=real_room) if seen.listing is not None else None,
        cluster=cluster if seen.view is not None else None,
        lock=SimulatedLock(session, pool) if seen.lock is not None else None,
        balancer=_balancer(session, pool) if seen.members is not None else None,
        captures=_captures(session, world, pool, seen.listing.captures) if seen.listing is not None else None,
        access=access,
        prober=_prober(session) if job.pool is not None and job.pool.probes else None,
    )
    next_beat = beats.after if beats is not None else None
    runtime = VirtualRuntime(session, seen.at, call_timeout=settings.call_timeout, next_beat=next_beat)
    rehearsal = replace(settings, wait=True, steering_look=None, lock_ttl=UNCONTESTED)

    def checked(job: Job) -> Job:
        return job if real_room is None and access is None else with_preflight(job, rehearsed, runtime)

    watched = _Watching(checked(job), seen.at)
    later: Result | None = None
    with _uncollected():
        result = loop.run(watched, rehearsed, runtime, reporter, rehearsal)
        if at_opening is not None and result.pending:
            opens_at, then = at_opening
            runtime.play_until(opens_at)
            known = rehearsed.lock.read() if rehearsed.lock is not None else settings.seen
            later = loop.run(watched.around(checked(then)), rehearsed, runtime, reporter, replace(rehearsal, seen=known))
    opens_after = at_opening[0] - seen.at if at_opening is not None else timedelta(0)
    return Replay(result, watched.machines, cluster.evicted, tuple(watched.met.values()), later, opens_after)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for cyclic garbage: a replay has hundreds of thousands of objects to look through, and hardly a cycle in them."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _prober(session: Session) -> Prober:
    from ansible_collections.immutable.fleet.plugins.module_utils.probes.simulated import SimulatedProber

    return SimulatedProber(session)


def _balancer(session: Session, pool: str) -> Balancer:
    from ansible_collections.immutable.fleet.plugins.module_utils.balancers.simulated.balancer import SimulatedBalancer
    from ansible_collections.immutable.fleet.plugins.module_utils.simulation.backend_from_facts import BACKEND

    return SimulatedBalancer(session, pool, BACKEND)


def _captures(session: Session, world: World, pool: str, listed: tuple[Capture, ...] | None) -> Captures | None:
    """Images of builders' disks, as listed; None where the run has nothing to do with any."""
    if listed is None:
        return None
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.captures import SimulatedCaptures

    for capture in listed:
        world.copies.add(pool, capture)
    return SimulatedCaptures(session, pool)


def beats_of(seen: Seen, pool: Pool | None, seed: int) -> Beats | None:
    """What the events of a replay fall on; None: on any instant.

    A turn costs what the pool is large, and a large pool has many: with a beat in 10 ms a machine a roll takes about as many turns
    whatever its size. `min_ready` is a whole number of beats where it is longer than one, so that it ends on one.
    """
    machines = max(len(seen.listing.vms), pool.replicas) if seen.listing is not None and pool is not None else 0
    if pool is None or machines < LEAST_MACHINES:
        return None
    step, min_ready = min(BEAT_OF_THOUSAND * machines / 1000, LONGEST_BEAT), pool.strategy.min_ready
    return Beats(seen.at, min_ready / math.ceil(min_ready / step) if min_ready > step else step, seed)


def dips(first: Mapping[str, Machine], last: Mapping[str, Machine], steps: Iterable[Step], pool: Pool, now: datetime) -> dict[str, Dip]:
    """The fewest available machines of each failure domain over a plan, beside how many there are before it.

    From the plan's two ends and its steps: an old machine is available until it is marked, a new one once it was ready for
    `min_ready`. O(steps log steps).
    """
    domain_of = {name: machine.failure_domain for name, machine in (*first.items(), *last.items())}
    available = {name for name, machine in first.items() if classes.classify(machine, pool, now)[0] == classes.AVAILABLE}
    changes: list[tuple[timedelta, int, str]] = []
    for name, machine in last.items():
        ready_since = _ready_since(machine)
        if name not in available and ready_since is not None:
            changes.append((ready_since + pool.strategy.min_ready - now, 1, name))
    counted = available | {name for _after, _more, name in changes}
    for step in steps:
        if step.verb in ("choose", "drain", "delete") and step.machine in counted:
            counted.discard(step.machine)
            changes.append((step.after, -1, step.machine))
    found = {domain: Dip(0, 0) for domain in sorted({*pool.failure_domains, *domain_of.values()})}
    level = dict.fromkeys(found, 0)
    for name in available:
        level[domain_of[name]] += 1
    before, fewest = dict(level), dict(level)
    for _after, more, name in sorted(changes):
        domain = domain_of[name]
        level[domain] += more
        fewest[domain] = min(fewest[domain], level[domain])
    return {domain: Dip(before[domain], fewest[domain]) for domain in found}


def _ready_since(machine: Machine) -> datetime | None:
    if machine.service is not None:
        return machine.service.since if machine.service.ready else None
    return machine.node.ready_since if machine.node is not None and machine.node.ready else None


@dataclass(frozen=True, slots=True)
class Dip:
    """Available machines of one failure domain: now, and the fewest over the plan."""

    now: int
    fewest: int


class _Watching(Around):
    """A job that remembers the machines of its first snapshot; plain ones as they were when their probes had first spoken of them.

    And what blocked or was waited for, in the order of its coming.
    """

    def __init__(self, job: Job, began_at: datetime) -> None:
        super().__init__(job)
        self.machines: dict[str, Machine] = {}
        self.met: dict[tuple[str, str, str], tuple[timedelta, Blocker]] = {}
        self._began_at = began_at
        self._has_looked = False
        self._unknown: set[str] = set()
        self._blockers: tuple[Blocker, ...] = ()

    def around(self, job: Job) -> _Watching:
        """The same around the job of the next run."""
        self._job = job
        return self

    def decide(self, snapshot: Snapshot, now: datetime) -> Decision:
        """The job's own decision."""
        if not self._has_looked:
            self.machines, self._has_looked = dict(snapshot.machines), True
            self._unknown = {name for name, machine in self.machines.items() if machine.is_unknown}
        for name in [name for name in self._unknown if name in snapshot.machines and not snapshot.machines[name].is_unknown]:
            self.machines[name] = snapshot.machines[name]
            self._unknown.discard(name)
        decision = self._job.decide(snapshot, now)
        if decision.blockers is not self._blockers:
            self._blockers = decision.blockers
            for blocker in decision.blockers:
                self.met.setdefault(_cause(blocker), (now - self._began_at, blocker))
        return decision


def _cause(blocker: Blocker) -> tuple[str, str, str]:
    """What it is about: what only counts on, as a step of the ladder does behind its colon, is met once."""
    what, colon, rest = blocker.what.partition(":")
    return blocker.code, blocker.where, what + colon + re.sub(r"\d+", "#", rest)


class _CountingCluster(SimulatedCluster):
    """Notes whose pods were evicted."""

    def __init__(self, session: Session, pool: str) -> None:
        super().__init__(session, pool)
        self.evicted: dict[str, int] = {}

    def evict(self, pod: Pod, grace: timedelta | None) -> None:
        super().evict(pod, grace)
        self._count(pod)

    def remove(self, pod: Pod, grace: timedelta | None) -> None:
        super().remove(pod, grace)
        self._count(pod)

    def _count(self, pod: Pod) -> None:
        owner = owner_of(pod)
        self.evicted[owner] = self.evicted.get(owner, 0) + 1


def owner_of(pod: Pod) -> str:
    """Whose pod it is: namespace/kind/name; of one that nothing owns its own name."""
    return f"{pod.namespace}/{pod.owner}" if pod.owner else pod.full_name
