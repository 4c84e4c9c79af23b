# SPDX-License-Identifier: GPL-3.0-or-later
"""When replacements may begin, and how many at a time. The clock runs in minutes from NOW."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.calendar import is_open, most_at_once
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.schedule import ReplacementBudget, Window
from ansible_collections.immutable.fleet.tests.unit.builders import NOW


def at(minute: int | None) -> datetime | None:
    return None if minute is None else NOW + timedelta(minutes=minute)


def window(*intervals: tuple[int, int]) -> Window:
    """Open from minute to minute."""
    resolved = tuple((NOW + timedelta(minutes=start), NOW + timedelta(minutes=end)) for start, end in intervals)
    return Window(cron="0 22 * * *", duration=timedelta(hours=1), intervals=resolved)


def budget(count: int | str, *intervals: tuple[int, int]) -> ReplacementBudget:
    """Of these intervals; always without."""
    return ReplacementBudget(count=count, window=window(*intervals) if intervals else None)


@pytest.mark.parametrize(
    ("windows", "minute", "expected"),
    [
        pytest.param([], 0, (True, None), id="no windows: always"),
        pytest.param([window((10, 70))], 0, (False, 10), id="before it"),
        pytest.param([window((10, 70))], 10, (True, 70), id="at its first instant"),
        pytest.param([window((10, 70))], 69, (True, 70), id="within"),
        pytest.param([window((10, 70))], 70, (False, None), id="at its end it is closed, and no other one is known"),
        pytest.param([window((10, 70), (100, 110))], 70, (False, 100), id="closed until the next"),
        pytest.param([window((10, 70)), window((60, 90))], 20, (True, 90), id="overlapping ones are one"),
        pytest.param([window((10, 70)), window((70, 90))], 20, (True, 90), id="touching ones are one"),
        pytest.param([window((10, 70), (90, 95)), window((60, 90))], 20, (True, 95), id="and so on"),
        pytest.param([window((10, 70)), window((20, 30))], 20, (True, 70), id="one within another"),
        pytest.param([window((30, 40)), window((20, 30))], 0, (False, 20), id="the first of both"),
        pytest.param([window()], 0, (False, None), id="one that never opens again"),
    ],
)
def test_windows(windows: list[Window], minute: int, expected: tuple[bool, int | None]) -> None:
    """Whether one is open, and when that changes."""
    opened, changes = expected
    assert is_open(windows, NOW + timedelta(minutes=minute)) == (opened, at(changes))


@pytest.mark.parametrize(
    ("budgets", "minute", "expected"),
    [
        pytest.param([], 0, (None, None), id="no budgets: no limit"),
        pytest.param([budget(2)], 0, (2, None), id="one that always holds"),
        pytest.param([budget("10%")], 0, (3, None), id="a percentage rounds up: 10% of 21"),
        pytest.param([budget(5), budget("10%")], 0, (3, None), id="the smallest counts"),
        pytest.param([budget(2, (10, 70))], 0, (None, 10), id="no limit until it begins"),
        pytest.param([budget(2, (10, 70))], 10, (2, 70), id="within"),
        pytest.param([budget(2, (10, 70))], 70, (None, None), id="over"),
        pytest.param([budget(0, (10, 70)), budget(3)], 10, (0, 70), id="nothing in business hours, three else"),
        pytest.param([budget(0, (10, 70)), budget(3)], 0, (3, 10), id="the same before them"),
        pytest.param([budget(5, (10, 70)), budget(3)], 0, (3, None), id="a greater one that begins changes nothing"),
        pytest.param([budget(3, (5, 90)), budget(5, (10, 70)), budget(1, (80, 85))], 6, (3, 80), id="the next that is smaller"),
        pytest.param([budget(3, (0, 10)), budget("11%", (10, 20))], 0, (3, 20), id="one of the same size takes over"),
    ],
)
def test_budgets(budgets: list[ReplacementBudget], minute: int, expected: tuple[int | None, int | None]) -> None:
    """How many of 21 machines, and when that number changes."""
    most, changes = expected
    assert most_at_once(budgets, 21, NOW + timedelta(minutes=minute)) == (most, at(changes))


def test_a_wrong_count_names_its_option() -> None:
    """It is refused when the task is read; a mistake of ours would show here."""
    with pytest.raises(Invalid) as refused:
        most_at_once([budget(1), budget("a few")], 21, NOW)
    assert refused.value.where == "strategy.budgets[1].count"
