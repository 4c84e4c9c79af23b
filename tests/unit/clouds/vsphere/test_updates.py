# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch of what is in flight: which calls it costs, what it tells, and what becomes of it when something breaks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.updates import (
    ENTER,
    LEAVE,
    MODIFY,
    Update,
    Updates,
    laid_over,
    updates_of,
)
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import Data, Found, Ref
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, NotFound, PortError, Transient
from ansible_collections.immutable.fleet.tests.unit.clouds.vsphere.fakes import NOW, FakeTransport

TASK, OTHER, VM = Ref("vim.Task", "task-1"), Ref("vim.Task", "task-2"), Ref("vim.VirtualMachine", "vm-30")
PATHS = {"vim.Task": ("info.state",), "vim.VirtualMachine": ("name",)}
COLLECTOR, VIEW = Ref("vmodl.query.PropertyCollector", "pc-1"), Ref("vim.view.ListView", "view-1")
PATIENCE_SECONDS = 10
MADE = ["CreatePropertyCollector propertyCollector", "CreateListView viewManager", "CreateFilter pc-1"]
DESTROYED = ["DestroyPropertyCollector pc-1", "DestroyView view-1"]


def said(version: str, *objects: tuple[Ref, str, dict[str, Any]]) -> dict[str, Any]:
    """An UpdateSet as the client hands it over."""
    changes = [
        {"obj": ref, "kind": kind, "changeSet": [{"name": name, "val": value} for name, value in values.items()]}
        for ref, kind, values in objects
    ]
    return {"version": version, "filterSet": [{"objectSet": changes}]}


class Vcenter(FakeTransport):
    """Waits answer what a test says next; a wait whose collector is destroyed ends with an error."""

    def __init__(self, **answers: Any) -> None:
        super().__init__({}, **{"CreatePropertyCollector": COLLECTOR, "CreateListView": VIEW, **answers})
        self.says: queue.SimpleQueue[Data | PortError | None] = queue.SimpleQueue()
        self.waits: list[tuple[str, float]] = []
        self.lock = threading.Lock()
        self.is_waiting = self.is_destroyed = False
        self.told: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.now = NOW
        self.updates = Updates(self, lambda: self.now, PATHS, lambda: self.told.put(None))

    def call(self, this: Ref, method: str, **arguments: Any) -> Any:
        answer = super().call(this, method, **arguments)
        with self.lock:
            self.is_destroyed = method == "DestroyPropertyCollector" or (self.is_destroyed and method != "CreatePropertyCollector")
            if method == "DestroyPropertyCollector" and self.is_waiting:
                self.says.put(NotFound(what="destroyed"))
        return answer

    def wait(self, collector: Ref, version: str, seconds: float) -> Data | None:
        assert collector == COLLECTOR
        self.waits.append((version, seconds))
        with self.lock:
            if self.is_destroyed:
                raise NotFound(what="destroyed")
            self.is_waiting = True
        answer = self.says.get(timeout=PATIENCE_SECONDS)
        with self.lock:
            self.is_waiting = False
        if isinstance(answer, PortError):
            raise answer
        return answer

    def follow(self, *wanted: Ref, until: datetime | None = None) -> None:
        self.updates.follow(frozenset(wanted), until)

    def is_told(self) -> None:
        """Returns as soon as it told once more."""
        self.told.get(timeout=PATIENCE_SECONDS)

    def has_ended(self) -> None:
        """Returns once its thread has."""
        for thread in threading.enumerate():
            if thread.name == "updates":
                thread.join(PATIENCE_SECONDS)
        assert "updates" not in {thread.name for thread in threading.enumerate()}


@pytest.fixture
def vcenter() -> Iterator[Vcenter]:
    made = Vcenter()
    yield made
    made.updates.stop()
    made.has_ended()


@pytest.mark.parametrize(
    ("known", "news", "expected"),
    [
        pytest.param({}, (ENTER, {"name": "a", "x": None}), {"name": "a"}, id="one that enters is told with all there is"),
        pytest.param({"name": "a", "x": 1}, (MODIFY, {"x": 2}), {"name": "a", "x": 2}, id="what changed is changed"),
        pytest.param({"name": "a", "x": 1}, (MODIFY, {"x": None}), {"name": "a"}, id="what is unset is not there"),
        pytest.param({}, (MODIFY, {"x": 2}), None, id="a part of one that nobody knows is no fact"),
        pytest.param({"name": "a"}, (LEAVE, {}), None, id="one that left is gone"),
    ],
)
def test_news_are_laid_over_what_is_known(known: Found, news: tuple[str, dict[str, Any]], expected: Found | None) -> None:
    kind, values = news
    found = laid_over({VM: known} if known else {}, [Update(at=NOW, ref=VM, kind=kind, values=values)])
    assert found.get(VM) == expected


def test_an_answer_is_read_in_its_order() -> None:
    answer = said("1", (TASK, ENTER, {"info.state": "running"}), (VM, LEAVE, {}))
    assert [(each.ref, each.kind, dict(each.values)) for each in updates_of(answer, NOW)] == [
        (TASK, ENTER, {"info.state": "running"}),
        (VM, LEAVE, {}),
    ]
    assert updates_of({"version": "2"}, NOW) == []


def test_nothing_in_flight_costs_no_call(vcenter: Vcenter) -> None:
    vcenter.follow()
    assert (vcenter.calls, vcenter.updates.tells, vcenter.updates.take()) == ([], True, [])


def test_there_is_one_filter_for_all_in_flight(vcenter: Vcenter) -> None:
    """Made with the first of them, destroyed with the last; what came since is one call, and what ended none."""
    vcenter.follow(TASK)
    vcenter.says.put(said("1", (TASK, ENTER, {"info.state": "running"})))
    vcenter.is_told()
    assert [each.values["info.state"] for each in vcenter.updates.take() or ()] == ["running"]
    vcenter.follow(TASK)
    vcenter.follow(OTHER, VM)
    vcenter.follow(VM)
    vcenter.says.put(said("2", (TASK, LEAVE, {}), (VM, ENTER, {"name": "web-0"})))
    vcenter.is_told()
    assert [each.ref for each in vcenter.updates.take() or ()] == [VM], "what was taken out of the view is no news"
    vcenter.follow()
    vcenter.has_ended()
    assert vcenter.calls == [*MADE, "ModifyListView view-1", *DESTROYED]
    (shown,) = [each for each in vcenter.arguments if "add" in each]
    assert (shown["add"], shown["remove"]) == ([OTHER, VM], [TASK])
    assert [version for version, _seconds in vcenter.waits[:2]] == ["", "1"]
    assert vcenter.told.empty(), "that it ended is not told"


@pytest.mark.parametrize("broke", [NotFound(what="its session has ended"), Transient(what="reset")])
def test_a_watch_that_breaks_is_told_and_made_anew_by_the_next_list(vcenter: Vcenter, broke: PortError) -> None:
    """What it would have told is lost: the list is one of everything. A session takes what was made in it along."""
    vcenter.follow(TASK)
    vcenter.says.put(said("1", (TASK, ENTER, {"info.state": "running"})))
    vcenter.is_told()
    vcenter.follow(TASK)
    vcenter.says.put(broke)
    vcenter.is_told()
    vcenter.has_ended()
    assert vcenter.calls == [*MADE, *([] if isinstance(broke, NotFound) else DESTROYED)]
    vcenter.calls.clear()
    assert vcenter.updates.take() is None
    assert vcenter.updates.tells
    vcenter.follow(TASK)
    vcenter.says.put(said("1", (TASK, ENTER, {"info.state": "success"})))
    vcenter.is_told()
    assert [each.values["info.state"] for each in vcenter.updates.take() or ()] == ["success"]
    assert vcenter.calls == MADE


def test_where_nobody_may_watch_lists_have_their_own_rhythm(vcenter: Vcenter) -> None:
    """Told once; each list tries again, and the first answer makes it tell."""
    vcenter.answers["CreateFilter"] = [Denied(what="no"), Denied(what="no"), None]
    vcenter.follow(TASK)
    vcenter.is_told()
    vcenter.has_ended()
    assert not vcenter.updates.tells
    vcenter.follow(TASK)
    vcenter.has_ended()
    assert vcenter.told.empty()
    assert not vcenter.updates.tells
    vcenter.follow(TASK)
    vcenter.says.put(said("1", (TASK, ENTER, {"info.state": "running"})))
    vcenter.is_told()
    assert vcenter.updates.tells


def test_an_answer_that_makes_no_sense_ends_the_watch_and_nothing_else(vcenter: Vcenter) -> None:
    vcenter.follow(TASK)
    vcenter.says.put({"filterSet": [{"objectSet": [{"kind": ENTER}]}]})
    vcenter.is_told()
    vcenter.has_ended()
    assert vcenter.updates.take() is None


def test_it_tells_at_the_latest_when_it_is_asked_to(vcenter: Vcenter) -> None:
    """Once: a guest that does not shut down says nothing."""
    vcenter.follow(VM, until=NOW + timedelta(seconds=7))
    vcenter.says.put(said("1", (VM, ENTER, {"name": "web-0"})))
    vcenter.is_told()
    vcenter.follow(VM, until=NOW + timedelta(seconds=7))
    vcenter.now = NOW + timedelta(seconds=8)
    vcenter.says.put(None)
    vcenter.is_told()
    assert vcenter.updates.take() is not None
    vcenter.follow(VM)
    vcenter.says.put(None)
    vcenter.updates.stop()
    vcenter.has_ended()
    assert vcenter.waits[0] == ("", 7.0)
    assert vcenter.told.empty()


def test_no_more_is_asked_for_before_the_loop_took_what_was_told(vcenter: Vcenter) -> None:
    """So vCenter tells together what changes together, however often that is."""
    vcenter.follow(TASK)
    vcenter.says.put(said("1", (TASK, ENTER, {"info.state": "queued"})))
    vcenter.is_told()
    assert [version for version, _seconds in vcenter.waits] == [""]
    vcenter.follow(TASK)
    vcenter.says.put(said("2", (TASK, MODIFY, {"info.state": "running"})))
    vcenter.is_told()
    assert [version for version, _seconds in vcenter.waits] == ["", "1"]


def test_what_this_run_asks_for_is_told_at_once(vcenter: Vcenter) -> None:
    """`anew`: what it did only a list of everything shows."""
    vcenter.updates.touch(anew=False)
    vcenter.is_told()
    assert vcenter.updates.take() == []
    vcenter.updates.touch(anew=True)
    vcenter.is_told()
    assert vcenter.updates.take() is None
