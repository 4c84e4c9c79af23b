# SPDX-License-Identifier: GPL-3.0-or-later
"""What the calendar, age, order, gates and hooks make of a turn."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import BEFORE_DELETE, BEFORE_DRAIN, Gate, GateLook
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import OLDEST, ON_DELETE, Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.schedule import ReplacementBudget, Window
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Asked, Protection, Steering
from ansible_collections.immutable.fleet.tests.unit.builders import (
    BOOTING,
    GOING,
    NEW,
    NOW,
    OLD,
    ago,
    blocked,
    later,
    machine,
    pod,
    pool,
    said,
    snapshot,
)

OPEN = Window(cron="0 4 * * *", duration=timedelta(hours=1), timezone="UTC", intervals=((ago(600), later(3000)),))
SHUT = Window(cron="0 5 * * *", duration=timedelta(hours=1), timezone="UTC", intervals=((later(3000), later(6600)),))
GATE = Gate(url="https://checks.example.org/web")
ROLLING = [machine(f"m{number}", OLD, slot=number) for number in range(4)]


def decide(machines: list[Machine], wanted: Pool, **facts: Any) -> Decision:
    """The first decision about them."""
    world = snapshot(*machines, **facts)
    return Rollout(wanted).decide(world, world.at)


def test_outside_of_its_windows_nothing_begins_and_that_is_no_failure() -> None:
    """The run ends and says when the next one may go on; the next run in the window does."""
    decision = decide(ROLLING, pool(4, windows=(SHUT,)))
    assert (said(decision), decision.finished, decision.failure) == ([], True, None)
    assert decision.pending == "outside of strategy.windows; the next opens at 2026-11-21T05:00:07Z: 4 machines are not as asked for"
    assert said(decide(ROLLING, pool(4, windows=(OPEN,)))) == ["create slot 0: 4 exist < ceiling 5"]


def test_a_window_that_closes_cuts_nothing_off() -> None:
    """What is going goes on, what boots is waited for."""
    going = decide([machine("m9", OLD, GOING, pods=()), *ROLLING], pool(4, windows=(SHUT,)))
    assert (said(going)[0].split(":")[0], going.finished) == ("look m9", False)
    booting = decide([*ROLLING, machine("n0", NEW, BOOTING, slot=9)], pool(4, windows=(SHUT,)))
    assert (said(booting), booting.finished) == ([], False)


@pytest.mark.parametrize(
    ("count", "machines", "expected"),
    [
        pytest.param(1, ROLLING, ["create slot 0: 4 exist < ceiling 5"], id="one at a time surges, though three may"),
        pytest.param(
            1,
            [*ROLLING, machine("n0", NEW, slot=9), machine("n1", NEW, slot=8)],
            ["choose m0: outdated; 6 available > floor 4"],
            id="one at a time leaves",
        ),
        pytest.param(0, ROLLING, [], id="none"),
    ],
)
def test_a_budget_of_the_calendar(count: int, machines: list[Machine], expected: list[str]) -> None:
    """How many may be in replacement at once; 0 is a closed window."""
    assert said(decide(machines, pool(4, 3, budgets=(ReplacementBudget(count=count, window=None),)))) == expected


def test_a_machine_that_is_too_old_is_replaced() -> None:
    """With surge; a tenth of the pool at a time, at least one."""
    old = [machine(f"m{number}", NEW, slot=number, created_at=ago(40 * 86400)) for number in range(4)]
    assert said(decide(old, pool(4, 2, max_age=timedelta(days=30))))[0].startswith("create slot ")
    assert len(said(decide(old, pool(4, 2, max_age=timedelta(days=30))))) == 2  # one machine, and its taint
    assert decide(old, pool(4, 2, max_age=timedelta(days=90))).finished


def test_the_order_asked_for() -> None:
    """And what Cluster API's annotation names goes before it."""
    machines = [machine(f"m{number}", OLD, slot=number, created_at=ago(1000 * (number + 1))) for number in range(3)]
    assert said(decide(machines, pool(3, 0, 1, order=OLDEST)))[0].startswith("choose m2")
    first = machine("m0", OLD, annotations={marks.DELETE_FIRST: ""}, created_at=ago(10))
    assert said(decide([first, *machines[1:]], pool(3, 0, 1, order=OLDEST)))[0].startswith("choose m0")


def test_a_protection_that_outlasts_the_run_ends_it_well() -> None:
    """An operator wanted it: no failure, and no waiting for a day."""
    ana = Asked("ana@laptop", ago(5))
    steering = Steering(protect={"m0": Protection(later(86400), ana)})
    machines = [machine("m0", OLD, slot=0), machine("n1", NEW, slot=1)]
    decision = decide(machines, pool(1), steering=steering)
    assert (decision.finished, decision.failure) == (True, None)
    assert decision.pending.startswith("machine m0: protected until 2026-11-22")


# Gates and hooks ----------------------------------------------------------------------------------------------------------
CANARY = {"steps": (1,), "gate": GATE}
STEPPED = [machine("n0", NEW, slot=0), *ROLLING[1:]]


def gate_look(*, passed: bool) -> GateLook:
    return GateLook(at=NOW, passed=passed, what="503 Service Unavailable", since=ago(30))


def test_a_gate_is_asked_between_steps() -> None:
    """Once the step has soaked; a no is told and asked again later, a yes goes on record."""
    assert said(decide(STEPPED, pool(4, **CANARY))) == ["ask 1: step 1 of 2 has soaked"]
    no = decide(STEPPED, pool(4, **CANARY), gates={("1", ""): gate_look(passed=False)})
    assert (said(no), no.wake_at) == ([], later(10))
    assert blocked(no) == ["step : step 1 of 2: its gate does not pass: 503 Service Unavailable"]
    yes = decide(STEPPED, pool(4, **CANARY), gates={("1", ""): gate_look(passed=True)})
    assert yes.record == PoolRecord(climbing=NEW, passed=1)


def test_a_hook_before_drain_is_asked_first() -> None:
    """No pod is asked to leave before it passes."""
    subject = machine("m0", OLD, GOING, pods=(pod("cart-1"),))
    wanted = pool(4, before_drain=GATE)
    assert said(decide([subject, *ROLLING[1:]], wanted))[0] == "ask m0: before drain"
    passed = {(BEFORE_DRAIN, "m0"): gate_look(passed=True)}
    assert said(decide([subject, *ROLLING[1:]], wanted, gates=passed))[0].startswith("evict ")


def test_a_hook_before_delete_is_asked_once_the_node_is_empty() -> None:
    """And before the direct look, so that the look is fresh when the VM goes."""
    subject = machine("m0", OLD, GOING, pods=())
    wanted = pool(4, before_delete=GATE)
    assert said(decide([subject, *ROLLING[1:]], wanted))[0] == "ask m0: before delete"
    passed = {(BEFORE_DELETE, "m0"): gate_look(passed=True)}
    assert said(decide([subject, *ROLLING[1:]], wanted, gates=passed))[0].startswith("look m0")


def test_a_hook_annotation_is_waited_for_as_a_fact() -> None:
    """Cluster API's meaning: whoever put it there takes it away."""
    held = machine("m0", OLD, GOING, pods=(pod("cart-1"),), annotations={f"{marks.PRE_DRAIN_HOOK}/backup": "backup-operator"})
    decision = decide([held, *ROLLING[1:]], pool(4))
    assert [line for line in said(decision) if "m0" in line or line.startswith("evict")] == []
    assert any(line.startswith("hook machine m0: before drain: ") for line in blocked(decision))


# on_delete ----------------------------------------------------------------------------------------------------------------
def test_on_delete_leaves_outdated_machines_as_they_are() -> None:
    """Missing ones are made from the new image; the run says what it left, and that is no failure."""
    wanted = pool(4, type=ON_DELETE)
    left = decide([machine(f"m{number}", OLD, slot=number, taints=()) for number in range(4)], wanted)
    assert (said(left), left.finished, left.failure) == ([], True, None)
    assert left.pending.startswith("4 machines of another revision, and strategy.type is on_delete; delete the VM, or ask")
    assert said(decide(ROLLING[:3], wanted))[0] == "create slot 3: 3 exist < ceiling 5"


def test_on_delete_replaces_what_somebody_asks_for() -> None:
    """By node_pool_control, or by Cluster API's annotation."""
    asked = Steering(replace={"m1": Asked("ana@laptop", ago(5))})
    assert said(decide(ROLLING, pool(4, type=ON_DELETE), steering=asked))[0] == "create slot 1: 4 exist < ceiling 5"
    marked = [machine("m0", OLD, slot=0, annotations={marks.DELETE_FIRST: ""}), *ROLLING[1:]]
    assert said(decide(marked, pool(4, type=ON_DELETE)))[0] == "create slot 0: 4 exist < ceiling 5"
