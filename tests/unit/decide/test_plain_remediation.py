# SPDX-License-Identifier: GPL-3.0-or-later
"""Remediation of plain machines behind a balancer: what is a finding, who goes, and that many passes know what one does."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import BOOTING, FAILED, NOT_READY, classify
from ansible_collections.immutable.fleet.plugins.module_utils.decide.remediate.judging import CHECKED, MISSING, OFF, PROBED, examine
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import DRAINING, Backend
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.health import ConditionCheck, HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import Health, ServiceProbe
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.remedies import Remedies, Remedy, Storm, Suspension, load_remedies
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import ERROR, STOPPED
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, ago, blocked, later, machine, pool, said, snapshot
from ansible_collections.immutable.fleet.tests.unit.decide.test_members import member, plain

POLICY = HealthPolicy()
PENDING = Health(healthy=None, since=ago(1), is_pending=True)
NO_WORD = Health(healthy=None, since=ago(1), what="no such program")


def declared(replicas: int, policy: HealthPolicy | None = POLICY) -> Pool:
    return pool(replicas, health=policy, probes=(ServiceProbe(kind="tcp", port=80),))


def ill(name: str = "m1", seconds: float = 60, **more: Any) -> Machine:
    """Its probes have failed for so long."""
    health = Health(healthy=False, since=ago(seconds), what="refused")
    return replace(plain(name, **{"ready": False, "is_well": False, **more}), health=health)


def off(status: str = STOPPED, **more: Any) -> Machine:
    return plain(of_vm={"status": status}, ready=False, is_well=False, **more)


def checked(health: Health) -> Machine:
    """The balancer's check finds it ill."""
    return replace(plain(ready=False, is_well=health.healthy, member=member(healthy=False)), health=health)


def disagree(what: str) -> str:
    return f"observers disagree: {what} finds it well"


@pytest.mark.parametrize(
    ("subject", "seen", "expected"),
    [
        pytest.param(plain(), {}, None, id="it serves"),
        pytest.param(plain(ready=None, is_well=None), {}, None, id="nobody knows"),
        pytest.param(plain(member=None, ready=False), {}, None, id="well, and no member yet"),
        pytest.param(plain(member=member(DRAINING), ready=False), {}, None, id="FM10: a person drains it"),
        pytest.param(ill(member=None, of_vm={"created_at": ago(60)}), {}, None, id="it comes up, and has its startup_timeout"),
        pytest.param(ill(), {}, ("its probes fail: refused", later(240)), id="its probes fail, not for so long"),
        pytest.param(ill(), {PROBED: ago(300)}, ("its probes fail: refused", NOW), id="since earlier passes"),
        pytest.param(ill(), {OFF: ago(900)}, ("its probes fail: refused", later(240)), id="what is over does not count"),
        pytest.param(ill(member=member(healthy=False)), {PROBED: ago(300)}, ("its probes fail: refused", NOW), id="both find it ill"),
        pytest.param(
            ill(member=member(healthy=True)),
            {PROBED: ago(300)},
            (disagree("its probes fail: refused, the balancer's check"), None),
            id="FM21: its users are served",
        ),
        pytest.param(
            ill(member=member(healthy=True)),
            {},
            ("its probes fail: refused", later(240)),
            id="the balancer's check may not have noticed yet",
        ),
        pytest.param(
            ill(member=None, of_vm={"created_at": ago(86_400)}),
            {},
            ("its probes fail: refused", later(240)),
            id="the balancer has forgotten it: so old that it was one",
        ),
        pytest.param(checked(NO_WORD), {CHECKED: ago(300)}, ("the balancer's check finds it ill", NOW), id="only the balancer knows"),
        pytest.param(
            checked(PENDING),
            {CHECKED: ago(900)},
            ("the balancer's check finds it ill: its probes are asked first", None),
            id="its probes have not spoken",
        ),
        pytest.param(
            checked(Health(healthy=True, since=ago(5))),
            {CHECKED: ago(300)},
            (disagree("the balancer's check finds it ill, its probes"), None),
            id="FM21: the balancer is alone",
        ),
        pytest.param(off(), {}, ("its VM is off by the cloud's word", later(20)), id="off: for so long that it does not reboot"),
        pytest.param(off(), {OFF: ago(20)}, ("its VM is off by the cloud's word", NOW), id="off, and stays so"),
        pytest.param(
            off(member=member(healthy=True)),
            {OFF: ago(20)},
            (disagree("its VM is off by the cloud's word, the balancer's check"), None),
            id="FM21: off, and it answers",
        ),
        pytest.param(off(ERROR), {OFF: ago(20)}, ("its VM is in ERROR by the cloud's word", later(280)), id="in ERROR is not off"),
    ],
)
def test_what_is_wrong_with_a_plain_machine(subject: Machine, seen: dict[str, datetime], expected: Any) -> None:
    """Its service takes the node's place: not serving is not ready, for which 5 minutes are the default."""
    found = examine(subject, declared(3), POLICY, seen, NOW)
    assert (found and (found.what, found.unhealthy_at)) == expected


@pytest.mark.parametrize(
    ("subject", "watched", "unwatched"),
    [
        (ill(seconds=5000, since=ago(5000)), NOT_READY, FAILED),
        (off(ERROR), NOT_READY, FAILED),
        (ill(member=None, of_vm={"created_at": ago(86_400)}), NOT_READY, FAILED),
        (plain(member=None, ready=False, is_well=False, of_vm={"status": STOPPED, "created_at": ago(86_400)}), NOT_READY, FAILED),
        (ill(member=None, of_vm={"created_at": ago(1300)}), FAILED, FAILED),
        (ill(member=None, of_vm={"created_at": ago(60)}), BOOTING, BOOTING),
    ],
    ids=["ill for long", "in ERROR", "forgotten by the balancer", "forgotten, and off", "never served", "boots"],
)
def test_where_remediation_looks_after_a_pool_it_says_what_has_failed(subject: Machine, watched: str, unwatched: str) -> None:
    """As for machines with nodes: what served once fails only through the gate."""
    assert classify(subject, declared(3), NOW)[0] == watched
    assert classify(subject, declared(3, None), NOW)[0] == unwatched


def test_how_long_is_the_users_choice() -> None:
    """By the condition that stands for it elsewhere."""
    policy = HealthPolicy(conditions=(ConditionCheck("Ready", "False", timedelta(minutes=2)),))
    found = examine(ill(), declared(3), policy, {}, NOW)
    assert found is not None
    assert found.unhealthy_at == later(60)


def turn(*subjects: Machine, known: Remedies | None = None, leaving: tuple[str, ...] = ()) -> Decision:
    """One turn of a pool of these machines."""
    record = PoolRecord(health=(known or Remedies()).dump(), leaving={name: Note(ago(5), "unhealthy") for name in leaving})
    return Rollout(declared(len(subjects))).decide(snapshot(*subjects, record=record, backend=Backend(as_of=NOW)), NOW)


def shop(count: int, *sick: int, seconds: float = 400) -> list[Machine]:
    """m0, m1, ... in slots 0, 1, ...; those whose probes have failed for so long."""
    return [
        ill(f"m{number}", seconds, of_vm={"slot": number}) if number in sick else plain(f"m{number}", of_vm={"slot": number})
        for number in range(count)
    ]


def seen(*numbers: int) -> dict[str, Any]:
    return {f"m{number}": {PROBED: ago(400)} for number in numbers}


def health_of(decision: Decision) -> Remedies:
    return load_remedies(decision.record.health) if decision.record is not None else Remedies()


def test_who_goes_is_on_record_first() -> None:
    """Noted in one turn, marked in the next."""
    first = turn(*shop(20, 3))
    assert health_of(first) == Remedies(slots={"3": Remedy("m3", NOW)}, first_seen=seen(3))
    second = turn(*shop(20, 3), known=health_of(first))
    assert second.record is not None
    assert second.record.leaving["m3"].why == "unhealthy: its probes fail: refused for 6m40s; 0 going < 1"


@pytest.mark.parametrize(
    ("subjects", "known", "told"),
    [
        pytest.param(
            shop(20, *range(12)),
            Remedies(),
            "storm pool web: 12 of 20 machines are not well (60%), max_unhealthy 34% allows 6: none of them is replaced for it",
            id="FM17: gate",
        ),
        pytest.param(
            shop(20, 3, 5),
            Remedies(slots={"3": Remedy("m3", ago(5))}),
            "remediation machine m5: its probes fail: refused: waits its turn, 1 of 1 under way",
            id="rate",
        ),
        pytest.param(
            shop(20, 3),
            Remedies(storm=Storm(ago(60), ago(30))),
            "remediation pool web: cooldown after a storm, until 2026-11-21T04:14:37Z",
            id="cooldown",
        ),
        pytest.param(shop(20, 3), Remedies(suspended=Suspension(ago(60), "in vain")), "suspended pool web: in vain", id="FM18: suspended"),
        pytest.param(
            [*shop(19), ill("m19", 400, member=member(DRAINING), of_vm={"slot": 19})],
            Remedies(),
            "person machine m19: taken out of the balancer by somebody else: left alone (drain.include_cordoned takes it along)",
            id="FM10: a person works on it",
        ),
    ],
)
def test_what_holds_the_others_back(subjects: list[Machine], known: Remedies, told: str) -> None:
    """The same gate, rate, cooldown and suspension as for machines with nodes."""
    found = turn(*subjects, known=known)
    assert told in blocked(found)
    marked = set(found.record.leaving) if found.record is not None else set()
    assert marked <= {"m3"}


def test_FM17_machines_that_are_off_and_forgotten_by_the_balancer_are_held_back_by_the_gate() -> None:
    """A power cut takes the machines and the balancer's memory of them: they were no failures to start, and none is deleted for it."""
    forgotten = {"member": None, "ready": False, "is_well": False}
    subjects = [plain(f"m{number}", of_vm={"slot": number, "status": STOPPED}, **forgotten) for number in range(20)]
    found = turn(*subjects, known=Remedies(first_seen={one.name: {OFF: ago(400)} for one in subjects}))
    said_first = "storm pool web: 20 of 20 machines are not well (100%), max_unhealthy 34% allows 6: none of them is replaced for it"
    assert (blocked(found)[0], said(found), found.record and found.record.lost) == (said_first, [], {})


@pytest.mark.parametrize("has_node", [False, True], ids=["plain", "with a node"])
def test_FM40_a_pass_every_two_minutes_reaches_the_timeout(has_node: bool) -> None:
    """Probes forget: each pass hears them anew, and since when they fail is on the pool's record."""
    timeout = 1200 if has_node else 300
    record, replaced_at = PoolRecord(), None
    for seconds in range(0, 1500, 120):
        rollout = Rollout(declared(5), only_heals=True)  # each pass is a run of its own
        for moment, health in ((seconds, None), (seconds + 6, Health(healthy=False, since=later(seconds + 6), what="refused"))):
            subject = machine("m0", slot=0) if has_node else plain("m0", of_vm={"slot": 0}, ready=None, is_well=None)
            if health is not None and not has_node:
                subject = ill("m0", -(seconds + 6), of_vm={"slot": 0})
            others = [replace(plain(f"m{n}", of_vm={"slot": n}), health=Health(healthy=True, since=ago(900))) for n in range(1, 5)]
            if has_node:
                others = [machine(f"m{n}", slot=n, health=Health(healthy=True, since=ago(900))) for n in range(1, 5)]
            facts = snapshot(replace(subject, health=health), *others, at=later(moment), began_at=later(seconds), record=record)
            found = rollout.decide(replace(facts, backend=None if has_node else Backend(as_of=NOW)), later(moment))
            assert found.finished is False or health is not None
            record = found.record or record
        if replaced_at is None and load_remedies(record.health).slots:
            replaced_at = seconds + 6
    assert replaced_at == 6 + next(at for at in range(0, 1500, 120) if at >= timeout)


@pytest.mark.parametrize(
    ("health", "kept"),
    [
        pytest.param(None, seen(1), id="it has not answered yet"),
        pytest.param(PENDING, seen(1), id="not often enough"),
        pytest.param(Health(healthy=True, since=ago(1)), {}, id="it is well"),
        pytest.param(NO_WORD, {}, id="it cannot be asked, which is not unhealthy"),
    ],
)
def test_what_was_seen_stands_until_the_probes_say_otherwise(health: Health | None, kept: dict[str, Any]) -> None:
    """Else the first turn of each pass would forget it."""
    is_well = health.healthy if health is not None else None
    subject = replace(plain("m1", of_vm={"slot": 1}, ready=is_well, is_well=is_well), health=health)
    well = [replace(one, health=Health(healthy=True, since=ago(900))) for one in shop(5) if one.name != "m1"]
    found = turn(subject, *well, known=Remedies(first_seen=seen(1)))
    assert (found.record is None) == bool(kept)
    assert kept or health_of(found).first_seen == {}


def test_what_lacks_a_Node_and_what_probes_found_are_told_apart() -> None:
    """A finding of another kind begins anew."""
    subject = machine("m0", kind=BOOTING, slot=0, created_at=ago(86_400))
    found = Rollout(pool(1, health=POLICY)).decide(snapshot(subject, record=PoolRecord(health=Remedies(first_seen=seen(0)).dump())), NOW)
    assert health_of(found).first_seen == {"m0": {MISSING: NOW}}
