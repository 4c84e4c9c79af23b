# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import timedelta
from statistics import median

from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Chance, constant, lognormal, uniform


def test_a_seed_replays() -> None:
    """The same seed gives the same durations, another one others; so do an interrupted and a continued world."""
    spread = lognormal(25, 0.5)
    one, other = Chance(7), Chance(7)
    first = [spread.draw(one) for _time in range(5)]
    assert first == [spread.draw(other) for _time in range(5)]
    assert first != [spread.draw(Chance(8)) for _time in range(5)]
    assert spread.draw(Chance(one.state)) == spread.draw(other)


def test_a_constant_uses_up_no_chance() -> None:
    """Adding a constant duration to a world leaves all its other draws as they were."""
    chance = Chance(1)
    assert constant(20).draw(chance) == timedelta(seconds=20)
    assert chance.state == Chance(1).state


def test_shapes() -> None:
    """Uniform stays within its ends; half of a lognormal lies below its median, and its tail reaches far above."""
    chance = Chance(3)
    flat = [uniform(10, 20).draw(chance).total_seconds() for _time in range(2000)]
    tall = [lognormal(60, 1.0).draw(chance).total_seconds() for _time in range(2000)]
    assert (min(flat) >= 10, max(flat) <= 20, abs(median(flat) - 15) < 0.5) == (True, True, True)
    assert (abs(median(tall) - 60) < 6, max(tall) > 600, min(tall) > 0) == (True, True, True)
