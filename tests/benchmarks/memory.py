# SPDX-License-Identifier: GPL-3.0-or-later
"""The most memory that a roll of 1,000 machines with 30 pods each takes: world, engine and interpreter together."""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from ansible_collections.immutable.fleet.tests.benchmarks.figures import Figure
from ansible_collections.immutable.fleet.tests.benchmarks.virtual_fleet import roll

MACHINES, PODS, SURGE = 1000, 30, 50
GOAL_MIB = 250


def measure() -> Iterator[Figure]:
    """In a process of its own, which starts from nothing: a fork would begin with what this one has."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        value = pool.submit(_peak_mib).result()
    yield Figure(name="peak memory, 1,000 machines of 30 pods", value=value, unit="MiB", goal=GOAL_MIB)


def _peak_mib() -> float:
    result = roll(MACHINES, SURGE, seed=1, pods=PODS).result
    if result.tally.up_to_date != MACHINES:
        raise RuntimeError(f"the roll did not end well: {result.failure}")
    # getrusage's ru_maxrss outlives an exec, and would be that of the process which this one was forked from (proc(5), getrusage(2)).
    most = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    if most is None:
        raise RuntimeError("this kernel does not say how much memory a process had at most")
    return int(most[1]) / 1024
