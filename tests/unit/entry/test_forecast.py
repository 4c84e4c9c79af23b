# SPDX-License-Identifier: GPL-3.0-or-later
"""What a forecast says of a small pool, and what it shows that others found out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.engine import loop
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.entry import forecast as forecasts
from ansible_collections.immutable.fleet.plugins.module_utils.entry.answers import plan_of
from ansible_collections.immutable.fleet.plugins.module_utils.entry.forecast import Forecast, quantile, window_for
from ansible_collections.immutable.fleet.plugins.module_utils.entry.jobs import Watched
from ansible_collections.immutable.fleet.plugins.module_utils.entry.outlook import facts_of, sentences_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.durations import Past
from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import Gate
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


def foretold(
    it: Estate, past: Past | None = None, seconds_each: float = 0.5, settings: RunSettings = SETTINGS, **strategy: object
) -> Forecast:
    """`seconds_each`: what a replay takes on the stopwatch."""
    ticks = count()
    job = Watched(Rollout(it.pool(6, strategy=Strategy(**strategy))))  # type: ignore[arg-type]
    return forecasts.forecast(job, it.ports(), settings, it.runtime, past, lambda: next(ticks) * seconds_each)


def shut_until(begin: datetime, end: datetime) -> tuple[Window, ...]:
    """The pool's windows, of which one is over and this is the next."""
    return (Window(cron="0 * * * *", duration=HOUR, intervals=((begin - 10 * HOUR, begin - 9 * HOUR), (begin, end))),)


def met(said: Forecast) -> list[tuple[str, str, str]]:
    """What is in the way or waited for, in the plan's words and order, without the steps between."""
    lines = plan_of(said.steps, said.met)
    return [(line["verb"], line["machine"], line["reason"]) for line in lines if line["verb"] in ("waits", "blocked")]


def test_all_of_it() -> None:
    """Everything a task returns. The durations of this world are constants, so its replays are all alike."""
    facts = facts_of(foretold(estate(), Past(empty=(5,) * 5, delete=(4,) * 5), seconds_each=0.4))
    assert facts.pop("begins_at") == "2026-11-21T05:00:49Z"
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
    said = foretold(it, Past(empty=(5.3,) * 5, delete=(4.3,) * 5))
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


@pytest.mark.parametrize(
    ("machines", "what", "replaces"),
    [
        pytest.param(7, "room for 1 of 3 more machines, so it goes slower than max_surge 2 allows", True, id="slower"),
        pytest.param(6, "no room for one more machine", False, id="not at all"),
    ],
)
def test_FM27_what_the_cloud_lacks_is_the_quotas_shortfall(machines: int, what: str, *, replaces: bool) -> None:
    """As the cloud answers before the first create: how much of what, and what to raise; also where the plan is to refuse."""
    it = estate()
    it.world.state.settings.machines_max = machines
    said = foretold(it, max_surge=2)
    (short,) = facts_of(said)["quota"]
    assert (short["what"].startswith(what), "set quotas.machines to " in short["forward"]) == (True, True), short
    assert (said.result.failure is None, said.result.changed) == (replaces, replaces)


@pytest.mark.parametrize(
    ("minutes", "fits", "text"),
    [
        pytest.param(60, True, "fits the window that ends 2026-11-21T07:00:49Z", id="long enough"),
        pytest.param(2, False, "does not fit the window that ends 2026-11-21T06:02:49Z", id="too short: the rest is left for the next"),
    ],
)
def test_a_window_that_is_shut_is_rehearsed_from_its_opening(minutes: int, *, fits: bool, text: str) -> None:
    """A run now would replace nothing, and says so; how long it takes, and whether that fits, is of the run at the opening."""
    it = estate()
    opens = it.runtime.now() + HOUR
    said = foretold(it, seconds_each=0.3, windows=shut_until(opens, opens + timedelta(minutes=minutes)))
    facts, sentences = facts_of(said), sentences_of(said)
    assert (said.result.changed, said.result.steps) == (False, ())
    assert said.result.pending.startswith("outside of strategy.windows; the next opens at ")
    assert (said.replays > 1, facts["begins_at"]) == (True, "2026-11-21T06:00:49Z")
    assert (facts["window"]["p50_fits"], facts["window"]["p95_fits"]) == (fits, fits)
    assert (sentences[0], sentences[-1]) == ("begins 2026-11-21T06:00:49Z, when the window opens", text)
    plan = plan_of(said.steps, said.met)
    assert (plan[0]["verb"], plan[1]["after"].startswith("1h"), plan[1]["verb"]) == ("waits", True, "create")
    assert fits == (sum(1 for line in plan if line["verb"] == "choose") == 6)


def test_what_is_under_way_has_ended_when_the_window_opens() -> None:
    """A machine that was booting before is no failed one by then."""
    it = estate()
    it.image = "v1"
    it.world.hypervisor.delete(next(iter(it.world.hypervisor.vms[it.name].values())))
    assert it.run(it.pool(6), dies_at=it.runtime.now() + timedelta(seconds=15)) is None
    it.image = "v2"
    opens = it.runtime.now() + HOUR
    said = foretold(it, windows=shut_until(opens, opens + HOUR))
    assert (said.roll.failure, said.roll.tally.up_to_date) == (None, 6)
    assert not any("not ready" in step.reason for step in said.steps)


def test_what_will_be_waited_for_is_in_the_plan() -> None:
    """The ladder's steps with their soak and gate, and hooks: each once, where it is met; counts that go on are no news."""
    gate = Gate(command=("true",))
    said = foretold(estate(), steps=("2", "100%"), soak=timedelta(minutes=5), gate=gate, before_drain=gate)
    found = met(said)
    assert [what for verb, where, what in found if not where] == [
        "step 1 of 2: 1 of 2 new machines available",
        "step 1 of 2: 2 new machines available, old ones still to leave: 1",
        "step 1 of 2: the pods on its machines soak until 2026-11-21T05:08:12Z",
        "step 1 of 2: its gate is asked",
    ]
    assert sum(1 for verb, where, what in found if (verb, what) == ("waits", "before drain: not asked yet")) == 6


def test_FM42_the_node_that_carries_the_run_is_in_the_plan() -> None:
    """Before anything is done, and not only in the line of one turn: in what is returned at the end, too."""
    it = estate()
    it.world.facts.refresh()
    own, node, domain = next((pod.name, node.name, node.failure_domain) for node in it.world.facts.nodes.values() for pod in node.pods)
    said = foretold(it, settings=replace(SETTINGS, own_pod=own))
    told = (
        "blocked",
        f"machine {node}, failure domain {domain}",
        "this run lives on a node that it is to drain: it goes last, and takes the run with it",
    )
    assert met(said) == [told]
    assert [blocker.code for blocker in said.result.blockers] == ["own_node"]


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
    said = foretold(estate(), windows=shut_until(now + 9 * HOUR, now + 400 * HOUR))
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
