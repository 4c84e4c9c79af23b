# SPDX-License-Identifier: GPL-3.0-or-later
"""When machines may be replaced, and how many at a time: as declared, with the times that it means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

Interval: TypeAlias = tuple[datetime, datetime]  # from, until (no longer in it), both in UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Opens whenever `cron` says so in `timezone`, for `duration` of elapsed time.

    `intervals` are what that means around now: sorted, apart from each other. Filled once a run, at the edge, so that a
    decision needs neither a cron library nor time zones. After the last one the window counts as closed.
    """

    cron: str
    duration: timedelta
    timezone: str = "UTC"
    intervals: tuple[Interval, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacementBudget:
    """How many machines ("10%": of the replicas) may be on their way out for a new one; without a window always."""

    count: int | str
    window: Window | None = None
