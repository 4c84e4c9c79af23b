# SPDX-License-Identifier: GPL-3.0-or-later
"""Rolls on a real API server: how long they take, and how quickly the engine answers to facts.

Cluster API 1.14 on the same work: 277 s, 260 s and 353 s.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.immutable.fleet.tests.benchmarks.figures import Figure
from ansible_collections.immutable.fleet.tests.benchmarks.lab_fleet import NEW, OLD, lab_fleet
from ansible_collections.immutable.fleet.tests.benchmarks.reaction import Stopwatch
from ansible_collections.immutable.fleet.tests.labs.kubernetes.workload import Workload

PODS_PER_NODE = 4


class Case(NamedTuple):
    """`goal`: seconds."""

    nodes: int
    surge: int
    goal: float | None


TIMED = (Case(10, 1, 30), Case(50, 10, 18))
LARGE = Case(200, 40, None)
REACTION_GOAL_MS = 250


def measure() -> Iterator[Figure]:
    """The two that have a time to keep."""
    for case in TIMED:
        yield from _roll(case, None)


def measure_reaction() -> Iterator[Figure]:
    """The large one. Its own time is told for comparison."""
    watch = Stopwatch()
    yield from _roll(LARGE, watch)
    every = [took for each in watch.milliseconds.values() for took in each]
    yield Figure(name="from a fact to the call it allows, p95", value=_p95(every), unit="ms", goal=REACTION_GOAL_MS)
    yield Figure(name="from a fact to the call it allows, median", value=statistics.median(every), unit="ms")
    for verb, each in watch.milliseconds.items():
        yield Figure(name=f"... to {verb}, p95 of {len(each)}", value=_p95(each), unit="ms")


def _roll(case: Case, watch: Stopwatch | None) -> Iterator[Figure]:
    name = f"bench{case.nodes}"
    with lab_fleet(name) as fleet:
        fleet.roll(OLD, case.nodes, case.surge)
        with Workload(fleet.kube, name) as shop:
            fleet.fill(shop, case.nodes * PODS_PER_NODE)
            seconds, _result = fleet.roll(NEW, case.nodes, case.surge, watch)
    yield Figure(name=f"roll of {case.nodes} nodes, surge {case.surge}", value=seconds, unit="s", goal=case.goal)


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]
