# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a run is, and about how long it will take: rows of histories."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.engine.pace import left_of, say_about, time_left
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Tally
from ansible_collections.immutable.fleet.tests.unit.builders import later

ROLL = [(0, 8), (100, 6), (200, 4)]  # two machines each 100 s


@pytest.mark.parametrize(
    ("tally", "replicas", "left"),
    [
        pytest.param(Tally(up_to_date=0, existing=8), 8, 8, id="nothing is rolled yet"),
        pytest.param(Tally(up_to_date=2, existing=10), 8, 6, id="two new ones, two old ones on their way out"),
        pytest.param(Tally(up_to_date=8, existing=9), 8, 1, id="the last old one is going"),
        pytest.param(Tally(up_to_date=8, existing=8), 8, 0, id="done"),
        pytest.param(Tally(up_to_date=10, existing=10), 4, 6, id="scaled down"),
        pytest.param(Tally(existing=3, going=3), 0, 3, id="removed"),
        pytest.param(Tally(existing=3, up_to_date=1, going=2), None, 2, id="nodes to drain"),
    ],
)
def test_what_is_left_counts_machines(tally: Tally, replicas: int | None, left: int) -> None:
    """Missing and surplus ones are two sides of the same replacement, so the larger number counts."""
    assert left_of(tally, replicas) == left


@pytest.mark.parametrize(
    ("history", "now", "seconds"),
    [
        pytest.param([], 0, None, id="nothing seen"),
        pytest.param([(0, 8)], 500, None, id="nothing finished"),
        pytest.param([(0, 8), (100, 0)], 100, None, id="nothing left"),
        pytest.param(ROLL, 200, 200, id="four done in 200 s, four left"),
        pytest.param(ROLL, 250, 150, id="the next ones are half way"),
        pytest.param(ROLL, 390, 50, id="late, so the next one is due at any moment"),
        pytest.param(ROLL, 401, None, id="nothing for twice as long as ever before: no pace"),
        pytest.param([*ROLL, (300, 8), (400, 6)], 400, 300, id="retargeted: counted from there"),
        pytest.param([(0, 8), (100, 6), (150, 7), (200, 5)], 200, 333, id="a machine fell ill: the pace is slower, not lost"),
    ],
)
def test_what_is_left_takes_as_long_as_the_pace_says(history: list[tuple[int, int]], now: int, seconds: int | None) -> None:
    """The mean of the run so far, less what has passed since the last one was finished."""
    left = time_left([(later(at), count) for at, count in history], later(now))
    assert (None if left is None else int(left.total_seconds())) == seconds


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "10s"), (41, "50s"), (91, "2m"), (540, "9m"), (3601, "1h5m"), (90_000, "1d1h")],
)
def test_an_estimate_claims_no_more_than_it_knows(seconds: int, said: str) -> None:
    """Rounded up."""
    assert say_about(timedelta(seconds=seconds)) == said
