# SPDX-License-Identifier: GPL-3.0-or-later
"""What one decision costs as the pool grows: the first one of a roll, and one that follows with one machine changed."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.decide.dress import OUTDATED
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm
from ansible_collections.immutable.fleet.tests.benchmarks.figures import Figure
from ansible_collections.immutable.fleet.tests.benchmarks.virtual_fleet import DAWN, NEW, OLD, POOL, machines, pool_of

SIZES = (1_000, 10_000, 100_000)
PODS = 4
REPEATS = 7
GOAL_MS = 100  # at 10,000 machines
# n log n from 1,000 to 100,000 machines costs 1.67 times as much a machine; caches that no longer hold it all cost the rest.
GROWTH_MOST = 2.0


def measure() -> Iterator[Figure]:
    """In the midst of a roll: cold is the first decision of a run that resumes it, which judges every machine; warm a later one."""
    cold = {}
    for size in SIZES:
        middle, surge = _snapshot(size, surge=size // 20), size // 20
        cold[size] = _milliseconds(middle, size, surge)
        yield Figure(name=f"one decision at {size:,} machines", value=cold[size], unit="ms", goal=GOAL_MS if size == 10_000 else None)
        yield Figure(name=f"a later decision at {size:,} machines", value=_milliseconds(middle, size, surge, warm=True), unit="ms")
        beginning = _snapshot(size, surge=0)
        yield Figure(name=f"the first of a roll at {size:,} machines", value=_milliseconds(beginning, size, surge), unit="ms")
    growth = (cold[SIZES[-1]] / SIZES[-1]) / (cold[SIZES[0]] / SIZES[0])
    yield Figure(name="one decision, cost a machine: 100,000 over 1,000", value=growth, unit="ratio", goal=GROWTH_MOST)


def _milliseconds(snapshot: Snapshot, size: int, surge: int, *, warm: bool = False) -> float:
    """The median. `warm`: one decision was made already, and one machine has changed since."""
    took = []
    for _repeat in range(REPEATS):
        job, now = Rollout(pool_of(size, surge)), snapshot
        if warm:
            _took(job, snapshot)
            name = next(iter(snapshot.machines))
            changed = {**snapshot.machines, name: replace(snapshot.machines[name], choosing=True)}
            now = replace(snapshot, machines=changed, at=snapshot.at + timedelta(seconds=1))
        took.append(_took(job, now))
    return statistics.median(took)


def _took(job: Rollout, snapshot: Snapshot) -> float:
    """CPU milliseconds of one decision; what other processes do does not count."""
    gc.collect()
    began = time.process_time()
    decision = job.decide(snapshot, snapshot.at)
    took = time.process_time() - began
    if not decision.actions:
        raise RuntimeError("nothing was to be decided")
    return took * 1000


def _snapshot(size: int, surge: int) -> Snapshot:
    """All old machines serve. With `surge` new ones available, the costliest instant of a roll: as many old ones are chosen.

    Without, its beginning: each old node is still to be marked as outdated. Each pod is one of an app that has a pod on
    each machine, and a budget.
    """
    vms, view = machines(size + surge, PODS)
    joined = {}
    for vm in vms:
        node = view.nodes[vm.name]
        pods = tuple(replace(pod, budgets=(_budget(index),)) for index, pod in enumerate(node.pods))
        is_old = vm.slot is not None and vm.slot < size
        taints = (OUTDATED,) if is_old and surge else ()
        revised = replace(vm, revision=OLD.id if is_old else NEW.id)
        joined[vm.name] = Machine(name=vm.name, vm=revised, node=replace(node, pods=pods, taints=taints, labels=_labels(revised)))
    allowed = size // 20
    budgets = [Budget(name=_budget(index), allowed=allowed, healthy=size, desired=size - allowed, expected=size) for index in range(PODS)]
    return Snapshot(at=DAWN, began_at=DAWN, machines=joined, budgets={budget.name: budget for budget in budgets})


def _labels(vm: Vm) -> dict[str, str]:
    return {marks.NODE_POOL: POOL, marks.NODE_REVISION: vm.revision}


def _budget(index: int) -> str:
    return f"shop/app-{index}"
