# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machine goes next, and where the next one is made."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide import order
from ansible_collections.immutable.fleet.plugins.module_utils.decide.placement import Places
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.tests.unit.builders import OLD, budget, creating, machine, pod

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
    places = Places(domains, staying, leaving, flying)
    assert [places.take(), places.take(), places.take()] == expected
