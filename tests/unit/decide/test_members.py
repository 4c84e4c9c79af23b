# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain machines and their balancer: the class of each, and the one step that one takes on its way out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide import going
from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import AVAILABLE, BOOTING, FAILED, GOING, NOT_READY, classify
from ansible_collections.immutable.fleet.plugins.module_utils.decide.members import WayOut, marked, way_out
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import DRAINING, OUT, SERVING, Backend, Member
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import ChangeMembers, Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import DrainPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import ServiceProbe
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.service import Service
from ansible_collections.immutable.fleet.tests.unit.builders import NEW, NOW, OLD, ago, blocked, later, pool, snapshot, vm

MARK = Note(ago(60), "outdated")
POLICY = DrainPolicy(timeout=timedelta(seconds=100))
PROBES = (ServiceProbe(kind="tcp", port=80),)
LIMITS = {"min_ready": timedelta(seconds=30), "startup_timeout": timedelta(seconds=600), "probes": PROBES}
IDLE = Backend(as_of=NOW)


def member(state: str = SERVING, **more: Any) -> Member:
    return Member(**{"id": "shop/m1", "name": "m1", "address": "192.0.2.1", "port": 80, "state": state, "is_ours": True, **more})


def plain(name: str = "m1", revision: str = NEW, of_vm: dict[str, Any] | None = None, **service: Any) -> Machine:
    """A machine that serves since an hour, unless told otherwise."""
    given = {"member": member(id=f"shop/{name}", name=name), "ready": True, "is_well": True, "since": ago(3600), **service}
    return Machine(name=name, vm=vm(name, revision, **{"addresses": (f"192.0.2.{name[1:]}",), **(of_vm or {})}), service=Service(**given))


@pytest.mark.parametrize(
    ("subject", "kind", "until"),
    [
        pytest.param(plain(), AVAILABLE, None, id="serves for long"),
        pytest.param(plain(since=ago(10)), BOOTING, later(20), id="serves for less than min_ready"),
        pytest.param(plain(ready=False, is_well=False, since=ago(60)), NOT_READY, later(540), id="a member, and not well"),
        pytest.param(plain(ready=False, is_well=False, since=ago(600)), FAILED, None, id="not well for startup_timeout"),
        pytest.param(plain(ready=None, is_well=None), NOT_READY, None, id="a member, and nobody knows"),
        pytest.param(plain(member=None, ready=None, is_well=None), BOOTING, None, id="no member, and nobody knows"),
        pytest.param(plain(member=None, ready=False, since=ago(900)), BOOTING, None, id="well, and no member: not its fault"),
        pytest.param(
            plain(member=None, ready=False, is_well=False, of_vm={"created_at": ago(60)}),
            BOOTING,
            later(540),
            id="it comes up, and is no member",
        ),
        pytest.param(plain(member=None, ready=False, is_well=False), FAILED, None, id="never well for startup_timeout"),
        pytest.param(plain(member=member(OUT), ready=False), NOT_READY, None, id="a person took it out, for as long as that lasts"),
        pytest.param(plain(member=member(DRAINING), ready=False), NOT_READY, None, id="a person drains it"),
        pytest.param(plain(member=member(DRAINING), ready=False, chosen=MARK), GOING, None, id="we drain it"),
        pytest.param(plain(chosen=MARK), GOING, None, id="marked, and not told the balancer yet"),
        pytest.param(plain(of_vm={"status": vm_states.ERROR}), FAILED, None, id="in ERROR"),
    ],
)
def test_the_class_of_a_plain_machine(subject: Machine, kind: str, until: datetime | None) -> None:
    """Its service takes the node's place."""
    assert classify(subject, pool(**LIMITS), NOW) == (kind, until)


def step(found: WayOut) -> str:
    """What the next step is, in words."""
    if found.wish is not None:
        return f"{found.wish.verb}: {found.wish.reason}"
    if found.wake_at is not None:
        return f"until {(found.wake_at - NOW).total_seconds():g}"
    return found.may_delete or found.overdue or "nothing"


@pytest.mark.parametrize(
    ("subject", "world", "expected"),
    [
        pytest.param(plain(chosen=MARK), {}, "drain: outdated", id="it serves: no new sessions"),
        pytest.param(plain(chosen=MARK, member=member(DRAINING, sessions=3)), {}, "until 40", id="three are left, and time"),
        pytest.param(plain(chosen=MARK, member=member(DRAINING, sessions=0)), {}, "remove: 0 sessions left", id="the last has ended"),
        pytest.param(
            plain(chosen=Note(ago(100), "outdated"), member=member(DRAINING, sessions=3)),
            {},
            "remove: drain timeout 1m40s passed, 3 sessions left",
            id="the time is over",
        ),
        pytest.param(
            plain(chosen=Note(ago(100), "outdated"), member=member(DRAINING, sessions=3), stands_since=ago(30)),
            {},
            "until 70",
            id="counted from when it was seen to drain: until then new sessions came",
        ),
        pytest.param(
            plain(chosen=Note(ago(100), "outdated"), member=member(DRAINING, sessions=3)),
            {"on_timeout": "fail"},
            "drain timeout 1m40s passed, 3 sessions left",
            id="the time is over, and nobody is to be cut off",
        ),
        pytest.param(
            plain(chosen=Note(ago(20), "outdated"), member=member(DRAINING, sessions=3)),
            {},
            "until 10",
            id="three are left, and it is soon to be told that they are waited for",
        ),
        pytest.param(plain(chosen=MARK, member=member(DRAINING)), {}, "until 40", id="sessions that nobody counts: all of the time"),
        pytest.param(
            plain(chosen=Note(ago(100), "outdated"), member=member(DRAINING)),
            {},
            "remove: drain timeout 1m40s passed, its sessions are not counted",
            id="and its end",
        ),
        pytest.param(
            plain(chosen=MARK, member=member(OUT, sessions=0)), {}, "remove: 0 sessions left", id="a person took it out meanwhile"
        ),
        pytest.param(
            plain(chosen=MARK, of_vm={"status": vm_states.STOPPED}),
            {},
            "remove: its VM is off by the cloud's word",
            id="nobody is there any more",
        ),
        pytest.param(
            plain(chosen=MARK, of_vm={"status": vm_states.STOPPED}, member=replace(member(), healthy=True)),
            {},
            "drain: outdated",
            id="off by a list, and well by the balancer: it was switched on since",
        ),
        pytest.param(
            plain(chosen=MARK, of_vm={"status": vm_states.ERROR}), {}, "drain: outdated", id="in ERROR its guest may go on serving"
        ),
        pytest.param(plain(chosen=MARK, member=None), {}, "no member of the balancer any more", id="taken out: it may be deleted"),
        pytest.param(plain(chosen=MARK, member=None, is_changing=True), {}, "nothing", id="a call about it is under way"),
        pytest.param(plain(chosen=MARK, member=None), {"is_busy": True}, "nothing", id="the listing shows what is only about to be"),
    ],
)
def test_the_way_out_of_a_plain_machine(subject: Machine, world: dict[str, Any], expected: str) -> None:
    """One step at a time, by what the balancer shows."""
    policy = replace(POLICY, on_timeout=world.get("on_timeout", POLICY.on_timeout))
    seen = snapshot(subject, backend=replace(IDLE, is_busy=world.get("is_busy", False)))
    assert subject.service is not None
    assert subject.service.chosen is not None
    assert step(way_out(subject, subject.service, seen, policy, subject.service.chosen.at)) == expected


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        pytest.param(
            plain(chosen=Note(ago(1), "outdated"), member=member(DRAINING)),
            (ago(1), "sessions are not counted: drains until 2026-11-21T04:11:46Z (drain.timeout 1m40s)"),
            id="nobody counts: at once",
        ),
        pytest.param(
            plain(chosen=MARK, member=member(DRAINING), stands_since=ago(50)),
            (ago(50), "sessions are not counted: drains until 2026-11-21T04:10:57Z (drain.timeout 1m40s)"),
            id="since it was seen to drain",
        ),
        pytest.param(
            plain(chosen=Note(ago(29), "outdated"), member=member(DRAINING, sessions=3)), None, id="they are counted, and mostly end soon"
        ),
        pytest.param(
            plain(chosen=Note(ago(30), "outdated"), member=member(DRAINING, sessions=3)),
            (ago(30), "its last session has until 2026-11-21T04:11:17Z to end (drain.timeout 1m40s)"),
            id="and these do not; in words that stay when the first of them has ended",
        ),
        pytest.param(plain(chosen=MARK), None, id="it is only told to drain"),
        pytest.param(plain(chosen=Note(ago(100), "outdated"), member=member(DRAINING)), None, id="the time is over"),
    ],
)
def test_what_a_drain_waits_for_is_told(subject: Machine, expected: tuple[datetime, str] | None) -> None:
    """Of which machine, since when, until when. It was asked for: nothing is wrong."""
    turn = going.push([subject], snapshot(subject, backend=IDLE, began_at=ago(600)), replace(pool(), drain=POLICY), {})
    told = [(blocker.since, blocker.what) for blocker in turn.blockers]
    assert told == ([expected] if expected else [])
    assert all(blocker.is_wait and blocker.where == "machine m1" for blocker in turn.blockers)


def test_a_mark_drops_those_of_machines_that_are_gone() -> None:
    """One that the list lacks and the balancer still has is kept: the list may be wrong."""
    backend = replace(IDLE, strays=(member(name="m8"),))
    record = PoolRecord(leaving={"m1": MARK, "m8": MARK, "m9": MARK})
    world = snapshot(plain("m1"), plain("m2"), backend=backend)
    assert marked(record, plain("m2"), "outdated", world).leaving == {"m1": MARK, "m8": MARK, "m2": Note(NOW, "outdated")}


def decided(*machines: Machine, replicas: int = 3, backend: Backend = IDLE, **world: Any) -> Decision:
    return Rollout(pool(replicas, **LIMITS)).decide(snapshot(*machines, backend=backend, **world), NOW)


def test_sessions_have_their_time_though_it_is_longer_than_the_deadline_of_progress() -> None:
    """A drain that nobody counts changes nothing until it is over."""
    old = plain("m1", OLD, chosen=Note(ago(1000), "outdated"), member=member(DRAINING))
    patient = replace(pool(3, **LIMITS, progress_deadline=timedelta(seconds=600)), drain=DrainPolicy(timeout=timedelta(seconds=2000)))
    world = snapshot(old, plain("m2"), plain("m3"), plain("m4"), backend=IDLE, began_at=ago(1100), progressed_at=ago(1000))
    found = Rollout(patient).decide(world, NOW)
    assert (found.finished, found.wake_at) == (False, later(1000))


def wishes(decision: Decision) -> list[str]:
    return [f"{wish.verb} {wish.machine}" for action in decision.actions if isinstance(action, ChangeMembers) for wish in action.wishes]


def test_the_mark_is_on_record_before_anything_is_sent() -> None:
    """A run that is killed in between leaves a mark, or nothing."""
    found = decided(plain("m1", OLD), plain("m2"), plain("m3"), plain("m4"))
    assert found.record is not None
    assert (found.actions, dict(found.record.leaving)) == ((), {"m1": Note(NOW, "outdated; 4 available > floor 3")})


def test_all_that_one_turn_wishes_goes_in_one_update() -> None:
    """Who joins, who drains, who is taken out, and what is left of machines that are gone."""
    stray = member(id="shop/m9", name="m9", address="192.0.2.9", healthy=False)
    going = plain("m2", OLD, chosen=MARK)
    drained = plain("m3", OLD, chosen=MARK, member=member(DRAINING, id="shop/m3", name="m3", sessions=0), ready=False)
    found = decided(plain("m1", member=None, ready=False), going, drained, plain("m4"), backend=replace(IDLE, strays=(stray,)))
    assert wishes(found) == ["remove m9", "drain m2", "remove m3", "join m1"]


@pytest.mark.parametrize("backend", [replace(IDLE, is_busy=True), replace(IDLE, fault="pool shop is in ERROR")], ids=["busy", "faulty"])
def test_nothing_is_sent_to_a_balancer_that_takes_nothing(backend: Backend) -> None:
    """And the run is not over before it was."""
    found = decided(plain("m1", member=None, ready=False), plain("m2"), plain("m3"), backend=backend)
    assert (wishes(found), found.finished) == ([], False)


def test_who_joins_is_well_and_in_nobodys_place() -> None:
    """An old member with its address has to go first, else the whole update would be refused."""
    stray = member(id="shop/m9", name="m9", address="192.0.2.1", healthy=False)
    machines = (
        plain("m1", member=None, ready=False),
        plain("m2", member=None, ready=False),
        plain("m3", member=None, ready=False, is_well=False),
    )
    assert wishes(decided(*machines, backend=replace(IDLE, strays=(stray,)))) == ["remove m9", "join m2"]


def test_a_stray_that_is_well_is_only_named() -> None:
    """Then the cloud's list is in doubt, and nothing is made in its stead."""
    stray = member(id="shop/m9", name="m9", address="192.0.2.9", healthy=True)
    found = decided(plain("m1"), plain("m2"), backend=replace(IDLE, strays=(stray,)))
    assert (wishes(found), len(found.actions)) == ([], 0)
    assert [line.partition(":")[0] for line in blocked(found)] == ["unlisted member m9"]


def test_FM10_what_a_person_took_out_is_left_alone() -> None:
    """Neither drained, nor deleted, nor brought back; named."""
    held = plain("m1", OLD, member=member(OUT, id="shop/m1"), ready=False)
    found = decided(held, plain("m2"), plain("m3"), plain("m4"))
    assert (wishes(found), found.record) == ([], None)
    assert [line.partition(":")[0] for line in blocked(found)] == ["person machine m1"]


def test_nobody_is_replaced_before_it_was_asked() -> None:
    """A run that begins knows nothing of services: that is no reason to take any of them away."""
    machines = [plain(f"m{number}", OLD, ready=None, is_well=None, member=None) for number in (1, 2, 3)]
    found = decided(*machines)
    assert (wishes(found), found.record, [type(action).__name__ for action in found.actions]) == ([], None, ["Create"])


def test_FM40_a_mark_is_dated_by_the_server() -> None:
    """Another controller's clock will read it."""
    seen = snapshot(plain(), backend=IDLE, ahead=timedelta(minutes=10))
    assert marked(PoolRecord(), plain(), "outdated", seen).leaving == {"m1": Note(ago(600), "outdated")}
