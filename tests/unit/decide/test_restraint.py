# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds a rollout back, what is cleared on the way, and who is left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import BOOTING, GOING, NOT_READY
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot, Troubles
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover
from ansible_collections.immutable.fleet.tests.unit.builders import (
    HELD,
    JOINED,
    NEW,
    NOW,
    OLD,
    YOUNG,
    ago,
    creating,
    later,
    machine,
    node,
    pool,
    said,
    snapshot,
)
from ansible_collections.immutable.fleet.tests.unit.decide.rows import NEVER_BACK, NEW_A, OLD_A, decided, named, slots

CART = "shop/cart"


SHORT = Troubles(after=later(5), what="No valid host was found.", since=ago(2), count=1)
PROBING = Troubles(after=ago(1), what="Quota exceeded", since=ago(6), count=1)
GIVEN_UP = Troubles(after=ago(5), what="No valid host was found.", since=ago(300), count=5, fatal=True)


@pytest.mark.parametrize(
    ("troubles", "expected"),
    [
        pytest.param(Troubles(), ["choose m0: outdated; 3 available > floor 2", "create slot 0: 3 exist < ceiling 4"], id="no trouble"),
        pytest.param(SHORT, [], id="the cloud has no room: held back"),
        pytest.param(
            Troubles(after=ago(1), count=1),
            ["choose m0: outdated; 3 available > floor 2", "create slot 0: 3 exist < ceiling 4"],
            id="the back-off is over",
        ),
        pytest.param(GIVEN_UP, [], id="given up"),
    ],
)
def test_nothing_is_taken_away_for_machines_that_cannot_be_made(troubles: Troubles, expected: list[str]) -> None:
    """Exhausted stops rule 9, and 5 to 8 for the sake of new machines."""
    assert decided(snapshot(*slots(OLD_A, OLD_A, OLD_A), troubles=troubles), pool(3, 1, 1)) == expected


BUILDING = machine("m0", NEW, BOOTING, slot=0, status=vm_states.BUILDING)


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        pytest.param(
            snapshot(*slots(NEW_A)),
            ["create slot 1: 1 exist < ceiling 4", "create slot 2: 2 exist < ceiling 4"],
            id="no trouble: all at once",
        ),
        pytest.param(snapshot(*slots(NEW_A), troubles=PROBING), ["create slot 1: 1 exist < ceiling 4"], id="after a failed create: one"),
        pytest.param(snapshot(*slots(NEW_A), troubles=PROBING, creating=(creating(slot=1),)), [], id="not while one is on its way"),
        pytest.param(snapshot(BUILDING, troubles=PROBING), [], id="nor before it is built"),
        pytest.param(
            snapshot(machine("m0", NEW, BOOTING, slot=0), troubles=PROBING), ["create slot 1: 1 exist < ceiling 4"], id="it runs: the next"
        ),
    ],
)
def test_FM27_after_a_failed_create_machines_are_made_one_by_one(world: Snapshot, expected: list[str]) -> None:
    """Nova counts a quota again when servers are built: of several that want the last place, each may refuse the others."""
    assert decided(world, pool(3, 1, 1)) == expected


def test_a_machine_going_is_pushed_even_then() -> None:
    """Rule 2: nothing ever stops a machine that is on its way."""
    empty = machine("m0", OLD, GOING, pods=())
    assert decided(snapshot(empty, troubles=GIVEN_UP), pool(3)) == ["look m0: no pods left: looking directly before anything rests on it"]


@pytest.mark.parametrize(
    ("stale", "expected"),
    [
        pytest.param(
            {},
            [
                "look m0: no pods left: looking directly before anything rests on it",
                "create slot 0: 2 exist < ceiling 4",
                "create slot 1: 3 exist < ceiling 4",
            ],
            id="all fresh",
        ),
        pytest.param({"cloud": ago(61)}, [], id="the cloud is silent: no mark, no create, no delete"),
        pytest.param({"cluster": ago(61)}, [], id="the cluster is silent: nothing"),
    ],
)
def test_FM17_rule_1_nothing_new_rests_on_stale_facts(stale: dict[str, Any], expected: list[str]) -> None:
    """A source that gave no news for max_staleness freezes everything that rests on it."""
    machines = [machine("m0", OLD, GOING, pods=()), machine("m1", OLD)]
    assert decided(snapshot(*machines, stale=stale), pool(3)) == expected


def test_no_create_before_a_dead_holders_calls_have_arrived() -> None:
    """FM26: after a take-over creates wait until `settled_at`, and the run wakes then."""
    decision = Rollout(pool(3)).decide(snapshot(settled_at=later(50)), NOW)
    assert (said(decision), decision.wake_at, [b.code for b in decision.blockers]) == ([], later(50), ["settling"])


def leftover(kind: str, owner: str) -> Leftover:
    return Leftover(kind=kind, id=f"{kind}-1", name=owner, machine=owner, created_at=ago(60))


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        pytest.param(
            snapshot(*slots(NEW_A), leftovers=(leftover("port", "m9"),)),
            ["clear port-1: belongs to no machine (m9 is gone)"],
            id="FM22 port of no machine",
        ),
        pytest.param(snapshot(*slots(NEW_A), leftovers=(leftover("port", "m0"),)), [], id="port of a machine"),
        pytest.param(
            snapshot(*slots(NEW_A), leftovers=(leftover("token", "m0"),)), ["clear token-1: its machine has joined"], id="spent token"
        ),
        pytest.param(
            snapshot(*slots(NEW_A), nodes={"m9": node("m9", ready=None)}), ["delete node m9: its VM is gone"], id="Node of no machine"
        ),
        pytest.param(
            snapshot(*slots(NEW_A), nodes={"m9": node("m9")}),
            [],
            id="Node whose kubelet lives: the cloud's list must be wrong",
        ),
        pytest.param(
            snapshot(*slots(NEW_A), leftovers=(replace(leftover("rule", ""), name="a rule lacks m0"),)),
            ["clear rule-1: a rule lacks m0"],
            id="what is the pool's as a whole, and out of date",
        ),
        pytest.param(
            snapshot(*slots(NEW_A), leftovers=(leftover("port", "m9"),), settled_at=later(9)),
            [],
            id="not while a dead holder's create may arrive",
        ),
    ],
)
def test_leftovers_of_the_pool_are_cleared_at_once(world: Snapshot, expected: list[str]) -> None:
    """What carries our mark and belongs to no machine and no create in flight goes; we hold the lock."""
    assert decided(world, pool(1)) == expected


def test_a_run_does_not_end_before_it_may_clear_what_is_left() -> None:
    """A dead holder's calls have to have arrived first; all else is as it should be."""
    decision = Rollout(pool(1)).decide(snapshot(*slots(NEW_A), leftovers=(leftover("port", "m9"),), settled_at=later(9)), NOW)
    assert (said(decision), decision.finished, decision.wake_at) == ([], False, later(9))


def test_a_port_of_a_create_in_flight_is_no_leftover() -> None:
    """The list may show the port before the VM."""
    world = snapshot(*slots(NEW_A), creating=(creating("web-1-aaaaa", 1),), leftovers=(leftover("port", "web-1-aaaaa"),))
    assert decided(world, pool(2)) == []


def test_FM42_the_node_of_this_run_goes_last() -> None:
    """Of two outdated nodes the one this run does not live on goes."""
    world = snapshot(*slots(NEW_A, OLD_A, OLD_A, OLD_A), own_node="m1")
    assert decided(world, pool(3)) == ["choose m2: outdated; 4 available > floor 3"]


@pytest.mark.parametrize(
    ("machines", "expected"),
    [
        pytest.param(named(NEW_A, NEW_A, (NEW, HELD)), ["m2"], id="up to date"),
        pytest.param(named(NEW_A, NEW_A, (OLD, HELD)), ["m2"], id="outdated"),
        pytest.param(named(NEW_A, NEW_A, NEW_A, (NEW, HELD)), ["m3"], id="surplus"),
        pytest.param(named(NEW_A, NEW_A, (NEW, NOT_READY, {**NEVER_BACK, "schedulable": False})), ["m2"], id="failed"),
        pytest.param(named(NEW_A, NEW_A, (NEW, JOINED, {"schedulable": False})), ["m2"], id="booting"),
        pytest.param(named(NEW_A, NEW_A, (OLD, GOING)), [], id="our own cordon"),
    ],
)
def test_FM10_a_persons_cordon_is_named(machines: list[Machine], expected: list[str]) -> None:
    """A node that a person cordoned is not available, never a victim, and always a blocker that names it."""
    decision = Rollout(pool(3)).decide(snapshot(*machines), NOW)
    assert [blocker.where for blocker in decision.blockers if blocker.code == "person"] == [f"machine {name}" for name in expected]


def test_an_outdated_machine_in_error_is_only_failed() -> None:
    """Classes are exclusive: X before outdated."""
    world = snapshot(*slots(NEW_A, NEW_A), machine("m2", OLD, status=vm_states.ERROR))
    assert decided(world, pool(3)) == ["choose m2: failed; 0 going < 1", "create slot 2: 3 exist < ceiling 4"]


def test_a_run_wakes_when_time_alone_will_change_a_class() -> None:
    """A machine that becomes available in 20 s wakes the run then, not at the next poll."""
    world = snapshot(*slots(NEW_A, NEW_A, (NEW, YOUNG)))
    assert Rollout(pool(3, min_ready=timedelta(seconds=30))).decide(world, NOW).wake_at == later(20)


def test_a_ready_node_whose_vm_is_in_no_list_is_waited_for_and_named() -> None:
    """Somebody deleted the VM, or the cloud leaves it out of its lists: within a minute the kubelet's silence tells which."""
    world = snapshot(*slots(NEW_A, NEW_A), nodes={"m9": node("m9")})
    first, last = (Rollout(pool(3)).decide(replace(world, progressed_at=since), NOW) for since in (ago(59), ago(60)))
    assert ((first.wake_at, first.finished), str(last.failure)) == (
        (later(1), False),
        "blocked (everything else is done): is ready, and yet its VM is in no list of the cloud: neither replaced nor removed (node m9)",
    )
