# SPDX-License-Identifier: GPL-3.0-or-later
"""The options under `health`: what they come to, and what is refused before anything is touched."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.entry.health import health_policy
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.health import SILENT, ConditionCheck

DEFAULTS: dict[str, Any] = {
    "remediate": True,
    "conditions": [],
    "max_unhealthy": "34%",
    "max_in_flight": "5%",
    "cooldown": "5m",
    "suspend_after": 3,
    "reboot": None,
    "preserve_on_fail": 0,
}


def condition(kind: str, status: str = "True", timeout: str = "5m") -> dict[str, str]:
    return {"type": kind, "status": status, "timeout": timeout}


def test_conditions_come_beside_the_defaults_or_in_their_place() -> None:
    """Nobody has to repeat that silence is unhealthy in order to say what else is."""
    given = [condition("KernelDeadlock", timeout="2m"), condition("Ready", "Unknown", "10m")]
    assert health_policy({**DEFAULTS, "conditions": given}).conditions == (
        ConditionCheck("Ready", "False", SILENT),
        ConditionCheck("Ready", "Unknown", timedelta(minutes=10)),
        ConditionCheck("KernelDeadlock", "True", timedelta(minutes=2)),
    )


@pytest.mark.parametrize(
    ("option", "value", "where", "what"),
    [
        ("max_unhealthy", "many", "health.max_unhealthy", "expected a number or a percentage"),
        ("max_in_flight", "-1", "health.max_in_flight", "expected a number or a percentage"),
        ("cooldown", "soon", "health.cooldown", "is not a duration"),
        ("reboot", "soon", "health.reboot", "is not a duration"),
        ("reboot", "0", "health.reboot", "expected more"),
        ("preserve_on_fail", -1, "health.preserve_on_fail", "expected 0 or more"),
        ("suspend_after", 0, "health.suspend_after", "expected 1 or more"),
        ("conditions", [condition(" ")], "health.conditions[0].type", "expected the type of a node's condition"),
        ("conditions", [condition("Ready")], "health.conditions[0].status", "expected False or Unknown"),
        ("conditions", [condition("A", timeout="0")], "health.conditions[0].timeout", "expected more"),
        ("conditions", [condition("A"), condition("A")], "health.conditions[1]", "expected each once"),
    ],
)
def test_a_wrong_option_is_refused_with_its_path(option: str, value: Any, where: str, what: str) -> None:
    """And with what was expected."""
    with pytest.raises(Invalid) as caught:
        health_policy({**DEFAULTS, option: value})
    assert caught.value.where == where
    assert what in caught.value.what
