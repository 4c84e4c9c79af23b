# SPDX-License-Identifier: GPL-3.0-or-later
"""Wishes of operators, one by one: what they make of a pool's steering."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.control import Wish, steered
from ansible_collections.immutable.fleet.plugins.module_utils.decide.target import standing_refusal
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Refused
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact, PoolRecord, Refusal
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import (
    RETARGET,
    ROLLBACK,
    Asked,
    Override,
    Protection,
    Scale,
    Steering,
)
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, ago, later

ANA, BO = Asked("ana@laptop", NOW), Asked("bo@bastion", ago(600))
V1 = {"asked": "stable", "id": "1", "digest": "sha512:v1"}
V2 = {"asked": "stable", "id": "2", "digest": "sha512:v2"}
UNDER_WAY = PoolRecord(pinned=V2, current=V1)
REFUSED = PoolRecord(current=V1, given_up=V2, refused={"r": Refusal(at=ago(60), what="1 lost", image="stable")})
DONE = PoolRecord(current=V2, previous=V1)
UNTOUCHED = Steering()


def after(state: str, before: Steering = UNTOUCHED, record: PoolRecord = DONE, **more: Any) -> Steering:
    """The steering after ana's wish."""
    return steered(LockFact(record=record, steering=before), Wish(pool="web", state=state, asked=ANA, **more))


@pytest.mark.parametrize(
    ("state", "before", "expected"),
    [
        pytest.param("paused", Steering(), Steering(pause=ANA), id="pause"),
        pytest.param("paused", Steering(pause=BO), Steering(pause=BO), id="paused already: whoever was first stands there"),
        pytest.param("aborted", Steering(pause=BO), Steering(pause=BO, abort=ANA), id="abort"),
        pytest.param("resumed", Steering(pause=BO, abort=BO), Steering(resumed=ANA), id="resume takes both back"),
        pytest.param("resumed", Steering(), Steering(), id="nothing to resume"),
    ],
)
def test_pause_abort_resume(state: str, before: Steering, expected: Steering) -> None:
    """A wish that holds already changes nothing."""
    assert after(state, before) == expected


def test_a_resume_lets_a_refused_revision_be_tried_again() -> None:
    """Once: it is not refused by the same losses."""
    resumed = after("resumed", record=REFUSED)
    assert resumed == Steering(resumed=ANA)
    assert after("resumed", resumed, record=REFUSED) == resumed


@pytest.mark.parametrize("wrong", [timedelta(minutes=-10), timedelta(0), timedelta(minutes=10)], ids=str)
def test_whoever_resumes_may_have_another_clock(wrong: timedelta) -> None:
    """It holds for what was refused until then, and not for what is refused next (FM40)."""
    asked = Asked("ana", NOW + wrong)
    resumed = steered(LockFact(record=REFUSED), Wish(pool="web", state="resumed", asked=asked))
    assert standing_refusal(REFUSED, resumed, "r") is None
    again = replace(REFUSED, refused={"r": Refusal(at=NOW, what="1 lost", image="stable", resumed=asked.at)})
    assert standing_refusal(again, resumed, "r") is not None
    once_more = steered(LockFact(record=again, steering=resumed), Wish(pool="web", state="resumed", asked=asked))
    assert standing_refusal(again, once_more, "r") is None


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(UNDER_WAY, V1, id="a rollout under way goes back to what was there"),
        pytest.param(REFUSED, V1, id="so does one that was refused"),
        pytest.param(DONE, V1, id="one that is completed goes back to the one before"),
    ],
)
def test_rollback(record: PoolRecord, expected: dict[str, str]) -> None:
    """It takes an abort back, for it is a new direction; twice is not forward again."""
    steering = after("rolled_back", Steering(abort=BO), record)
    assert steering == Steering(override=Override(kind=ROLLBACK, image=expected, asked=ANA))
    assert after("rolled_back", steering, record) == steering


@pytest.mark.parametrize(
    ("record", "what"),
    [
        pytest.param(PoolRecord(), "no rollout of this pool is on record, so there is nothing to retarget", id="never run"),
        pytest.param(PoolRecord(current=V1), "the pool's record knows no image from before", id="the first image"),
    ],
)
def test_a_rollback_to_nothing_is_refused(record: PoolRecord, what: str) -> None:
    """With what to run instead."""
    with pytest.raises(Refused) as refused:
        after("rolled_back", record=record)
    assert (refused.value.what, bool(refused.value.forward)) == (what, True)


def test_retarget_and_back() -> None:
    """The image is a name that the cloud will look up; without one the variables are followed again."""
    steering = after("retargeted", image="v3")
    assert steering.override == Override(kind=RETARGET, image={"asked": "stable", "name": "v3"}, asked=ANA)
    assert after("retargeted", steering) == Steering()


@pytest.mark.parametrize(
    ("before", "replicas", "expected"),
    [
        pytest.param(None, 20, (20, 12, ANA), id="more"),
        pytest.param(None, 6, (6, 12, ANA), id="half of them"),
        pytest.param(20, 20, (20, 12, BO), id="twice: whoever was first stands there"),
        pytest.param(20, 10, (10, 12, ANA), id="down from what an operator asked for"),
        pytest.param(20, None, None, id="as many as the variables ask for again"),
    ],
)
def test_scale(before: int | None, replicas: int | None, expected: tuple[int, int, Asked] | None) -> None:
    """It says what it stands for, so that changed variables supersede it."""
    steering = Steering(scale=Scale(replicas=before, instead_of=12, asked=BO) if before else None)
    scale = after("scaled", steering, replace(DONE, replicas=12), replicas=replicas).scale
    assert (scale and (scale.replicas, scale.instead_of, scale.asked)) == expected


@pytest.mark.parametrize(
    ("record", "replicas", "what"),
    [
        pytest.param(PoolRecord(), 3, "no run of this pool is on record, so there is nothing to scale", id="never run"),
        pytest.param(
            PoolRecord(replicas=12), 2, "from 12 to 2 replicas takes 10 machines away; max_scale_down 50% allows 6", id="mistyped"
        ),
    ],
)
def test_a_scaling_that_is_refused(record: PoolRecord, replicas: int, what: str) -> None:
    """As the same number in the variables would be."""
    with pytest.raises(Refused) as refused:
        after("scaled", record=record, replicas=replicas)
    assert (refused.value.what, bool(refused.value.forward)) == (what, True)


def test_single_machines() -> None:
    """Each for itself; what is old is forgotten."""
    old = Steering(replace={"web-9-aaaaa": replace(ANA, at=ago(40 * 86400))}, protect={"web-8-aaaaa": Protection(ago(1), BO)})
    assert after("replaced", old, machine="web-1-aaaaa") == Steering(replace={"web-1-aaaaa": ANA})
    protected = after("protected", machine="web-1-aaaaa", lasts=timedelta(hours=2))
    assert protected == Steering(protect={"web-1-aaaaa": Protection(later(7200), ANA)})
    assert after("protected", protected, machine="web-1-aaaaa", lasts=timedelta(0)) == Steering()
    released = after("released", machine="web-1-aaaaa")
    assert (released.release, released.protect) == ({"web-1-aaaaa": ANA}, {"web-1-aaaaa": Protection(later(3600), ANA)})
