# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells: a machine's phase in a word, one event a change, summaries that are not too many."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import BOOTING, FAILED, GOING, NOT_READY, QUARANTINED
from ansible_collections.immutable.fleet.plugins.module_utils.engine.telling import Teller, phase_of, verb_of
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import (
    Action,
    Blocker,
    ChangeNode,
    Clear,
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
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_verbs_of_actions(action: Action, verb: str) -> None:
    """One word for one action, in plans, events and stories."""
    assert verb_of(action) == verb


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
    return [(event.kind, event.machine, event.text) for event in listener.events]


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


def test_a_blocker_is_told_when_it_appears() -> None:
    """Once, not each turn."""
    listener = Listener()
    teller = Teller(listener, pool(1))
    blocked = Decision(blockers=(Blocker(code="pdb", what="PDB shop/cart allows 0", where="node m1"),))
    teller.turn(snapshot(), blocked, NOW)
    teller.turn(snapshot(), blocked, later(1))
    assert listener.events == [Event(at=NOW, kind="blocked", machine="node m1", text="PDB shop/cart allows 0", data={"code": "pdb"})]


def test_summaries_come_every_ten_seconds_at_most() -> None:
    """A change within that time is in the next one."""
    listener = Listener()
    teller = Teller(listener, pool(3))
    teller.turn(snapshot(), Decision(tally=Tally(available=1, up_to_date=1)), NOW)
    teller.turn(snapshot(), Decision(tally=Tally(available=2, up_to_date=2)), later(5))
    teller.turn(snapshot(), Decision(tally=Tally(available=3, up_to_date=2, going=1)), later(10))
    assert [(event.at, event.text) for event in listener.events] == [
        (NOW, "1/3 up to date and available, 1 available, 0 going"),
        (later(10), "2/3 up to date and available, 3 available, 1 going"),
    ]


def test_actions_refusals_and_the_end_are_told() -> None:
    """Each with what a program needs beside the text."""
    listener = Listener()
    teller = Teller(listener, pool(3))
    create = Create(2, "az1", 1, "3 exist < ceiling 4")
    teller.acted(create, "web-2-aaaaa", NOW)
    teller.refused(Evict("m1", pod("a"), "no PDB"), "m1", Conflict(what="changed"), NOW)
    teller.refused(ChangeNode(NodeChange(node="m2", uid="u"), "set role"), "m2", Conflict(what="changed"), NOW)
    teller.ended(None, "", NOW)
    teller.ended(Stopped(what="stopped: SIGTERM"), "", NOW)
    assert listener.events == [
        Event(at=NOW, kind="create", machine="web-2-aaaaa", text="3 exist < ceiling 4", data={"slot": 2, "failure_domain": "az1"}),
        Event(at=NOW, kind="refused", machine="m1", text="evict: changed", data={"verb": "evict", "code": "conflict"}),
        Event(at=NOW, kind="refused", machine="m2", text="label: changed", data={"verb": "label", "code": "conflict"}),
        Event(at=NOW, kind="end", text="done", data={"code": "ok"}),
        Event(at=NOW, kind="end", text="stopped: SIGTERM", data={"code": "stopped"}),
    ]
