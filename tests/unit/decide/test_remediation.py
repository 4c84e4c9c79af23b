# SPDX-License-Identifier: GPL-3.0-or-later
"""Which unhealthy machines go: gate, cooldown, rate, suspension; each row is one turn of a pool."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import AVAILABLE, BOOTING, GOING, NOT_READY, QUARANTINED
from ansible_collections.immutable.fleet.plugins.module_utils.decide.remediate.gate import gate
from ansible_collections.immutable.fleet.plugins.module_utils.decide.remediate.judging import MISSING
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.health import DEFAULT_CHECKS, ConditionCheck, HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import Health, ServiceProbe
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.remedies import Remedies, Remedy, Storm, Suspension, load_remedies
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Asked, Protection, Steering
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import ERROR, STOPPED
from ansible_collections.immutable.fleet.tests.unit.builders import HELD, NEW, NOW, OLD, ago, blocked, later, machine, pool, said, snapshot

OUT = "the failure domain is out: none of its 7 machines is well; one outage, and none is replaced for it"
SICK: dict[str, Any] = {"ready": None, "ready_since": ago(400)}
RECENT: dict[str, Any] = {"ready": None, "ready_since": ago(100)}


PROTECTED = {"steering": Steering(protect={"m19": Protection(later(3600), Asked("ana", ago(1)))})}


def machines(count: int, *sick: int, recent: tuple[int, ...] = (), domains: int = 1, **more: Any) -> list[Machine]:
    """m0, m1, ... in slots 0, 1, ...; those whose kubelets are silent for long enough, or only recently."""
    found = []
    for number in range(count):
        state = SICK if number in sick else RECENT if number in recent else {}
        domain = f"az{number % domains + 1}" if domains > 1 else ""
        kind = NOT_READY if state else AVAILABLE
        found.append(machine(f"m{number}", more.get("revision", NEW), kind, slot=number, failure_domain=domain, **state))
    return found


def turn(
    *subjects: Machine, record: Remedies | None = None, replicas: int = 0, policy: dict[str, Any] | None = None, **more: Any
) -> Decision:
    """One turn of a pool of these machines."""
    wanted = pool(replicas or len(subjects), health=HealthPolicy(**(policy or {})))
    known = PoolRecord(health=(record or Remedies()).dump())
    return Rollout(wanted).decide(snapshot(*subjects, record=known, **more), NOW)


def noted(**slots: str) -> Remedies:
    """Machines that were told to go a minute ago, by slot ("s3")."""
    return Remedies(slots={slot[1:]: Remedy(name, ago(60)) for slot, name in slots.items()})


def record_of(decision: Decision) -> Remedies:
    return load_remedies(decision.record.health) if decision.record is not None else Remedies()


def test_who_goes_is_on_record_first_and_goes_in_the_turn_that_finds_it_there() -> None:
    """A run that is killed in between finds it there, and so does the rate."""
    first = turn(*machines(20, 3))
    assert (said(first), record_of(first)) == ([], Remedies(slots={"3": Remedy("m3", NOW)}))
    second = turn(*machines(20, 3), record=record_of(first))
    assert said(second) == ["choose m3: unhealthy: Ready is Unknown for 6m40s; 0 going < 1", "create slot 3: 20 exist < ceiling 21"]
    assert second.record is None


@pytest.mark.parametrize(
    ("subjects", "known", "going", "waits"),
    [
        pytest.param(
            machines(20, recent=(3,)), noted(), [], ["remediation machine m3: Ready is Unknown: unhealthy after 5m"], id="not yet"
        ),
        pytest.param(
            machines(20, 3, 5),
            noted(s3="m3"),
            ["m3"],
            ["remediation machine m5: Ready is Unknown: waits its turn, 1 of 1 under way"],
            id="rate",
        ),
        pytest.param(
            [*machines(19, 3), machine("new", NEW, BOOTING, slot=19)],
            noted(s19="old"),
            [],
            ["remediation machine m3: Ready is Unknown: waits its turn, 1 of 1 under way"],
            id="until the replacement is ready",
        ),
        pytest.param(
            [*machines(20, 3), machine("old", NEW, GOING, slot=19)],
            noted(s19="old"),
            [],
            ["remediation machine m3: Ready is Unknown: waits its turn, 1 of 1 under way"],
            id="and its predecessor is gone",
        ),
        pytest.param(
            [*machines(20, 3), machine("old", NEW, QUARANTINED, slot=19)],
            noted(s19="old", s3="m3"),
            ["m3"],
            [],
            id="or set aside",
        ),
        pytest.param(
            [*machines(19, 3), machine("m19", NEW, HELD, slot=19, **SICK)],
            noted(s3="m3"),
            ["m3"],
            ["person machine m19: cordoned by somebody else: left alone (drain.include_cordoned takes it along)"],
            id="FM10: one that a person cordoned is left alone",
        ),
    ],
)
def test_the_rate(subjects: list[Machine], known: Remedies, going: list[str], waits: list[str]) -> None:
    """At most max(1, 5%) under way: from the mark until the replacement is ready and the old one is gone or set aside."""
    found = turn(*subjects, record=known, replicas=20)
    assert [line.split()[1].rstrip(":") for line in said(found) if line.startswith("choose")] == going
    assert blocked(found) == waits


@pytest.mark.parametrize(
    ("subjects", "told"),
    [
        pytest.param(machines(20, *range(6)), [], id="30%: the machines are the cause"),
        pytest.param(
            machines(20, *range(12)),
            ["storm pool web: 12 of 20 machines are not well (60%), max_unhealthy 34% allows 6: none of them is replaced for it"],
            id="FM17: 60%: something else is",
        ),
        pytest.param(
            machines(20, 0, recent=tuple(range(1, 12))),
            ["storm pool web: 12 of 20 machines are not well (60%), max_unhealthy 34% allows 6: none of them is replaced for it"],
            id="also while the others' time is not up",
        ),
        pytest.param(machines(1, 0), [], id="one is never a storm"),
        pytest.param(
            machines(3, 0, 1),
            ["storm pool web: 2 of 3 machines are not well (67%), max_unhealthy 34% allows 1: none of them is replaced for it"],
            id="2 of 3 are",
        ),
        pytest.param(
            machines(21, *range(0, 21, 3), domains=3),
            [f"outage failure domain az1: {OUT}"],
            id="a zone is gone: one outage, and the others' share is what it was",
        ),
        pytest.param(
            machines(21, 0, 3, 6, domains=3),
            ["storm failure domain az1: 3 of 7 machines are not well (43%), max_unhealthy 34% allows 2: none of them is replaced for it"],
            id="a storm within one failure domain",
        ),
    ],
)
def test_FM19_the_gate_says_what_it_counted(subjects: list[Machine], told: list[str]) -> None:
    """In numbers: how many of how many, and how many may be."""
    ill = {subject.name: None for subject in subjects if subject.node is not None and subject.node.ready is not True}
    assert [f"{one.code} {one.where}: {one.what}" for one in gate(subjects, ill, "34%", "web").blockers] == told


@pytest.mark.parametrize(
    ("first", "more", "admitted"),
    [
        pytest.param(machine("m19", slot=19), {}, ["m3"], id="it is well again"),
        pytest.param(machine("m19", NEW, HELD, slot=19, **SICK), {}, ["m3"], id="a person cordoned it since"),
        pytest.param(machine("m19", NEW, NOT_READY, slot=19, **SICK), PROTECTED, ["m3"], id="an operator protects it"),
        pytest.param(machine("m19", NEW, NOT_READY, slot=19, **RECENT), {}, [], id="it is not well again, though not for long"),
    ],
)
def test_one_that_is_noted_and_does_not_leave_holds_up_nobody(first: Machine, more: dict[str, Any], admitted: list[str]) -> None:
    """Its place is free: another one is noted."""
    found = turn(*machines(19, 3), first, record=noted(s19="m19"), **more)
    assert [one.machine for one in record_of(found).slots.values() if one.machine != "m19"] == admitted


def test_one_that_is_kept_no_longer_waits_its_turn() -> None:
    """Its place was given away: never more than the rate."""
    kept = machine("m19", NEW, NOT_READY, slot=19, **SICK)
    gone = machine("m3", NEW, GOING, slot=3)
    found = turn(*machines(3), gone, *machines(19)[4:], kept, record=noted(s19="m19", s3="m3"))
    assert [line for line in said(found) if line.startswith("choose")] == []
    assert blocked(found) == ["remediation machine m19: Ready is Unknown: waits its turn, 1 of 1 under way"]


def test_other_failure_domains_go_on_while_one_is_out() -> None:
    """The gate shuts where the outage is."""
    subjects = machines(21, *range(0, 21, 3), 1, domains=3)
    found = turn(*subjects, record=noted(s1="m1"))
    assert [line.split(":")[0] for line in said(found)] == ["choose m1", "create slot 1"]
    assert record_of(found).storm == Storm(NOW)


def test_the_gate_never_holds_back_outdated_machines() -> None:
    """They go by the rollout's own rules: the new revision may be the cure."""
    subjects = [
        machine(f"m{number}", OLD, NOT_READY if number < 12 else AVAILABLE, slot=number, **(SICK if number < 12 else {}))
        for number in range(20)
    ]
    assert [line for line in said(turn(*subjects)) if line.startswith("create")] == ["create slot 0: 20 exist < ceiling 21"]
    new = machine("new", NEW, slot=20)
    chosen = [line for line in said(turn(*subjects, new, replicas=20)) if line.startswith("choose")]
    assert chosen == ["choose m0: outdated and not ready; 0 going < 1"]


@pytest.mark.parametrize(
    ("storm", "going", "kept", "wakes"),
    [
        pytest.param(Storm(ago(900)), [], Storm(ago(900), NOW), later(300), id="it is over now: cooldown"),
        pytest.param(Storm(ago(900), ago(100)), [], None, later(200), id="over for less than the cooldown"),
        pytest.param(Storm(ago(900), ago(300)), ["m3"], Storm, None, id="over for as long"),
    ],
)
def test_after_a_storm_there_is_a_cooldown(storm: Storm, going: list[str], kept: Any, wakes: Any) -> None:
    """Counted from when it was first seen to be over, over any runs."""
    found = turn(*machines(20, 3), record=replace(noted(s3="m3"), storm=storm))
    assert [line.split()[1].rstrip(":") for line in said(found) if line.startswith("choose")] == going
    if kept is Storm:
        assert found.record is not None
        assert record_of(found).storm is None
    else:
        assert record_of(found).storm == kept
        assert found.wake_at == wakes


def tried(count: int, seconds_ago: float = 900, resumed: datetime | None = None) -> Remedies:
    return Remedies(slots={"3": Remedy("m3-before", ago(seconds_ago), count, resumed)})


RESUMED = Steering(resumed=Asked("ana", ago(1)))
RESUMED_SLOWLY = Steering(resumed=Asked("ana", ago(4000)))  # just now, by a controller whose clock is slow
AFRESH = Remedy("m3", NOW, 1, ago(1))


@pytest.mark.parametrize(
    ("known", "steering", "expected"),
    [
        pytest.param(tried(1), Steering(), Remedy("m3", NOW, 2), id="a second time"),
        pytest.param(tried(2), Steering(), Remedy("m3", NOW, 3), id="a third time"),
        pytest.param(tried(3), Steering(), Suspension, id="FM18: a fourth time: suspended"),
        pytest.param(tried(3, 7300), Steering(), Remedy("m3", NOW, 1), id="it was well for long in between"),
        pytest.param(tried(3), RESUMED, AFRESH, id="an operator resumed"),
        pytest.param(replace(tried(3), suspended=Suspension(ago(5), "in vain")), RESUMED, AFRESH, id="which lifts it"),
        pytest.param(
            replace(tried(3), suspended=Suspension(ago(5), "in vain")),
            RESUMED_SLOWLY,
            Remedy("m3", NOW, 1, ago(4000)),
            id="FM40: slow clock",
        ),
        pytest.param(tried(3, resumed=ago(1)), RESUMED, Suspension, id="resumed before the last one"),
    ],
)
def test_a_slot_that_is_replaced_in_vain_suspends_the_pool(known: Remedies, steering: Steering, expected: Any) -> None:
    """At most three replacements of a slot."""
    found = turn(*machines(20, 3), record=known, steering=steering)
    kept = record_of(found)
    if expected is Suspension:
        what = (
            "slot 3 was replaced 3 times for being unhealthy, and its machine m3 is unhealthy again: remediation of the pool is suspended"
        )
        assert (kept.suspended, blocked(found)) == (
            Suspension(NOW, what, steering.resumed and steering.resumed.at),
            [f"suspended pool web: {what}"],
        )
    else:
        assert (kept.slots["3"], kept.suspended) == (expected, None)


def test_a_suspended_pool_heals_nothing_and_says_how_to_go_on() -> None:
    """Also another slot's machines stay."""
    found = turn(*machines(20, 5), record=Remedies(suspended=Suspension(ago(60), "in vain")))
    assert (said(found), found.finished, str(found.failure)) == ([], True, "blocked (everything else is done): in vain (pool web)")
    assert found.failure is not None
    assert "state=resumed" in found.failure.forward


def test_only_told() -> None:
    """`remediate: false` names what is unhealthy, and why it stays."""
    found = turn(*machines(20, 3), policy={"remediate": False})
    assert (said(found), found.record) == ([], None)
    assert blocked(found) == ["unhealthy machine m3: unhealthy, Ready is Unknown; health.remediate is false, so it is left as it is"]


def test_a_pool_in_a_storm_ends_blocked_with_the_reason() -> None:
    """Nobody waits for a network that somebody else has to mend."""
    known = Remedies(storm=Storm(ago(60)))
    found = turn(*machines(20, *range(12)), record=known)
    assert (said(found), found.finished) == ([], True)
    assert str(found.failure).startswith(
        "blocked (everything else is done): 12 of 20 machines are not well (60%), max_unhealthy 34% allows 6"
    )


def test_FM17_facts_that_stand_still_heal_nothing() -> None:
    """Neither the cluster's nor the cloud's."""
    for source in ("cluster", "cloud"):
        assert said(turn(*machines(20, 3), record=noted(s3="m3"), stale={source: ago(90)})) == []


OFF_FIRST = ["power off m3: its kubelet is silent: off, nothing runs on it for sure"]
LOCKED_UP = {"KernelDeadlock": ("True", ago(900))}


@pytest.mark.parametrize(
    ("health", "replicas", "going"),
    [
        pytest.param(None, 3, [], id="no answer yet"),
        pytest.param(Health(healthy=None, since=ago(1)), 3, [], id="not enough of them"),
        pytest.param(Health(healthy=False, since=ago(1)), 3, ["m0"], id="it does not serve"),
        pytest.param(None, 0, ["m0"], id="removed altogether: it need not be well"),
    ],
)
@pytest.mark.parametrize("revision", [OLD, NEW])
def test_who_has_not_been_asked_yet_is_not_taken_as_not_ready(
    health: Health | None, replicas: int, going: list[str], revision: str
) -> None:
    """Rules 6 and 7 take what serves nobody, without the floor. At a run's first look no probe has answered."""
    well = Health(healthy=True, since=ago(86_400))
    new = [machine(f"n{number}", slot=number, health=well) for number in range(replicas)]
    wanted = pool(replicas, probes=(ServiceProbe(kind="tcp", port=80),), max_unhealthy_total=1)
    unheard = machine("m0", revision, slot=0, health=health)
    found = Rollout(wanted).decide(snapshot(*new, unheard), NOW)
    assert [line.split()[1].rstrip(":") for line in said(found) if line.startswith("choose")] == going


@pytest.mark.parametrize(
    ("others", "replicas", "first"),
    [
        pytest.param(machines(2), 3, "create slot", id="its replacement first"),
        pytest.param([*machines(2), machine("m2", NEW, BOOTING, slot=2)], 3, "", id="which is awaited"),
        pytest.param(machines(3), 3, "choose m3", id="and is there"),
        pytest.param(machines(0), 0, "choose m3", id="a pool that shall be empty has no floor"),
    ],
)
def test_one_that_is_unhealthy_and_serves_keeps_the_floor(others: list[Machine], replicas: int, first: str) -> None:
    """With max_surge 1 and max_unavailable 0, as a rollout has it."""
    ill = machine("m3", slot=3, conditions=LOCKED_UP)
    policy = HealthPolicy(conditions=(ConditionCheck("KernelDeadlock", "True", timedelta(minutes=2)),))
    known = PoolRecord(health=noted(s3="m3").dump())
    found = Rollout(pool(replicas, health=policy)).decide(snapshot(*others, ill, record=known), NOW)
    assert [line[: len(first)] for line in said(found)][:1] == ([first] if first else [])
    assert not found.finished


@pytest.mark.parametrize(
    ("state", "off", "wakes"),
    [
        pytest.param(SICK, OFF_FIRST, False, id="silent for its timeout"),
        pytest.param({**SICK, "status": ERROR}, OFF_FIRST, False, id="in ERROR, which does not say that its guest is off"),
        pytest.param({**SICK, "status": STOPPED}, [], False, id="off already"),
        pytest.param(RECENT, [], True, id="not for so long"),
        pytest.param({**RECENT, "conditions": LOCKED_UP}, [], True, id="not for so long, and unhealthy for another reason"),
        pytest.param({"conditions": LOCKED_UP}, [], False, id="unhealthy, and its kubelet speaks"),
        pytest.param({"ready": False, "ready_since": ago(900)}, [], False, id="it says itself that it is not ready"),
    ],
)
def test_only_a_kubelet_that_has_been_silent_for_long_has_its_machine_switched_off(state: Any, off: list[str], wakes: bool) -> None:
    """On its way out, with pods on it. A finding of another kind is no proof that nobody hears the kubelet."""
    checks = (*DEFAULT_CHECKS, ConditionCheck("KernelDeadlock", "True", timedelta(minutes=2)))
    found = turn(*machines(3), machine("m3", NEW, GOING, slot=3, **state), policy={"conditions": checks}, replicas=4)
    assert [line for line in said(found) if line.startswith("power")] == off
    assert (found.wake_at == later(200)) == wakes


@pytest.mark.parametrize(
    ("subjects", "more", "kept"),
    [
        pytest.param(machines(20), {}, noted(s3="m3"), id="all are plainly well"),
        pytest.param([*machines(19), machine("m19", NEW, BOOTING, slot=19)], {}, noted(s3="m3"), id="one boots, and has no Node yet"),
        pytest.param(machines(20), {"stale": {"cluster": ago(90)}}, None, id="facts that stand still say nothing"),
    ],
)
def test_a_node_that_is_back_is_forgotten_on_record_too(subjects: list[Machine], more: dict[str, Any], kept: Remedies | None) -> None:
    """Else one that is missing for a minute, and again a week later, would have been missing for a week."""
    found = turn(*subjects, record=replace(noted(s3="m3"), first_seen={"m0": {MISSING: ago(86_400)}}), **more)
    assert (record_of(found) if found.record is not None else None) == kept
    assert turn(*subjects, record=noted(s3="m3"), **more).record is None


@pytest.mark.parametrize("wrong", [-600, 600])
def test_FM40_a_controller_whose_clock_is_wrong_decides_the_same(wrong: float) -> None:
    """Instants are in its clock, and what it writes is in the server's."""
    by = later(wrong) - NOW
    subject = machine("m0", NEW, BOOTING, slot=0, created_at=ago(86_400) + by)
    others = [machine(f"m{number}", slot=number) for number in range(1, 20)]

    def decided(record: Remedies, seconds: float) -> Decision:
        seen = Snapshot(
            at=later(wrong + seconds),
            began_at=later(wrong),
            machines={one.name: one for one in (subject, *others)},
            ahead=by,
            record=PoolRecord(health=record.dump()),
        )
        return Rollout(pool(20, health=HealthPolicy())).decide(seen, seen.at)

    marked = record_of(decided(Remedies(), 0))
    assert marked.first_seen == {"m0": {MISSING: NOW}}
    assert record_of(decided(marked, 290)).slots == {}
    assert record_of(decided(marked, 300)).slots == {"0": Remedy("m0", later(300))}
