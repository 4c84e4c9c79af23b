# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machine goes next, and where the next one is made."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide import order
from ansible_collections.immutable.fleet.plugins.module_utils.decide.placement import Places
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import DELETE_FIRST
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import LONGEST_DRAIN, NEWEST, OLDEST
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, OLD, ago, budget, creating, later, machine, pod

CART, SHOP = "shop/cart", "shop/all"


def slow(seconds: int, *budgets: str) -> tuple[Any, ...]:
    return (pod("a", *budgets, grace=timedelta(seconds=seconds)),)


def in_domain(name: str, domain: str, seconds: int = 30) -> Machine:
    return machine(name, OLD, failure_domain=domain, pods=slow(seconds))


@pytest.mark.parametrize(
    ("candidates", "busy", "own_node", "expected"),
    [
        pytest.param(
            [machine("m1", pods=slow(30)), machine("m2", pods=slow(90)), machine("m3")],
            set(),
            "",
            ["m2", "m1", "m3"],
            id="longest drain first",
        ),
        pytest.param([machine("m2"), machine("m1")], set(), "", ["m1", "m2"], id="then by name"),
        pytest.param(
            [in_domain("m1", "az1", 90), in_domain("m2", "az1", 60), in_domain("m3", "az2", 30)],
            set(),
            "",
            ["m1", "m2", "m3"],
            id="the fullest domain leads until all are level",
        ),
        pytest.param(
            [in_domain("m1", "az1"), in_domain("m2", "az1"), in_domain("m3", "az2"), in_domain("m4", "az2")],
            set(),
            "",
            ["m1", "m3", "m2", "m4"],
            id="round-robin over domains",
        ),
        pytest.param(
            [machine("m1", pods=slow(90, CART)), machine("m2", pods=slow(30))],
            {CART},
            "",
            ["m2", "m1"],
            id="a tight PDB that is in use goes last",
        ),
        pytest.param(
            [machine("m1", pods=slow(90, CART)), machine("m2")], set(), "", ["m1", "m2"], id="a tight PDB that nobody uses is no reason"
        ),
        pytest.param(
            [machine("m1", pods=slow(90, SHOP)), machine("m2", pods=slow(30))],
            {SHOP},
            "",
            ["m1", "m2"],
            id="a PDB with room for both is no reason",
        ),
        pytest.param([machine("m1", pods=slow(90)), machine("m2")], set(), "m1", ["m2", "m1"], id="FM42 the node of this run goes last"),
        pytest.param([], set(), "", [], id="none"),
    ],
)
def test_who_goes_first(candidates: list[Machine], busy: set[str], own_node: str, expected: list[str]) -> None:
    """Longest predicted drain first, round-robin over failure domains, shared tight PDBs late, own node last."""
    budgets = {CART: budget(CART, 1), SHOP: budget(SHOP, 2)}
    assert [each.name for each in order.in_order(candidates, budgets, busy, own_node)] == expected


def made(name: str, hours_ago: float, domain: str = "", **more: Any) -> Machine:
    return machine(name, OLD, created_at=ago(hours_ago * 3600), failure_domain=domain, **more)


MARKED = {"annotations": {DELETE_FIRST: ""}}


@pytest.mark.parametrize(
    ("candidates", "asked", "own_node", "expected"),
    [
        pytest.param([made("m1", 1, pods=slow(90)), made("m2", 3), made("m3", 2)], OLDEST, "", ["m2", "m3", "m1"], id="oldest"),
        pytest.param([made("m1", 1), made("m2", 3, pods=slow(90)), made("m3", 2)], NEWEST, "", ["m1", "m3", "m2"], id="newest"),
        pytest.param([made("m2", 2), made("m1", 2)], OLDEST, "", ["m1", "m2"], id="of the same age by name"),
        pytest.param(
            [made("m1", 9, "az1"), made("m2", 8, "az1"), made("m3", 1, "az2")],
            OLDEST,
            "",
            ["m1", "m2", "m3"],
            id="the fullest domain leads",
        ),
        pytest.param(
            [made("m1", 9, "az1"), made("m2", 8, "az1"), made("m3", 2, "az2"), made("m4", 1, "az2")],
            OLDEST,
            "",
            ["m1", "m3", "m2", "m4"],
            id="domains take turns in every order",
        ),
        pytest.param([made("m1", 9), made("m2", 1, **MARKED)], OLDEST, "", ["m2", "m1"], id="a delete-first mark comes first"),
        pytest.param(
            [made("m1", 9, pods=slow(90)), made("m2", 1, **MARKED)], LONGEST_DRAIN, "", ["m2", "m1"], id="before the longest drain as well"
        ),
        pytest.param(
            [made("m1", 9, "az1"), made("m2", 8, "az1"), made("m3", 1, "az2", **MARKED)],
            OLDEST,
            "",
            ["m3", "m1", "m2"],
            id="before a fuller domain",
        ),
        pytest.param(
            [made("m1", 1, pods=slow(30, CART), **MARKED), made("m2", 1)],
            LONGEST_DRAIN,
            "",
            ["m1", "m2"],
            id="though it shares a tight PDB",
        ),
        pytest.param([made("m1", 9, **MARKED), made("m2", 1)], OLDEST, "m1", ["m2", "m1"], id="FM42 the node of this run still goes last"),
    ],
)
def test_the_order_that_was_asked_for(candidates: list[Machine], asked: str, own_node: str, expected: list[str]) -> None:
    """Within a domain; what Cluster API's annotation names before all."""
    budgets = {CART: budget(CART, 1)}
    assert [each.name for each in order.in_order(candidates, budgets, {CART}, own_node, asked)] == expected


def test_protected_machines_are_left_out_until_their_time() -> None:
    """Each is a blocker; the loop wakes when the first protection ends. A mark to go first does not help against it."""
    machines = [machine("m1", **MARKED), machine("m2"), machine("m3", failure_domain="az1"), machine("m4")]
    protected = {"m1": later(60), "m3": later(30), "m4": NOW, "gone": later(5)}
    free, blockers, ends = order.unprotected(machines, protected, NOW)
    assert [each.name for each in free] == ["m2", "m4"]
    assert blockers == [
        Blocker(code="protected", what="protected until 2026-11-21T04:11:07Z", where="machine m1"),
        Blocker(code="protected", what="protected until 2026-11-21T04:10:37Z", where="machine m3, failure domain az1"),
    ]
    assert ends == later(30)


@pytest.mark.parametrize(
    ("candidates", "doubles", "expected"),
    [
        pytest.param([machine(f"m{slot}", slot=slot) for slot in range(3)], set(), ["m2", "m1", "m0"], id="among equals the highest slot"),
        pytest.param(
            [machine("m0", slot=0, pods=slow(90)), machine("m1", slot=1), machine("m2", slot=2)],
            set(),
            ["m0", "m2", "m1"],
            id="the longest drain first all the same",
        ),
        pytest.param(
            [machine("m0", slot=0), machine("m1", slot=1, pods=slow(90)), machine("m0/2", slot=0)],
            {"m0/2"},
            ["m0/2", "m1", "m0"],
            id="FM26 one of two in a slot before all",
        ),
    ],
)
def test_who_goes_first_where_fewer_are_wanted(candidates: list[Machine], doubles: set[str], expected: list[str]) -> None:
    """So slots stay 0 to replicas - 1 where nothing else decides, and no slot keeps two machines."""
    assert [each.name for each in order.in_order(candidates, {}, set(), "", doubles=doubles)] == expected


@pytest.mark.parametrize(("surplus", "expected"), [(1, {"m0/2"}), (0, set())], ids=["too many", "nobody asks"])
def test_FM26_the_second_of_a_slot_is_one_too_many(surplus: int, expected: set[str]) -> None:
    """The first of them stays; machines without a slot are nobody's second."""
    machines = [machine("m0", slot=0), machine("m1", slot=1), machine("m0/2", slot=0), machine("x", slot=None), machine("y", slot=None)]
    assert order.doubles_of({"available": machines, "booting": [], "not ready": []}, set(), surplus) == expected


@pytest.mark.parametrize(
    ("never", "available", "count", "expected"),
    [
        pytest.param(
            ["0c", "1c", "2c"], ["3a", "4a", "5a", "6b", "7b", "8b"], 2, ["0c", "3a"], id="not both that boot: c has no more than a"
        ),
        pytest.param(["0c", "1c"], ["3a", "4a", "5a", "6b", "7c"], 2, ["0c", "3a"], id="among equals whoever boots"),
        pytest.param(["0c"], ["3a", "4a", "5a", "6b"], 2, ["3a", "4a"], id="the fullest, though all of it is available"),
        pytest.param(["0a", "1b"], [], 3, ["0a", "1b"], id="no more than there are"),
        pytest.param(["0a"], ["0b", "1a", "2a"], 1, ["0b"], id="the second machine of a slot before all"),
        pytest.param(["9a", "0a", "1b"], [], 1, ["0a"], id="one that cannot leave stays, and counts"),
    ],
)
def test_FM49_fewer_machines_stay_spread(never: list[str], available: list[str], count: int, expected: list[str]) -> None:
    """Were those that boot first, whatever their domain, it would lose them all; slot 9 cannot leave, `0b` is a second one."""
    gone: list[str] = []

    def lets_go(one: Machine) -> bool:
        if one.vm.slot != 9:
            gone.append(one.name[1:])
        return one.vm.slot != 9

    classes = [[placed(int(name[0]), name[1]) for name in names] for names in (never, available)]
    have = Counter(name[1] for name in never + available)
    order.fewer([(members, lets_go) for members in classes], have, {"m0b"}, count)
    assert gone == expected


def test_available_surplus_leaves_where_most_stay() -> None:
    """Also when some of those that stay are not among the candidates: a has two that boot."""
    found = order.in_order([placed(0, "a"), placed(1, "b"), placed(2, "b")], {}, set(), "", doubles=set(), have=Counter("aaabb"))
    assert [machine.name for machine in found] == ["m0a", "m2b", "m1b"]


def test_budgets_in_use_are_those_of_pods_still_to_leave() -> None:
    """Of machines that are going."""
    assert order.budgets_in_use([machine("m1", pods=slow(30, CART)), machine("m2")]) == {CART}


def placed(slot: int | None, domain: str = "") -> Machine:
    return machine(f"m{slot}{domain}", slot=slot, failure_domain=domain)


@pytest.mark.parametrize(
    ("domains", "staying", "leaving", "flying", "expected"),
    [
        pytest.param((), [], [], (), [(0, ""), (1, ""), (2, "")], id="no domains: the cloud places"),
        pytest.param((), [placed(0), placed(2)], [], (), [(1, ""), (3, ""), (4, "")], id="the lowest free slot"),
        pytest.param((), [placed(None)], [], (), [(0, ""), (1, ""), (2, "")], id="a machine without a slot takes none"),
        pytest.param((), [placed(0)], [], (creating(slot=1),), [(2, ""), (3, ""), (4, "")], id="a create in flight has its slot"),
        pytest.param(("a", "b", "c"), [], [], (), [(0, "a"), (1, "b"), (2, "c")], id="one each, in the order declared"),
        pytest.param(("a", "b"), [placed(0, "a"), placed(1, "a")], [], (), [(2, "b"), (3, "b"), (4, "a")], id="the emptiest domain first"),
        pytest.param(
            ("a", "b"),
            [placed(0, "a")],
            [],
            (creating(slot=1, domain="b"),),
            [(2, "a"), (3, "b"), (4, "a")],
            id="a create in flight counts",
        ),
        pytest.param(
            ("a", "b"), [], [placed(7, "b")], (), [(0, "b"), (1, "a"), (2, "b")], id="ties go where a machine waits to be replaced"
        ),
        pytest.param(("a",), [placed(0, "elsewhere")], [], (), [(1, "a"), (2, "a"), (3, "a")], id="a domain that is declared no more"),
    ],
)
def test_where_the_next_machines_go(
    domains: tuple[str, ...], staying: list[Machine], leaving: list[Machine], flying: Any, expected: list[tuple[int, str]]
) -> None:
    """Skew of at most 1 between domains, and slots that stay 0..replicas-1."""
    places = Places(domains, staying, leaving, flying, {})
    assert [places.take()[:2], places.take()[:2], places.take()[:2]] == expected
