# SPDX-License-Identifier: GPL-3.0-or-later
"""Events become a timeline: steps of machines, blocks, pods, and the path that the duration was made of."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.reports.critical_path import Link, critical_path, spent_by_step
from ansible_collections.immutable.fleet.plugins.module_utils.reports.timeline import Row, Segment, Timeline, read
from ansible_collections.immutable.fleet.tests.unit.reports.runs import provision, roll


def event(second: int, kind: str, machine: str = "", text: str = "", **more: Any) -> dict[str, Any]:
    return {"at": f"2026-11-21T04:{second // 60:02d}:{second % 60:02d}Z", "kind": kind, "machine": machine, "text": text, **more}


def begin(second: int = 0, **more: Any) -> dict[str, Any]:
    return event(second, "begin", **wanted(**more))


def wanted(**more: Any) -> dict[str, Any]:
    usual = {"pool": "web", "replicas": 1, "floor": 1, "ceiling": 2, "min_ready_seconds": 30, "revision": "new", "image": "v2"}
    return {**usual, **more}


def phase(second: int, machine: str, text: str, before: str = "?") -> dict[str, Any]:
    return event(second, "phase", machine, text, before=before, revision="new", failure_domain="az1")


# One machine is replaced: the new one is available at 120, the old one gone at 160.
REPLACED = [
    begin(),
    phase(0, "web-0-old", "ready", ""),
    event(1, "capacity", available=1, existing=1),
    event(10, "create", "web-0-new", "1 exist < ceiling 2", slot=0, failure_domain="az1"),
    phase(11, "web-0-new", "building", ""),
    phase(40, "web-0-new", "booting"),
    phase(70, "web-0-new", "joining"),
    phase(90, "web-0-new", "ready"),
    event(120, "choose", "web-0-old", "outdated"),
    event(120, "evict", "web-0-old", "no PDB", pod="shop/cart-0"),
    event(121, "refused", "web-0-old", "evict: PDB says no", verb="evict", code="throttled", pod="shop/cart-0"),
    event(126, "evict", "web-0-old", "no PDB", pod="shop/cart-0"),
    event(140, "pod gone", "web-0-old", pod="shop/cart-0"),
    phase(140, "web-0-old", "detaching"),
    phase(146, "web-0-old", "drained"),
    event(147, "delete", "web-0-old", "0 pods left"),
    phase(148, "web-0-old", "deleting"),
    event(160, "gone", "web-0-old", "the VM is gone"),
    event(161, "end", text="done", code="ok"),
]


def steps(timeline: Timeline) -> dict[str, list[tuple[str, float, float]]]:
    return {row.name: [(segment.step, segment.begin, segment.end) for segment in row.segments] for row in timeline.rows}


def test_a_machines_steps_follow_one_another() -> None:
    """From its create to its end, without a gap; soaking ends when min_ready is over."""
    assert steps(read(REPLACED)) == {
        "web-0-new": [("create", 10, 40), ("boot", 40, 70), ("join", 70, 90), ("soak", 90, 120), ("serve", 120, 161)],
        "web-0-old": [("serve", 0, 120), ("drain", 120, 140), ("detach", 140, 147), ("delete", 147, 160)],
    }


def test_the_critical_path_is_the_chain_that_took_the_time() -> None:
    """Found backwards from the last step; what lies before the first one is waiting."""
    assert critical_path(read(REPLACED).rows) == [
        Link("", "wait", 0, 10),
        Link("web-0-new", "create", 10, 40),
        Link("web-0-new", "boot", 40, 70),
        Link("web-0-new", "join", 70, 90),
        Link("web-0-new", "soak", 90, 120),
        Link("web-0-old", "drain", 120, 140),
        Link("web-0-old", "detach", 140, 147),
        Link("web-0-old", "delete", 147, 160),
    ]


def test_a_pods_eviction_is_told_from_the_first_to_the_last() -> None:
    """How often it was asked and refused, in which words, and when it had left."""
    (move,) = read(REPLACED).pods
    assert (move.pod, move.machine, move.asked, move.refused, move.begin, move.end) == ("shop/cart-0", "web-0-old", 2, 1, 120, 140)
    assert move.refusal == "evict: PDB says no"


def test_a_blocker_that_comes_and_goes_is_one_row() -> None:
    """From its first to its last appearance; one that still stands at the end has no end."""
    where, what = "machine web-0-old, failure domain az1", "PDB shop/cart allows 0"
    events = [
        begin(),
        event(10, "blocked", where, what, code="pdb", since=""),
        event(20, "unblocked", where, what, code="pdb", since=""),
        event(40, "blocked", where, what, code="pdb", since=""),
        event(50, "unblocked", where, what, code="pdb", since=""),
        event(60, "blocked", "", "quota", code="exhausted", since=""),
        event(90, "end", code="stalled"),
    ]
    blocks = read(events).blocks
    assert [(block.what, block.begin, block.end, block.times) for block in blocks] == [(what, 10, 50, 2), ("quota", 60, None, 1)]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([phase(5, "m", "not ready", "ready"), phase(9, "m", "ready")], [("trouble", 5, 9), ("serve", 9, 60)], id="fell ill"),
        pytest.param([event(5, "choose", "m"), event(30, "quarantine", "m")], [("drain", 5, 30), ("set aside", 30, 60)], id="set aside"),
        pytest.param([event(5, "drain", "m"), event(30, "delete", "m")], [("drain", 5, 30), ("delete", 30, 60)], id="a plain machine"),
        pytest.param([phase(5, "m", "cordoned", "")], [("cordoned", 0, 60)], id="found closed by a person"),
        pytest.param(
            [event(5, "cordon", "m"), event(6, "evict", "m", pod="a/b"), phase(20, "m", "drained"), event(40, "uncordon", "m")],
            [("cordoned", 5, 6), ("drain", 6, 40), ("serve", 40, 60)],
            id="node_drain gives up",
        ),
        pytest.param([event(5, "delete", "m"), phase(6, "m", "draining")], [("delete", 5, 60)], id="a list that is behind"),
    ],
)
def test_steps_of_machines_that_go_other_ways(events: list[dict[str, Any]], expected: list[tuple[str, float, float]]) -> None:
    """What is open at the end of the run is drawn up to it."""
    assert steps(read([begin(), *events, event(60, "end", code="ok")]))["m"] == expected


def test_the_last_run_of_a_file_counts() -> None:
    """An event file may hold several; a plan is one as well."""
    timeline = read([*REPLACED, begin(200), event(230, "end", code="stopped")])
    assert (timeline.seconds, timeline.rows, timeline.end["code"]) == (30, [], "stopped")
    plan = read([*REPLACED, event(200, "plan"), begin(200), event(230, "end", code="ok")])
    assert (plan.is_plan, plan.seconds, plan.bounds) == (True, 30, [(0, 1, 1, 2)])


@pytest.mark.parametrize("length", range(len(REPLACED)))
def test_a_run_that_was_cut_off_is_drawn_up_to_there(length: int) -> None:
    """Whatever the last event is; kinds of a newer version are left out."""
    timeline = read([*REPLACED[:length], event(160, "newer than this reader", "web-9", "?")] if length else [])
    assert all(segment.end <= timeline.seconds for row in timeline.rows for segment in row.segments)
    critical_path(timeline.rows)


def test_a_create_that_was_refused_makes_no_row() -> None:
    """The machine never was; the refusal is counted."""
    refused = event(2, "refused", "web-0-x", "create: quota", verb="create", code="exhausted", pod="")
    timeline = read([begin(), event(1, "create", "web-0-x", slot=0, failure_domain=""), refused, event(3, "end", code="exhausted")])
    assert (timeline.rows, timeline.refusals) == ([], {("create", "exhausted", "create: quota"): 1})


def test_machines_stand_in_the_order_in_which_they_changed() -> None:
    """Numbers as people count them, those that did not change last."""
    events = [begin(), *(phase(0, name, "ready", "") for name in ("web-1", "web-10", "web-2"))]
    events += [event(9, "choose", "web-10"), event(9, "choose", "web-2"), event(20, "end", code="ok")]
    assert [row.name for row in read(events).rows] == ["web-2", "web-10", "web-1"]


def test_a_real_roll_is_read_whole() -> None:
    """Each machine that was made or went has its steps; the path accounts for all of the time."""
    events = roll()
    timeline = read(events)
    made = {told["machine"] for told in events if told["kind"] == "create"}
    assert {row.name for row in timeline.rows if row.is_new} == made
    assert sum(1 for row in timeline.rows if row.is_gone) == sum(1 for told in events if told["kind"] == "gone")
    assert all(row.spent(("create",)) and row.spent(("boot",)) and row.spent(("soak",)) for row in timeline.rows if row.is_new)
    assert {block.code for block in timeline.blocks} == {"pdb"}
    path = critical_path(timeline.rows)
    assert all(after.begin - before.end <= 1 for before, after in pairwise(path))
    assert sum(spent_by_step(path).values()) == pytest.approx(timeline.seconds, abs=len(path))


def test_a_machine_that_comes_takes_its_four_steps() -> None:
    """As the world's durations say, to the second that events are dated with."""
    row = read(provision(1)).rows[0]
    assert [segment.step for segment in row.segments][:4] == ["create", "boot", "join", "soak"]
    assert row.spent(("soak",)) == pytest.approx(30, abs=1)


def test_the_path_of_nothing_is_empty() -> None:
    """A run that changed nothing has none."""
    assert critical_path([Row("web-0", segments=[Segment("serve", 0, 60)])]) == []


def test_what_a_run_waited_for_at_its_end_is_on_its_path() -> None:
    """A gate that never passed is most of a run that stalled."""
    rows = [Row("web-0", segments=[Segment("create", 0, 20), Segment("serve", 20, 600)])]
    assert critical_path(rows, 600) == [Link("web-0", "create", 0, 20), Link("", "wait", 20, 600)]


def test_what_operators_asked_is_kept_with_its_time() -> None:
    """A new image changes what the run is to bring about; a quarantined machine that is given back serves again."""
    told = [event(5, "steering", text="pause, asked by operator"), event(9, "retarget", text="image v3", **wanted(image="v3", floor=2))]
    timeline = read([begin(), *told, event(12, "quarantine", "m"), event(20, "release", "m"), event(30, "end", code="ok")])
    assert timeline.steering == [(5, "pause, asked by operator"), (9, "image v3")]
    assert (timeline.begin["image"], timeline.bounds) == ("v3", [(0, 1, 1, 2), (9, 1, 2, 2)])
    assert steps(timeline)["m"] == [("set aside", 12, 20), ("serve", 20, 30)]
