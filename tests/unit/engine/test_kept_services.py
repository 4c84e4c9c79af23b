# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of services is laid on machines anew only when something else is known: decisions are kept by that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.engine.services import Services
from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import DRAINING, Member
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.ports import MemberListing
from ansible_collections.immutable.fleet.tests.unit.builders import ago, later, vm

MACHINE = Machine(name="m1", vm=vm("m1", addresses=("10.0.0.1",)))
MEMBER = Member(id="7", name="m1", address="10.0.0.1", port=80, sessions=3, is_ours=True)


def listing(seconds: float, **more: Any) -> MemberListing:
    return MemberListing(as_of=later(seconds), members=(replace(MEMBER, **more),))


def dressed(services: Services, record: PoolRecord, changing: set[str]) -> Mapping[str, Machine]:
    return services.dress({"m1": MACHINE}, {"vm-m1": MACHINE.vm}, record, changing, later(60))


def two_turns(then: MemberListing, record: PoolRecord, changing: set[str]) -> tuple[Mapping[str, Machine], Mapping[str, Machine]]:
    services = Services(has_balancer=True, began_at=ago(60))
    services.take_listing(listing(0))
    before = dressed(services, PoolRecord(), set())
    services.take_listing(then)
    return before, dressed(services, record, changing)


def test_sessions_of_a_machine_that_serves_are_no_news() -> None:
    """They change all the time."""
    before, after = two_turns(listing(5, sessions=9), PoolRecord(), set())
    assert after is before


@pytest.mark.parametrize(
    ("then", "record", "changing"),
    [
        pytest.param(listing(5, state=DRAINING), PoolRecord(), set(), id="its member drains"),
        pytest.param(listing(5, healthy=False), PoolRecord(), set(), id="the balancer finds it ill"),
        pytest.param(MemberListing(as_of=later(5), members=()), PoolRecord(), set(), id="its member is gone"),
        pytest.param(listing(5), PoolRecord(leaving={"m1": Note(ago(1), "outdated")}), set(), id="it is marked"),
        pytest.param(listing(5), PoolRecord(), {"m1"}, id="a call about its member is under way"),
    ],
)
def test_a_machine_is_another_one_when(then: MemberListing, record: PoolRecord, changing: set[str]) -> None:
    """Whatever a decision may rest on."""
    before, after = two_turns(then, record, changing)
    assert after["m1"] != before["m1"]


def test_sessions_that_are_waited_for_are_told() -> None:
    """The last one of a machine that leaves is what lets it go."""
    services = Services(has_balancer=True, began_at=ago(60))
    for seconds, sessions in ((0, 3), (5, 0)):
        services.take_listing(listing(seconds, state=DRAINING, sessions=sessions))
        found = dressed(services, PoolRecord(), set())["m1"].service
        assert found is not None
        assert found.is_drained is (sessions == 0)


@pytest.mark.parametrize("minutes", [-10, 0, 10])
def test_FM40_a_mark_of_a_controller_with_another_clock_is_a_mark(minutes: int) -> None:
    """It is the server's instant. A mark that seemed older than its machine would make its drain look like a person's."""
    ahead, services = timedelta(minutes=minutes), Services(has_balancer=True, began_at=ago(60))
    services.take_listing(listing(0, state=DRAINING))
    made = replace(MACHINE, vm=replace(MACHINE.vm, created_at=ago(90) + ahead))  # in our clock, as all that adapters bring
    marked = PoolRecord(leaving={"m1": Note(ago(60), "outdated")})
    found = services.dress({"m1": made}, {"vm-m1": made.vm}, marked, set(), later(60), ahead)["m1"].service
    assert found is not None
    assert (found.chosen, found.is_held) == (Note(ago(60) + ahead, "outdated"), False)
