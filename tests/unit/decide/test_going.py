# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way of a machine that is going: each turn the one step its facts allow, and "drained" is a fact."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide import going
from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import BOOTING, GOING, QUARANTINED
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import ChangeNode
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Look
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import DrainPolicy
from ansible_collections.immutable.fleet.tests.unit.builders import (
    NEW,
    NOW,
    OLD,
    ago,
    blocked,
    budget,
    later,
    look,
    machine,
    pod,
    pool,
    said,
    say,
    snapshot,
)

CART = "shop/cart"
LOOK_NOW = "look m1: no pods left: looking directly before anything rests on it"
POLICY = {"timeout": timedelta(seconds=100), "volume_detach_timeout": timedelta(seconds=50), "delete_timeout": timedelta(seconds=40)}


def leaving(**facts: Any) -> Machine:
    """m1, marked a minute ago, with nothing left on it unless told otherwise."""
    return machine("m1", OLD, GOING, **{"pods": (), "emptied_at": ago(20), **facts})


def pushed(subject: Machine, **world: Any) -> going.Push:
    policy = DrainPolicy(**{**POLICY, **world.pop("policy", {})})
    return going.push([subject], snapshot(subject, **world), replace(pool(), drain=policy), {CART: 1})


@pytest.mark.parametrize(
    ("subject", "world", "expected"),
    [
        pytest.param(
            leaving(schedulable=True), {}, ["choose m1: cordon again: outdated"], id="FM09 marked and schedulable: cordoned again"
        ),
        pytest.param(leaving(choosing=True), {}, [], id="a mark in flight: its answer first"),
        pytest.param(leaving(deleting=True), {}, [], id="a delete in flight: its answer first"),
        pytest.param(leaving(pods=(pod("a"), pod("b"))), {}, ["evict uid-a: no PDB", "evict uid-b: no PDB"], id="pods: evicted"),
        pytest.param(leaving(pods=(pod("a", terminating_since=ago(1)),)), {}, [], id="pods going: waited for"),
        pytest.param(leaving(attachments=("csi-1",)), {}, [], id="FM12 volumes attached: waited for"),
        pytest.param(
            leaving(attachments=("csi-1",), status=vm_states.STOPPED, ready=None),
            {},
            ["label m1: its VM is off by the hypervisor's word: pods and volumes are let go"],
            id="FM12 volumes attached to a machine that is proven dead: let go",
        ),
        pytest.param(leaving(), {}, [LOOK_NOW], id="FM05 seems empty: a direct look"),
        pytest.param(leaving(), {"looks": {"m1": look(11)}}, [LOOK_NOW], id="FM05 a look that is too old"),
        pytest.param(leaving(emptied_at=ago(3)), {"looks": {"m1": look(5)}}, [LOOK_NOW], id="FM05 a look from before it was empty"),
        pytest.param(leaving(), {"looks": {"m1": look(5)}}, ["delete m1: 0 pods left, 0 volumes attached"], id="proven empty: deleted"),
        pytest.param(leaving(), {"looks": {"m1": look(1, ("shop/a",))}}, [], id="FM05 the look found a pod"),
        pytest.param(
            leaving(),
            {"looks": {"m1": look(2, (), ("csi-1",))}},
            ["look m1: the last direct look still found pods or volumes"],
            id="the look found a volume: looked again",
        ),
        pytest.param(leaving(), {"looks": {"m1": look(5)}, "stale": {"cloud": ago(61)}}, [], id="no delete that rests on a silent cloud"),
        pytest.param(leaving(status=vm_states.DELETING), {}, [], id="the cloud deletes it: waited for"),
        pytest.param(
            leaving(status=vm_states.DELETING, delete_again=True),
            {},
            ["delete m1: the next step of its deletion"],
            id="a deletion that has steps: the next one",
        ),
        pytest.param(leaving(status=vm_states.DELETING, delete_again=True, deleting=True), {}, [], id="a step in flight: its answer first"),
        pytest.param(
            leaving(status=vm_states.DELETING, delete_again=True), {"stale": {"cloud": ago(99)}}, [], id="a step rests on news of the cloud"
        ),
        pytest.param(
            machine("m1", OLD, BOOTING),
            {},
            ["look m1: has no node, so nothing runs on it: looking directly whether it has joined"],
            id="no node: looked for first",
        ),
    ],
)
def test_each_turn_is_one_step(subject: Machine, world: dict[str, Any], expected: list[str]) -> None:
    """Cordon, evict, detach, fresh look, delete: no step is taken before the facts allow it."""
    assert [say(action) for action in pushed(subject, **world).actions] == expected


@pytest.mark.parametrize(
    ("subject", "looks", "expected"),
    [
        pytest.param(leaving(pods=(pod("a", terminating_since=ago(1)),)), {}, later(40), id="drain timeout, from the mark"),
        pytest.param(leaving(attachments=("csi-1",)), {}, later(30), id="detach timeout, from when it was empty"),
        pytest.param(leaving(status=vm_states.DELETING), {}, later(20), id="delete timeout"),
        pytest.param(leaving(), {"m1": look(1, ("shop/a",))}, later(1), id="the next direct look"),
        pytest.param(
            leaving(pods=(pod("a", terminating_since=ago(1)),), chosen=Note(ago(9000), "outdated")),
            {},
            later(40),
            id="a mark older than this run: its clock starts with the run",
        ),
    ],
)
def test_when_a_step_is_looked_at_again(subject: Machine, looks: dict[str, Look], expected: datetime) -> None:
    """Every wait has a bound."""
    assert pushed(subject, looks=looks).wake_at == expected


STUCK = leaving(pods=(pod("a", terminating_since=ago(90)),))
OVER = {"began_at": ago(200), "policy": {"timeout": timedelta(seconds=60)}}


@pytest.mark.parametrize(
    ("subject", "world", "expected"),
    [
        pytest.param(STUCK, OVER, [("m1", "1 pod left (a), terminating")], id="drain"),
        pytest.param(leaving(attachments=("v",), emptied_at=ago(50)), {}, [("m1", "1 volume still attached")], id="detach"),
        pytest.param(leaving(status=vm_states.DELETING, emptied_at=ago(40)), {}, [("m1", "the cloud still deletes the VM")], id="delete"),
        pytest.param(
            leaving(status=vm_states.DELETING, emptied_at=ago(40), fault="a disk is attached"),
            {},
            [("m1", "the cloud still deletes the VM: a disk is attached")],
            id="delete that stands still: with its reason",
        ),
    ],
)
def test_what_takes_too_long_is_overdue(subject: Machine, world: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    """FM8: what it waits for is said."""
    assert [(each.name, what) for each, what in pushed(subject, **world).overdue] == expected


def test_a_quarantined_machine_is_pushed_on_and_named() -> None:
    """It keeps its mark, is tried on, and is never overdue again."""
    subject = machine("m1", OLD, QUARANTINED, pods=(pod("a"),))
    turn = pushed(subject, **OVER)
    assert ([say(action) for action in turn.actions], turn.overdue, [b.code for b in turn.blockers]) == (
        ["evict uid-a: no PDB"],
        [],
        ["quarantine"],
    )


def test_force_deletes_the_pods_once_the_time_is_up() -> None:
    """`on_timeout: force`: past the PDB, and not before."""
    stays = leaving(pods=(pod("a", CART),))
    policy = {"on_timeout": "force"}
    early = pushed(stays, began_at=ago(200), policy=policy)
    late = pushed(stays, began_at=ago(200), policy={**policy, "timeout": timedelta(seconds=60)})
    assert ([say(action) for action in early.actions], [say(action) for action in late.actions]) == (
        ["evict uid-a: PDB shop/cart allows it"],
        ["remove pod uid-a: drain timeout passed and on_timeout is force"],
    )


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param({"status": vm_states.STOPPED, "ready": None}, ["taint"], id="shut off, and the kubelet is silent"),
        pytest.param({"status": vm_states.ERROR, "ready": None}, ["evict"], id="in ERROR, and the kubelet is silent: its guest may run"),
        pytest.param(
            {"status": vm_states.STOPPED, "ready": None, "taints": (going.OUT_OF_SERVICE,)},
            ["remove"],
            id="FM04 tainted already: a pod that tolerates all is told to go",
        ),
        pytest.param(
            {"status": vm_states.STOPPED, "ready": None, "taints": (going.OUT_OF_SERVICE,), "pods": (pod("a", terminating_since=ago(1)),)},
            [],
            id="tainted already, and its pods go",
        ),
        pytest.param({"status": vm_states.STOPPED, "ready": True}, ["evict"], id="the kubelet still speaks: no proof"),
        pytest.param({"status": vm_states.ERROR, "ready": False}, ["evict"], id="nor when it speaks of being not ready"),
        pytest.param({"status": vm_states.RUNNING, "ready": None}, ["evict"], id="the hypervisor says it runs: no proof"),
    ],
)
def test_pods_are_let_go_without_their_budget_only_with_proof(facts: dict[str, Any], expected: list[str]) -> None:
    """Out-of-service is set when the hypervisor says the VM is off; without proof, never."""
    turn = pushed(leaving(**{"pods": (pod("a"),), **facts}))
    assert ["taint" if isinstance(action, ChangeNode) else say(action).split(" ")[0] for action in turn.actions] == expected


@pytest.mark.parametrize(
    ("aside", "options", "actions", "blockers"),
    [
        pytest.param(0, {}, ["quarantine m0: 1 pod left (a), terminating"], [], id="skip: set aside"),
        pytest.param(
            1,
            {},
            [],
            ["overdue machine m0: 1 pod left (a), terminating; 1 quarantined of max_blocked 1, so it keeps its surge token"],
            id="skip, and quarantine is full",
        ),
        pytest.param(0, {"on_timeout": "fail"}, [], ["overdue machine m0: 1 pod left (a), terminating"], id="fail"),
        pytest.param(0, {"on_timeout": "force"}, ["quarantine m0: 1 pod left (a), terminating"], [], id="force, and it does not go"),
        pytest.param(0, {"on_timeout": "force", "timeout": timedelta(seconds=50)}, [], [], id="force: given as long again"),
    ],
)
def test_rule_3_an_overdue_machine(aside: int, options: dict[str, Any], actions: list[str], blockers: list[str]) -> None:
    """FM8: set aside while |Q| < max_blocked; else it stays and keeps its surge token."""
    stuck = machine("m0", OLD, GOING, pods=(pod("a", terminating_since=ago(90)),), chosen=Note(ago(90), "outdated"))
    others = [machine(f"q{number}", OLD, QUARANTINED, pods=(pod("b", terminating_since=ago(90)),)) for number in range(aside)]
    current = [machine(f"m{number}", NEW, slot=number) for number in range(1, 4)]
    wanted = pool(3, **{"timeout": timedelta(seconds=30), **options})
    decision = Rollout(wanted).decide(snapshot(stuck, *others, *current, began_at=ago(100)), NOW)
    overdue = [line for line in blocked(decision) if line.startswith("overdue")]
    assert (said(decision), overdue) == (actions, blockers)


def test_two_overdue_machines_share_the_places_left() -> None:
    """A quarantine in flight uses a place up already, and keeps its token until the mark is seen."""
    stuck = [machine(f"m{number}", OLD, GOING, pods=(pod(f"p{number}", terminating_since=ago(90)),)) for number in range(2)]
    decision = Rollout(pool(2, timeout=timedelta(seconds=60))).decide(snapshot(*stuck, began_at=ago(100)), NOW)
    assert said(decision)[:1] == ["quarantine m0: 1 pod left (p0), terminating"]
    assert [b.where for b in decision.blockers if b.code == "overdue"] == ["machine m1"]


def test_a_quarantine_is_an_annotation_with_its_reason() -> None:
    """It stays cordoned and marked; the note says since when and why."""
    change = going.quarantine(STUCK, "1 pod left (a), terminating", NOW)
    assert change is not None
    assert change.change.annotations == {marks.NODE_QUARANTINED: "2026-11-21T04:10:07Z 1 pod left (a), terminating"}


def test_FM01_a_drain_that_met_a_hopeless_budget_says_so() -> None:
    """A PDB that came after the mark is a blocker, beside what the drain waits for."""
    closed = budget(CART, 0, desired=1, expected=1)
    turn = pushed(leaving(pods=(pod("cart-0", CART),)), budgets={CART: closed})
    assert [blocker.code for blocker in turn.blockers] == ["pdb"]


LOOKS = "look m1: outdated: looking directly whether it has joined"
NEVER_JOINED = machine("m1", OLD, BOOTING)


@pytest.mark.parametrize(
    ("subject", "looks", "expected", "again_at"),
    [
        pytest.param(machine("m1", OLD), {}, ["choose m1: outdated"], None, id="a node: marked"),
        pytest.param(NEVER_JOINED, {}, [LOOKS], None, id="no node is seen: looked for directly"),
        pytest.param(NEVER_JOINED, {"machine m1": look(9)}, ["delete m1: outdated"], None, id="there was none a moment ago: deleted"),
        pytest.param(NEVER_JOINED, {"machine m1": look(11)}, [LOOKS], None, id="too long ago: looked for again"),
        pytest.param(NEVER_JOINED, {"m1": look(1)}, [LOOKS], None, id="a look at the pods of a node is none for a node"),
        pytest.param(NEVER_JOINED, {"machine m1": replace(look(1), node="n9")}, [], later(1), id="one that the view lacks: waited for"),
        pytest.param(
            NEVER_JOINED,
            {"machine m1": replace(look(2), node="n9")},
            ["look m1: outdated: node n9 was there, and is not seen yet"],
            None,
            id="then looked for again",
        ),
        pytest.param(machine("m1", OLD, BOOTING, status=vm_states.ERROR), {}, ["delete m1: outdated"], None, id="in ERROR: cannot join"),
        pytest.param(machine("m1", OLD, BOOTING, status=vm_states.STOPPED), {}, ["delete m1: outdated"], None, id="off: cannot join"),
        pytest.param(machine("m1", OLD, BOOTING, status=vm_states.BUILDING), {}, [LOOKS], None, id="building, when it was listed"),
    ],
)
def test_the_first_step_of_the_way_out(subject: Machine, looks: dict[str, Look], expected: list[str], again_at: datetime | None) -> None:
    """A machine that joined since the view may carry pods by now: no delete without a direct look."""
    actions, found_at = going.leave(subject, "outdated", snapshot(subject, looks=looks))
    assert ([say(action) for action in actions], found_at) == (expected, again_at)


SILENT = {"ready": None, "ready_since": ago(400), "pods": (pod("a"),)}


@pytest.mark.parametrize(
    ("more", "silent", "expected"),
    [
        pytest.param({}, {"m1"}, "power off m1: its kubelet is silent: off, nothing runs on it for sure", id="silent for long"),
        pytest.param({}, set(), None, id="not for long, or the gate is shut"),
        pytest.param({"pods": ()}, {"m1"}, None, id="nothing is on it"),
        pytest.param({"schedulable": True}, {"m1"}, None, id="not before it is cordoned"),
    ],
)
def test_a_machine_whose_kubelet_is_silent_is_switched_off(more: dict[str, Any], silent: set[str], expected: str | None) -> None:
    """Only on its way out, and only where somebody would have to end its pods: then the hypervisor's word is proof."""
    subject = machine("m1", OLD, GOING, **{**SILENT, **more})
    found = [say(action) for action in going.push([subject], snapshot(subject), pool(), {}, silent).actions]
    assert next((line for line in found if line.startswith("power")), None) == expected
