# SPDX-License-Identifier: GPL-3.0-or-later
"""A pass of health checks: heals as a rollout does, rolls nothing, and ends when nothing is left that it may do."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import AVAILABLE, BOOTING, FAILED, NOT_READY
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.health import HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.remedies import Remedies, Remedy, Storm
from ansible_collections.immutable.fleet.tests.unit.builders import HELD, NEW, OLD, ago, later, machine, pool, said, snapshot

SICK: dict[str, Any] = {"ready": None, "ready_since": ago(400)}
NOTED = Remedies(slots={"0": Remedy("m0", ago(1))})


def passed(*subjects: Machine, record: Remedies | None = None) -> Decision:
    """One turn of a pass over a pool of three."""
    known = PoolRecord(health=(record or Remedies()).dump())
    return Rollout(pool(3, health=HealthPolicy()), only_heals=True).decide(snapshot(*subjects, record=known), snapshot().at)


def three(first: Machine, revision: str = NEW) -> list[Machine]:
    return [first, *(machine(f"m{number}", revision, slot=number) for number in (1, 2))]


@pytest.mark.parametrize(
    ("subjects", "record", "expected"),
    [
        pytest.param(three(machine("m0", OLD, AVAILABLE, slot=0), OLD), None, [], id="outdated ones stay"),
        pytest.param(
            three(machine("m0", OLD, NOT_READY, slot=0, **SICK), OLD),
            NOTED,
            ["choose m0: unhealthy: Ready is Unknown for 6m40s; 0 going < 1", "create slot 0: 3 exist < ceiling 4"],
            id="an unhealthy one goes, outdated or not",
        ),
        pytest.param(three(machine("m1", slot=1))[1:], None, ["create slot 0: 2 exist < ceiling 4"], id="a missing one is made"),
        pytest.param(
            three(machine("m0", kind=FAILED, slot=0)),
            None,
            ["delete m0: failed and never joined: No valid host was found.", "create slot 0: 3 exist < ceiling 4"],
            id="one that was never built goes",
        ),
    ],
)
def test_a_pass_heals_and_rolls_nothing(subjects: list[Machine], record: Remedies | None, expected: list[str]) -> None:
    """What a rollout under a brake does, but for the reasons that it tells."""
    found = passed(*subjects, record=record)
    assert (said(found), [blocker.code for blocker in found.blockers]) == (expected, [])


@pytest.mark.parametrize(
    ("subjects", "record", "failure", "pending"),
    [
        pytest.param(three(machine("m0", slot=0)), None, "", "", id="all well"),
        pytest.param(three(machine("m0", OLD, slot=0), OLD), None, "", "", id="outdated is no matter of health"),
        pytest.param(
            three(machine("m0", kind=NOT_READY, slot=0, ready_since=ago(100))),
            None,
            "",
            "machine m0: Ready is Unknown: unhealthy after 5m",
            id="not for long enough: another pass's",
        ),
        pytest.param(three(machine("m0", kind=BOOTING, slot=0, created_at=ago(100))), None, "", "", id="it boots since before this pass"),
        pytest.param(
            three(machine("m0", kind=HELD, slot=0)),
            None,
            "",
            "machine m0: cordoned by somebody else: left alone (drain.include_cordoned takes it along)",
            id="FM10: a person works on it",
        ),
        pytest.param(
            [machine(f"m{number}", kind=NOT_READY, slot=number, **SICK) for number in range(3)],
            Remedies(storm=Storm(ago(5))),
            "blocked (everything else is healed): 3 of 3 machines are not well (100%), max_unhealthy 34% allows 1: "
            "none of them is replaced for it (pool web)",
            "",
            id="FM17: a storm",
        ),
    ],
)
def test_a_pass_ends_and_says_what_it_leaves(subjects: list[Machine], record: Remedies | None, failure: str, pending: str) -> None:
    """It fails only where somebody has to act; what waits for its time is pending."""
    found = passed(*subjects, record=record)
    assert (found.finished, str(found.failure or ""), found.pending, said(found)) == (True, failure, pending, [])


def test_a_pass_waits_for_what_it_has_begun() -> None:
    """A machine that it made is ready before it ends."""
    made = machine("m0", kind=BOOTING, slot=0, created_at=later(-10))
    assert not passed(*three(made)).finished
