# SPDX-License-Identifier: GPL-3.0-or-later
"""The rollout rule, number by number (semantics section 3): what is marked and made, with the inequality that allows it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import (
    BOOTING,
    FAILED,
    GOING,
    NOT_READY,
    QUARANTINED,
)
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.tests.unit.builders import (
    HELD,
    JOINED,
    NEW,
    NOW,
    OLD,
    YOUNG,
    ago,
    blocked,
    budget,
    creating,
    machine,
    pod,
    pool,
    said,
    snapshot,
)
from ansible_collections.immutable.fleet.tests.unit.decide.rows import NEVER_BACK, NEW_A, OLD_A, decided, named, slots

CART = "shop/cart"


@pytest.mark.parametrize(
    ("machines", "options", "expected"),
    [
        pytest.param(
            named(NEW_A, NEW_A, (NEW, FAILED)),
            {},
            ["delete m2: failed and never joined: No valid host was found.", "create slot 0: 3 exist < ceiling 4"],
            id="never joined: free",
        ),
        pytest.param(
            named(NEW_A, NEW_A, (NEW, NOT_READY, NEVER_BACK)),
            {},
            ["choose m2: failed; 0 going < 1", "create slot 0: 3 exist < ceiling 4"],
            id="with a node: while fewer are going than D",
        ),
        pytest.param(
            named((NEW, GOING), (NEW, NOT_READY, NEVER_BACK), (NEW, NOT_READY, NEVER_BACK)),
            {"surge": 2},
            ["choose m1: failed; 1 going < 2", "create slot 0: 3 exist < ceiling 5", "create slot 1: 4 exist < ceiling 5"],
            id="D = surge + unavailable counts those going already",
        ),
        pytest.param(
            named(NEW_A, NEW_A, (NEW, NOT_READY, {**NEVER_BACK, "schedulable": False})),
            {},
            ["create slot 0: 3 exist < ceiling 4"],
            id="FM10 one that a person cordoned is left alone",
        ),
    ],
)
def test_rule_4_failed_machines(machines: list[Machine], options: dict[str, Any], expected: list[str]) -> None:
    """A failed machine goes: free if it never had a node, else while |G| < D."""
    assert decided(snapshot(*machines), pool(3, **options)) == expected


@pytest.mark.parametrize(
    ("machines", "expected"),
    [
        pytest.param(
            named(NEW_A, NEW_A, NEW_A, (OLD, BOOTING)),
            ["look m3: outdated and never ready: looking directly whether it has joined"],
            id="without a node: no mark",
        ),
        pytest.param(named(NEW_A, NEW_A, NEW_A, (OLD, JOINED)), ["choose m3: outdated and never ready"], id="never ready: free"),
        pytest.param(
            named(NEW_A, NEW_A, NEW_A, (OLD, YOUNG)),
            ["choose m3: outdated and not yet available; 3 available >= floor 3"],
            id="ready: the floor is kept without it",
        ),
        pytest.param(named(NEW_A, NEW_A, (NEW, BOOTING), (OLD, YOUNG)), [], id="ready, and needed soon: 2 available < floor 3"),
        pytest.param(named(NEW_A, NEW_A, NEW_A, (OLD, JOINED, {"schedulable": False})), [], id="FM10 cordoned by a person"),
    ],
)
def test_rule_5_outdated_and_booting(machines: list[Machine], expected: list[str]) -> None:
    """An outdated machine that boots goes free if it was never ready, else only when |A| >= F."""
    assert decided(snapshot(*machines), pool(3)) == expected


SICK = {"max_unhealthy_total": "20%"}  # 1 of 3


@pytest.mark.parametrize(
    ("machines", "options", "expected"),
    [
        pytest.param(
            named(OLD_A, OLD_A, (OLD, NOT_READY)),
            {},
            ["choose m2: outdated and not ready; 0 going < 1", "create slot 0: 3 exist < ceiling 4"],
            id="while |G| < D",
        ),
        pytest.param(named(OLD_A, (OLD, GOING), (OLD, NOT_READY)), {}, ["create slot 0: 3 exist < ceiling 4"], id="D are going already"),
        pytest.param(
            named((OLD, NOT_READY), (OLD, NOT_READY), OLD_A),
            {},
            ["create slot 0: 3 exist < ceiling 4"],
            id="too many are sick: the new revision proves itself first",
        ),
        pytest.param(
            named((OLD, NOT_READY), (OLD, NOT_READY), NEW_A),
            {},
            ["choose m0: outdated and not ready; 0 going < 1", "create slot 0: 3 exist < ceiling 4"],
            id="too many are sick, and it has proved itself",
        ),
        pytest.param(
            named((OLD, NOT_READY), (OLD, NOT_READY), OLD_A),
            {"surge": 0, "unavailable": 1},
            ["choose m0: outdated and not ready; 0 going < 1"],
            id="too many are sick and no surge: one probe",
        ),
        pytest.param(named(OLD_A, OLD_A, (OLD, HELD)), {}, ["create slot 0: 3 exist < ceiling 4"], id="FM10 cordoned by a person"),
        pytest.param(
            named(OLD_A, OLD_A, (OLD, HELD)),
            {"include_cordoned": True},
            ["choose m2: outdated and not ready; 0 going < 1", "create slot 0: 3 exist < ceiling 4"],
            id="cordoned by a person, and include_cordoned",
        ),
    ],
)
def test_rule_6_outdated_and_not_ready(machines: list[Machine], options: dict[str, Any], expected: list[str]) -> None:
    """Outdated and not ready goes early, but a sick environment is not mistaken for an old image."""
    assert decided(snapshot(*machines), pool(3, **SICK, **options)) == expected


IN_0 = {"slot": 0}
IN_1 = {"slot": 1}


@pytest.mark.parametrize(
    ("machines", "expected"),
    [
        pytest.param(
            named((*NEW_A, IN_1), (*NEW_A, {**IN_0, "created_at": ago(9999)}), (*NEW_A, IN_0)), "m2", id="available: the younger one"
        ),
        pytest.param(named((*NEW_A, IN_1), (NEW, BOOTING, IN_0), (NEW, BOOTING, IN_1)), "m2", id="booting: not the only one of a slot"),
        pytest.param(
            named((*NEW_A, IN_1), (NEW, NOT_READY, IN_0), (NEW, NOT_READY, IN_1)), "m2", id="not ready: not the only one of a slot"
        ),
        pytest.param(named((*NEW_A, IN_0), (NEW, HELD, IN_1), (*NEW_A, IN_1)), "m2", id="FM10 the other one is held by a person"),
    ],
)
def test_FM26_of_two_machines_in_one_slot_one_goes_first(machines: list[Machine], expected: str) -> None:
    """A create that was thought lost, or a name given twice: slots have one machine each in the end."""
    assert [line.split(":")[0].split(" ")[1] for line in decided(snapshot(*machines), pool(2, 1, 1))] == [expected]


@pytest.mark.parametrize(
    ("machines", "expected"),
    [
        pytest.param(
            slots(NEW_A, NEW_A, (NEW, BOOTING)),
            ["look m2: surplus: 3 > 2 replicas: looking directly whether it has joined"],
            id="never ready first",
        ),
        pytest.param(
            slots(NEW_A, NEW_A, (NEW, NOT_READY), (NEW, YOUNG)),
            ["choose m2: surplus: 4 > 2 replicas", "choose m3: surplus and not yet available; 2 available >= floor 2"],
            id="then not ready, then young",
        ),
        pytest.param(slots(NEW_A, (NEW, YOUNG), (NEW, YOUNG)), [], id="young ones stay while 1 available < floor 2"),
        pytest.param(
            slots(NEW_A, NEW_A, NEW_A, NEW_A),
            ["choose m3: surplus; 4 available > floor 2", "choose m2: surplus; 3 available > floor 2"],
            id="then available ones, no lower than the floor",
        ),
        pytest.param(slots(NEW_A, NEW_A, (NEW, HELD)), [], id="FM10 one that a person cordoned is left alone"),
        pytest.param(
            slots(OLD_A, OLD_A, OLD_A, OLD_A),
            ["choose m0: outdated; 4 available > floor 2", "choose m1: outdated; 3 available > floor 2"],
            id="fewer replicas: outdated ones go as rule 8 lets them",
        ),
    ],
)
def test_rule_7_surplus(machines: list[Machine], expected: list[str]) -> None:
    """FM49: what serves least goes first, and not one machine too many."""
    assert decided(snapshot(*machines), pool(2)) == expected


def test_FM49_creates_in_flight_count_as_surplus() -> None:
    """Two up to date and one create in flight are three: of two wanted, one available machine may go."""
    world = snapshot(*slots(NEW_A, NEW_A, NEW_A), creating=(creating(slot=3),))
    assert decided(world, pool(3)) == []


def test_FM26_a_create_in_flight_is_one_too_many_itself_where_its_slot_was_taken_again() -> None:
    """A machine came back from being failed while its successor was asked for: nobody else goes, or two would stay in one slot."""
    machines = named((*NEW_A, IN_0), (NEW, NOT_READY, IN_1))
    assert decided(snapshot(*machines, creating=(creating(slot=0),)), pool(2, 1, 1)) == []


@pytest.mark.parametrize(
    ("machines", "options", "expected"),
    [
        pytest.param(
            slots(OLD_A, OLD_A, OLD_A), {}, ["create slot 0: 3 exist < ceiling 4"], id="no machine to spare: 3 available = floor 3"
        ),
        pytest.param(slots(NEW_A, OLD_A, OLD_A, OLD_A), {}, ["choose m1: outdated; 4 available > floor 3"], id="one to spare"),
        pytest.param(
            slots(OLD_A, OLD_A, OLD_A),
            {"surge": 0, "unavailable": 2},
            ["choose m0: outdated; 3 available > floor 1", "choose m1: outdated; 2 available > floor 1"],
            id="each mark lowers the available at once",
        ),
        pytest.param(
            slots(OLD_A, OLD_A, OLD_A),
            {"surge": 1, "unavailable": 1},
            ["choose m0: outdated; 3 available > floor 2", "create slot 0: 3 exist < ceiling 4"],
            id="surge and unavailable at once",
        ),
    ],
)
def test_rule_8_available_machines_above_the_floor(machines: list[Machine], options: dict[str, Any], expected: list[str]) -> None:
    """No mark of ours takes the available below the floor N - U."""
    assert decided(snapshot(*machines), pool(3, **options)) == expected


def test_FM01_a_drain_that_cannot_succeed_is_not_started() -> None:
    """The node whose PDB can never allow an eviction stays as it is and is named; another one goes."""
    stuck = machine("m1", OLD, slot=1, pods=(pod("cart-0", CART),))
    world = snapshot(
        machine("m0", NEW, slot=0), stuck, machine("m2", OLD), machine("m3", OLD), budgets={CART: budget(CART, 0, desired=1, expected=1)}
    )
    decision = Rollout(pool(3)).decide(world, NOW)
    assert (said(decision), blocked(decision)) == (
        ["choose m2: outdated; 4 available > floor 3"],
        ["pdb node m1: PDB shop/cart can never allow an eviction: it wants 1 of 1 pods healthy (pod shop/cart-0)"],
    )


@pytest.mark.parametrize(
    ("world", "options", "expected"),
    [
        pytest.param(snapshot(), {}, [f"create slot {n}: {n} exist < ceiling 4" for n in range(3)], id="as many as are missing"),
        pytest.param(
            snapshot(*slots(OLD_A, OLD_A, OLD_A)),
            {"surge": 2},
            ["create slot 0: 3 exist < ceiling 5", "create slot 1: 4 exist < ceiling 5"],
            id="as many as the ceiling allows",
        ),
        pytest.param(
            snapshot(*slots(OLD_A, OLD_A, OLD_A), creating=(creating(slot=0),)), {}, [], id="FM26 a create in flight exists: 4 = ceiling 4"
        ),
        pytest.param(snapshot(*slots(NEW_A, NEW_A), creating=(creating(slot=2),)), {}, [], id="a create in flight is not missing"),
        pytest.param(snapshot(*slots((OLD, GOING), OLD_A, OLD_A, NEW_A)), {}, [], id="FM13 a machine that is going still exists"),
        pytest.param(
            snapshot(*slots((OLD, QUARANTINED), OLD_A, OLD_A, NEW_A)),
            {},
            ["create slot 0: 3 exist < ceiling 4"],
            id="FM08 a quarantined one does not count",
        ),
        pytest.param(snapshot(*slots(OLD_A, OLD_A, OLD_A), half_owned=("web-9-zzzzz",)), {}, [], id="FM25 half-owned: it counts"),
    ],
)
def test_FM39_rule_9_creates_up_to_the_ceiling(world: Snapshot, options: dict[str, Any], expected: list[str]) -> None:
    """No create of ours takes what exists above C = N + S, calls in flight included."""
    assert decided(world, pool(3, **options)) == expected


def test_FM25_half_owned_machines_are_said() -> None:
    """A machine with one of our marks alone is counted, reported, and never touched."""
    decision = Rollout(pool(3)).decide(snapshot(*slots(OLD_A, OLD_A, OLD_A), half_owned=("web-9-zzzzz",)), NOW)
    assert blocked(decision) == ["half_owned machine web-9-zzzzz: carries only one of our marks: counted, never touched"]
