# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode: the real loop on a copy of the observed world, in virtual time, as often as fits in a few seconds.

Not a description of what the loop would do but the loop itself, so the plan has its order, its reasons and its blockers.
Durations are drawn from what past machines took (learning.py), anew for each replay; the plan shown is the replay of median
length, and how far the replays lie apart is the forecast's own doubt. Nothing of the real world is written to.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache

from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Job, Ports, Result, RunSettings, Step
from ansible_collections.immutable.fleet.plugins.module_utils.entry.learning import Learned, learn
from ansible_collections.immutable.fleet.plugins.module_utils.entry.observing import Seen, observe
from ansible_collections.immutable.fleet.plugins.module_utils.entry.replay import Dip, Replay, Resolver, dips, owner_of, replay
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker
from ansible_collections.immutable.fleet.plugins.module_utils.model.durations import Past
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Exhausted
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import RECREATE, Pool, Strategy, limits_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Access, ClusterView, Listing, Reporter, Runtime

WALL_SECONDS = 5.0  # a person waits for it
REPLAYS_MAX = 100  # more would not move the percentiles by what a person reads off them
P95_FROM = 10  # replays; fewer can't tell a tail
SURGE_REPLAYS = 3  # for each surge that is compared: the same draws for all of them, so that few tell the difference

Window = tuple[datetime, datetime]
Stopwatch = Callable[[], float]  # seconds, as time.monotonic


@dataclass(frozen=True, slots=True)
class Eviction:
    """How often pods of one owner are evicted over the plan; `pods` is how many it has now."""

    owner: str
    pods: int
    evictions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """`result` is that of the replay of median length, of a run now. `p95` None: too few replays to tell.

    Where a window has to open first `roll` is the run at its opening, which all else is about; else the same as `result`.
    `steps` and `met` are all that the replay does and meets, to the end of `roll`.
    """

    at: datetime
    result: Result
    roll: Result
    steps: tuple[Step, ...]
    met: tuple[tuple[timedelta, Blocker], ...]
    replays: int
    failures: int  # replays that did not reach their end
    unfinished: int = 0  # replays that ended well with something left for the next window, or the next run
    p50: timedelta
    p95: timedelta | None
    learned: Learned
    capacity: Mapping[str, Dip] = field(default_factory=dict)
    evictions: tuple[Eviction, ...] = ()
    shortfall: tuple[Blocker, ...] = ()
    window: Window | None = None  # the one that is open, else the next
    told: tuple[Event, ...] = ()  # what the replay that is shown would tell, where that was asked for

    @property
    def begins_at(self) -> datetime:
        """Now, or when the next window opens."""
        return self.at if self.window is None else max(self.at, self.window[0])

    @property
    def ends_at(self) -> datetime:
        """Of the replay that is shown."""
        return (self.at if self.roll is self.result else self.begins_at) + self.roll.duration

    def fits(self, span: timedelta | None, share: float) -> bool | None:
        """Whether a run so long, which this share of the replays did not exceed, ends before the window does.

        None where there is no window, or no telling. A window that closes ends a run early: then what is left tells, not its length.
        """
        if self.window is None or span is None:
            return None
        return self.unfinished <= (1 - share) * self.replays and self.begins_at + span <= self.window[1]


def forecast(
    job: Job,
    ports: Ports,
    settings: RunSettings,
    runtime: Runtime,
    past: Past | None = None,
    stopwatch: Stopwatch = time.monotonic,
    *,
    tells: bool = False,
) -> Forecast:
    """What `loop.run` would do now, and how long it would take. Raises what the first look at the real world raises.

    `job` sees one replay; the others are given copies that remember nothing of it. `tells`: the forecast has the events of the replay
    that it shows, which costs one more of the same draws. `past` is what earlier runs taught.
    """
    began = stopwatch()
    seen = observe(ports, runtime)
    learned = learned_from(seen, job.pool, past or Past())
    pristine = copy.deepcopy(job)
    window = window_for(windows_of(job.pool) if job.pool is not None else (), seen.at)
    resolver = _once(ports.cloud.resolve) if ports.cloud is not None else None
    room = cache(ports.cloud.room) if ports.cloud is not None else None
    access = _AskedOnce(ports.access) if ports.access is not None else None

    def replayed(job: Job, seed: int, reporter: Reporter | None = None) -> Replay:
        at_opening = (window[0], copy.deepcopy(pristine)) if window is not None and window[0] > seen.at else None
        return replay(job, seen, settings, learned, seed, resolver, room, access, reporter, at_opening)

    replays = [replayed(job, 0)]
    is_certain = not replays[0].roll.changed or not any(learned.samples.values())
    while not is_certain and len(replays) < REPLAYS_MAX and _has_time(stopwatch() - began, len(replays)):
        replays.append(replayed(copy.deepcopy(pristine), len(replays)))
    found = _concluded(seen, job.pool, replays, learned, window)
    if not tells:
        return found
    told = _Told()
    shown = [each.roll.duration for each in replays].index(found.p50)
    replayed(copy.deepcopy(pristine), shown, told)
    return replace(found, told=tuple(told.events))


def learned_from(seen: Seen, pool: Pool | None, past: Past) -> Learned:
    """What the machines that were `seen`, and earlier runs, tell of durations."""
    strategy = pool.strategy if pool is not None else Strategy()
    vms = seen.listing.vms if seen.listing is not None else ()
    return learn(vms, seen.view.nodes if seen.view is not None else {}, past, strategy.startup_timeout)


def seen_of(first: Snapshot) -> Seen:
    """The facts behind a run's first snapshot, so that a run that is over can be replayed from its beginning."""
    machines = first.machines.values()
    nodes = {**first.nodes, **{machine.node.name: machine.node for machine in machines if machine.node is not None}}
    leftovers = tuple(leftover for leftover in first.leftovers if leftover.kind != "token")
    listing = Listing(as_of=first.at, vms=tuple(machine.vm for machine in machines), leftovers=leftovers)
    return Seen(first.at, listing, ClusterView(as_of=first.at, nodes=nodes, budgets=dict(first.budgets)), None)


def surges_beside(pool: Pool) -> tuple[int, ...]:
    """Surges worth comparing with the pool's own: half of it, it, twice and four times as many, within the pool's size.

    None where the strategy knows no surge.
    """
    if pool.strategy.type == RECREATE:
        return ()
    own = max(1, limits_of(pool).surge)
    return tuple(sorted({min(max(1, surge), max(1, pool.replicas)) for surge in (own // 2, own, 2 * own, 4 * own)}))


def with_surges(
    job_of: Callable[[Pool], Job],
    pool: Pool,
    seen: Seen,
    settings: RunSettings,
    learned: Learned,
    surges: Iterable[int],
    wall_seconds: float = WALL_SECONDS,
    stopwatch: Stopwatch = time.monotonic,
) -> tuple[tuple[int, timedelta], ...]:
    """`(surge, median duration)` of the same roll with other surges; those that don't fit into the time are left out.

    `job_of` makes the job of a pool: `Rollout`. All surges meet the same draws.
    """
    began = stopwatch()
    found = []
    for surge in surges:
        took: list[timedelta] = []
        while len(took) < SURGE_REPLAYS and stopwatch() - began < wall_seconds:
            asked = replace(pool, strategy=replace(pool.strategy, max_surge=surge))
            took.append(replay(job_of(asked), seen, settings, learned, len(took)).result.duration)
        if took:
            found.append((surge, quantile(took, 0.5)))
    return tuple(found)


def quantile(values: Sequence[timedelta], share: float) -> timedelta:
    """The smallest of `values` that at least this share of them does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def windows_of(pool: Pool) -> tuple[Window, ...]:
    """The intervals of the pool's windows; those that overlap or touch are one."""
    found: list[Window] = []
    for begin, end in sorted(interval for window in pool.strategy.windows for interval in window.intervals):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return tuple(found)


def window_for(windows: Iterable[Window], now: datetime) -> Window | None:
    """The first window that is not over."""
    return next((window for window in sorted(windows) if window[1] > now), None)


class _Told:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        self.events.append(event)


def _once(resolve: Resolver) -> Resolver:
    """Asks the real cloud what an image means for the first replay only."""
    known: dict[tuple[tuple[str, str], ...], Revision] = {}

    def resolved(image: Mapping[str, str] | None) -> Revision:
        key = tuple(sorted((image or {}).items()))
        if key not in known:
            known[key] = resolve(image)
        return known[key]

    return resolved


class _AskedOnce:
    """The real cluster's word on what the account may do, for all replays."""

    def __init__(self, access: Access) -> None:
        self.needs, self.may, self.user = access.needs, cache(access.may), cache(access.user)


def _has_time(passed: float, done: int) -> bool:
    """Whether one more replay would end in time, as long as those so far."""
    return passed * (done + 1) / done <= WALL_SECONDS


def _concluded(seen: Seen, pool: Pool | None, replays: Sequence[Replay], learned: Learned, window: Window | None) -> Forecast:
    took = [each.roll.duration for each in replays]
    p50 = quantile(took, 0.5)
    median = replays[took.index(p50)]
    held = _held_by_another(seen)
    return Forecast(
        at=seen.at,
        result=replace(median.result, blockers=(*held, *median.result.blockers)) if held else median.result,
        roll=median.roll,
        steps=median.steps,
        met=(*((timedelta(0), blocker) for blocker in held), *median.met),
        replays=len(replays),
        failures=sum(1 for each in replays if each.roll.failure is not None),
        p50=p50,
        p95=quantile(took, 0.95) if len(replays) >= P95_FROM else None,
        learned=learned,
        capacity=dips(median.first, median.roll.machines, median.steps, pool, seen.at) if pool is not None else {},
        evictions=_evictions(seen, median.evicted),
        shortfall=_shortfall(median),
        window=window,
        unfinished=sum(1 for each in replays if each.roll.pending),
    )


def _shortfall(shown: Replay) -> tuple[Blocker, ...]:
    """What the cloud has too little of, whether the run would go slower for it or not begin at all."""
    found = [blocker for _after, blocker in shown.met if blocker.code == "room"]
    failure = shown.roll.failure
    if isinstance(failure, Exhausted):
        found.append(Blocker(code="room", what=failure.what, where=failure.where, forward=failure.forward))
    return tuple(found)


def _evictions(seen: Seen, evicted: Mapping[str, int]) -> tuple[Eviction, ...]:
    """Per owner, those whose pods are evicted most often first."""
    pods: dict[str, int] = {}
    for node in seen.view.nodes.values() if seen.view is not None else ():
        for pod in node.pods:
            pods[owner_of(pod)] = pods.get(owner_of(pod), 0) + 1
    found = [Eviction(owner, pods.get(owner, 0), times) for owner, times in evicted.items()]
    return tuple(sorted(found, key=lambda each: (-each.evictions / max(1, each.pods), -each.evictions, each.owner)))


def _held_by_another(seen: Seen) -> tuple[Blocker, ...]:
    """A lock that is held now would make the real run wait or refuse."""
    if seen.lock is None or not seen.lock.holder:
        return ()
    what = f"another run holds the pool now: {seen.lock.holder}, since {seen.lock.since}"
    return (Blocker(code="lock_held", what=what, where="lock of the pool"),)
