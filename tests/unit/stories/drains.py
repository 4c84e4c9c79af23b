# SPDX-License-Identifier: GPL-3.0-or-later
"""Stories of `node_drain`, and of pools that share a cluster, one row each; told in golden/drain and golden/pools."""

from __future__ import annotations

from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.decide.drain_nodes import CORDONED, UNCORDONED
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import constant
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Fault
from ansible_collections.immutable.fleet.tests.simulation.estate import Estate
from ansible_collections.immutable.fleet.tests.unit.stories.side_by_side import Drain, Roll, Story

TWO = ("n1", "n2")
FOUR = ("n1", "n2", "n3", "n4")
SOON = {"timeout": timedelta(minutes=2)}


def shop(estate: Estate) -> None:
    """Eight pods that may leave one at a time, and four that nobody counts."""
    estate.workload("cart", 8, max_unavailable="1").workload("page", 4)


def two_budgets(estate: Estate) -> None:
    """Pods of two applications, each with a budget, on all nodes of both pools."""
    estate.workload("cart", 4, max_unavailable="1").workload("pay", 4, max_unavailable="1")


DRAINS = (
    Story(
        "all-at-once",
        "2 nodes of 4 with 8 pods: all leave at once, and the last pod ends the drain",
        ((Drain(TWO),),),
        nodes=FOUR,
        furnish=lambda estate: estate.workload("page", 8),
    ),
    Story("under-a-budget", "2 nodes of 4 share a PDB that allows one at a time", ((Drain(TWO),),), nodes=FOUR, furnish=shop),
    Story(
        "orders",
        "1 node of 2, lower orders leave first: the next group is asked when those are gone",
        ((Drain(("n1",)),),),
        nodes=TWO,
        furnish=lambda estate: estate.workload("page", 2, order=1).workload("cart", 2).workload("log", 2, order=2),
    ),
    Story(
        "hopeless",
        "FM1, FM6: a PDB that can never allow an eviction: its node is not touched, the others are drained",
        ((Drain(FOUR, ends="blocked"),),),
        nodes=(*FOUR, "n5"),
        furnish=lambda estate: estate.workload("cart", 1, min_available="1").workload("page", 4),
    ),
    Story(
        "given-up",
        "FM6: a pod that never ends: its node is given up and is schedulable again, the other one is drained",
        ((Drain(TWO, drain=SOON, ends="blocked"),),),
        nodes=FOUR,
        furnish=lambda estate: estate.workload("page", 8),
        faults=(Fault(kind="pod_sticks", target="n1"),),
    ),
    Story(
        "forced",
        "on_timeout: force: pods that their PDB never lets go are deleted when the time is up",
        ((Drain(("n1",), drain={**SOON, "on_timeout": "force"}),),),
        nodes=TWO,
        furnish=lambda estate: estate.workload("cart", 2, max_unavailable="1", start=constant(100_000)),
        breaks_budgets=True,
    ),
    Story(
        "persons-cordon",
        "FM10: a node that a person cordoned is drained like the others; given up, it stays as the person left it",
        ((Drain(TWO, drain=SOON, ends="blocked"),),),
        nodes=FOUR,
        furnish=lambda estate: estate.workload("page", 8),
        faults=(Fault(kind="cordon", target="n1"), Fault(kind="pod_sticks", target="n1")),
    ),
    Story(
        "own-node",
        "FM42: the run lives on n1: that is drained when the others are empty",
        ((Drain(("n1", "n2", "n3"), carried_by="runner"),),),
        nodes=FOUR,
        furnish=lambda estate: estate.workload("runner", 1).workload("page", 7),
    ),
    Story(
        "stopped",
        "FM9: stopped in mid-drain; the same task goes on from what is there",
        ((Drain(TWO, stopped_after=8, ends="stopped"),), (Drain(TWO),)),
        nodes=FOUR,
        furnish=shop,
    ),
    Story(
        "there-and-back",
        "cordoned, drained, opened again: each task changes only what differs",
        ((Drain(TWO, CORDONED),), (Drain(TWO, CORDONED),), (Drain(TWO),), (Drain(TWO, UNCORDONED),), (Drain(TWO, UNCORDONED),)),
        nodes=FOUR,
        furnish=lambda estate: estate.workload("page", 4),
    ),
)

POOLS = (
    Story(
        "shared-budgets",
        "2 pools of 2 are rolled at once, their pods share 2 PDBs of one at a time: nobody breaks one, both converge",
        ((Roll("web"), Roll("api")),),
        furnish=two_budgets,
    ),
    Story(
        "own-node",
        "FM42: the run that rolls a pool of 3 lives on one of its machines: that goes last",
        ((Roll("web", replicas=3, carried_by="runner"),),),
        furnish=lambda estate: estate.workload("runner", 1).workload("page", 5),
    ),
    Story(
        "pool-and-drain",
        "a pool is rolled while 2 other nodes are drained under the same PDB: they wait for each other's pods only",
        ((Roll("web"), Drain(TWO)),),
        nodes=FOUR,
        furnish=lambda estate: estate.workload("cart", 9, max_unavailable="1"),
    ),
)
