# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations and counts as users write them.

A duration is a number of seconds or a text such as "90s", "20m", "1h30m"; a count is a number or a percentage in quotes.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration(value: object, option: str = "") -> timedelta:
    """`value` as a timedelta. Raises `Invalid`, naming `option`, for anything else than seconds or "1h30m" forms."""
    text = str(value).strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return timedelta(seconds=float(text))
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise Invalid(what=f"{text!r} is not a duration; expected seconds or a text such as 90s, 20m, 1h30m", where=option)
    return timedelta(seconds=sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts))


def say_duration(span: timedelta) -> str:
    """`span` as "1h30m", "15m", "42s": the largest two units, never a fraction of a second above a second."""
    seconds = span.total_seconds()
    if seconds < 1:
        return f"{round(seconds, 1):g}s"
    left, words = round(seconds), []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            words.append(f"{count}{unit}")
    return "".join(words[:2])


def say_count(count: int, noun: str) -> str:
    """`count` of what `noun` names one of: "1 machine", "3 machines"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def say_instant(instant: datetime) -> str:
    """`instant` in UTC to the second, as 2026-11-21T04:10:07Z."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_instant(text: str) -> datetime:
    """The aware datetime of an ISO 8601 text; a text without a zone is UTC. Raises ValueError."""
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def count_of(value: int | str, total: int, *, round_up: bool, option: str = "") -> int:
    """`value` machines, or the percentage of `total` it names. Raises `Invalid`, naming `option`.

    Surge rounds up and unavailable down, as for a Kubernetes Deployment.
    """
    text = str(value).strip()
    if re.fullmatch(r"\d+", text):
        return int(text)
    if not re.fullmatch(r"\d+%", text):
        raise Invalid(what=f"{text!r} is not a count; expected a number or a percentage such as 25%", where=option)
    exact = int(text[:-1]) * total
    return -(-exact // 100) if round_up else exact // 100
