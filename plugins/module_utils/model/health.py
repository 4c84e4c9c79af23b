# SPDX-License-Identifier: GPL-3.0-or-later
"""When a machine that was ready once counts as unhealthy, and how many may be replaced for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

READY = "Ready"
SILENT = timedelta(seconds=300)  # as Cluster API's examples, and as long as Kubernetes waits before it gives up a node's pods


@dataclass(frozen=True, slots=True)
class ConditionCheck:
    """A node whose condition of this type has had this status (True, False, Unknown) for `timeout` is unhealthy."""

    type: str
    status: str
    timeout: timedelta


DEFAULT_CHECKS = (ConditionCheck(READY, "False", SILENT), ConditionCheck(READY, "Unknown", SILENT))


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPolicy:
    """What is unhealthy, and what holds remediation back. Counts may be percentages ("34%").

    `remediate` False: unhealthy machines are named and left as they are. `max_unhealthy` of the pool, and of each failure domain:
    when more are not well, no machine there is replaced, for the cause is not the machines. `max_in_flight` of the replicas, at least
    1. `suspend_after` replacements of one slot that failed again, nothing more is replaced until a person resumes. `reboot`: an unhealthy
    machine is reset first, and replaced if it is not well so long after; None: it is replaced.
    `preserve_on_fail`: so many failed machines are kept for a look.
    """

    remediate: bool = True
    conditions: tuple[ConditionCheck, ...] = DEFAULT_CHECKS
    missing_node: timedelta = SILENT
    max_unhealthy: int | str = "34%"
    max_in_flight: int | str = "5%"
    cooldown: timedelta = timedelta(minutes=5)
    suspend_after: int = 3
    reboot: timedelta | None = None
    preserve_on_fail: int = 0
