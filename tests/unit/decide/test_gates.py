# SPDX-License-Identifier: GPL-3.0-or-later
"""When a gate is asked, and what holds a machine before its drain and before its delete."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.gates import (
    FREE,
    Passage,
    look_after,
    passage,
    passage_of_machine,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import BEFORE_DELETE, BEFORE_DRAIN, Gate, GateLook
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, ago, later, node

GATE = Gate(command=("check",))
DRAIN_HOOK = "pre-drain.delete.hook.machine.cluster.x-k8s.io/move-vips"
DELETE_HOOK = "pre-terminate.delete.hook.machine.cluster.x-k8s.io/wipe"


def no(seconds_ago: float, tries: int = 1) -> GateLook:
    """The last answer was no."""
    return GateLook(at=ago(seconds_ago), passed=False, what="3 of 5 ready", since=ago(600), tries=tries)


YES = GateLook(at=ago(300), passed=True, what="", since=ago(600))


@pytest.mark.parametrize(
    ("gate", "look", "expected"),
    [
        pytest.param(None, None, FREE, id="no gate"),
        pytest.param(GATE, YES, FREE, id="it has passed: not asked again"),
        pytest.param(GATE, None, Passage(is_free=False, ask=True, what="not asked yet"), id="never asked"),
        pytest.param(GATE, no(4), Passage(is_free=False, ask_at=later(6), what="3 of 5 ready"), id="10 s after the first no"),
        pytest.param(GATE, no(10), Passage(is_free=False, ask=True, what="3 of 5 ready"), id="and then at once"),
        pytest.param(GATE, no(10, 2), Passage(is_free=False, ask_at=later(10), what="3 of 5 ready"), id="20 s after the second"),
        pytest.param(GATE, no(10, 3), Passage(is_free=False, ask_at=later(30), what="3 of 5 ready"), id="40 s after the third"),
        pytest.param(GATE, no(10, 4), Passage(is_free=False, ask_at=later(50), what="3 of 5 ready"), id="at most 60 s"),
        pytest.param(GATE, no(10, 5000), Passage(is_free=False, ask_at=later(50), what="3 of 5 ready"), id="for days"),
    ],
)
def test_when_a_gate_is_asked(gate: Gate | None, look: GateLook | None, expected: Passage) -> None:
    """Until it passes, with growing patience."""
    assert passage(gate, look, NOW) == expected


@pytest.mark.parametrize(
    ("annotations", "step", "gate", "look", "expected"),
    [
        pytest.param({}, BEFORE_DRAIN, None, None, FREE, id="neither gate nor annotation"),
        pytest.param({DELETE_HOOK: "wiper"}, BEFORE_DRAIN, None, None, FREE, id="the other step's annotation"),
        pytest.param(
            {DRAIN_HOOK: "vip-operator"},
            BEFORE_DRAIN,
            None,
            None,
            Passage(is_free=False, what=f"{DRAIN_HOOK} (vip-operator) still on the node"),
            id="an annotation before the drain",
        ),
        pytest.param(
            {DELETE_HOOK: ""},
            BEFORE_DELETE,
            None,
            None,
            Passage(is_free=False, what=f"{DELETE_HOOK} still on the node"),
            id="an annotation before the delete, without an owner",
        ),
        pytest.param(
            {DRAIN_HOOK: "vip-operator"},
            BEFORE_DRAIN,
            GATE,
            None,
            Passage(is_free=False, ask=True, what=f"{DRAIN_HOOK} (vip-operator) still on the node; not asked yet"),
            id="both are waited for at once",
        ),
        pytest.param(
            {DRAIN_HOOK: "vip-operator"},
            BEFORE_DRAIN,
            GATE,
            YES,
            Passage(is_free=False, what=f"{DRAIN_HOOK} (vip-operator) still on the node"),
            id="the gate has passed, the annotation is still there",
        ),
        pytest.param({}, BEFORE_DELETE, GATE, YES, FREE, id="the gate has passed, the annotation is gone"),
    ],
)
def test_what_holds_a_machine(annotations: dict[str, str], step: str, gate: Any, look: Any, expected: Passage) -> None:
    """Cluster API's annotations are facts; nobody is asked for them."""
    assert passage_of_machine(node(annotations=annotations), step, gate, look, NOW) == expected


def test_a_machine_without_a_node_is_held_by_its_gate_only() -> None:
    """There is nothing that could carry an annotation."""
    assert passage_of_machine(None, BEFORE_DELETE, None, None, NOW) == FREE
    assert passage_of_machine(None, BEFORE_DELETE, GATE, None, NOW).ask


def test_answers_are_counted() -> None:
    """Since when it is asked stays; patience grows with the number."""
    first = look_after(None, (False, "not yet"), ago(20))
    assert first == GateLook(at=ago(20), passed=False, what="not yet", since=ago(20), tries=1)
    assert look_after(first, (True, "5 of 5"), NOW) == GateLook(at=NOW, passed=True, what="5 of 5", since=ago(20), tries=2)
