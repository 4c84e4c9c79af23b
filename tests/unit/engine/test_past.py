# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run notes of drains and deletes, and how it is kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.engine.past import past_of
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Step
from ansible_collections.immutable.fleet.plugins.module_utils.model.durations import KEPT, Past, load_past

DAWN = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)


def step(after: float, verb: str, machine: str = "m1") -> Step:
    return Step(at=DAWN, after=timedelta(seconds=after), verb=verb, machine=machine, reason="")


def test_from_the_last_eviction_to_the_end_of_the_vm() -> None:
    steps = [step(1, "choose"), step(2, "evict"), step(9, "evict"), step(20, "delete"), step(34, "delete node")]
    assert past_of(steps) == Past(empty=(11,), delete=(14,))


@pytest.mark.parametrize("verb", ["remove pod", "quarantine"])
def test_a_drain_that_did_not_end_by_itself_teaches_nothing(verb: str) -> None:
    assert past_of([step(2, "evict"), step(900, verb), step(1900, "delete"), step(1910, "delete node")]) == Past(delete=(10,))


def test_an_empty_node_teaches_only_its_delete() -> None:
    assert past_of([step(1, "choose"), step(2, "delete"), step(9, "delete node")]) == Past(delete=(7,))


def test_it_is_kept_and_read_again() -> None:
    past = Past(empty=(4.0, 5.5), delete=(20.0,))
    assert load_past(json.loads(json.dumps(past.dump()))) == past


@pytest.mark.parametrize("raw", [None, [], {"empty": "long"}, {"delete": ["x", True, -4]}])
def test_what_somebody_else_wrote_teaches_nothing(raw: object) -> None:
    assert load_past(raw) == Past()


def test_the_newest_are_kept() -> None:
    both = Past(empty=tuple(map(float, range(KEPT)))).then(Past(empty=(99.0,)))
    assert (len(both.empty), both.empty[0], both.empty[-1]) == (KEPT, 1.0, 99.0)
