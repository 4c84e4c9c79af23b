# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays runs that go on at the same time: drains of existing nodes, and pools that share a cluster. Told like any story.

At every event no disruption budget is broken by anybody, beside each pool's own floor and ceiling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.cloud import SimulatedCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.cluster import SimulatedCluster
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.lock import SimulatedLock
from ansible_collections.immutable.fleet.plugins.module_utils.decide.drain_nodes import DRAINED, DrainNodes
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.engine import loop
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Job, Ports, Result, RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import DrainPolicy, Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Fault
from ansible_collections.immutable.fleet.tests.simulation.estate import PLAIN, Estate
from ansible_collections.immutable.fleet.tests.simulation.together import Seat, together
from ansible_collections.immutable.fleet.tests.simulation.witnesses import Broken, Witness
from ansible_collections.immutable.fleet.tests.unit.stories.runner import BETWEEN_RUNS, line, tell


@dataclass(frozen=True)
class Drain:
    """A `node_drain` of these nodes. `carried_by`: the run lives in the pod whose name begins so."""

    nodes: tuple[str, ...]
    state: str = DRAINED
    drain: dict[str, Any] = field(default_factory=dict)
    stopped_after: float | None = None
    carried_by: str = ""
    ends: str = "ok"

    @property
    def label(self) -> str:
        return self.state


@dataclass(frozen=True)
class Roll:
    """A `node_pool` of this name: provisioned beforehand from v1, asked for of v2. `carried_by`: as of a `Drain`."""

    label: str
    replicas: int = 2
    surge: int = 1
    carried_by: str = ""
    ends: str = "ok"


@dataclass(frozen=True)
class Story:
    """Groups of runs; those of a group begin together, the next group when all of them have ended."""

    name: str
    title: str
    groups: tuple[tuple[Drain | Roll, ...], ...]
    nodes: tuple[str, ...] = ()  # that stand alone
    furnish: Callable[[Estate], object] = lambda _estate: None  # pods and budgets, before the first run
    faults: tuple[Fault, ...] = ()
    breaks_budgets: bool = False  # by `on_timeout: force`, or by a fault


class Ear:
    """The reporter of one run: hands its events to the common list, its end under its own label."""

    def __init__(self, label: str, estate: Estate, story: Story, heard: list[Event]) -> None:
        self._label, self._estate, self._story, self._heard = label, estate, story, heard

    def tell(self, event: Event) -> None:
        self._heard.append(replace(event, machine=self._label) if event.kind == "end" else event)
        self._estate.world.facts.refresh()
        for budget in self._estate.world.facts.budgets.values():
            if budget.healthy < budget.desired and not self._story.breaks_budgets:
                raise Broken(f"{event.at}: {budget.name} has {budget.healthy} healthy pods of {budget.desired} at least")


def play_side_by_side(story: Story, profile: Profile = PLAIN, seed: int = 0) -> str:
    """The story. Raises `Broken` where a promise was broken, or a run does not end as it should."""
    estate = Estate(profile=profile, seed=seed)
    for node in story.nodes:
        estate.world.nodes.stand_alone(node)
    rolls = [run for group in story.groups for run in group if isinstance(run, Roll)]
    for roll in rolls:
        _loop(estate, roll, estate.runtime, None, "v1")
        estate.runtime.play_until(estate.runtime.now() + timedelta(minutes=1))
    story.furnish(estate)
    estate.runtime.play_until(estate.runtime.now() + timedelta(minutes=5))
    names: dict[str, str] = {}
    lines = [f"## {story.title}"]
    for fault in story.faults:
        estate.world.inject(replace(fault))
    for group in story.groups:
        began_at, heard = estate.runtime.now(), list[Event]()
        if len(story.groups) > 1:
            lines.append("-- " + ", ".join(run.label for run in group))
        results: dict[str, Result] = {}
        together(estate.runtime, *(_moved(estate, run, Ear(run.label, estate, story, heard), results) for run in group))
        lines += _told(heard, began_at, names)
        wrong = [(run.label, code) for run in group if (code := _code(results[run.label])) != run.ends]
        if wrong:
            raise Broken(f"ends otherwise: {wrong}\n" + "\n".join(lines))
        estate.runtime.play_until(estate.runtime.now() + BETWEEN_RUNS)
    return "\n".join(lines) + "\n"


def _moved(estate: Estate, run: Drain | Roll, ear: Ear, results: dict[str, Result]) -> Callable[[Seat], None]:
    def moved(seat: Seat) -> None:
        results[run.label] = _loop(estate, run, seat, ear, "v2")

    return moved


def _loop(estate: Estate, run: Drain | Roll, runtime: Any, ear: Ear | None, image: str) -> Result:
    job, ports = _parts(estate, run, image)
    settings = RunSettings(holder=run.label, own_pod=_own_pod(estate, run))
    if isinstance(run, Drain) and run.stopped_after:
        settings = replace(settings, timeout=timedelta(seconds=run.stopped_after))
    return loop.run(job, ports, runtime, ear, settings)


def _parts(estate: Estate, run: Drain | Roll, image: str) -> tuple[Job, Ports]:
    if isinstance(run, Drain):
        return DrainNodes(run.nodes, DrainPolicy(**run.drain), run.state), Ports(cluster=SimulatedCluster(estate.session, ""))
    estate.image = image
    pool = replace(estate.pool(run.replicas, strategy=Strategy(max_surge=run.surge)), name=run.label)
    ports = Ports(
        cloud=SimulatedCloud(estate.session, run.label, image),
        cluster=SimulatedCluster(estate.session, run.label),
        lock=SimulatedLock(estate.session, run.label),
    )
    return Rollout(pool), Witness(estate.world, pool).around(ports)


def _own_pod(estate: Estate, run: Drain | Roll) -> str:
    begins = run.carried_by
    names = (row.pod.name for row in estate.world.state.pods.values())
    return next((name for name in names if name.startswith(begins)), "") if begins else ""


def _code(result: Result) -> str:
    return result.failure.code if result.failure is not None else "ok"


def _told(heard: list[Event], began_at: datetime, names: dict[str, str]) -> list[str]:
    lines: list[str] = []
    part: list[Event] = []
    for event in heard:
        if event.kind != "end":
            part.append(event)
            continue
        verb = "done" if event.data["code"] == "ok" else str(event.data["code"])
        lines += tell(part, began_at, names)
        lines.append(line(event.at - began_at, verb, "", f"{event.machine}: {event.text}", names))
        part = []
    return lines + tell(part, began_at, names)
