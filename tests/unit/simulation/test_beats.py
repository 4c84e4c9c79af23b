# SPDX-License-Identifier: GPL-3.0-or-later
"""Events on beats are moved, on average by nothing, and never past each other."""

from __future__ import annotations

import statistics
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.immutable.fleet.plugins.module_utils.simulation.beats import Beats
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, later

STEP = timedelta(seconds=10)
SEEDS = 4000

seconds = st.floats(0, 1000)


def beats(seed: int = 0) -> Beats:
    return Beats(NOW, STEP, seed)


def is_beat(instant: datetime) -> bool:
    return not (instant - NOW) % STEP


@given(seconds, seconds)
def test_an_event_falls_on_the_beat_before_it_or_after_it(now: float, takes: float) -> None:
    """Except where it ends before the next beat: then it is left where it is."""
    due = later(now + takes)
    moved = beats().moved(due, later(now))
    assert moved == due if due < beats().after(later(now)) else (is_beat(moved) and abs(moved - due) < STEP)


@given(st.lists(seconds, min_size=2), st.integers(0, 100))
def test_nothing_overtakes(dues: list[float], seed: int) -> None:
    """What is planned at one instant keeps its order."""
    its = beats(seed)
    moved = [its.moved(later(due), NOW) for due in sorted(dues)]
    assert moved == sorted(moved)


def test_what_ends_together_stays_together() -> None:
    """A node waits for its slowest pod: moved each by itself, one of thirty would always come late."""
    its = beats()
    assert len({its.moved(later(34), later(number)) for number in range(20)}) == 1


def test_on_average_nothing_is_moved() -> None:
    """As often earlier as later, each weighed by how far."""
    for takes in (10.4, 12, 15, 18.5, 33):
        moved = [(beats(seed).moved(later(takes), NOW) - NOW).total_seconds() for seed in range(SEEDS)]
        assert abs(statistics.mean(moved) - takes) < 0.2, takes


def test_the_next_beat() -> None:
    """Later than the instant asked about, even where that is one itself."""
    assert [beats().after(later(at)) for at in (0, 0.1, 9.9, 10)] == [later(10), later(10), later(10), later(20)]
