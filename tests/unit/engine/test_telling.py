# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells: a machine's phase in a word, one event a change, summaries that are not too many."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import BOOTING, FAILED, GOING, NOT_READY, QUARANTINED
from ansible_collections.immutable.fleet.plugins.module_utils.engine.telling import Teller, node_phase_of, phase_of, verb_of
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import (
    Action,
    Blocker,
    ChangeNode,
    Clear,
    CopyDisk,
    Create,
    Decision,
    Delete,
    DeleteNode,
    Evict,
    LookAt,
    Tally,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Stopped
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import NodeChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import revision_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover
from ansible_collections.immutable.fleet.tests.unit.builders import (
    HELD,
    JOINED,
    NEW,
    NOW,
    ago,
    later,
    machine,
    node,
    pod,
    pool,
    snapshot,
)

LEFTOVER = Leftover(kind="port", id="p1", name="m1", machine="m1", created_at=ago(60))


@pytest.mark.parametrize(
    ("subject", "phase"),
    [
        pytest.param(machine("m1", NEW, QUARANTINED), "quarantined", id="set aside"),
        pytest.param(machine("m1", NEW, GOING, status=vm_states.DELETING), "deleting", id="the cloud deletes it"),
        pytest.param(machine("m1", NEW, GOING, pods=(), attachments=("v1",)), "detaching", id="volumes left"),
        pytest.param(machine("m1", NEW, GOING), "draining", id="pods left"),
        pytest.param(machine("m1", NEW, GOING, pods=()), "drained", id="nothing left"),
        pytest.param(machine("m1", NEW, FAILED), "error", id="ERROR"),
        pytest.param(machine("m1", status=vm_states.STOPPED), "stopped", id="shut off"),
        pytest.param(machine("m1", NEW, BOOTING, status=vm_states.BUILDING), "building", id="being built"),
        pytest.param(machine("m1", NEW, BOOTING), "booting", id="runs, has not joined"),
        pytest.param(machine("m1", NEW, HELD), "cordoned", id="closed by a person"),
        pytest.param(machine("m1"), "ready", id="serves"),
        pytest.param(machine("m1", NEW, NOT_READY), "not ready", id="was ready, is not"),
        pytest.param(machine("m1", NEW, JOINED), "joining", id="joined, never ready"),
    ],
)
def test_the_phase_of_a_machine_is_the_first_that_fits(subject: Machine, phase: str) -> None:
    """Derived from facts each time; every machine has one."""
    assert phase_of(subject) == phase


@pytest.mark.parametrize(
    ("action", "verb"),
    [
        (Create(0, "", 1, ""), "create"),
        (Delete(machine("m1"), ""), "delete"),
        (DeleteNode(node("m1"), ""), "delete node"),
        (LookAt(node("m1"), ""), "look"),
        (Evict("m1", pod("a"), ""), "evict"),
        (Evict("m1", pod("a"), "", by_force=True), "remove pod"),
        (ChangeNode(NodeChange(node="m1", uid="u"), "", "cordon"), "cordon"),
        (Clear(LEFTOVER, ""), "clear"),
        (CopyDisk(machine("m1"), ""), "capture"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_verbs_of_actions(action: Action, verb: str) -> None:
    """One word for one action, in plans, events and stories."""
    assert verb_of(action) == verb


NUMBERS = ("begin", "capacity", "summary")


@dataclass
class Listener:
    events: list[Event] = field(default_factory=list)

    def tell(self, event: Event) -> None:
        self.events.append(event)


def told(*worlds: tuple[Machine, ...]) -> list[tuple[str, str, str]]:
    """(kind, machine, text) of the events of turns that saw these machines."""
    listener = Listener()
    teller = Teller(listener, pool(1))
    for machines in worlds:
        teller.turn(snapshot(*machines), Decision(), NOW)
    return [(event.kind, event.machine, event.text) for event in listener.events if event.kind not in NUMBERS]


def test_a_change_of_phase_is_told_once() -> None:
    """Found, unchanged, not ready, gone: three events."""
    ready = machine("m1")
    assert told((ready,), (ready,), (machine("m1", NEW, NOT_READY),), ()) == [
        ("phase", "m1", "ready"),
        ("phase", "m1", "not ready"),
        ("gone", "m1", "the VM is gone"),
    ]


def test_a_change_that_is_no_change_of_phase_is_not_told() -> None:
    """A label more is nobody's news."""
    ready = machine("m1")
    assert told((ready,), (replace(ready, node=node("m1", version="2")),)) == [("phase", "m1", "ready")]


def test_a_blocker_is_told_when_it_appears_and_when_it_is_gone() -> None:
    """Once each, not each turn."""
    listener = Listener()
    teller = Teller(listener, pool(1))
    blocked = Decision(blockers=(Blocker(code="pdb", what="PDB shop/cart allows 0", where="node m1", since=ago(60)),))
    teller.turn(snapshot(), blocked, NOW)
    teller.turn(snapshot(), blocked, later(1))
    teller.turn(snapshot(), Decision(), later(2))
    data = {"code": "pdb", "since": "2026-11-21T04:09:07Z"}
    assert [event for event in listener.events if event.kind not in NUMBERS] == [
        Event(at=NOW, kind="blocked", machine="node m1", text="PDB shop/cart allows 0", data=data),
        Event(at=later(2), kind="unblocked", machine="node m1", text="PDB shop/cart allows 0", data=data),
    ]


def test_what_was_asked_for_is_waited_for() -> None:
    """A soak blocks nothing: kind and summary say so."""
    listener = Listener()
    teller = Teller(listener, pool(1))
    soak = Blocker(code="step", what="step 1 of 3: its machines soak")
    teller.turn(snapshot(), Decision(blockers=(soak,)), NOW)
    teller.turn(snapshot(), Decision(), later(2))
    assert [(event.kind, event.text) for event in listener.events if event.kind in ("waits", "waited", "blocked")] == [
        ("waits", soak.what),
        ("waited", soak.what),
    ]
    summary = next(event for event in listener.events if event.kind == "summary")
    assert summary.text.endswith("; waits: step 1 of 3: its machines soak")
    assert (summary.data["blocked"], summary.data["waiting"]) == (0, 1)


def test_what_the_run_is_to_bring_about_is_told_first() -> None:
    """With the bounds that everything after it has to keep, and again when another image is asked for in the midst of the run."""
    listener = Listener()
    teller = Teller(listener, pool(4, surge=2, unavailable=1))
    teller.turn(snapshot(), Decision(), NOW)
    teller.retargeted(revision_of({"image": "sha512:v3"}, {"asked": "v3"}), later(1))
    teller.turn(snapshot(), Decision(), later(2))
    told = [event for event in listener.events if event.kind in ("begin", "retarget")]
    assert [(event.kind, event.data["floor"], event.data["ceiling"], event.data["image"]) for event in told] == [
        ("begin", 3, 6, "sha512:new"),
        ("retarget", 3, 6, "v3"),
    ]


def test_each_pod_that_leaves_a_machine_on_its_way_out_is_told() -> None:
    """So that its time to leave can be seen; pods of machines that stay come and go as they like."""
    going, staying = (machine("m1", NEW, GOING, pods=(pod("a"), pod("b"))), machine("m2", NEW, pods=(pod("c"),)))
    emptier, as_before = (machine("m1", NEW, GOING, pods=(pod("b"),)), machine("m2", NEW, pods=()))
    assert told((going, staying), (emptier, as_before))[2:] == [("pod gone", "m1", "shop/a is gone")]


def test_capacity_is_told_at_each_change() -> None:
    """However short: a dip below the floor is never between two summaries."""
    listener = Listener()
    teller = Teller(listener, pool(3))
    for second, (available, existing) in enumerate([(3, 3), (3, 4), (3, 4), (2, 4), (3, 4)]):
        teller.turn(snapshot(), Decision(tally=Tally(available=available, existing=existing)), later(second))
    assert [(event.at, event.data) for event in listener.events if event.kind == "capacity"] == [
        (later(second), {"available": available, "existing": existing})
        for second, available, existing in [(0, 3, 3), (1, 3, 4), (3, 2, 4), (4, 3, 4)]
    ]


@pytest.mark.parametrize(
    ("seen", "evicts", "phase"),
    [
        pytest.param({}, False, "ready", id="open to pods"),
        pytest.param({"ready": False}, False, "not ready", id="open, not ready"),
        pytest.param({"schedulable": False, "pods": (pod("a"),)}, False, "cordoned", id="closed, its pods stay"),
        pytest.param({"schedulable": False, "pods": (pod("a"),)}, True, "draining", id="its pods were asked to leave"),
        pytest.param({"schedulable": False, "pods": ()}, True, "drained", id="they left"),
    ],
)
def test_the_phase_of_a_node_without_a_machine(seen: dict[str, Any], evicts: bool, phase: str) -> None:
    """What node_drain tells of the nodes it works on."""
    assert node_phase_of(node("m1", **seen), evicts=evicts) == phase


def test_node_drain_tells_of_the_nodes_it_touches() -> None:
    """As it found them, and what became of them; of others nothing."""
    listener = Listener()
    teller = Teller(listener, None)
    change = NodeChange(node="m1", uid="u")
    full, closed, empty = ({"pods": (pod("a"),)}, {"schedulable": False, "pods": (pod("a"),)}, {"schedulable": False, "pods": ()})
    other = node("m2", pods=(pod("x"),))

    def turn(seen: dict[str, Any], second: int) -> None:
        teller.turn(replace(snapshot(), nodes={"m1": node("m1", **seen), "m2": other}), Decision(), later(second))

    turn(full, 0)
    teller.acted(ChangeNode(change, "before the first eviction", "cordon"), "m1", later(0))
    turn(closed, 1)
    teller.acted(Evict("m1", pod("a"), "no PDB"), "m1", later(1))
    turn(empty, 2)
    assert [(event.kind, event.machine, event.text) for event in listener.events if event.kind not in NUMBERS] == [
        ("phase", "m1", "ready"),
        ("cordon", "m1", "before the first eviction"),
        ("phase", "m1", "cordoned"),
        ("evict", "m1", "no PDB"),
        ("pod gone", "m1", "shop/a is gone"),
        ("phase", "m1", "drained"),
    ]


def summaries(*turns: tuple[float, Decision]) -> list[tuple[datetime, str]]:
    listener = Listener()
    teller = Teller(listener, pool(3))
    for seconds, decision in turns:
        teller.turn(snapshot(), decision, later(seconds))
    return [(event.at, event.text) for event in listener.events if event.kind == "summary"]


def test_summaries_come_every_ten_seconds_at_most() -> None:
    """A change within that time is in the next one. The end is an estimate from the run's own pace."""
    assert summaries(
        (0, Decision(tally=Tally(available=1, up_to_date=1))),
        (5, Decision(tally=Tally(available=2, up_to_date=2, booting=1))),
        (10, Decision(tally=Tally(available=3, up_to_date=2, going=1, pods_left=4, quarantined=1))),
    ) == [
        (NOW, "1/3 done, 1 available"),
        (later(10), "2/3 done, 3 available, 1 going, 4 pods left, 1 set aside, about 10s left"),
    ]


def test_a_run_that_waits_says_so_each_minute() -> None:
    """Silence would look like a hang; what blocks is named, the first one in words."""
    why = (Blocker(code="pdb", what="PDB shop/cart allows 0", where="node m1"), Blocker(code="person", what="held", where="node m2"))
    waiting = Decision(tally=Tally(available=3), blockers=why)
    text = "0/3 done, 3 available; blocked: PDB shop/cart allows 0 (node m1), and 1 more"
    assert summaries((0, waiting), (30, waiting), (60, waiting)) == [(NOW, text), (later(60), text)]


def test_actions_refusals_and_the_end_are_told() -> None:
    """Each with what a program needs beside the text."""
    listener = Listener()
    teller = Teller(listener, pool(3))
    create = Create(2, "az1", 1, "3 exist < ceiling 4")
    teller.acted(create, "web-2-aaaaa", NOW)
    teller.refused(Evict("m1", pod("a"), "no PDB"), "m1", Conflict(what="changed"), NOW)
    teller.refused(ChangeNode(NodeChange(node="m2", uid="u"), "set role"), "m2", Conflict(what="changed"), NOW)
    teller.ended(None, "", NOW)
    teller.ended(Stopped(what="stopped: SIGTERM", forward="go on"), "", NOW)
    of_pod = {"verb": "evict", "code": "conflict", "pod": "shop/a"}
    of_node = {"verb": "label", "code": "conflict", "pod": ""}
    of_end = {"code": "stopped", "pending": "", "what": "stopped: SIGTERM", "where": "", "since": "", "forward": "go on", "back": ""}
    assert listener.events == [
        Event(at=NOW, kind="create", machine="web-2-aaaaa", text="3 exist < ceiling 4", data={"slot": 2, "failure_domain": "az1"}),
        Event(at=NOW, kind="refused", machine="m1", text="evict: changed", data=of_pod),
        Event(at=NOW, kind="refused", machine="m2", text="label: changed", data=of_node),
        Event(at=NOW, kind="end", text="done", data={"code": "ok", "pending": ""}),
        Event(at=NOW, kind="end", text="stopped: SIGTERM", data=of_end),
    ]
