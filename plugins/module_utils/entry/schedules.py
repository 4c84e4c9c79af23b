# SPDX-License-Identifier: GPL-3.0-or-later
"""Cron expressions and time zones to plain intervals in UTC, so that nothing behind the edge needs either.

An expression means what it means to Debian's cron, summer time included: 02:30 on the night without a 02:30 is 03:00, and
on the night with two it is the first; an expression whose minute or hour begins with `*` goes by elapsed time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import chain, islice
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid, LibraryMissing
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import count_of, duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.schedule import Interval, ReplacementBudget, Window

LIBRARY = "cronsim>=2.6"
FIELDS = 5  # cronsim takes six, too, and then the first is the second
BEHIND = timedelta(days=1)  # looked back, so that the hour that comes twice and a slow clock are behind us
AHEAD = timedelta(days=35)  # a run that waits for longer waits for the next run
STARTS_MAX = 1000  # a tenth of a second's work; every ten minutes: a week ahead


def window(given: Mapping[str, Any], path: str) -> Window:
    """A window as declared, its intervals not yet known. Raises `Invalid`, and `LibraryMissing` for cronsim and tzdata."""
    length = duration(given["duration"], f"{path}.duration")
    if not length:
        raise Invalid(what="0 would never be open; expected more", where=f"{path}.duration")
    made = Window(cron=given["cron"], duration=length, timezone=given["timezone"])
    zone = _zone(made.timezone, f"{path}.timezone")
    if next(_starts(made, zone, datetime(2000, 1, 1, tzinfo=UTC), f"{path}.cron"), None) is None:
        raise Invalid(what=f"{made.cron!r} never comes; expected a date that exists", where=f"{path}.cron")
    return made


def budget(given: Mapping[str, Any], path: str) -> ReplacementBudget:
    """A budget as declared. Raises as `window`."""
    count_of(given["count"], 100, round_up=True, option=f"{path}.count")
    if given["cron"] is None and given["duration"] is None:
        return ReplacementBudget(count=given["count"])
    for name in ("cron", "duration"):
        if given[name] is None:
            raise Invalid(what="missing; expected cron and duration together, or neither: then it always holds", where=f"{path}.{name}")
    return ReplacementBudget(count=given["count"], window=window(given, path))


def resolved(strategy: Strategy, now: datetime) -> Strategy:
    """`strategy` with the intervals of its windows and budgets around `now` (the run's clock)."""
    return replace(
        strategy,
        windows=tuple(_resolved(each, now) for each in strategy.windows),
        budgets=tuple(each if each.window is None else replace(each, window=_resolved(each.window, now)) for each in strategy.budgets),
    )


def _resolved(declared: Window, now: datetime) -> Window:
    zone = _zone(declared.timezone, "timezone")
    begin = now - BEHIND
    # The last start before: a window may be open for longer than we look back. Both ways leave out where they begin.
    before = islice(_starts(declared, zone, begin, "cron", reverse=True), 1)
    after = _starts(declared, zone, begin - timedelta(seconds=1), "cron")
    starts: list[datetime] = []
    for start in islice(chain(before, after), STARTS_MAX):
        starts.append(start)
        if start > now + AHEAD:  # this one is taken along: a yearly window is known even when it is far away
            break
    return replace(declared, intervals=tuple(_merged([(start, start + declared.duration) for start in sorted(starts)])))


def _merged(intervals: Sequence[Interval]) -> Iterator[Interval]:
    """Those that overlap or touch as one: a duration beyond the period is open all the time."""
    current: Interval | None = None
    for start, end in intervals:
        if current is not None and start <= current[1]:
            current = current[0], max(current[1], end)
            continue
        if current is not None:
            yield current
        current = start, end
    if current is not None:
        yield current


def _starts(declared: Window, zone: tzinfo, begin: datetime, path: str, *, reverse: bool = False) -> Iterator[datetime]:
    """The instants, in UTC, at which cron would begin. Raises `Invalid`."""
    try:
        from cronsim import CronSim, CronSimError
    except ImportError as error:
        raise LibraryMissing(what="windows and budgets with a schedule need cronsim", library=LIBRARY) from error
    expected = "expected five fields (minute, hour, day of the month, month, day of the week) such as 0 22 * * 1-5"
    if len(declared.cron.split()) != FIELDS:
        raise Invalid(what=f"{declared.cron!r} is no cron expression; {expected}", where=path)
    try:
        simulated = CronSim(declared.cron, begin.astimezone(zone), reverse=reverse)
    except CronSimError as error:
        raise Invalid(what=f"{declared.cron!r} is no cron expression ({error}); {expected}", where=path) from error
    return (instant.astimezone(UTC) for instant in simulated)


def _zone(name: str, path: str) -> tzinfo:
    if name == "UTC":  # needs no database
        return UTC
    from zoneinfo import ZoneInfo, available_timezones

    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        if not available_timezones():
            raise LibraryMissing(what="this machine knows no time zones", library="tzdata") from error
        raise Invalid(what=f"{name!r} is no time zone; expected a name such as Europe/Berlin", where=path) from error
