# SPDX-License-Identifier: GPL-3.0-or-later
"""The API server's clock, from Date headers of whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.skew import Skew

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
TICK = timedelta(milliseconds=100)


def learn(skew: Skew, local: datetime, ahead: timedelta) -> None:
    """An answer that took two ticks, from a server whose clock is `ahead` of ours."""
    said = (local + ahead).replace(microsecond=0)
    skew.learn(format_datetime(said, usegmt=True), local - TICK, local + TICK)


def test_clocks_that_agree_move_nothing() -> None:
    """A fact must not change because an estimate did."""
    skew = Skew()
    for tenth in range(50):
        learn(skew, NOON + tenth * TICK, timedelta(0))
    assert skew.now == timedelta(0)


def test_a_difference_is_narrowed_down_by_many_answers() -> None:
    """Each interval is more than a second wide; together they are not."""
    skew = Skew()
    for tenth in range(50):
        learn(skew, NOON + tenth * TICK, timedelta(minutes=5))
    assert abs(skew.now + timedelta(minutes=5)) <= 2 * TICK


def test_a_clock_that_was_set_is_followed() -> None:
    """The old interval and the new one do not meet."""
    skew = Skew()
    learn(skew, NOON, timedelta(0))
    learn(skew, NOON, timedelta(hours=-1))
    assert abs(skew.now - timedelta(hours=1)) < timedelta(seconds=2)


def test_odd_headers_say_nothing() -> None:
    """A proxy may leave it out or make it up."""
    skew = Skew()
    for odd in (None, "", "yesterday", "Sat, 21 Nov 2026 12:00:00 -0000"):
        skew.learn(odd, NOON, NOON)
    assert skew.now == timedelta(0)
