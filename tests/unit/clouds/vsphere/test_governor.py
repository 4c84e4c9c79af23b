# SPDX-License-Identifier: GPL-3.0-or-later
"""How many clones are asked for at once, by what the task queue shows; and that a vCenter never waits for us."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.governor import (
    FEWEST,
    MOST,
    Lane,
    Seen,
    adapt,
    left,
    see,
    together,
)


def took(*seconds: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=each) for each in seconds)


@pytest.mark.parametrize(
    ("lane", "seen", "limit"),
    [
        pytest.param(Lane(), Seen(), 16, id="nothing to learn from"),
        pytest.param(Lane(), Seen(running=3), 16, id="fewer than may be: the limit was not in force"),
        pytest.param(Lane(), Seen(queued=8, running=8), 16, id="as many wait as run: as it should be"),
        pytest.param(Lane(), Seen(queued=4, running=12), 16, id="some wait"),
        pytest.param(Lane(), Seen(running=16), 17, id="nothing waits, nothing ended: one more"),
        pytest.param(Lane(), Seen(running=8, took=took(*[2] * 8)), 24, id="nothing waits: as many more as ended"),
        pytest.param(Lane(limit=MOST), Seen(running=MOST), MOST, id="never more than so many"),
        pytest.param(Lane(), Seen(queued=11, running=5), 8, id="others use the host: half"),
        pytest.param(Lane(), Seen(queued=9, running=2, took=took(*[2] * 5)), 16, id="many wait, and as many end: they are quick"),
        pytest.param(Lane(limit=8), Seen(queued=11, running=5), 8, id="cut already, and not yet down to it"),
        pytest.param(Lane(limit=FEWEST), Seen(queued=2), FEWEST, id="never fewer than so many"),
        pytest.param(Lane(quickest=timedelta(seconds=20)), Seen(running=8, took=took(38, 41, 60)), 8, id="twice as slow: half"),
        pytest.param(Lane(quickest=timedelta(seconds=20)), Seen(running=8, took=took(41, 60)), 16, id="two are no evidence"),
        pytest.param(
            Lane(quickest=timedelta(seconds=20)), Seen(queued=1, running=8, took=took(30, 31, 35)), 16, id="slower, and not so slow"
        ),
        pytest.param(Lane(quickest=timedelta(milliseconds=100)), Seen(queued=1, took=took(0.3, 0.4, 0.5)), 16, id="too quick to measure"),
    ],
)
def test_a_limit_grows_by_little_and_is_cut_by_half(lane: Lane, seen: Seen, limit: int) -> None:
    assert adapt(lane, seen).limit == limit


def test_the_quickest_is_what_was_usual_at_best() -> None:
    lane = adapt(Lane(), Seen(took=took(9, 10, 11)))
    assert lane.quickest == timedelta(seconds=10)
    assert adapt(lane, Seen(took=took(8, 30))).quickest == timedelta(seconds=10)


def test_each_lane_of_a_clone_sees_it() -> None:
    """One that failed teaches nothing; one whose task nobody has seen is taken to run."""
    clones = [
        (("vCenter", "h1", "d1"), "running", None),
        (("vCenter", "h1", "d2"), "queued", None),
        (("vCenter", "h2", "d2"), "success", timedelta(seconds=2)),
        (("vCenter", "h2", "d1"), "error", timedelta(seconds=9)),
        (("vCenter", "h2", "d1"), "", None),
    ]
    assert see(clones) == {
        "vCenter": Seen(queued=1, running=2, took=took(2)),
        "h1": Seen(queued=1, running=1),
        "h2": Seen(running=1, took=took(2)),
        "d1": Seen(running=2),
        "d2": Seen(queued=1, took=took(2)),
    }


def test_what_is_left_of_a_lane() -> None:
    """One that nobody has seen yet has the limit that all begin with."""
    under_way = [("vCenter", "h1"), ("vCenter", "h2")]
    assert (left({}, "h1", under_way), left({"h1": Lane(limit=2)}, "h1", under_way), left({"h1": Lane(limit=1)}, "h1", under_way)) == (
        15,
        1,
        0,
    )


@pytest.mark.parametrize(
    ("slots", "seconds", "clones", "most_waiting"),
    [(8, 2.0, 100, 16), (8, 20.0, 100, 16), (16, 2.0, 200, 32), (4, 5.0, 60, 12), (2, 10.0, 30, 14)],
)
def test_slots_are_kept_busy_and_the_queue_short(slots: int, seconds: float, clones: int, most_waiting: int) -> None:
    """A queue of so many slots, looked at every two seconds in virtual time: at most a sixth over the best that there is."""
    lane, step, now, look = Lane(), 0.1, 0.0, 0.0
    waiting, running, ended, asked, done, waited = 0, list[float](), 0, 0, 0, 0
    while done < clones:
        still = [until for until in running if until > now + 1e-9]
        ended, done = ended + len(running) - len(still), done + len(running) - len(still)
        started = min(waiting, slots - len(still))
        running, waiting = still + [now + seconds] * started, waiting - started
        if now >= look - 1e-9:
            lane = adapt(lane, Seen(queued=waiting, running=len(running), took=took(*[seconds] * ended)))
            sent = min(clones - asked, max(0, lane.limit - waiting - len(running)))
            asked, waiting, ended, look = asked + sent, waiting + sent, 0, look + 2.0
            waited = max(waited, waiting - slots)
        now += step
    best = -(-clones // slots) * seconds
    assert now <= best * 7 / 6 + 2 * step
    assert waited <= most_waiting


def test_looks_that_follow_at_once_are_one_look() -> None:
    """Who waits and who runs is as the later one shows it; who ended did so in either."""
    earlier, later = {"a": Seen(queued=5, running=8, took=took(2.0)), "b": Seen(took=took(3.0))}, {"a": Seen(queued=4, took=took(2.5))}
    assert together(earlier, later) == {"a": Seen(queued=4, took=took(2.0, 2.5)), "b": Seen(took=took(3.0))}
