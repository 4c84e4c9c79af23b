# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics are what Prometheus' own parser reads, each with HELP and TYPE, and say what the events said."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import parser

from ansible_collections.immutable.fleet.plugins.module_utils.reports.metrics import HELP, PREFIX, Metrics
from ansible_collections.immutable.fleet.tests.unit.reports.runs import provision, roll

SUCCESS = "last_success_timestamp_seconds"


def metrics_of(events: list[dict[str, Any]], before: str = "", pool: str = "web") -> Metrics:
    metrics = Metrics(pool, before)
    for event in events:
        metrics.take(event)
    return metrics


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """`{(name, labels without the pool): value}`; every family has to be known to HELP, and belongs to the pool."""
    found = {}
    for family in parser.text_string_to_metric_families(text):
        assert family.documentation == HELP[family.name.removeprefix(PREFIX)]
        assert family.type in ("gauge", "summary")
        for sample in family.samples:
            assert sample.labels.pop("pool") == "web"
            found[sample.name.removeprefix(PREFIX), tuple(sample.labels.items())] = sample.value
    return found


def test_a_run_that_ended_well() -> None:
    """Three machines were made; the time of the success stays for the runs after it."""
    found = samples(metrics_of(provision(3)).text())
    assert found["run_in_progress", ()] == 0
    assert found["run_success", ()] == 1
    assert (found["pool_replicas", ()], found["pool_floor", ()], found["pool_ceiling", ()], found["pool_available", ()]) == (3, 3, 4, 3)
    assert found["machines", (("phase", "ready"),)] == 3
    assert found["run_actions", (("verb", "create"),)] == 3
    assert (found["step_seconds_count", (("step", "come"),)], found["step_seconds_count", (("step", "leave"),)]) == (3, 0)
    assert found["step_seconds_sum", (("step", "come"),)] == pytest.approx(3 * 18, abs=3)
    assert found[SUCCESS, ()] == found["run_start_timestamp_seconds", ()] + found["run_duration_seconds", ()]


def test_a_run_that_failed_keeps_the_time_of_the_last_success() -> None:
    """A pod that may never leave: the code is named, what blocks is counted, and nothing looks like a success."""
    before = metrics_of(provision(3)).text()
    found = samples(metrics_of(roll(), before).text())
    assert found["run_success", ()] == 0
    assert found["run_failure", (("code", "blocked"),)] == 1
    assert found["run_blocked", (("code", "pdb"),)] == 2
    assert found["run_evictions", ()] >= found["run_pods_moved", ()] > 0
    assert found[SUCCESS, ()] == samples(before)[SUCCESS, ()]
    assert SUCCESS not in {name for name, _labels in samples(metrics_of(roll()).text())}


def test_a_pending_end_is_neither_a_failure_nor_a_success() -> None:
    """A pool that stays paused shows in the age of its last success, and in a value of its own."""
    before = metrics_of(provision(3)).text()
    events = provision(3)
    found = samples(metrics_of([*events[:-1], {**events[-1], "pending": "paused"}], before).text())
    assert (found["run_success", ()], found["run_pending", ()]) == (0, 1)
    assert "run_failure" not in {name for name, _labels in found}
    assert found[SUCCESS, ()] == samples(before)[SUCCESS, ()]


def test_what_is_waited_for_is_counted_beside_what_blocks() -> None:
    """An alert on blockers does not ring for a soak."""
    wait = {"at": "2026-11-21T04:00:00Z", "kind": "waits", "machine": "", "text": "soaks", "code": "step"}
    found = samples(metrics_of([wait]).text())
    assert found["run_waiting", (("code", "step"),)] == 1
    assert "run_blocked" not in {name for name, _labels in found}
    over = {**wait, "kind": "waited"}
    assert "run_waiting" not in {name for name, _labels in samples(metrics_of([wait, over]).text())}


def test_the_way_of_a_plain_machine_is_counted_and_timed() -> None:
    """It is marked on the record; its way out begins with the drain of its member."""
    at = "2026-11-21T04:00:{:02}Z".format
    steps = [(0, "join"), (5, "drain"), (20, "remove"), (21, "delete"), (25, "gone")]
    found = samples(metrics_of([{"at": at(second), "kind": kind, "machine": "m", "text": ""} for second, kind in steps]).text())
    assert [found["run_actions", (("verb", verb),)] for verb in ("join", "drain", "remove", "delete")] == [1, 1, 1, 1]
    assert (found["step_seconds_count", (("step", "leave"),)], found["step_seconds_sum", (("step", "leave"),)]) == (1, 20)


def test_a_run_under_way() -> None:
    """Seen from outside: it is in progress, and says nothing of its end."""
    events = provision(3)
    joined = next(number for number, event in enumerate(events) if event["text"] == "joining")
    found = samples(metrics_of(events[:joined]).text())
    assert found["run_in_progress", ()] == 1
    assert "run_success" not in {name for name, _labels in found}
    assert found["machines", (("phase", "booting"),)] == 3


def test_labels_are_escaped() -> None:
    """Codes come from adapters, and a pool without a name has no label."""
    refused = {"at": "2026-11-21T04:00:00Z", "kind": "refused", "verb": 'a"b\\c\nd', "code": "", "machine": "", "text": ""}
    families = parser.text_string_to_metric_families(metrics_of([refused], pool="").text())
    labels = [sample.labels for family in families for sample in family.samples if sample.name == PREFIX + "run_refused_calls"]
    assert labels == [{"verb": 'a"b\\c\nd', "code": ""}]


@pytest.mark.parametrize("before", ["", "not ours\n", f'{PREFIX}{SUCCESS}{{pool="web"}} x\n'], ids=["none", "foreign", "broken"])
def test_a_file_that_says_nothing_of_a_success(before: str) -> None:
    """Whatever it holds, the run begins."""
    assert SUCCESS not in metrics_of(provision(1)[:-1], before).text()
