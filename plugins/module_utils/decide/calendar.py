# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether replacements may begin now, and how many at a time.

Windows and budgets hold back beginnings only: what is on its way goes on (semantics section 3).
Why so: a window that cut off what it began would leave half-drained nodes behind at the worst time.
Sources: semantics section 3; of several budgets the smallest counts and a percentage rounds up, as in Karpenter.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import count_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.schedule import Interval, ReplacementBudget, Window


def is_open(windows: Sequence[Window], now: datetime) -> tuple[bool, datetime | None]:
    """Whether one of `windows` is open, and when that changes (None: not as far as is known). Without windows: always.

    Windows that overlap or touch are one: it changes when the last of them closes. O(log n) in the intervals of each.
    """
    if not windows:
        return True, None
    closes = now
    while ends := [end for window in windows if (end := _end_of_current(window.intervals, closes)) is not None]:
        closes = max(ends)
    if closes > now:
        return True, closes
    return False, min((start for window in windows if (start := _next_start(window.intervals, now)) is not None), default=None)


def most_at_once(budgets: Sequence[ReplacementBudget], replicas: int, now: datetime) -> tuple[int | None, datetime | None]:
    """How many machines may be on their way out for a new one, and when that number changes. None: no limit now.

    0 is as good as a closed window.
    """
    present, boundary = _in_force(budgets, replicas, now)
    while boundary is not None:  # a budget that begins beside a smaller one changes nothing
        then, following = _in_force(budgets, replicas, boundary)
        if then != present:
            break
        boundary = following
    return present, boundary


def _in_force(budgets: Sequence[ReplacementBudget], replicas: int, now: datetime) -> tuple[int | None, datetime | None]:
    """The smallest budget at `now`, and when the next one begins or ends."""
    counts: list[int] = []
    boundaries: list[datetime | None] = []
    for index, budget in enumerate(budgets):
        intervals = budget.window.intervals if budget.window is not None else ()
        ends = _end_of_current(intervals, now)
        if budget.window is None or ends is not None:
            counts.append(count_of(budget.count, replicas, round_up=True, option=f"strategy.budgets[{index}].count"))
        boundaries.append(_next_start(intervals, now) if ends is None else ends)
    return min(counts, default=None), min((each for each in boundaries if each is not None), default=None)


def _end_of_current(intervals: Sequence[Interval], now: datetime) -> datetime | None:
    index = bisect_right(intervals, now, key=_start)
    return intervals[index - 1][1] if index and now < intervals[index - 1][1] else None


def _next_start(intervals: Sequence[Interval], now: datetime) -> datetime | None:
    index = bisect_right(intervals, now, key=_start)
    return intervals[index][0] if index < len(intervals) else None


def _start(interval: Interval) -> datetime:
    return interval[0]
