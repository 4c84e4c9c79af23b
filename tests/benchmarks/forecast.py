# SPDX-License-Identifier: GPL-3.0-or-later
"""What one replay of check mode costs: 1,000 machines of 30 pods, most of them under PodDisruptionBudgets, rolled once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.entry.learning import learn
from ansible_collections.immutable.fleet.plugins.module_utils.entry.observing import Seen
from ansible_collections.immutable.fleet.plugins.module_utils.entry.replay import replay
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.durations import Past
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget, Node, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool, Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import RUNNING, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import ClusterView, Listing
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Chance, lognormal
from ansible_collections.immutable.fleet.tests.benchmarks.figures import Figure
from ansible_collections.immutable.fleet.tests.benchmarks.virtual_fleet import DAWN, LONG_AGO, NEW, OLD, POOL

MACHINES, PODS, SURGE = 1000, 30, 50
DEPLOYMENTS, GUARDED = 300, 270  # Deployments, and how many of them have a budget of 10%
GOAL_SECONDS = 5
REPEATS = 3


def measure() -> Iterator[Figure]:
    """From the facts to the end of the roll; learning included, the real observation not."""
    seen = observed(MACHINES)
    took = [_seconds(seen, seed) for seed in range(REPEATS)]
    yield Figure(name="one replay, 1,000 machines of 30 pods", value=statistics.median(took), unit="s", goal=GOAL_SECONDS)


def _seconds(seen: Seen, seed: int) -> float:
    began = time.process_time()
    pool = Pool(name=POOL, replicas=MACHINES, revision=NEW, strategy=Strategy(max_surge=SURGE))
    rolled(seen, pool, seed)
    return time.process_time() - began


def rolled(seen: Seen, pool: Pool, seed: int) -> None:
    """One replay; raises where it did not end well."""
    vms = seen.listing.vms if seen.listing is not None else ()
    nodes = seen.view.nodes if seen.view is not None else {}
    once = replay(Rollout(pool), seen, RunSettings(holder="bench"), learn(vms, nodes, Past(), pool.strategy.startup_timeout), seed)
    if once.result.tally.up_to_date != pool.replicas:
        raise RuntimeError(f"the roll did not end well: {once.result.failure}")


def observed(count: int) -> Seen:
    """`count` machines in the middle of their life, as facts."""
    chance = Chance(1)
    vms, nodes = [], {}
    for number in range(count):
        running = LONG_AGO + lognormal(90, 0.4).draw(chance)
        joined = running + lognormal(25, 0.4).draw(chance)
        ready = joined + timedelta(seconds=10)
        vm = Vm(
            id=f"old-{number}",
            name=marks.machine_name(POOL, number, f"{number:05d}"),
            status=RUNNING,
            created_at=LONG_AGO,
            running_since=running,
            slot=number,
            revision=OLD.id,
            provider_id=f"simulated:///old-{number}",
            system_uuid=f"old-{number}",
        )
        vms.append(vm)
        nodes[vm.name] = Node(
            name=vm.name,
            uid=f"node-{number}",
            version=str(number + 1),
            created_at=joined,
            provider_id=vm.provider_id,
            system_uuid=vm.system_uuid,
            ready=True,
            ready_since=ready,
            was_ready=True,
            pool=POOL,
            revision=OLD.id,
            labels={marks.NODE_POOL: POOL, marks.NODE_REVISION: OLD.id},
            annotations={marks.NODE_READY_AT: say_instant(ready)},
            pods=tuple(_pod(number * PODS + index) for index in range(PODS)),
        )
    each = count * PODS // DEPLOYMENTS
    budgets = [
        Budget(name=_budget(index), allowed=each // 10, healthy=each, desired=each - each // 10, expected=each) for index in range(GUARDED)
    ]
    view = ClusterView(as_of=DAWN, nodes=nodes, budgets={budget.name: budget for budget in budgets})
    return Seen(DAWN, Listing(as_of=DAWN, vms=tuple(vms), leftovers=()), view, LockFact())


def _pod(number: int) -> Pod:
    index = (number * 7) % DEPLOYMENTS
    budgets = (_budget(index),) if index < GUARDED else ()
    return Pod(uid=f"pod-{number}", namespace="shop", name=f"pod-{number}", owner=f"ReplicaSet/app-{index}", budgets=budgets)


def _budget(index: int) -> str:
    return f"shop/app-{index}"
