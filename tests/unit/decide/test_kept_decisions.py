# SPDX-License-Identifier: GPL-3.0-or-later
"""Most turns bring nothing new. A decision to wait holds for them, until a fact or the time that it named speaks for another one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import HOLDS_MOST, Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.schedule import Window
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.tests.unit.builders import NEW, NOW, YOUNG, creating, machine, pool, snapshot

SOON = timedelta(seconds=4)
OPEN = Window(cron="0 4 * * *", duration=timedelta(hours=2), intervals=((NOW - timedelta(hours=1), NOW + timedelta(hours=1)),))


def waiting(**more: Any) -> Snapshot:
    """Three machines, two of which serve and one boots on: nothing is to be done."""
    return snapshot(machine("m1"), machine("m2"), machine("m3", NEW, YOUNG), **more)


def two_turns(later: Snapshot, wanted: Pool) -> tuple[Decision, Decision]:
    """The decision NOW, and that of a later turn of the same run."""
    job, first = Rollout(wanted), waiting()
    before = job.decide(first, first.at)
    assert not before.actions
    return before, job.decide(later, later.at)


def test_a_decision_to_wait_holds_while_nothing_is_new() -> None:
    """The very same decision: nothing was looked through for it."""
    before, after = two_turns(waiting(at=NOW + SOON), pool(3))
    assert after is before


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        pytest.param({"at": NOW + timedelta(seconds=20)}, pool(3), id="it is the time that it named: the young one becomes available"),
        pytest.param({"at": NOW + HOLDS_MOST}, pool(3, min_ready=timedelta(minutes=9)), id="so long ago that what it says is old"),
        pytest.param({"at": NOW + SOON, "creating": (creating(),)}, pool(3), id="a fact is new"),
        pytest.param({"at": NOW + SOON}, pool(3, windows=(OPEN,)), id="by the calendar something may begin that no decision names"),
        pytest.param({"at": NOW + SOON}, pool(3, max_age=timedelta(days=1)), id="by its age a machine may be outdated"),
    ],
)
def test_it_is_decided_anew_when(more: dict[str, Any], wanted: Pool) -> None:
    """What is decided then is what a run decides that begins with these facts."""
    later = waiting(**more)
    before, after = two_turns(later, wanted)
    assert after is not before
    assert after == Rollout(wanted).decide(later, later.at)


def test_what_was_to_be_done_is_said_again_until_it_is_seen() -> None:
    """A decision with actions is no decision to wait: whoever could not act on it yet is told in each turn."""
    job, first = Rollout(pool(3)), snapshot(machine("m1"))
    before = job.decide(first, first.at)
    again = job.decide(replace(first, at=NOW + SOON), NOW + SOON)
    assert before.actions == again.actions != ()


def test_another_revision_is_decided_on_at_once() -> None:
    """An operator's image in the place of the one asked for makes all machines outdated."""
    job, first = Rollout(pool(3)), waiting()
    job.decide(first, first.at)
    job.retarget(replace(job.pool.revision, id="newer"))
    assert job.decide(waiting(at=NOW + SOON), NOW + SOON).actions
