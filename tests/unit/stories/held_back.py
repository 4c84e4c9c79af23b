# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios of what holds a rollout back, or says who goes first: calendar, age, order, gates, hooks. One row each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import NodeChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import NEWEST, OLDEST, ON_DELETE
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import CONSTANT, Spread
from ansible_collections.immutable.fleet.tests.simulation.estate import Estate
from ansible_collections.immutable.fleet.tests.unit.stories.runner import Run, Scenario

FOUR: dict[str, Any] = {"runs": (Run(replicas=4),), "began_with": 4}
TAKEN_AWAY = "a hook annotation is taken away"  # an event of the world's agenda


def annotate(estate: Estate, slot: int, key: str, value: str | None) -> None:
    """Somebody writes an annotation on the node of this slot's machine, or takes it away."""
    estate.world.facts.refresh()
    node = next(node for name, node in estate.world.facts.nodes.items() if name.startswith(f"{estate.name}-{slot}-"))
    estate.world.nodes.change(NodeChange(node=node.name, uid=node.uid, annotations={key: value}))


def hooked(estate: Estate, slot: int, key: str, minutes: float) -> None:
    """An annotation of Cluster API's that its owner takes away after so long."""
    annotate(estate, slot, key, "backup")
    estate.world._handlers[TAKEN_AWAY] = lambda _key: annotate(estate, slot, key, None)
    estate.world.state.plan(timedelta(minutes=minutes), TAKEN_AWAY, "")


def elsewhere(estate: Estate) -> None:
    """Pods that never start, on the machine of slot 3 and on a node of no pool."""
    estate.world.nodes.stand_alone("n1")
    estate.workload("stuck", 0, start=Spread(CONSTANT, 1_000_000))
    estate.world.facts.refresh()
    last = next(name for name in estate.world.facts.nodes if name.startswith(f"{estate.name}-3-"))
    for node in ("n1", last):
        estate.world.pods.spawn(estate.world.state.workloads["shop/stuck"], node=node)


HELD_BACK = (
    # The calendar
    Scenario(
        "window-closes",
        "a window that closes in mid-roll: what has begun is ended, nothing begins; a run outside of it does nothing; the next one goes on",
        (Run(), Run(), Run(begins_at=900)),
        strategy={"windows": ((0, 70), (900, 3600))},
    ),
    Scenario(
        "window-heals",
        "outside of its window: a machine that is missing is made, and no old one is replaced",
        (Run(replicas=4),),
        strategy={"windows": ((3600, 7200),)},
    ),
    Scenario(
        "window-opens-for-another",
        "two windows that overlap are one: the roll goes through",
        strategy={"windows": ((0, 70), (60, 3600))},
    ),
    Scenario(
        "calendar-budget",
        "6 machines, max_surge 3; for 2 minutes one at a time, then as many as surge allows",
        (Run(replicas=6),),
        began_with=6,
        surge=3,
        strategy={"budgets": ((1, 0, 120),)},
    ),
    Scenario(
        "calendar-budget-of-nothing",
        "a budget of 0 from the first minute on: as a closed window",
        (Run(), Run(begins_at=600)),
        strategy={"budgets": ((0, 60, 500),)},
    ),
    # Age and order
    Scenario(
        "max-age",
        "machines of the wanted revision that are too old go one at a time, each at an instant of its own",
        (Run("v1"), Run("v1", begins_at=100), Run("v1", begins_at=140)),
        strategy={"max_age": timedelta(minutes=13)},
    ),
    Scenario(
        "oldest-first", "2 machines and 2 younger ones: the oldest first", (Run("v1", 4), Run(replicas=4)), 2, strategy={"order": OLDEST}
    ),
    Scenario(
        "newest-first", "2 machines and 2 younger ones: the newest first", (Run("v1", 4), Run(replicas=4)), 2, strategy={"order": NEWEST}
    ),
    Scenario(
        "delete-first",
        "Cluster API's delete-machine annotation on one: it goes before all others",
        furnish=lambda estate: annotate(estate, 2, marks.DELETE_FIRST, ""),
    ),
    Scenario(
        "delete-first-when-scaled-down",
        "the same, where fewer are wanted: it is the one that goes",
        (Run("v1", 2),),
        furnish=lambda estate: annotate(estate, 1, marks.DELETE_FIRST, "true"),
    ),
    # Gates and hooks
    Scenario(
        "gate",
        "4 machines, steps 1, soak 30s, a gate that passes after 5 minutes: one canary until then",
        **FOUR,
        strategy={"steps": (1,), "soak": timedelta(seconds=30)},
        gates={"gate": 300},
    ),
    Scenario(
        "soak-of-pods",
        "4 machines with 8 pods that take 2 minutes to start, steps 1, soak 1m: the step soaks from when its last pod was ready",
        **FOUR,
        strategy={"steps": (1,), "soak": timedelta(minutes=1)},
        furnish=lambda estate: estate.workload("cart", 8, start=Spread(CONSTANT, 120)),
    ),
    Scenario(
        "pods-elsewhere",
        "FM16: pods that never start, on an old machine and on a node of no pool, hold no step",
        **FOUR,
        strategy={"steps": (1,), "soak": timedelta(seconds=30), "order": OLDEST},
        furnish=elsewhere,
    ),
    Scenario(
        "gate-killed",
        "a gate that had not passed when the run was killed is asked by the next one; what it let through stays so",
        (Run(replicas=4, killed_after=150), Run(replicas=4, killed_after=330), Run(replicas=4)),
        4,
        strategy={"steps": (1,)},
        gates={"gate": 200},
    ),
    Scenario(
        "gate-never-passes",
        "a gate that never passes: the run ends as stalled, with one canary",
        **FOUR,
        strategy={"steps": (1,), "progress_deadline": timedelta(minutes=10)},
        gates={"gate": 1_000_000},
        ends="stalled",
    ),
    Scenario(
        "hook-before-drain",
        "2 machines with 4 pods, a hook before drain that passes after 2 minutes: cordoned, and nothing is evicted before",
        (Run(replicas=2),),
        2,
        furnish=lambda estate: estate.workload("cart", 4),
        gates={"before_drain": 120},
    ),
    Scenario(
        "hook-before-delete",
        "2 machines with 4 pods, a hook before delete that passes after 3 minutes: drained, and no VM is deleted before",
        (Run(replicas=2),),
        2,
        furnish=lambda estate: estate.workload("cart", 4),
        gates={"before_delete": 180},
    ),
    Scenario(
        "hook-annotation-before-drain",
        "Cluster API's pre-drain annotation on one node for 3 minutes: it keeps its pods until then",
        (Run(replicas=2),),
        2,
        furnish=lambda estate: (estate.workload("cart", 4), hooked(estate, 0, f"{marks.PRE_DRAIN_HOOK}/backup", 8)),
    ),
    Scenario(
        "hook-annotation-before-delete",
        "Cluster API's pre-terminate annotation on one node for 3 minutes: its VM stays until then",
        (Run(replicas=2),),
        2,
        furnish=lambda estate: (estate.workload("cart", 4), hooked(estate, 0, f"{marks.PRE_TERMINATE_HOOK}/backup", 8)),
    ),
    Scenario(
        "on-delete",
        "strategy.type on_delete: outdated machines stay, but the one that somebody marked for it",
        strategy={"type": ON_DELETE},
        furnish=lambda estate: annotate(estate, 1, marks.DELETE_FIRST, ""),
    ),
)
