# SPDX-License-Identifier: GPL-3.0-or-later
"""The options under `health` to a policy. Raises `Invalid` with the option's path."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.health import DEFAULT_CHECKS, ConditionCheck, HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import count_of, duration


def health_policy(params: Mapping[str, Any]) -> HealthPolicy:
    """The policy of a pool."""
    for option in ("max_unhealthy", "max_in_flight"):
        count_of(params[option], 100, round_up=False, option=f"health.{option}")
    if params["suspend_after"] < 1:
        what = f"{params['suspend_after']} would suspend before anything was tried; expected 1 or more"
        raise Invalid(what=what, where="health.suspend_after")
    if params["preserve_on_fail"] < 0:
        raise Invalid(what=f"{params['preserve_on_fail']} is no count; expected 0 or more", where="health.preserve_on_fail")
    return HealthPolicy(
        remediate=params["remediate"],
        conditions=_conditions(params["conditions"]),
        max_unhealthy=params["max_unhealthy"],
        max_in_flight=params["max_in_flight"],
        cooldown=duration(params["cooldown"], "health.cooldown"),
        suspend_after=params["suspend_after"],
        reboot=_reboot(params["reboot"]),
        preserve_on_fail=params["preserve_on_fail"],
    )


def _reboot(given: str | None) -> timedelta | None:
    if given is None:
        return None
    within = duration(given, "health.reboot")
    if not within:
        raise Invalid(what="0 leaves no time to come up; expected more, or nothing for no reset", where="health.reboot")
    return within


def _conditions(given: list[Mapping[str, Any]]) -> tuple[ConditionCheck, ...]:
    """Those given, and the defaults for what they say nothing of."""
    checks = {(check.type, check.status): check for check in DEFAULT_CHECKS}
    own: set[tuple[str, str]] = set()
    for index, one in enumerate(given):
        where = f"health.conditions[{index}]"
        key = (one["type"], one["status"])
        if not one["type"].strip():
            raise Invalid(what="it is empty; expected the type of a node's condition, such as KernelDeadlock", where=f"{where}.type")
        if key == ("Ready", "True"):
            raise Invalid(what="a node that is ready would be unhealthy; expected False or Unknown", where=f"{where}.status")
        if key in own:
            raise Invalid(what=f"{' '.join(key)} stands there twice; expected each once", where=where)
        own.add(key)
        timeout = duration(one["timeout"], f"{where}.timeout")
        if not timeout:
            raise Invalid(what="0 would replace a machine at the first sign; expected more", where=f"{where}.timeout")
        checks[key] = ConditionCheck(*key, timeout)
    return tuple(checks.values())
