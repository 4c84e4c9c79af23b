# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategy `recreate`: which places are put on record, and when they may be filled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import RECREATE, limits_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Creating
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Asked, Steering
from ansible_collections.immutable.fleet.tests.unit.builders import (
    AVAILABLE,
    FAILED,
    NEW,
    OLD,
    QUARANTINED,
    ago,
    machine,
    node,
    pool,
    said,
    snapshot,
)


def fleet(*rows: tuple[str, str]) -> list[Machine]:
    """Machines of these revisions and kinds, named as the pool names them, in slots 0, 1, ..."""
    return [machine(f"web-{slot}-aaaaa", revision, kind, slot=slot, failure_domain="az2") for slot, (revision, kind) in enumerate(rows)]


def decide(
    machines: list[Machine], replicas: int = 3, vacated: dict[str, str] | None = None, domains: tuple[str, ...] = (), **facts: Any
) -> Decision:
    """The first decision about them."""
    world = snapshot(*machines, record=PoolRecord(vacated=vacated or {}), **facts)
    return Rollout(replace(pool(replicas, surge=2, type=RECREATE), failure_domains=domains)).decide(world, world.at)


def test_surge_does_not_count() -> None:
    """What would be made first has the name of what is still there."""
    limits = limits_of(pool(3, surge=2, type=RECREATE))
    assert (limits.ceiling, limits.floor) == (3, 2)


NEVER_JOINED = fleet((NEW, AVAILABLE), (NEW, AVAILABLE), (OLD, FAILED))


@pytest.mark.parametrize(
    ("machines", "replicas", "vacated", "does", "record"),
    [
        pytest.param(NEVER_JOINED, 3, {}, [], {"web-2-aaaaa": "az2"}, id="its place first"),
        pytest.param(NEVER_JOINED, 3, {"web-2-aaaaa": "az2"}, ["delete web-2-aaaaa"], None, id="then the delete"),
        pytest.param(NEVER_JOINED, 2, {}, ["delete web-2-aaaaa"], None, id="surplus leaves no place"),
        pytest.param(
            NEVER_JOINED,
            3,
            {"web-1-aaaaa": "az2"},
            [],
            {"web-2-aaaaa": "az2"},
            id="a place that was filled again is forgotten by the way",
        ),
    ],
)
def test_a_place_is_on_record_before_its_machine_goes(
    machines: list[Machine], replicas: int, vacated: dict[str, str], does: list[str], record: dict[str, str] | None
) -> None:
    """A run that is killed in between finds the machine, or its place."""
    decision = decide(machines, replicas, vacated)
    assert [line.split(":")[0] for line in said(decision)] == does
    assert (decision.record.vacated if decision.record is not None else None) == record


def test_of_places_too_many_those_are_kept_that_leave_the_pool_spread() -> None:
    """Two leave and one comes back: not where most stay, whichever was first."""
    rows = [("a", NEW, AVAILABLE), ("b", NEW, AVAILABLE), ("b", NEW, AVAILABLE), ("a", OLD, FAILED), ("c", OLD, FAILED)]
    machines = [
        machine(f"web-{slot}-aaaaa", made, kind, slot=slot, failure_domain=domain) for slot, (domain, made, kind) in enumerate(rows)
    ]
    decision = decide(machines, 4)
    assert [line.split(":")[0] for line in said(decision)] == ["delete web-3-aaaaa"]
    assert decision.record is not None
    assert decision.record.vacated == {"web-4-aaaaa": "c"}


@pytest.mark.parametrize(
    ("others", "replicas", "does", "places"),
    [
        pytest.param("aab", 4, ["delete web-3-aaaaa"], None, id="two are left there, one elsewhere: the next one is made elsewhere"),
        pytest.param("abb", 4, [], {"web-3-aaaaa": "a"}, id="one is left there, two elsewhere"),
        pytest.param("aabb", 5, [], {"web-4-aaaaa": "a"}, id="as many there as elsewhere"),
        pytest.param("aab", 5, [], {"web-3-aaaaa": "a"}, id="one more is to be made, which goes elsewhere"),
    ],
)
def test_a_place_is_kept_only_where_the_pool_stays_spread(
    others: str, replicas: int, does: list[str], places: dict[str, str] | None
) -> None:
    """A machine of b was lost while the pool shrank: who comes back to a would leave b one short for good."""
    machines = [machine(f"web-{slot}-aaaaa", NEW, AVAILABLE, slot=slot, failure_domain=domain) for slot, domain in enumerate(others)]
    last = len(others)
    machines.append(machine(f"web-{last}-aaaaa", OLD, FAILED, slot=last, failure_domain="a"))
    decision = decide(machines, replicas, domains=("a", "b"))
    assert [line.split(":")[0] for line in said(decision) if line.startswith("delete")] == does
    assert (decision.record.vacated if decision.record is not None else None) == places


def test_a_place_that_is_just_being_filled_is_not_filled_twice() -> None:
    """One is being made again, and another one leaves: that one comes back as well."""
    creating = (Creating(name="web-1-aaaaa", slot=1, failure_domain="az2", sent_at=ago(1)),)
    machines = [machine for machine in NEVER_JOINED if machine.name != "web-1-aaaaa"]
    decision = decide(machines, vacated={"web-1-aaaaa": "az2"}, creating=creating)
    assert decision.record is not None
    assert decision.record.vacated == {"web-1-aaaaa": "az2", "web-2-aaaaa": "az2"}


TWO = fleet((NEW, AVAILABLE), (NEW, AVAILABLE))


@pytest.mark.parametrize(
    ("machines", "vacated", "nodes", "made"),
    [
        pytest.param(TWO, {"web-2-aaaaa": "az2"}, (), ("web-2-aaaaa", 2, "az2"), id="the same again"),
        pytest.param(TWO, {}, (), ("", 2, ""), id="a new machine has a new name"),
        pytest.param(TWO, {"web-2-aaaaa": "az2"}, ("web-2-aaaaa",), None, id="its node is still there"),
        pytest.param(TWO, {"web-2-aaaaa": "az2"}, ("web-2-aaaaa.example.com",), None, id="under a longer name"),
        pytest.param(TWO, {"web-1-zzzzz": "az2"}, (), ("", 2, ""), id="another machine has the slot by now"),
        pytest.param(
            [*TWO, machine("web-2-aaaaa", OLD, QUARANTINED, slot=2)],
            {"web-2-aaaaa": "az2"},
            (),
            ("", 2, ""),
            id="it was set aside: its successor has another name",
        ),
    ],
)
def test_a_place_is_filled_when_nothing_has_the_name(
    machines: list[Machine], vacated: dict[str, str], nodes: tuple[str, ...], made: tuple[str, int, str] | None
) -> None:
    """A reused name would inherit the old Node's cordon."""
    decision = decide(machines, vacated=vacated, nodes={name: node(name) for name in nodes})
    creates = [(action.name, action.slot, action.failure_domain) for action in decision.actions if hasattr(action, "slot")]
    assert creates == ([made] if made is not None else [])


@pytest.mark.parametrize(("seconds_ago", "goes"), [(60, True), (7200, False)])
def test_a_wish_to_replace_is_about_the_machine_that_had_the_name_then(seconds_ago: float, goes: bool) -> None:
    """The machine is an hour old; a wish from before was about its predecessor."""
    steering = Steering(replace={"web-0-aaaaa": Asked("ana@laptop", ago(seconds_ago))})
    decision = decide(fleet((NEW, AVAILABLE), (NEW, AVAILABLE), (NEW, AVAILABLE)), steering=steering)
    assert bool(said(decision)) is goes
