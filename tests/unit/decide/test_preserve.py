# SPDX-License-Identifier: GPL-3.0-or-later
"""`health.preserve_on_fail`: failed machines that are kept for a look."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import AVAILABLE, BOOTING, FAILED, GOING, NOT_READY
from ansible_collections.immutable.fleet.plugins.module_utils.decide.preserve import KEPT_FOR, set_apart
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.health import HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import limits_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord, load_record
from ansible_collections.immutable.fleet.plugins.module_utils.model.remedies import Remedies, Remedy
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import DELETING, STOPPED, Leftover
from ansible_collections.immutable.fleet.tests.unit.builders import NEW, NOW, ago, blocked, machine, pod, pool, said, snapshot
from ansible_collections.immutable.fleet.tests.unit.decide.test_members import plain

LATE = {"created_at": ago(1300)}  # never ready, and its startup_timeout is over
NOTE = Note(ago(600), "failed and never joined")
LOST = "failed and never joined"


def late(name: str = "m0", **more: Any) -> Machine:
    return machine(name, NEW, BOOTING, slot=int(name[1:]), **{**LATE, **more})


def well(*numbers: int) -> list[Machine]:
    return [machine(f"m{number}", slot=number) for number in numbers]


def turn(*subjects: Machine, most: int = 1, kept: dict[str, Note] | None = None, replicas: int = 3, **more: Any) -> Decision:
    record = PoolRecord(preserved=kept or {}, **more)
    wanted = pool(replicas, health=HealthPolicy(preserve_on_fail=most), max_failed_new=100)
    return Rollout(wanted).decide(snapshot(*subjects, record=record), NOW)


def kept_by(decision: Decision) -> list[str]:
    return sorted(decision.record.preserved) if decision.record is not None else []


def test_a_machine_that_never_joined_is_on_record_and_then_in_nobodys_way() -> None:
    """It is neither deleted nor looked for; another is made in its place, and the run ends well."""
    first = turn(late(), *well(1, 2))
    assert kept_by(turn(late(), *well(1, 2), lost=first.record.lost if first.record else {})) == ["m0"]
    second = turn(late(), *well(1, 2), kept={"m0": NOTE})
    assert said(second) == ["create slot 0: 2 exist < ceiling 4"]
    done = turn(late(), *well(1, 2, 3), kept={"m0": NOTE})
    assert (done.finished, done.failure, said(done), done.tally.existing) == (True, None, [], 3)
    assert blocked(done) == ["preserved machine m0: kept for a look until 2026-11-24T04:00:07Z: failed and never joined"]


def test_an_unhealthy_one_is_drained_and_then_kept() -> None:
    """Its pods go elsewhere as ever; where it would be deleted it stays, and no longer counts."""
    sick: dict[str, Any] = {"ready": None, "ready_since": ago(400)}
    remedies = {"health": Remedies(slots={"0": Remedy("m0", ago(60))}).dump()}
    subject = machine("m0", NEW, NOT_READY, slot=0, **sick)
    noted = turn(subject, *well(1, 2), **remedies)
    assert (kept_by(noted), said(noted)) == (["m0"], ["create slot 0: 3 exist < ceiling 4"])
    chosen = turn(subject, *well(1, 2), kept={"m0": NOTE}, **remedies)
    assert said(chosen)[0] == "choose m0: unhealthy: Ready is Unknown for 6m40s; 0 going < 1"
    draining = machine("m0", NEW, GOING, slot=0, pods=(pod("a"),))
    assert turn(draining, *well(1, 2), kept={"m0": NOTE}).tally.existing == 4
    empty = machine("m0", NEW, GOING, slot=0, pods=())
    found = turn(empty, *well(1, 2), kept={"m0": NOTE})
    assert (said(found), found.tally.going, found.tally.existing) == (["create slot 0: 2 exist < ceiling 4"], 0, 3)


@pytest.mark.parametrize(
    ("subject", "most", "kept", "noted"),
    [
        pytest.param(late(), 1, {}, True, id="never joined"),
        pytest.param(late(), 0, {}, False, id="not asked for"),
        pytest.param(late(), 1, {"m9": NOTE}, False, id="one is kept already"),
        pytest.param(late(), 2, {"m9": NOTE}, True, id="room for two"),
        pytest.param(late(), 1, {"gone": NOTE}, True, id="the one before was deleted by somebody"),
        pytest.param(late(), 1, {"m9": Note(ago(KEPT_FOR.total_seconds()), "failed")}, True, id="the time of the one before is over"),
        pytest.param(machine("m0", kind=FAILED, slot=0), 1, {}, False, id="it never ran"),
    ],
)
def test_who_is_kept(subject: Machine, most: int, kept: dict[str, Note], noted: bool) -> None:
    """The first ones, for their time."""
    earlier = machine("m9", NEW, GOING, slot=9, pods=(), created_at=ago(400_000))
    lost = turn(subject, *well(1, 2)).record  # its loss is known
    found = turn(subject, earlier, *well(1, 2), most=most, kept=kept, lost=lost.lost if lost is not None else {})
    assert ("m0" in kept_by(found)) is noted


@pytest.mark.parametrize(
    ("subject", "at", "apart"),
    [
        pytest.param(late(), NOW, True, id="it never had a node"),
        pytest.param(machine("m0", NEW, GOING, pods=()), NOW, True, id="drained"),
        pytest.param(machine("m0", NEW, GOING), NOW, False, id="pods are left"),
        pytest.param(machine("m0", NEW, GOING, pods=(), attachments=("a",)), NOW, False, id="a volume is left"),
        pytest.param(machine("m0", NEW, AVAILABLE, pods=()), NOW, False, id="it is well again, and empty by chance"),
        pytest.param(late(status=DELETING), NOW, False, id="somebody deletes it"),
        pytest.param(late(created_at=ago(30)), NOW, False, id="another machine of its name"),
        pytest.param(late(), NOTE.at + KEPT_FOR - timedelta(seconds=1), True, id="its last second"),
        pytest.param(late(), NOTE.at + KEPT_FOR, False, id="its time is over"),
        pytest.param(plain("m0", member=None, ready=False, is_well=False, chosen=NOTE), NOW, True, id="out of the balancer"),
        pytest.param(plain("m0", ready=False, is_well=False, chosen=NOTE), NOW, False, id="still a member"),
    ],
)
def test_when_it_counts_no_longer(subject: Machine, at: Any, apart: bool) -> None:
    """From where it would be deleted on, and with all that is its own: its port is no leftover."""
    port = Leftover(kind="port", id="p", name="m0-0", machine="m0", created_at=ago(900))
    seen = snapshot(subject, *well(1), at=at, leftovers=(port,), record=PoolRecord(preserved={"m0": NOTE}))
    rest, found = set_apart(seen, 1)
    assert (list(found), list(rest.machines), rest.leftovers) == ((["m0"], ["m1"], ()) if apart else ([], ["m0", "m1"], (port,)))


def test_one_that_came_back_is_not_kept_any_more() -> None:
    """Else it would be kept when it leaves for a new image, and the next one that fails would not."""
    found = turn(*well(0, 1, 2), kept={"m0": NOTE, "m9": NOTE})
    assert (kept_by(found), said(found), found.finished) == (["m9"], [], False)
    silent = machine("m0", NEW, NOT_READY, slot=0, ready=None, ready_since=ago(20))
    assert turn(silent, *well(1, 2), kept={"m0": NOTE}).record is None


def test_what_is_over_is_deleted() -> None:
    """When its time is over, or fewer are asked for; and it is not kept anew."""
    empty = machine("m0", NEW, GOING, slot=0, pods=(), emptied_at=ago(5))
    for most, note in ((1, Note(ago(KEPT_FOR.total_seconds()), "failed")), (0, NOTE)):
        found = turn(empty, *well(1, 2, 3), most=most, kept={"m0": note})
        assert said(found) == ["look m0: no pods left: looking directly before anything rests on it"]


def test_FM18_one_that_was_switched_off_for_the_look_is_no_loss_of_its_image_when_its_time_is_over() -> None:
    """It was counted three days ago, in a rollout that is over."""
    over = Note(ago(KEPT_FOR.total_seconds() + 60), LOST)
    subject = late(created_at=ago(KEPT_FOR.total_seconds() + 1400), status=STOPPED)
    wanted = pool(3, health=HealthPolicy(preserve_on_fail=1))
    found = Rollout(wanted).decide(snapshot(subject, *well(1, 2, 3), record=PoolRecord(preserved={"m0": over})), NOW)
    assert (said(found), found.record) == (["delete m0: failed and never joined"], None)


def test_FM40_a_controller_whose_clock_is_wrong_keeps_it_as_long() -> None:
    """Instants on the record are the API server's."""
    ahead = timedelta(minutes=10)
    for seconds, apart in ((-1, True), (0, False)):
        at = NOTE.at + KEPT_FOR + ahead + timedelta(seconds=seconds)
        seen: Snapshot = replace(snapshot(late(), record=PoolRecord(preserved={"m0": NOTE})), at=at, ahead=ahead)
        assert bool(set_apart(seen, 1)[1]) is apart


def test_room_for_them_is_in_the_preflights_sum_and_none_is_kept_of_a_pool_that_is_removed() -> None:
    """N + S + max_blocked + preserve_on_fail."""
    policy = HealthPolicy(preserve_on_fail=2)
    assert (limits_of(pool(3, health=policy)).preserved, limits_of(pool(0, health=policy)).preserved) == (2, 0)


def test_it_outlives_runs() -> None:
    """On the record."""
    known = PoolRecord(preserved={"m0": Note(NOW, LOST)})
    assert load_record(known.dump()) == known
    assert known.completed({}).preserved == known.preserved
