# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode against what then happens, on both labs: a pool is rolled to and fro, and each roll is forecast first.

Nothing is known of the labs beforehand: the durations are learned from the machines that stand, and from the notes of the
rolls before. The first roll is not judged, for it has no notes yet.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import parse_instant
from ansible_collections.immutable.fleet.tests.benchmarks.figures import Figure
from ansible_collections.immutable.fleet.tests.benchmarks.labs import kubernetes_or_skip, openstack_or_skip
from ansible_collections.immutable.fleet.tests.system.estate import Estate, estate

POOL, NODES, PODS_PER_NODE = "foreseen", 8, 4
ROLLS = 5
GOAL_PERCENT = 15


def measure() -> Iterator[Figure]:
    """How far p50 is from the fact."""
    kube, unused = kubernetes_or_skip(), openstack_or_skip()
    del unused
    options: dict[str, Any] = {"replicas": NODES, "strategy": {"max_surge": 2, "min_ready": "5s"}}
    with tempfile.TemporaryDirectory(prefix="immutable-fleet-bench-") as folder, estate(POOL, kube, Path(folder), **options) as pool:
        pool.present("golden-v1")
        with pool.workload() as shop:
            shop.deployment("web", NODES * PODS_PER_NODE, stop_seconds=2, spread=True, **pool.placement())
            shop.wait_running()
            errors = []
            for number in range(ROLLS):
                foreseen, fact = _roll(pool, f"golden-v{2 - number % 2}")
                if number:
                    errors.append(100 * abs(foreseen - fact) / fact)
                    yield Figure(name=f"roll {number}: {foreseen:.0f} s foreseen, {fact:.1f} s in fact", value=errors[-1], unit="%")
        kube.delete(f"/api/v1/namespaces/{POOL}")
    yield Figure(name="forecast's p50 against the fact, median", value=statistics.median(errors), unit="%", goal=GOAL_PERCENT)


def _roll(pool: Estate, image: str) -> tuple[float, float]:
    """`(p50, seconds that it took)`, the second from the first decision to the end, as the forecast counts."""
    foreseen = pool.present(image, "--check").result["forecast"]["p50_seconds"]
    instants = [parse_instant(event["at"]) for event in pool.present(image).events]
    return float(foreseen), (max(instants) - min(instants)).total_seconds()
