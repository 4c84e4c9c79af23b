# SPDX-License-Identifier: GPL-3.0-or-later
"""Passes of `node_health` while a server does not answer before one begins."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.entry import answers, checkup, jobs
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Throttled, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact, PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, ago, snapshot

GONE = Transient(what="no answer")
BUSY = Throttled(what="too many calls")
WELL = (LockFact(), SimpleNamespace(unhealthy={}), SimpleNamespace(changed=False, steps=(), failure=None))


class Clock:
    """A runtime that only tells and passes time."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def wait(self, until: datetime) -> None:
        self.at = until


@pytest.mark.parametrize(
    ("lasts", "told", "passes"),
    [
        pytest.param(timedelta(minutes=2), [WELL, GONE, BUSY, WELL, WELL], 3, id="the next ones are asked"),
        pytest.param(timedelta(minutes=2), [GONE, WELL, WELL, WELL, WELL], 4, id="the first one, too"),
        pytest.param(timedelta(minutes=2), [WELL, WELL, WELL, WELL, GONE], None, id="until the time is over"),
        pytest.param(None, [GONE], None, id="one pass: nobody waits"),
    ],
)
def test_a_server_that_does_not_answer_costs_a_pass(
    lasts: timedelta | None, told: list[Any], passes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the whole task, which has an hour to look after the pool."""
    kit, left = SimpleNamespace(runtime=Clock()), list(told)

    def one(*_args: Any, **_more: Any) -> Any:
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(checkup.wiring, "pool_kit", lambda *_args: kit)
    monkeypatch.setattr(checkup, "_pass", one)
    monkeypatch.setattr(answers, "of_health", lambda *_args: {})
    request: Any = SimpleNamespace(pool=None, user_data="", settings=SimpleNamespace(call_timeout=None))
    asked = checkup.HealthRequest(request=request, lasts=lasts, every=timedelta(seconds=30))
    face: Any = SimpleNamespace(stops=lambda: False)
    if passes is None:
        with pytest.raises(Transient):
            checkup.look_after(asked, {}, face, check=False)
    else:
        answer, failure = checkup.look_after(asked, {}, face, check=False)
        assert (answer["passes"], failure) == (passes, None)
    assert left == []


class Marking:
    """A job that decides nothing."""

    pool = None

    def decide(self, _snapshot: Snapshot, _now: datetime) -> Decision:
        return Decision()


def test_a_plain_machine_that_goes_for_being_unhealthy_is_told_by_its_mark() -> None:
    """That is no step of the run: what follows are changes of a member, for reasons of their own."""
    inner: Any = Marking()
    job, before = (
        jobs.Watched(inner, only_heals=True),
        {"web-0": Note(ago(600), "unhealthy: an earlier pass"), "web-1": Note(ago(60), "outdated")},
    )
    ill = {"web-2": Note(NOW, "unhealthy: its VM is off by the cloud's word for 40s; 0 going < 1"), "web-3": Note(NOW, "surplus")}
    for leaving in (before, {**before, **ill}, {}):
        job.decide(snapshot(record=PoolRecord(leaving=leaving)), NOW)
    steps = [
        SimpleNamespace(verb="remove", machine="web-2", reason="its VM is off by the cloud's word"),
        SimpleNamespace(verb="delete", machine="web-2", reason="no member of the balancer any more"),
        SimpleNamespace(verb="choose", machine="web-4", reason="unhealthy: Ready is Unknown for 5m2s; 0 going < 1"),
        SimpleNamespace(verb="choose", machine="web-5", reason="failed and never joined"),
    ]
    result: Any = SimpleNamespace(steps=steps)
    assert checkup._replaced(job, result) == [
        {"machine": "web-2", "reason": "unhealthy: its VM is off by the cloud's word for 40s; 0 going < 1"},
        {"machine": "web-4", "reason": "unhealthy: Ready is Unknown for 5m2s; 0 going < 1"},
    ]
