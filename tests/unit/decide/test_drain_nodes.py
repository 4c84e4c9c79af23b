# SPDX-License-Identifier: GPL-3.0-or-later
"""node_drain: existing nodes cordoned, drained or opened, all at once; whatever is given up serves again as before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.drain_nodes import CORDONED, DRAINED, UNCORDONED, DrainNodes
from ansible_collections.immutable.fleet.plugins.module_utils.decide.remove import removal
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import ChangeNode, Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import DrainPolicy
from ansible_collections.immutable.fleet.tests.unit.builders import (
    HELD,
    NEW,
    NOW,
    OLD,
    ago,
    budget,
    later,
    look,
    machine,
    node,
    pod,
    pool,
    said,
    snapshot,
)

CART = "shop/cart"
HOPELESS = {CART: budget(CART, 0, desired=1, expected=1)}
OURS = {"schedulable": False, "chosen": Note(ago(30), "node_drain")}
THEIRS = {"schedulable": False}
CORDON = "cordon n1: before the first eviction, so that no pod comes back"
LOOK = "look n1: no pods left: looking directly before anything rests on it"
RESTORE = "uncordon n1: not drained: made schedulable again"


def job(state: str = DRAINED, **policy: Any) -> DrainNodes:
    return DrainNodes(("n1",), DrainPolicy(**{"timeout": timedelta(seconds=100), **policy}), state)


def decided(subject: Node, asked: DrainNodes, **world: Any) -> Decision:
    return asked.decide(snapshot(nodes={subject.name: subject}, **world), NOW)


@pytest.mark.parametrize(
    ("subject", "world", "actions", "finished"),
    [
        pytest.param(node("n1", pods=(pod("a"),)), {}, [CORDON], False, id="open: cordoned first"),
        pytest.param(node("n1", pods=(pod("a"),), **OURS), {}, ["evict uid-a: no PDB"], False, id="cordoned: evicted"),
        pytest.param(node("n1", pods=(pod("a"),), **THEIRS), {}, ["evict uid-a: no PDB"], False, id="cordoned by a person: evicted"),
        pytest.param(node("n1", pods=(pod("a", terminating_since=ago(1)),), **OURS), {}, [], False, id="pods going: waited for"),
        pytest.param(node("n1", **OURS), {}, [LOOK], False, id="FM05 seems empty: a direct look"),
        pytest.param(node("n1", **OURS), {"looks": {"n1": look(1, ("shop/a",))}}, [], False, id="FM05 the look found a pod"),
        pytest.param(node("n1", **OURS), {"looks": {"n1": look(1)}}, [], True, id="FM05 proven empty: done"),
        pytest.param(node("n1", pods=(pod("a"),)), {"stale": {"cluster": ago(61)}}, [], False, id="a silent cluster: nothing"),
    ],
)
def test_a_drain_step_by_step(subject: Node, world: dict[str, Any], actions: list[str], finished: bool) -> None:
    """Cordon, evict, look: it ends with the last pod, by a direct read, not at the next poll."""
    decision = decided(subject, job(), **world)
    assert (said(decision), decision.finished, decision.failure) == (actions, finished, None)


@pytest.mark.parametrize(
    ("subject", "policy", "actions"),
    [
        pytest.param(node("n1", pods=(pod("a", CART),)), {}, [], id="FM01 a PDB that can never allow it: nothing is touched"),
        pytest.param(node("n1", pods=(pod("a", is_replicated=False),)), {}, [], id="a pod that nothing brings back: nothing is touched"),
        pytest.param(node("n1", pods=(pod("a", CART),)), {"on_timeout": "force"}, [CORDON], id="force: in the end it can"),
    ],
)
def test_a_drain_that_cannot_succeed_is_refused_before_anything_is_touched(
    subject: Node, policy: dict[str, Any], actions: list[str]
) -> None:
    """By what is known beforehand; the failure names node, PDB and pod."""
    decision = decided(subject, job(**policy), budgets=HOPELESS)
    assert (said(decision), decision.failure is not None) == (actions, not actions)


@pytest.mark.parametrize(
    ("subject", "actions", "finished"),
    [
        pytest.param(node("n1", pods=(pod("a"),), **OURS), [RESTORE], False, id="FM06 our own cordon is undone"),
        pytest.param(node("n1", pods=(pod("a"),), **THEIRS), [], True, id="FM10 a person's cordon stays"),
    ],
)
def test_a_drain_that_takes_too_long_is_given_up(subject: Node, actions: list[str], finished: bool) -> None:
    """The node serves again as it did before we came."""
    decision = decided(subject, job(timeout=timedelta(seconds=20)), began_at=ago(60))
    assert (said(decision), decision.finished) == (actions, finished)


def test_a_node_that_an_earlier_task_closed_stays_closed_when_its_drain_is_given_up() -> None:
    """It is as it was before this run."""
    earlier = node("n1", pods=(pod("a", budgets=(CART,)),), schedulable=False, chosen=Note(ago(86400), "node_drain"))
    assert said(decided(earlier, job(), budgets=HOPELESS)) == []


def test_a_node_given_up_is_not_drained_again() -> None:
    """Restored, then the end: what is not drained, why, since when, and the ways on."""
    asked = job(timeout=timedelta(seconds=20))
    decided(node("n1", pods=(pod("a"),), **OURS), asked, began_at=ago(60))
    decision = decided(node("n1", pods=(pod("a"),)), asked, began_at=ago(60))
    assert (said(decision), decision.finished, str(decision.failure)) == (
        [],
        True,
        "1 of 1 node not drained: node n1: 1 pod left (a) (node n1)",
    )


def test_force_deletes_pods_after_the_timeout() -> None:
    """`on_timeout: force`: past the PDB."""
    asked = job(timeout=timedelta(seconds=20), on_timeout="force")
    decision = decided(node("n1", pods=(pod("a", CART),), **OURS), asked, began_at=ago(60), budgets=HOPELESS)
    assert (said(decision), decision.wake_at) == (["remove pod uid-a: timeout passed and on_timeout is force"], later(50))


def test_a_pod_that_does_not_even_end_by_force_is_given_up() -> None:
    """A finalizer, or a dead kubelet: after as long again the run ends and says so."""
    asked = job(timeout=timedelta(seconds=60), on_timeout="force")
    stuck = node("n1", pods=(pod("a", terminating_since=ago(60)),), schedulable=False, chosen=Note(ago(120), "node_drain"))
    assert said(decided(stuck, asked, began_at=ago(120))) == [RESTORE]


def test_a_drain_wakes_at_its_timeout() -> None:
    """Counted from the cordon, or from the beginning of the run where the cordon is older."""
    assert decided(node("n1", pods=(pod("a", terminating_since=ago(1)),), **OURS), job()).wake_at == later(70)


@pytest.mark.parametrize(
    ("subject", "state", "policy", "actions", "failure"),
    [
        pytest.param(node("n1"), CORDONED, {}, [CORDON], "", id="cordon an open node"),
        pytest.param(node("n1", **THEIRS), CORDONED, {}, [], "", id="cordon a closed node: nothing to do"),
        pytest.param(node("n1", **OURS), UNCORDONED, {}, ["uncordon n1: asked for"], "", id="undo our cordon"),
        pytest.param(
            node("n1", schedulable=False, chosen=Note(ago(30), "outdated; 4 available > floor 3")),
            UNCORDONED,
            {},
            [],
            "1 of 1 node not uncordoned: node n1: marked by a rollout (outdated; 4 available > floor 3): left to it "
            "(drain.include_cordoned takes it along) (node n1)",
            id="a rollout's mark is left to it",
        ),
        pytest.param(node("n1"), UNCORDONED, {}, [], "", id="an open node: nothing to do"),
        pytest.param(
            node("n1", chosen=Note(ago(30), "node_drain")),
            UNCORDONED,
            {},
            ["uncordon n1: asked for"],
            "",
            id="our mark left on an open node",
        ),
        pytest.param(
            node("n1", **THEIRS),
            UNCORDONED,
            {},
            [],
            "1 of 1 node not uncordoned: node n1: cordoned by somebody else: left alone (drain.include_cordoned takes it along) (node n1)",
            id="FM10 a person's cordon is left alone",
        ),
        pytest.param(
            node("n1", **THEIRS), UNCORDONED, {"include_cordoned": True}, ["uncordon n1: asked for"], "", id="and taken along when asked"
        ),
    ],
)
def test_cordon_and_uncordon(subject: Node, state: str, policy: dict[str, Any], actions: list[str], failure: str) -> None:
    """Only what differs is written; only our own cordons are undone."""
    decision = decided(subject, job(state, **policy))
    assert (said(decision), str(decision.failure or ""), decision.finished) == (actions, failure, not actions)


def test_FM10_an_uncordon_takes_our_mark_away_in_the_same_patch() -> None:
    """Schedulable and unmarked at once, only if nobody changed the node meanwhile."""
    (action,) = decided(node("n1", **OURS), job(UNCORDONED)).actions
    assert isinstance(action, ChangeNode)
    assert (action.change.schedulable, dict(action.change.annotations), action.change.version) == (True, {marks.NODE_CHOSEN: None}, "1")


def test_a_node_that_does_not_exist() -> None:
    """A typo is refused before anything is touched, with names to choose from."""
    asked = DrainNodes(("n1", "n7"), DrainPolicy())
    decision = decided(node("n1"), asked)
    assert (decision.actions, decision.failure) == (
        (),
        Invalid(
            what="no such node: n7; the cluster has 1 (n1, ...)",
            where="nodes",
            forward="correct the name; kubectl get nodes lists them",
            back="nothing was touched",
        ),
    )


def test_FM06_one_hopeless_node_does_not_hold_up_the_others() -> None:
    """All nodes move at once: one is refused, the other is drained."""
    nodes = {"n1": node("n1", pods=(pod("a", CART),)), "n2": node("n2", pods=(pod("b"),))}
    asked = DrainNodes(("n1", "n2"), DrainPolicy())
    assert said(asked.decide(snapshot(nodes=nodes, budgets=HOPELESS), NOW)) == [CORDON.replace("n1", "n2")]


@pytest.mark.parametrize(
    ("other", "looks", "actions"),
    [
        pytest.param(node("n1", pods=(pod("a"),), **OURS), {}, ["evict uid-a: no PDB"], id="another is not empty: its own waits"),
        pytest.param(node("n1", **OURS), {"n1": look(1)}, [CORDON.replace("n1", "n0")], id="all others are: its own is drained"),
        pytest.param(node("n1", pods=(pod("h", CART),)), {}, [CORDON.replace("n1", "n0")], id="all others are given up: the same"),
    ],
)
def test_FM42_the_node_that_carries_the_run_is_drained_last(other: Node, looks: dict[str, Any], actions: list[str]) -> None:
    """Its eviction ends the run: what comes after it would never come."""
    nodes = {"n0": node("n0", pods=(pod("runner"),)), "n1": other}
    asked = DrainNodes(("n0", "n1"), DrainPolicy())
    assert said(asked.decide(snapshot(nodes=nodes, looks=looks, budgets=HOPELESS, own_node="n0"), NOW)) == actions


def test_evictions_of_all_nodes_share_a_budget() -> None:
    """Two nodes, one PDB that allows one: one eviction."""
    nodes = {name: node(name, pods=(pod(f"p-{name}", CART),), **OURS) for name in ("n1", "n2")}
    asked = DrainNodes(("n1", "n2"), DrainPolicy())
    assert said(asked.decide(snapshot(nodes=nodes, budgets={CART: budget(CART, 1)}), NOW)) == ["evict uid-p-n1: PDB shop/cart allows it"]


def test_removal_takes_every_machine_of_every_revision() -> None:
    """`state: absent`: all are surplus at once, except one that a person cordoned."""
    world = snapshot(machine("m0", OLD), machine("m1", NEW), machine("m2", NEW, HELD))
    assert said(removal(pool(3)).decide(world, NOW)) == [
        "choose m0: surplus; 2 available > floor 0",
        "choose m1: surplus; 1 available > floor 0",
    ]


def test_removal_ends_with_nothing_left() -> None:
    """No machine, no node, no leftover: done."""
    decision = removal(pool(3)).decide(snapshot(), NOW)
    assert (decision.actions, decision.finished, decision.failure) == ((), True, None)
