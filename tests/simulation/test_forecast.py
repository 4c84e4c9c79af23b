# SPDX-License-Identifier: GPL-3.0-or-later
"""Forecast against fact: a world with durations of its own, one roll in its past, the next one foretold from facts and then done.

Nothing of the world's distributions is known to the forecast; it learns from the machines that the first roll made, and from
what that run noted. What it says is held against one run of many that could have been: that, too, is chance.
"""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass
from datetime import timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.engine.past import past_of
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.entry import replay
from ansible_collections.immutable.fleet.plugins.module_utils.entry.forecast import Forecast, forecast, learned_from
from ansible_collections.immutable.fleet.plugins.module_utils.entry.observing import Seen, observe
from ansible_collections.immutable.fleet.plugins.module_utils.model.durations import Past
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool, Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.beats import Beats
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile, Spread, lognormal
from ansible_collections.immutable.fleet.tests.simulation.estate import Estate

SEEDS = 20
REPLICAS = 12
REPLAYS = 5  # as many as a stopwatch that runs so fast allows
CLOSE = 0.15


@dataclass(frozen=True)
class Outcome:
    """What was foretold and what came."""

    foretold: Forecast
    took: timedelta

    @property
    def error(self) -> float:
        """Of the p50, as a share of the fact."""
        return self.foretold.p50 / self.took - 1


class Ticking:
    """A stopwatch on which everything takes the same time, so that a test has as many replays wherever it runs."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 5.0 / (REPLAYS + 1)
        return self.now


def spread(dice: random.Random, low: float, high: float) -> Spread:
    return lognormal(dice.uniform(low, high), dice.uniform(0.1, 0.4))


def outcome(seed: int, *, notes: bool) -> Outcome:
    """`notes`: the first roll's drains and deletes were kept in the pool record."""
    dice = random.Random(seed)
    profile = Profile(
        create=spread(dice, 20, 150),
        ready=spread(dice, 20, 120),
        delete=spread(dice, 5, 40),
        pod_stop=spread(dice, 2, 25),
    )
    estate = Estate(seed=seed, profile=profile).domains("az1", "az2")
    strategy = Strategy(max_surge=dice.choice([1, 2, 4, 6]))
    estate.run(estate.pool(REPLICAS, strategy=strategy))
    estate.workload("cart", REPLICAS * 3, max_unavailable="25%")
    estate.image = "v2"
    first = estate.run(estate.pool(REPLICAS, strategy=strategy))
    assert first is not None
    estate.runtime.play_until(estate.runtime.now() + timedelta(hours=3))
    estate.image = "v3"
    pool = estate.pool(REPLICAS, strategy=strategy)
    past = past_of(first.steps) if notes else Past()
    foretold = forecast(Rollout(pool), estate.ports(), RunSettings(holder="check"), estate.runtime, past, Ticking())
    fact = estate.run(pool)
    assert fact is not None
    assert fact.failure is None
    return Outcome(foretold, fact.duration)


def test_the_median_is_close_to_the_fact() -> None:
    """Within 15% nearly always: three quarters of the seeds at least, and half of them within 8%."""
    outcomes = [outcome(seed, notes=True) for seed in range(SEEDS)]
    errors = [abs(each.error) for each in outcomes]
    assert (statistics.median(errors) <= 0.08, sum(error <= CLOSE for error in errors) >= SEEDS * 3 / 4) == (True, True), errors


IN_BEATS = timedelta(seconds=10)  # as long as a delete, a third of what a drain takes
LARGE, DRAWN = 40, 24


def took(seen: Seen, pool: Pool, beat: timedelta | None, monkeypatch: pytest.MonkeyPatch) -> float:
    """Seconds that a roll takes, the mean of many draws."""
    monkeypatch.setattr(replay, "beats_of", lambda seen, _pool, seed: Beats(seen.at, beat, seed) if beat is not None else None)
    learned = learned_from(seen, pool, Past())
    rolls = [replay.replay(Rollout(pool), seen, RunSettings(holder="check"), learned, seed).result for seed in range(DRAWN)]
    assert [each.failure for each in rolls] == [None] * DRAWN
    return statistics.mean(each.duration.total_seconds() for each in rolls)


def test_told_in_beats_a_roll_takes_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large pools are: here a small one is, and is as long as told exactly, but for a hundredth."""
    profile = Profile(create=lognormal(90, 0.4), ready=lognormal(35, 0.4))
    estate = Estate(seed=1, profile=profile).domains("az1", "az2")
    strategy = Strategy(max_surge=LARGE // 5)
    estate.run(estate.pool(LARGE, strategy=strategy))
    estate.workload("cart", LARGE * 2, max_unavailable="25%")
    estate.runtime.play_until(estate.runtime.now() + timedelta(hours=3))
    estate.image = "v2"
    pool = estate.pool(LARGE, strategy=strategy)
    seen = observe(estate.ports(), estate.runtime)
    assert took(seen, pool, IN_BEATS, monkeypatch) == pytest.approx(took(seen, pool, None, monkeypatch), rel=0.01)
