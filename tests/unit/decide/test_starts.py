# SPDX-License-Identifier: GPL-3.0-or-later
"""Creates that a cloud cannot begin yet: they are asked for when it can, and keep their places until then."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Create
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Starts
from ansible_collections.immutable.fleet.tests.unit.builders import creating, pool, snapshot

AB = {"failure_domains": ("a", "b")}


def creates(starts: Starts | None, flying: tuple[Any, ...] = (), **wanted: Any) -> list[str]:
    """Slot and domain of each create for an empty pool of four."""
    world = snapshot(creating=flying, starts=starts)
    actions = Rollout(pool(4, 0, 1, **wanted)).decide(world, world.at).actions
    return [f"{action.slot} {action.failure_domain}".strip() for action in actions if isinstance(action, Create)]


@pytest.mark.parametrize(
    ("starts", "flying", "expected"),
    [
        pytest.param(None, (), ["0", "1", "2", "3"], id="a cloud that says nothing takes all"),
        pytest.param(Starts(total=9), (), ["0", "1", "2", "3"], id="room for more than are missing"),
        pytest.param(Starts(total=2), (), ["0", "1"], id="two may begin"),
        pytest.param(Starts(total=2), (creating(slot=0),), ["1"], id="one was sent since the list"),
        pytest.param(Starts(total=1), (creating(slot=0),), [], id="no room until the next list"),
    ],
)
def test_no_more_begin_than_the_cloud_says(starts: Starts | None, flying: tuple[Any, ...], expected: list[str]) -> None:
    assert creates(starts, flying) == expected


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        pytest.param(Starts(total=9, by_domain={"a": 1}), ["0 a", "1 b", "3 b"], id="slot 2 waits for its domain, slot 3 does not"),
        pytest.param(Starts(total=2, by_domain={"a": 0}), ["1 b", "3 b"], id="a whole domain waits"),
        pytest.param(Starts(total=9, by_domain={"a": 0, "b": 0}), [], id="both do"),
    ],
)
def test_a_domain_that_is_busy_holds_back_no_other(starts: Starts, expected: list[str]) -> None:
    """A machine never goes elsewhere for it: that would cost the spread, and be for good."""
    assert creates(starts, **AB) == expected
