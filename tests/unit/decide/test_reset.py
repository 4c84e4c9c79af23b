# SPDX-License-Identifier: GPL-3.0-or-later
"""`health.reboot`: an unhealthy machine is reset once before it is replaced."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import BOOTING, NOT_READY
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import Backend
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.health import DEFAULT_CHECKS, ConditionCheck, HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import Health, ServiceProbe
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.remedies import Remedies, Remedy, load_remedies
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Asked, Protection, Steering
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import STOPPED
from ansible_collections.immutable.fleet.tests.unit.builders import HELD, NEW, NOW, ago, blocked, later, machine, pool, said, snapshot
from ansible_collections.immutable.fleet.tests.unit.decide.test_members import plain

LOCKED_UP = {"conditions": {"KernelDeadlock": ("True", ago(900))}}
CHECKS = (*DEFAULT_CHECKS, ConditionCheck("KernelDeadlock", "True", timedelta(minutes=2)))
POLICY = HealthPolicy(reboot=timedelta(minutes=10), conditions=CHECKS)
ILL = Health(healthy=False, since=ago(5000), what="refused")
PROTECTED = Steering(protect={"m0": Protection(later(3600), Asked("ops", ago(1)))})
RESET = "reboot m0: unhealthy: Ready is Unknown: reset before it is replaced"


def silent(seconds: float = 400, name: str = "m0", **more: Any) -> Machine:
    return machine(name, NEW, NOT_READY, slot=int(name[1:]), ready=None, ready_since=ago(seconds), **more)


def others(count: int = 20) -> list[Machine]:
    return [machine(f"m{number}", slot=number) for number in range(1, count)]


def run(**more: Any) -> Rollout:
    return Rollout(pool(20, health=POLICY, **more))


def turn(rollout: Rollout, *subjects: Machine, known: Remedies | None = None, **more: Any) -> Decision:
    record = PoolRecord(health=(known or Remedies()).dump())
    return rollout.decide(snapshot(*subjects, record=record, **more), NOW)


def health_of(decision: Decision) -> Remedies:
    return load_remedies(decision.record.health) if decision.record is not None else Remedies()


def reset(seconds_ago: float, name: str = "m0") -> Remedies:
    return Remedies(resets={name: ago(seconds_ago)})


def test_it_is_on_record_first_and_reset_once() -> None:
    """By the run that noted it, in the turn that finds it there."""
    rollout, subjects = run(), (silent(), *others())
    first = turn(rollout, *subjects)
    assert (said(first), health_of(first)) == ([], Remedies(resets={"m0": NOW}))
    second = turn(rollout, *subjects, known=health_of(first))
    assert (said(second), second.record) == ([RESET], None)
    third = turn(rollout, *subjects, known=health_of(first), reset=frozenset({"m0"}))
    assert (said(third), third.wake_at) == ([], later(600))
    assert blocked(third) == ["remediation machine m0: Ready is Unknown: reset, and replaced if that does not help within 10m"]


def test_FM41_a_run_that_finds_it_on_record_does_not_reset_it_again() -> None:
    """Whether the one before did is not known: it is replaced when the time is over."""
    found = turn(run(), silent(), *others(), known=reset(60))
    assert (said(found), found.record, found.wake_at) == ([], None, later(540))


@pytest.mark.parametrize(
    ("subject", "rest", "more"),
    [
        pytest.param(machine("m0", slot=0, **LOCKED_UP), others(), {}, id="its kubelet reports again: pods may serve"),
        pytest.param(silent(status=STOPPED), others(), {}, id="its VM is off"),
        pytest.param(silent(schedulable=False), others(), {}, id="FM10: a person cordoned it"),
        pytest.param(silent(), others(), {"steering": PROTECTED}, id="an operator protects it"),
        pytest.param(silent(), [silent(name=f"m{number}") for number in range(1, 20)], {}, id="FM17: the gate is shut"),
        pytest.param(
            silent(failure_domain="a"),
            [silent(name="m1", failure_domain="a"), silent(name="m2"), *others()[2:]],
            {},
            id="FM17: that of its failure domain is shut",
        ),
    ],
)
def test_what_changed_since_it_was_noted_holds_the_reset_back(subject: Machine, rest: list[Machine], more: dict[str, Any]) -> None:
    """The record takes a moment, and a reset that the cloud refused is sent again."""
    rollout = run()
    first = turn(rollout, silent(), *others())
    assert [line for line in said(turn(rollout, subject, *rest, known=health_of(first), **more)) if line.startswith("reboot")] == []


@pytest.mark.parametrize(
    ("subject", "known", "resets", "replaced"),
    [
        pytest.param(silent(), Remedies(), True, False, id="silent"),
        pytest.param(machine("m0", NEW, NOT_READY, slot=0, ready=False, ready_since=ago(400)), Remedies(), True, False, id="not ready"),
        pytest.param(
            machine("m0", kind=BOOTING, slot=0, created_at=ago(86_400)),
            Remedies(first_seen={"m0": {"Node": ago(400)}}),
            True,
            False,
            id="its Node is missing",
        ),
        pytest.param(silent(), reset(599), False, False, id="reset, and its time is not over"),
        pytest.param(silent(), reset(600), False, True, id="reset, and that did not help"),
        pytest.param(silent(), reset(7201), True, False, id="reset long ago: that had helped"),
        pytest.param(silent(20, status=STOPPED), Remedies(), False, True, id="proven dead"),
        pytest.param(silent(20, status=STOPPED), reset(60), False, True, id="off since the reset"),
        pytest.param(machine("m0", slot=0, **LOCKED_UP), Remedies(), False, True, id="it serves: it is drained"),
        pytest.param(machine("m0", slot=0, health=ILL), Remedies(), False, True, id="its kubelet reports: pods may serve"),
        pytest.param(silent(), Remedies(slots={"0": Remedy("m0", ago(5))}), False, False, id="it goes already"),
        pytest.param(machine("m0", NEW, HELD, slot=0, ready=None, ready_since=ago(400)), Remedies(), False, False, id="FM10: a person's"),
    ],
)
def test_who_is_reset_and_who_is_replaced(subject: Machine, known: Remedies, resets: bool, replaced: bool) -> None:
    """What speaks against a reset speaks for replacing at once."""
    found = health_of(turn(run(), subject, *others(), known=known))
    assert ("m0" in found.resets and known.resets != found.resets, "0" in found.slots and not known.slots) == (resets, replaced)


def test_a_plain_machine_is_reset_too() -> None:
    """It serves nobody."""
    subject = replace(plain("m0", of_vm={"slot": 0}, ready=False, is_well=False), health=ILL)
    well = [plain(f"m{number}", of_vm={"slot": number}) for number in range(1, 20)]
    rollout = run(probes=(ServiceProbe(kind="tcp", port=80),))
    first = turn(rollout, subject, *well, backend=Backend(as_of=NOW))
    assert health_of(first).resets == {"m0": NOW}
    second = turn(rollout, subject, *well, known=health_of(first), backend=Backend(as_of=NOW))
    assert said(second) == ["reboot m0: unhealthy: its probes fail: refused: reset before it is replaced"]


@pytest.mark.parametrize(
    ("first", "admitted"),
    [
        pytest.param(silent(), {}, id="until it is well, or replaced"),
        pytest.param(machine("m0", NEW, NOT_READY, slot=0, ready=False, ready_since=ago(5)), {}, id="it comes up just now"),
        pytest.param(machine("m0", slot=0), {"m3": NOW}, id="it is well: the next one's turn"),
    ],
)
def test_a_reset_is_under_way_like_a_replacement(first: Machine, admitted: dict[str, Any]) -> None:
    """Never more than the rate."""
    rest = [one for one in others() if one.name != "m3"]
    found = health_of(turn(run(), first, silent(name="m3"), *rest, known=reset(60)))
    assert {name: at for name, at in found.resets.items() if name != "m0"} == admitted


def test_what_is_over_is_forgotten() -> None:
    """A machine that is gone, and a reset that helped."""
    known = Remedies(resets={"m1": ago(7201), "gone": ago(60), "m2": ago(60)})
    assert health_of(turn(run(), silent(), *others(), known=known)).resets == {"m0": NOW, "m2": ago(60)}


@pytest.mark.parametrize(("hours", "seconds_ago"), [(3, 3 * 3600), (2, 2 * 3600 + 60)])
def test_a_reset_that_has_hours_to_help_is_followed_by_a_replacement(hours: int, seconds_ago: int) -> None:
    """Also after the two hours in which no second one follows: it would be reset for ever."""
    policy = HealthPolicy(reboot=timedelta(hours=hours))
    found = health_of(turn(Rollout(pool(20, health=policy)), silent(seconds_ago), *others(), known=reset(seconds_ago)))
    assert (list(found.slots), found.resets) == (["0"], {"m0": ago(seconds_ago)})


def test_the_gate_holds_for_resets_too() -> None:
    """FM17: what they have in common is no matter of one machine."""
    subjects = [silent(name=f"m{number}") if number < 12 else machine(f"m{number}", slot=number) for number in range(20)]
    found = turn(run(), *subjects)
    assert (health_of(found).resets, said(found)) == ({}, [])


def test_without_the_option_it_is_replaced() -> None:
    """As ever."""
    found = turn(Rollout(pool(20, health=HealthPolicy())), silent(), *others())
    assert health_of(found) == Remedies(slots={"0": Remedy("m0", NOW)})
