# SPDX-License-Identifier: GPL-3.0-or-later
"""Cron and time zones to intervals in UTC, through both nights of summer time."""

from __future__ import annotations

import sys
import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.entry import schedules
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid, LibraryMissing
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.model.schedule import ReplacementBudget, Window

BERLIN = "Europe/Berlin"
SPRING = datetime(2026, 3, 28, 12, tzinfo=UTC)  # the noon before 02:00 becomes 03:00 (01:00 UTC)
AUTUMN = datetime(2026, 10, 24, 12, tzinfo=UTC)  # the noon before 03:00 becomes 02:00 (01:00 UTC)


def given(cron: str | None, duration: str | None, timezone: str = "UTC") -> dict[str, Any]:
    return {"cron": cron, "duration": duration, "timezone": timezone}


def opened(cron: str, duration: str, timezone: str, now: datetime) -> Window:
    declared = schedules.window(given(cron, duration, timezone), "strategy.windows[0]")
    return schedules.resolved(Strategy(windows=(declared,)), now).windows[0]


def said(window: Window, now: datetime, count: int = 3) -> list[str]:
    """The first intervals that are not over, as "29 01:00-02:30" in UTC."""
    return [f"{start:%d %H:%M}-{end:%H:%M}" for start, end in window.intervals if end > now][:count]


@pytest.mark.parametrize(
    ("cron", "duration", "timezone", "now", "expected"),
    [
        pytest.param("0 22 * * *", "6h", "UTC", SPRING, ["28 22:00-04:00", "29 22:00-04:00", "30 22:00-04:00"], id="every night"),
        pytest.param("0 22 * * 1-5", "1h", "UTC", SPRING, ["30 22:00-23:00", "31 22:00-23:00", "01 22:00-23:00"], id="working days"),
        pytest.param("0 22 * * MON#1", "1h", "UTC", SPRING, ["06 22:00-23:00", "04 22:00-23:00"], id="the first Monday, for five weeks"),
        pytest.param("0 3 1 1 *", "1h", "UTC", SPRING, ["01 03:00-04:00"], id="once a year: the next one, however far"),
        pytest.param(
            "0 22 * * *", "6h", BERLIN, SPRING, ["28 21:00-03:00", "29 20:00-02:00", "30 20:00-02:00"], id="spring: six hours pass"
        ),
        pytest.param(
            "30 2 * * *", "1h", BERLIN, SPRING, ["29 01:00-02:00", "30 00:30-01:30", "31 00:30-01:30"], id="spring: no 02:30, 03:00"
        ),
        pytest.param(
            "0 1-3 * * *", "30m", BERLIN, SPRING, ["29 00:00-00:30", "29 01:00-01:30", "29 23:00-23:30"], id="spring: 02 and 03 are one"
        ),
        pytest.param(
            "0 22 * * *", "6h", BERLIN, AUTUMN, ["24 20:00-02:00", "25 21:00-03:00", "26 21:00-03:00"], id="autumn: six hours pass"
        ),
        pytest.param(
            "30 2 * * *", "1h", BERLIN, AUTUMN, ["25 00:30-01:30", "26 01:30-02:30", "27 01:30-02:30"], id="autumn: the first 02:30"
        ),
        pytest.param(
            "0 * * * *", "15m", BERLIN, AUTUMN, ["24 12:00-12:15", "24 13:00-13:15", "24 14:00-14:15"], id="hourly goes by elapsed time"
        ),
    ],
)
def test_what_a_window_means(cron: str, duration: str, timezone: str, now: datetime, expected: list[str]) -> None:
    """In UTC, from now on."""
    assert said(opened(cron, duration, timezone, now), now) == expected


@pytest.mark.parametrize("minutes", range(0, 26 * 60, 15))
def test_in_the_night_with_two_0230s_none_is_lost(minutes: int) -> None:
    """Whenever a run begins, within the hour that comes twice as well, it sees the same window."""
    now = AUTUMN + timedelta(minutes=minutes)
    intervals = opened("30 2 * * *", "1h", BERLIN, now).intervals
    assert (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)) in intervals


def test_a_window_that_opened_long_ago_is_still_open() -> None:
    """A freeze of a month is a window as well."""
    now = datetime(2026, 3, 28, 12, tzinfo=UTC)
    first = opened("0 0 1 * *", "30d", "UTC", now).intervals[0]
    assert first == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC))


def test_a_start_exactly_where_we_look_back_to_is_seen() -> None:
    """Neither before it nor after it."""
    now = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert (now - schedules.BEHIND, now) in opened("0 12 27 3 *", "1d", "UTC", now).intervals


def test_windows_that_overlap_or_touch_are_one() -> None:
    """A duration beyond the period is open all the time."""
    assert len(opened("0 * * * *", "90m", "UTC", SPRING).intervals) == 1
    assert len(opened("0 * * * *", "1h", "UTC", SPRING).intervals) == 1
    assert len(opened("0 * * * *", "59m", "UTC", SPRING).intervals) > 800


def test_the_work_is_bounded() -> None:
    """Every minute for five weeks would be 50,000."""
    assert len(opened("* * * * *", "30s", "UTC", SPRING).intervals) == schedules.STARTS_MAX


def test_budgets_are_resolved_beside_windows() -> None:
    """One without a schedule always holds and stays as it is."""
    always = schedules.budget({"count": "10%", **given(None, None)}, "strategy.budgets[0]")
    nightly = schedules.budget({"count": "0", **given("0 22 * * *", "6h")}, "strategy.budgets[1]")
    resolved = schedules.resolved(Strategy(budgets=(always, nightly)), SPRING).budgets
    assert resolved[0] == ReplacementBudget(count="10%")
    assert resolved[1].window is not None
    assert said(resolved[1].window, SPRING, 1) == ["28 22:00-04:00"]


REFUSED = [
    ("0 22 * *", "1h", "UTC", "cron", "expected five fields"),
    ("0 0 22 * * *", "1h", "UTC", "cron", "expected five fields"),
    ("@daily", "1h", "UTC", "cron", "expected five fields"),
    ("0 25 * * *", "1h", "UTC", "cron", "Bad hour"),
    ("0 22 * * XYZ", "1h", "UTC", "cron", "Bad day-of-week"),
    ("0 22 31 2 *", "1h", "UTC", "cron", "expected five fields"),
    ("0 22 * * *", "0", "UTC", "duration", "expected more"),
    ("0 22 * * *", "all night", "UTC", "duration", "expected seconds"),
    ("0 22 * * *", "1h", "Europe/Bärlin", "timezone", "expected a name such as Europe/Berlin"),
    ("0 22 * * *", "1h", "Europe", "timezone", "expected a name such as Europe/Berlin"),
    ("0 22 * * *", "1h", "../../etc/passwd", "timezone", "expected a name such as Europe/Berlin"),
    ("0 22 * * *", "1h", "", "timezone", "expected a name such as Europe/Berlin"),
]


@pytest.mark.parametrize(
    ("cron", "duration", "timezone", "where", "expected"), REFUSED, ids=[f"{row[0]} {row[1]} {row[2]}" for row in REFUSED]
)
def test_a_wrong_schedule_is_refused(cron: str, duration: str, timezone: str, where: str, expected: str) -> None:
    """With the path of the option and what was expected."""
    with pytest.raises(Invalid) as refused:
        schedules.window(given(cron, duration, timezone), "strategy.windows[2]")
    assert refused.value.where == f"strategy.windows[2].{where}"
    assert expected in refused.value.what


@pytest.mark.parametrize(
    ("budget", "where"),
    [
        pytest.param({"count": "some", **given(None, None)}, "count", id="no count"),
        pytest.param({"count": "1", **given("0 22 * * *", None)}, "duration", id="cron alone"),
        pytest.param({"count": "1", **given(None, "1h")}, "cron", id="duration alone"),
    ],
)
def test_a_wrong_budget_is_refused(budget: dict[str, Any], where: str) -> None:
    """Cron and duration go together, or neither is given."""
    with pytest.raises(Invalid) as refused:
        schedules.budget(budget, "strategy.budgets[0]")
    assert refused.value.where == f"strategy.budgets[0].{where}"


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a task with a schedule needs it."""
    monkeypatch.setitem(sys.modules, "cronsim", None)
    with pytest.raises(LibraryMissing) as missing:
        schedules.window(given("0 22 * * *", "1h"), "strategy.windows[0]")
    assert missing.value.library == "cronsim>=2.6"
    assert schedules.budget({"count": "1", **given(None, None)}, "strategy.budgets[0]")


def test_a_machine_without_time_zones_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name would be unknown there; UTC needs no database."""
    for name in ("tzdata", *(name for name in sys.modules if name.startswith("tzdata."))):
        monkeypatch.setitem(sys.modules, name, None)
    zoneinfo.reset_tzpath(to=())
    zoneinfo.ZoneInfo.clear_cache()
    try:
        with pytest.raises(LibraryMissing) as missing:
            schedules.window(given("0 22 * * *", "1h", BERLIN), "strategy.windows[0]")
        assert missing.value.library == "tzdata"
        assert schedules.window(given("0 22 * * *", "1h"), "strategy.windows[0]")
    finally:
        zoneinfo.reset_tzpath()
