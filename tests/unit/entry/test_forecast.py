# SPDX-License-Identifier: GPL-3.0-or-later
"""What a forecast says of a small pool, and what it shows that others found out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.engine import loop
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.entry import forecast as forecasts
from ansible_collections.immutable.fleet.plugins.module_utils.entry.forecast import Circumstances, Forecast, quantile, window_for
from ansible_collections.immutable.fleet.plugins.module_utils.entry.jobs import Watched
from ansible_collections.immutable.fleet.plugins.module_utils.entry.outlook import facts_of, sentences_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker
from ansible_collections.immutable.fleet.plugins.module_utils.model.durations import Past
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.model.schedule import Window
from ansible_collections.immutable.fleet.tests.simulation.estate import Estate

SETTINGS = RunSettings(holder="check")
HOUR = timedelta(hours=1)


def estate() -> Estate:
    """Six machines of v1 in two failure domains, a shop on them; v2 is asked for."""
    it = Estate().domains("az1", "az2")
    it.run(it.pool(6))
    it.workload("cart", 12, max_unavailable="2")
    it.runtime.play_until(it.runtime.now() + HOUR)
    it.image = "v2"
    return it


def foretold(it: Estate, given: Circumstances | None = None, seconds_each: float = 0.5, **strategy: object) -> Forecast:
    """`seconds_each`: what a replay takes on the stopwatch."""
    ticks = count()
    job = Watched(Rollout(it.pool(6, strategy=Strategy(**strategy))))  # type: ignore[arg-type]
    return forecasts.forecast(job, it.ports(), SETTINGS, it.runtime, given, lambda: next(ticks) * seconds_each)


def test_all_of_it() -> None:
    """Everything a task returns. The durations of this world are constants, so its replays are all alike."""
    facts = facts_of(foretold(estate(), Circumstances(past=Past(empty=(5,) * 5, delete=(4,) * 5)), seconds_each=0.4))
    p50 = facts.pop("p50_seconds")
    assert facts.pop("p95_seconds") == pytest.approx(p50, abs=2)
    assert (facts.pop("p50"), facts.pop("p95")) == ("5m44s", "5m44s")
    assert facts == {
        "replays": 12,
        "failures": 0,
        "unfinished": 0,
        "durations": {
            "create": {"machines": 6, "median": "10s"},
            "boot": {"machines": 6, "median": "6s"},
            "ready": {"machines": 6, "median": "2s"},
            "empty": {"machines": 5, "median": "5s"},
            "delete": {"machines": 5, "median": "4s"},
        },
        "capacity": {"az1": {"now": 3, "fewest": 2}, "az2": {"now": 3, "fewest": 2}},
        "evictions": {
            "total": 12,
            "owners": 1,
            "per_pod": 1.0,
            "most": [{"owner": "shop/Deployment/cart", "pods": 12, "evictions": 12}],
        },
        "quota": [],
    }


def test_the_fact_is_as_foretold() -> None:
    """Where durations are constants nothing but the forecast's own way of looking could differ."""
    it = estate()
    said = foretold(it, Circumstances(past=Past(empty=(5.3,) * 5, delete=(4.3,) * 5)))
    fact = loop.run(Rollout(it.pool(6)), it.ports(), it.runtime, None, SETTINGS)
    assert said.p50 / fact.duration == pytest.approx(1, abs=0.02)


def test_it_changes_nothing() -> None:
    it = estate()
    it.world.facts.refresh()
    before = (dict(it.world.hypervisor.vms[it.name]), it.world.facts.nodes, it.runtime.now())
    foretold(it)
    it.world.facts.refresh()
    assert (it.world.hypervisor.vms[it.name], it.world.facts.nodes, it.runtime.now()) == before


def test_a_pool_in_order_is_replayed_once_and_says_nothing() -> None:
    it = estate()
    it.image = "v1"
    said = foretold(it)
    assert (said.replays, said.result.changed, sentences_of(said)) == (1, False, [])


def test_as_many_replays_as_fit() -> None:
    """Too few for a tail is said, not guessed."""
    said = foretold(estate(), seconds_each=2)
    assert (said.replays, said.p95, facts_of(said)["p95"]) == (2, None, "")
    assert sentences_of(said)[0].endswith("(p50; no p95 from fewer than 10) by 2 replays")


def test_what_others_found_out_is_shown() -> None:
    """The quota as a blocker of the plan, and the window that is open, or the next one."""
    it = estate()
    now = it.runtime.now()
    short = Blocker(code="quota", what="instances: 1 more needed than the quota has", where="project web")
    windows = ((now - 3 * HOUR, now - 2 * HOUR), (now - HOUR, now + timedelta(minutes=20)), (now + HOUR, now + 2 * HOUR))
    said = foretold(it, Circumstances(shortfall=(short,), windows=windows), seconds_each=0.3)
    facts = facts_of(said)
    assert facts["quota"] == [{"what": short.what, "where": short.where}]
    assert short in said.result.blockers
    assert (facts["window"]["p50_fits"], said.window) == (True, windows[1])
    assert sentences_of(said)[-1].startswith("fits the window that ends 2026-11-21T")


@pytest.mark.parametrize(
    ("minutes", "text"),
    [(60, "fits the window"), (2, "does not fit the window")],
)
def test_whether_it_fits(minutes: int, text: str) -> None:
    it = estate()
    now = it.runtime.now()
    said = foretold(it, Circumstances(windows=((now + HOUR, now + HOUR + timedelta(minutes=minutes)),)), seconds_each=0.3)
    assert said.begins_at == now + HOUR
    assert sentences_of(said)[-1].startswith(text)


def test_a_plan_that_does_not_reach_its_end_says_what_blocks() -> None:
    """A budget that can never allow an eviction: the blocker names it, every replay ends so, and it is said in a line."""
    it = Estate().domains("az1", "az2")
    it.run(it.pool(4))
    it.workload("cart", 8, min_available="8")
    it.runtime.play_until(it.runtime.now() + HOUR)
    it.image = "v2"
    said = foretold(it)
    assert said.failures == said.replays > 1
    assert {blocker.code for blocker in said.result.blockers} == {"pdb"}
    assert f"does not reach its end in {said.failures} of {said.replays} replays" in sentences_of(said)


def test_lines_fit_a_terminal() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    said = foretold(estate(), Circumstances(windows=((now, now + 400 * HOUR),)))
    assert max(map(len, sentences_of(said))) <= 80 - len("  1m30s  plan: ")


def test_with_other_surges_it_takes_longer_or_shorter() -> None:
    """From the first snapshot of a run that is over, as a report has it."""
    it = estate()
    pool = it.pool(6, strategy=Strategy(max_surge=2))
    job = Watched(Rollout(pool))
    loop.run(job, it.ports(), it.runtime, None, SETTINGS)
    assert job.first is not None
    seen = forecasts.seen_of(job.first)
    learned = forecasts.learned_from(seen, pool, Past())
    ticks = count()
    compared = forecasts.with_surges(
        Rollout, pool, seen, SETTINGS, learned, forecasts.surges_beside(pool), stopwatch=lambda: next(ticks) * 0.1
    )
    surges, took = zip(*compared, strict=True)
    assert surges == (1, 2, 4, 6)
    assert took[0] > took[1] > took[2] > took[3]


def test_quantiles() -> None:
    """The smallest value that so many do not exceed: of ten the 95th percentile is the largest."""
    values = [timedelta(seconds=number) for number in range(10, 0, -1)]
    assert [quantile(values, share).total_seconds() for share in (0.5, 0.95)] == [5, 10]


def test_the_pools_own_window() -> None:
    """It closes in mid-roll: what is left is left for the next one, so a run does not fit, however early it ends."""
    it = estate()
    now = it.runtime.now()
    open_now = Window(cron="* * * * *", duration=HOUR, intervals=((now - HOUR, now + timedelta(minutes=2)),))
    touching = Window(cron="* * * * *", duration=HOUR, intervals=((now + timedelta(minutes=2), now + timedelta(minutes=3)),))
    said = foretold(it, seconds_each=0.3, windows=(open_now, touching))
    assert (said.window, said.unfinished) == ((now - HOUR, now + timedelta(minutes=3)), said.replays)
    assert facts_of(said)["window"]["p50_fits"] is False


def test_no_window_is_left() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    assert window_for([(now - 2 * HOUR, now)], now) is None
