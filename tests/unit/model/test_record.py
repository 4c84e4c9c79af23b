# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept on the lock comes back as it was, and foreign texts do no harm."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.record import (
    REVISIONS_KEPT,
    Lost,
    PoolRecord,
    Refusal,
    load_object,
    load_record,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import (
    ROLLBACK,
    Asked,
    Override,
    Protection,
    Scale,
    Steering,
    changes,
    load_steering,
)
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, later

V1 = {"asked": "stable", "id": "1", "digest": "sha512:v1"}
V2 = {"asked": "stable", "id": "2", "digest": "sha512:v2"}
LOST = Lost(machine="web-0-aaaaa", at=NOW, what="never ready")
REFUSAL = Refusal(at=NOW, what="1 lost", image="stable", machines=("web-1-x7k2p",), resumed=NOW)
RECORD = PoolRecord(pinned=V2, current=V1, previous=V1, replicas=12, lost={"r": (LOST,)}, refused={"q": REFUSAL}, climbing="r", passed=2)
ANA = Asked("ana@laptop", NOW)
STEERING = Steering(
    pause=ANA,
    abort=ANA,
    resumed=ANA,
    override=Override(kind=ROLLBACK, image=V1, asked=ANA),
    scale=Scale(replicas=20, instead_of=12, asked=ANA),
    replace={"m1": ANA},
    release={"m2": ANA},
    protect={"m3": Protection(later(3600), ANA)},
)


def test_a_record_comes_back() -> None:
    """Every field of it."""
    assert load_record(RECORD.dump()) == RECORD
    assert PoolRecord().dump() == "{}"


def test_a_steering_comes_back() -> None:
    """Every field of it."""
    assert load_steering(load_object(STEERING.dump())) == STEERING
    assert Steering().dump() == "{}"


@pytest.mark.parametrize("text", ["", None, "no JSON", "[]", '{"lost": 3, "refused": [], "pinned": "x", "passed": "y"}'])
def test_a_foreign_text_is_no_record(text: str | None) -> None:
    """Everything in it can be decided anew."""
    assert load_record(text) == PoolRecord()


def test_what_is_foreign_in_a_steering_is_not_asked() -> None:
    """Half a wish is none."""
    raw = {"pause": {"by": "ana"}, "override": {"by": "ana", "at": "2026-11-21T04:10:07Z", "kind": "other"}, "replace": ["m1"]}
    assert load_steering(raw) == Steering()


def test_a_refusal_tells_of_its_losses() -> None:
    """So they are counted once; the oldest refusals are forgotten."""
    record = RECORD.refusing("r", REFUSAL)
    assert (record.lost, set(record.refused)) == ({}, {"q", "r"})
    for number in range(REVISIONS_KEPT):
        record = record.refusing(f"n{number}", Refusal(at=NOW + timedelta(seconds=number), what="", image=""))
    assert len(record.refused) == REVISIONS_KEPT


@pytest.mark.parametrize(
    ("record", "image", "current", "previous"),
    [
        pytest.param(PoolRecord(), V1, V1, {}, id="the first"),
        pytest.param(PoolRecord(current=V1), V2, V2, V1, id="another image"),
        pytest.param(PoolRecord(current=V2, previous=V1), V2, V2, V1, id="the same image again: more machines, another flavor"),
        pytest.param(PoolRecord(current=V2, previous=V1), V1, V1, V2, id="back"),
    ],
)
def test_a_completed_rollout_moves_the_images_on(record: PoolRecord, image: dict, current: dict, previous: dict) -> None:
    """`previous` is what a rollback goes to."""
    done = record.completed(image)
    assert (done.current, done.previous, done.pinned, done.lost, done.passed) == (current, previous, {}, {}, 0)


def test_changes_say_who_asked() -> None:
    """A line for each."""
    assert changes(Steering(), STEERING) == [
        "pause by ana@laptop, since 2026-11-21T04:10:07Z",
        "abort by ana@laptop, since 2026-11-21T04:10:07Z",
        "resume by ana@laptop, since 2026-11-21T04:10:07Z",
        "rollback to sha512:v1 by ana@laptop, since 2026-11-21T04:10:07Z",
        "scale to 20 by ana@laptop, since 2026-11-21T04:10:07Z",
        "replace m1 by ana@laptop, since 2026-11-21T04:10:07Z",
        "release m2 by ana@laptop, since 2026-11-21T04:10:07Z",
        "protect m3 by ana@laptop, since 2026-11-21T04:10:07Z",
    ]
    assert changes(STEERING, Steering()) == [
        "pause taken back",
        "abort taken back",
        "resume taken back",
        "the override is taken back",
        "the scaling is taken back",
        "replace m1 taken back",
        "release m2 taken back",
        "protect m3 taken back",
    ]
