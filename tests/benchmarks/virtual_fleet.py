# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet in virtual time that begins in the middle of its life: N machines of revision v1, one pod or many on each.

What is drawn while the run goes on is written down by machine, so that lower_bound.py reckons with the very same durations.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.cloud import SimulatedCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.cluster import SimulatedCluster
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.lock import SimulatedLock
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.engine import loop
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports, Result, RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.engine.virtual import Steady, VirtualRuntime
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget, Node, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import DrainPolicy, Pool, Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import revision_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import RUNNING, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import ClusterView, Reporter
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile, lognormal
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.from_facts import world_of
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import VirtualSession
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World

UNFORESEEN = "unforeseen"  # a pod takes its eviction and never ends
VISIBLE = "visible"  # a PodDisruptionBudget that can never allow an eviction
NOT_BLOCKED = ""

DAWN = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = DAWN - timedelta(days=30)
OLD, NEW = revision_of({"image": "sha512:v1"}), revision_of({"image": "sha512:v2"})
POOL = "web"

SIGMA = 0.6
BLOCKED_SHARE = 0.05
DRAIN_TIMEOUT = timedelta(seconds=300)
ONE_WAY = timedelta(milliseconds=50)  # to the API servers, and as long back
NEVER_CUT_SHORT = timedelta(hours=1)  # a grace period that no drawn duration reaches


@dataclass
class Diary:
    """What was drawn: `{kind of event: {what it is about: seconds}}`, in the order of drawing."""

    seconds: dict[str, dict[str, float]] = field(default_factory=dict)

    def keep(self, world: World) -> None:
        """Write down every delay that `world` puts on its agenda from now on."""
        plan: Callable[[timedelta, str, str], datetime] = world.state.plan

        def noted(delay: timedelta, kind: str, key: str) -> datetime:
            self.seconds.setdefault(kind, {})[key] = delay.total_seconds()
            return plan(delay, kind, key)

        world.state.plan = noted  # type: ignore[method-assign]

    def of(self, kind: str) -> dict[str, float]:
        """All delays of one kind."""
        return self.seconds.get(kind, {})


@dataclass
class Roll:
    """A roll that is over, and what it was made of."""

    result: Result
    diary: Diary
    surge: int

    @property
    def makespan_seconds(self) -> float:
        """Until the last machine's token was given back: its VM was seen gone, or it was set aside."""
        return max(step.after.total_seconds() for step in self.result.steps if step.verb in ("delete node", "quarantine"))


def roll(count: int, surge: int, seed: int, *, blocks: str = NOT_BLOCKED, pods: int = 1, reporter: Reporter | None = None) -> Roll:
    """Roll `count` machines with the durations of docs/benchmarks.md, some of them blocked for ever."""
    chosen = random.Random(seed).sample(range(count), round(count * BLOCKED_SHARE) if blocks else 0)
    vms, view = machines(count, pods, frozenset(chosen) if blocks == VISIBLE else frozenset())
    profile = Profile(create=lognormal(90, SIGMA), ready=lognormal(25, SIGMA), delete=lognormal(20, SIGMA), pod_stop=lognormal(75, SIGMA))
    world = world_of(vms, view, DAWN, profile, seed, pool=POOL)
    if blocks == UNFORESEEN:
        for number in chosen:
            world.pods.stick(pod_uid(number, 0))
    diary = Diary()
    diary.keep(world)
    session = VirtualSession(world)
    ports = Ports(cloud=SimulatedCloud(session, POOL, ""), cluster=SimulatedCluster(session, POOL), lock=SimulatedLock(session, POOL))
    runtime = VirtualRuntime(world, DAWN, network=Steady(ONE_WAY), seed=seed)
    result = loop.run(Rollout(pool_of(count, surge)), ports, runtime, reporter, RunSettings(holder="bench"))
    return Roll(result, diary, surge)


def pool_of(count: int, surge: int) -> Pool:
    """What is asked for. `force`: the pods have no controller, so that none comes back on another node and is moved twice."""
    # A create that is drawn longer than the timeout would be made twice, and the bound knows of one.
    strategy = Strategy(max_surge=surge, min_ready=timedelta(0), max_blocked="10%", startup_timeout=timedelta(days=1))
    return Pool(name=POOL, replicas=count, revision=NEW, strategy=strategy, drain=DrainPolicy(timeout=DRAIN_TIMEOUT, force=True))


def machines(count: int, pods: int = 1, blocked: frozenset[int] = frozenset()) -> tuple[list[Vm], ClusterView]:
    """`count` machines of the old revision, ready for long, `pods` on each; those in `blocked` under a budget that never allows."""
    vms = [_vm(number) for number in range(count)]
    nodes = [_node(number, vm, _pods(number, pods, budget=number in blocked)) for number, vm in enumerate(vms)]
    budgets = [Budget(name=_budget(number), allowed=0, healthy=pods, desired=pods, expected=pods) for number in blocked]
    view = ClusterView(as_of=DAWN, nodes={node.name: node for node in nodes}, budgets={budget.name: budget for budget in budgets})
    return vms, view


def vm_id(number: int) -> str:
    """Of an old machine."""
    return f"old-{number}"


def pod_uid(number: int, index: int) -> str:
    """Of the pods of an old machine."""
    return f"pod-{number}-{index}"


def _vm(number: int) -> Vm:
    return Vm(
        id=vm_id(number),
        name=marks.machine_name(POOL, number, f"{number:05d}"),
        status=RUNNING,
        created_at=LONG_AGO,
        slot=number,
        revision=OLD.id,
        provider_id=f"simulated:///{vm_id(number)}",
        system_uuid=vm_id(number),
    )


def _node(number: int, vm: Vm, pods: tuple[Pod, ...]) -> Node:
    return Node(
        name=vm.name,
        uid=f"node-{number}",
        version=str(number + 1),
        created_at=LONG_AGO,
        provider_id=vm.provider_id,
        system_uuid=vm.system_uuid,
        ready=True,
        ready_since=LONG_AGO,
        was_ready=True,
        pool=POOL,
        revision=OLD.id,
        labels={marks.NODE_POOL: POOL, marks.NODE_REVISION: OLD.id},
        annotations={marks.NODE_READY_AT: "2025-12-02T00:00:00Z"},
        pods=pods,
    )


def _pods(number: int, count: int, *, budget: bool) -> tuple[Pod, ...]:
    budgets = (_budget(number),) if budget else ()
    names = [pod_uid(number, index) for index in range(count)]
    return tuple(Pod(uid=uid, namespace="shop", name=uid, budgets=budgets, grace=NEVER_CUT_SHORT, is_replicated=False) for uid in names)


def _budget(number: int) -> str:
    return f"shop/block-{number}"
