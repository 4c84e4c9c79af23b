# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators ask, and what a ladder holds back, as decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide import brake
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.decide.target import image_instead
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import ROLL_BACK, Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord, Refusal
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import (
    RETARGET,
    ROLLBACK,
    Asked,
    Override,
    Protection,
    Scale,
    Steering,
)
from ansible_collections.immutable.fleet.tests.unit.builders import (
    AVAILABLE,
    BOOTING,
    GOING,
    NEW,
    OLD,
    QUARANTINED,
    ago,
    blocked,
    later,
    machine,
    pod,
    pool,
    said,
    snapshot,
)

BEFORE, NOW_ASKED = Asked("ana@laptop", ago(3600)), Asked("ana@laptop", ago(5))
PAUSED = Steering(pause=NOW_ASKED)
V1, V2 = ({"asked": "stable", "name": f"v{n}", "id": str(n), "digest": f"sha512:v{n}"} for n in (1, 2))
REFUSED = PoolRecord(current=V1, given_up=V2, refused={NEW: Refusal(at=ago(900), what="1 lost, max_failed_new 1", image="stable")})


def fleet(*rows: tuple[str, str]) -> list[Machine]:
    """Machines of these revisions and kinds in slots 0, 1, ..."""
    return [machine(f"m{number}", revision, kind, slot=number) for number, (revision, kind) in enumerate(rows)]


def decide(machines: list[Machine], wanted: Pool, **facts: Any) -> Decision:
    """The first decision about them."""
    world = snapshot(*machines, **facts)
    return Rollout(wanted).decide(world, world.at)


ROLLING = fleet((OLD, AVAILABLE), (OLD, AVAILABLE), (OLD, AVAILABLE))


def test_a_pause_stops_the_rollout_and_says_who_asked() -> None:
    """Nothing is replaced; a pause that was put on during the run may be lifted during the run, so it goes on waiting."""
    decision = decide(ROLLING, pool(3), steering=PAUSED)
    assert (said(decision), decision.finished) == ([], False)
    assert blocked(decision) == ["paused pool web: paused by ana@laptop, since 2026-11-21T04:10:02Z"]


def test_a_pause_that_stood_before_ends_the_run_and_is_no_failure() -> None:
    """A scheduled run finds it, heals what is to be healed, and says what it left."""
    decision = decide(ROLLING, pool(3), steering=Steering(pause=BEFORE))
    assert (decision.finished, decision.failure) == (True, None)
    assert decision.pending == (
        "paused by ana@laptop, since 2026-11-21T03:10:07Z: 3 machines are not as asked for; to go on: ansible localhost "
        "-m immutable.fleet.node_pool_control -a 'name=web state=resumed kubernetes={}'  # then run the same playbook again"
    )


@pytest.mark.parametrize(
    ("machines", "replicas", "expected"),
    [
        pytest.param(fleet((OLD, AVAILABLE), (OLD, AVAILABLE)), 3, ["create slot 2: 2 exist < ceiling 4"], id="missing ones are made"),
        pytest.param(fleet(*[(OLD, AVAILABLE)] * 3, (NEW, AVAILABLE)), 3, [], id="one that surges may stay"),
        pytest.param(
            fleet((NEW, AVAILABLE), *[(OLD, AVAILABLE)] * 3),
            2,
            ["choose m3: surplus; 4 available > floor 2"],
            id="fewer replicas: old ones go first, surge may stay",
        ),
        pytest.param(fleet((OLD, AVAILABLE), (OLD, AVAILABLE), (OLD, AVAILABLE), (NEW, BOOTING)), 3, [], id="one on its way comes"),
    ],
)
def test_a_pause_stops_nothing_else(machines: list[Machine], replicas: int, expected: list[str]) -> None:
    """Healing and scaling go on."""
    assert said(decide(machines, pool(replicas), steering=PAUSED)) == expected


def test_a_pause_does_not_hold_what_is_going() -> None:
    """Rule 2: it goes to its end."""
    gone = machine("m0", OLD, GOING, pods=())
    assert said(decide([gone, *ROLLING[1:]], pool(3), steering=PAUSED))[0].startswith("look m0: ")


def test_an_abort_gives_back_what_was_chosen() -> None:
    """Cordon and mark go in one PATCH, and nothing more is evicted; the run ends once that is done."""
    machines = [machine("m0", OLD, GOING), *ROLLING[1:]]
    decision = decide(machines, pool(3), steering=Steering(abort=NOW_ASKED))
    assert said(decision) == ["uncordon m0: asked by ana@laptop, since 2026-11-21T04:10:02Z"]
    ended = decide(ROLLING, pool(3), steering=Steering(abort=NOW_ASKED))
    assert ended.failure is not None
    assert ended.failure.code == "stopped"
    assert "later ones roll nothing and end well, pending, until it is resumed" in ended.failure.what
    assert "state=resumed" in ended.failure.forward
    assert ended.failure.back.startswith("no image from before is on record")


def test_an_abort_does_not_reach_a_younger_mark_or_a_delete() -> None:
    """A machine that was chosen after it was meant; a VM that is being deleted can't come back."""
    steering = Steering(abort=BEFORE)
    going = machine("m0", OLD, GOING)
    deleting = machine("m1", OLD, GOING, status=vm_states.DELETING)
    assert [line for line in said(decide([going, deleting], pool(2), steering=steering)) if line.startswith("uncordon")] == []


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(3, ["create slot 3: 3 exist < ceiling 6", "create slot 4: 4 exist < ceiling 6"], id="the variables as they were"),
        pytest.param(4, ["create slot 3: 3 exist < ceiling 5"], id="changed variables supersede it"),
    ],
)
def test_a_scaling_counts_while_the_variables_ask_for_the_same(asked: int, expected: list[str]) -> None:
    """In the same turn that sees it."""
    fine = fleet((NEW, AVAILABLE), (NEW, AVAILABLE), (NEW, AVAILABLE))
    steering = Steering(scale=Scale(replicas=5, instead_of=3, asked=NOW_ASKED))
    assert said(decide(fine, pool(asked), steering=steering)) == expected


def test_the_last_one_stays_while_more_exist_than_may() -> None:
    """From 3 to 1 in mid-roll with a floor of 0: were all to go at once, their pods had nowhere to go, and nothing new might come."""
    old = fleet((OLD, AVAILABLE), (OLD, AVAILABLE), (OLD, AVAILABLE))
    decision = decide(old, pool(1, surge=1, unavailable=1))
    assert [line.split(":")[0] for line in said(decision)] == ["choose m0", "choose m1"]


def test_a_released_machine_is_given_back_and_stays_while_it_is_protected() -> None:
    """Both marks go; without the protection it would be the next to be chosen."""
    aside = machine("m0", OLD, QUARANTINED)
    steering = Steering(release={"m0": NOW_ASKED}, protect={"m0": Protection(later(600), NOW_ASKED)})
    assert "release m0: asked by ana@laptop, since 2026-11-21T04:10:02Z" in said(decide([aside, *ROLLING[1:]], pool(2), steering=steering))
    back = decide(fleet((OLD, AVAILABLE), (NEW, AVAILABLE), (NEW, AVAILABLE)), pool(2), steering=steering)
    assert (said(back), back.wake_at) == ([], later(600))
    assert blocked(back) == ["protected machine m0: protected until 2026-11-21T04:20:07Z by ana@laptop, since 2026-11-21T04:10:02Z"]


def test_a_machine_that_is_to_be_replaced_counts_as_outdated() -> None:
    """With surge, whatever it is made of."""
    machines = fleet((NEW, AVAILABLE), (NEW, AVAILABLE))
    assert said(decide(machines, pool(2), steering=Steering(replace={"m1": NOW_ASKED}))) == [
        "create slot 1: 2 exist < ceiling 3",
        "label m1: set taints",
    ]


def test_a_refused_revision_is_not_tried_again() -> None:
    """By a scheduled rerun, say; the message names the image and both commands."""
    failure = decide(ROLLING, pool(3), record=REFUSED).failure
    assert failure is not None
    assert (failure.code, failure.where, failure.what) == (
        "refused",
        "pool web, image stable",
        "1 lost, max_failed_new 1; no more machines are made of it",
    )
    assert "state=resumed" in failure.forward
    assert "state=rolled_back" in failure.back
    assert failure.back.endswith("  # to image v1; then run the same playbook again")


def test_FM38_a_refused_image_names_the_machine_that_it_cost() -> None:
    """The last one, which was one too many."""
    refusal = Refusal(at=ago(60), what="2 lost", image="stable", machines=("m3", "m4"))
    failure = decide(ROLLING, pool(3), record=PoolRecord(current=V1, given_up=V2, refused={NEW: refusal})).failure
    assert failure is not None
    assert failure.where == "machine m4, pool web, image stable"


def test_a_pool_that_goes_back_already_is_not_told_to_go_back() -> None:
    """The way back is the way it is on."""
    back = Steering(override=Override(kind=ROLLBACK, image=V1, asked=NOW_ASKED))
    going_back = replace(pool(3), revision=Revision({"image": "sha512:v1"}, "before", V1))
    assert brake.way_back(going_back, REFUSED, back) == "it goes back already, to image v1: run the same playbook again"
    assert brake.way_back(going_back, REFUSED, Steering()).startswith("ansible localhost ")


def test_a_refusal_says_rolled_back_only_where_it_is() -> None:
    """A pool that has never completed a rollout has nothing to go back to, whatever `on_breach` asks for."""
    failure = decide(ROLLING, pool(3, on_breach="rollback"), record=replace(REFUSED, current={})).failure
    assert failure is not None
    assert failure.what == "1 lost, max_failed_new 1; no more machines are made of it"
    assert failure.back.startswith("no image from before is on record")


def test_a_resume_takes_a_refusal_back() -> None:
    """The revision is tried again."""
    assert said(decide(ROLLING, pool(3), record=REFUSED, steering=Steering(resumed=NOW_ASKED))) == ["create slot 0: 3 exist < ceiling 4"]


@pytest.mark.parametrize("wrong", [-3600, 0, 3600], ids="resumed with a clock {} s wrong".format)
def test_what_a_refusal_cost_does_not_refuse_again(wrong: int) -> None:
    """The machine that was lost is still there when an operator resumes, whatever that one's clock says (FM40)."""
    lost = machine("m3", NEW, BOOTING, slot=3, created_at=ago(1200))
    refusal = Refusal(at=ago(60), what="1 lost", image="stable", machines=("m3",))
    record = PoolRecord(current=V1, given_up=V2, refused={NEW: refusal})
    decision = decide([*ROLLING, lost], pool(3), record=record, steering=Steering(resumed=Asked("ana", ago(30 - wrong))))
    assert (decision.failure, decision.record) == (None, None)


# The ladder ---------------------------------------------------------------------------------------------------------------
CANARY = {"steps": (1, "50%", "100%"), "soak": timedelta(seconds=300)}
SOAKED = {"ready_since": ago(400)}


def on_step(new: list[Machine], old: int) -> list[Machine]:
    """`new` machines first, then so many old ones."""
    return [*new, *(machine(f"o{number}", OLD, slot=10 + number) for number in range(old))]


def fresh(count: int, **more: Any) -> list[Machine]:
    """Available new machines that have soaked, unless `more` says otherwise."""
    return [machine(f"n{number}", NEW, slot=number, **{**SOAKED, **more}) for number in range(count)]


@pytest.mark.parametrize(
    ("machines", "expected"),
    [
        pytest.param(on_step([], 4), ["create slot 0: 4 exist < ceiling 6"], id="one canary, though two would fit"),
        pytest.param(on_step(fresh(1), 4), ["choose o0: outdated; 5 available > floor 4"], id="its old machine goes"),
        pytest.param(on_step(fresh(1, ready_since=ago(100)), 3), [], id="it soaks"),
    ],
)
def test_a_step_lets_so_many_through(machines: list[Machine], expected: list[str]) -> None:
    """New machines at most, and old ones at least."""
    assert said(decide(machines, pool(4, 2, **CANARY))) == expected


def test_a_soak_ends_by_the_clock() -> None:
    """It wakes the loop, and is no lack of progress."""
    decision = decide(on_step(fresh(1, ready_since=ago(100)), 3), pool(4, 2, **CANARY), progressed_at=ago(7200))
    assert (decision.finished, decision.wake_at) == (False, later(200))
    assert blocked(decision) == ["step : step 1 of 3: its machines soak until 2026-11-21T04:13:27Z"]


def test_FM14_a_step_waits_for_the_pods_on_its_machines() -> None:
    """A node that is ready says nothing about the workload."""
    decision = decide(on_step(fresh(1, pods=(pod("cart-1", is_ready=False),)), 3), pool(4, 2, **CANARY))
    assert (decision.record, blocked(decision)) == (None, ["step : step 1 of 3: pods on its machines are not ready: shop/cart-1"])


def test_FM14_pods_soak_as_long_as_machines() -> None:
    """One that became ready a moment ago has shown nothing yet, however long its machine has been ready."""
    carts = (pod("cart-1", ready_since=ago(350)), pod("cart-2", ready_since=ago(100)))
    decision = decide(on_step(fresh(1, pods=carts), 3), pool(4, 2, **CANARY))
    assert (decision.record, decision.wake_at) == (None, later(200))
    assert blocked(decision) == ["step : step 1 of 3: the pods on its machines soak until 2026-11-21T04:13:27Z"]


def test_FM14_a_pod_that_flaps_is_no_timer_that_was_asked_for() -> None:
    """It would put the end off for ever: the run ends `progress_deadline` after its machines have soaked."""
    machines = on_step(fresh(1, pods=(pod("cart-1", ready_since=ago(5)),), ready_since=ago(300 + 1801)), 3)
    decision = decide(machines, pool(4, 2, **CANARY), progressed_at=ago(7200))
    assert decision.failure is not None
    assert (decision.failure.code, "the pods on its machines soak" in decision.failure.what) == ("stalled", True)


def test_FM16_pods_on_old_machines_hold_no_step() -> None:
    """A step asks for what it brought, not for the whole cluster: what was unwell before would block every rollout."""
    old = [machine(f"o{number}", OLD, slot=10 + number, pods=(pod(f"cart-{number}", is_ready=False),)) for number in range(3)]
    assert decide([*fresh(1), *old], pool(4, 2, **CANARY)).record == PoolRecord(climbing=NEW, passed=1)


@pytest.mark.parametrize(
    "leaves",
    [
        pytest.param(pod("cart-1", is_ready=False, terminating_since=ago(3)), id="on its way out"),
        pytest.param(pod("report-1", ready_since=ago(3), owner="Job/report"), id="of a job"),
        pytest.param(pod("report-1", is_ready=False, wait_completed=True), id="told to end by itself"),
    ],
)
def test_a_pod_that_is_not_to_serve_puts_no_soak_off(leaves: Pod) -> None:
    """A job each minute would hold the ladder for ever."""
    decision = decide(on_step(fresh(1, pods=(leaves,)), 3), pool(4, 2, **CANARY))
    assert decision.record == PoolRecord(climbing=NEW, passed=1)


def test_a_passed_step_is_on_record_before_the_next_begins() -> None:
    """A run that is killed here does not soak again."""
    machines, wanted = on_step(fresh(1), 3), pool(4, 2, **CANARY)
    decision = decide(machines, wanted)
    assert decision.record == PoolRecord(climbing=NEW, passed=1)
    assert said(decision) == []
    assert said(decide(machines, wanted, record=decision.record)) == ["create slot 1: 4 exist < ceiling 6"]


def test_a_pool_without_old_machines_climbs_nothing() -> None:
    """There is nothing that a bad image could be compared with, or go back to."""
    assert len(said(decide([], pool(4, 2, **CANARY)))) == 4


# Losses -------------------------------------------------------------------------------------------------------------------
NEVER = {"created_at": ago(2000)}


def test_FM18_a_loss_is_on_record_before_its_machine_goes() -> None:
    """The first decision writes it and touches nothing, the next begins with its delete."""
    machines = [*ROLLING, machine("n0", NEW, BOOTING, slot=7, **NEVER)]
    first = decide(machines, pool(3))
    assert said(first) == []
    assert first.record is not None
    assert list(first.record.refused) == [NEW]
    assert said(decide(machines, pool(3), record=first.record)) == [
        "look n0: failed and never joined: looking directly whether it has joined"
    ]


@pytest.mark.parametrize(
    ("status", "verb"),
    [pytest.param(vm_states.BUILDING, "look", id="a build that never ends"), pytest.param(vm_states.ERROR, "delete", id="ERROR")],
)
def test_trouble_of_the_cloud_does_not_count_against_the_image(status: str, verb: str) -> None:
    """It has a limit of its own."""
    decision = decide([*ROLLING, machine("n0", NEW, BOOTING, slot=7, **{**NEVER, "status": status})], pool(3))
    (action,) = said(decision)
    assert (decision.record, action.partition(":")[0]) == (None, f"{verb} n0")


def test_later_steps_may_lose_more() -> None:
    """5 % of the pool once the first step is passed."""
    wanted = pool(40, 2, **CANARY)
    machines = [*on_step(fresh(1), 39), machine("n9", NEW, BOOTING, slot=9, **NEVER)]
    record = decide(machines, wanted, record=PoolRecord(climbing=NEW, passed=1)).record
    assert record is not None
    assert (len(record.lost[NEW]), record.refused) == (1, {})


# What is made instead -----------------------------------------------------------------------------------------------------
ASKED = Revision({"image": "sha512:v2"}, NEW, {"asked": "stable", "id": "2", "digest": "sha512:v2"})
CURRENT = {"asked": "stable", "id": "1", "digest": "sha512:v1"}
TO_V3 = Override(kind=RETARGET, image={"asked": "stable", "name": "v3"}, asked=NOW_ASKED)


@pytest.mark.parametrize(
    ("record", "steering", "on_breach", "expected"),
    [
        pytest.param(PoolRecord(), Steering(), ROLL_BACK, {}, id="what is asked for"),
        pytest.param(PoolRecord(), Steering(override=TO_V3), "pause", TO_V3.image, id="an operator's"),
        pytest.param(
            PoolRecord(),
            Steering(override=replace(TO_V3, image={"asked": "other", "name": "v3"})),
            "pause",
            {},
            id="changed variables supersede it",
        ),
        pytest.param(replace(REFUSED, current=CURRENT), Steering(), ROLL_BACK, CURRENT, id="a breach rolls back"),
        pytest.param(replace(REFUSED, current=CURRENT), Steering(), "pause", {}, id="a breach pauses"),
        pytest.param(replace(REFUSED, current=CURRENT), Steering(resumed=NOW_ASKED), ROLL_BACK, {}, id="resumed"),
    ],
)
def test_what_is_made_instead(record: PoolRecord, steering: Steering, on_breach: str, expected: dict[str, str]) -> None:
    """An operator's wish first, then a breach."""
    assert image_instead(pool(3, on_breach=on_breach), ASKED, record, steering) == expected


def test_the_end_is_on_record_before_the_run_ends() -> None:
    """A pin that stays would hold the image's name to its old meaning (FM37)."""
    machines = fleet((NEW, AVAILABLE), (NEW, AVAILABLE))
    first = decide(machines, pool(2), record=PoolRecord(pinned=CURRENT))
    assert (first.finished, first.record) == (False, PoolRecord())
    assert decide(machines, pool(2), record=PoolRecord()).finished
