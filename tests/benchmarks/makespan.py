# SPDX-License-Identifier: GPL-3.0-or-later
"""How much longer a roll takes than it must: 500 machines, surge 25, in virtual time, over many seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from ansible_collections.immutable.fleet.tests.benchmarks.figures import Figure
from ansible_collections.immutable.fleet.tests.benchmarks.lower_bound import ratio
from ansible_collections.immutable.fleet.tests.benchmarks.virtual_fleet import UNFORESEEN, VISIBLE, roll

MACHINES, SURGE, SEEDS = 500, 25, 100
GOALS = {UNFORESEEN: 1.08, VISIBLE: 1.05}


def measure() -> Iterator[Figure]:
    """The medians, and for a feeling for their spread the worst of ten."""
    with ProcessPoolExecutor() as pool:
        for blocks, goal in GOALS.items():
            ratios = list(pool.map(_one, [blocks] * SEEDS, range(SEEDS), chunksize=1))
            name = f"makespan / lower bound, blocks {blocks}"
            yield Figure(name=f"{name}, median of {SEEDS}", value=statistics.median(ratios), unit="ratio", goal=goal)
            yield Figure(name=f"{name}, 90th percentile", value=statistics.quantiles(ratios, n=10)[-1], unit="ratio")


def _one(blocks: str, seed: int) -> float:
    return ratio(roll(MACHINES, SURGE, seed, blocks=blocks))
