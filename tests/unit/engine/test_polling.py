# SPDX-License-Identifier: GPL-3.0-or-later
"""When the cloud is listed: often while something is in flight, seldom when nothing is, never twice at once."""

from __future__ import annotations

from datetime import datetime

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.engine.polling import Polling
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, later


def listed(*, pushes: bool = False, took: float = 0.2, failed: bool = False) -> Polling:
    """One list was begun NOW and took so many seconds."""
    polling = Polling(pushes=pushes)
    polling.begin(NOW)
    polling.ended(later(took), failed=failed)
    return polling


@pytest.mark.parametrize(
    ("polling", "is_busy", "expected"),
    [
        pytest.param(Polling(pushes=False), False, later(1), id="the first at once"),
        pytest.param(listed(), False, later(60), id="nothing in flight"),
        pytest.param(listed(), True, later(2), id="something in flight"),
        pytest.param(listed(took=4), True, later(12), id="a slow list takes a third of the time at most"),
        pytest.param(listed(pushes=True), True, later(60), id="a cloud that tells is only checked on"),
        pytest.param(listed(took=0.5, failed=True), False, later(2.5), id="one that failed is tried again soon"),
    ],
)
def test_when_the_next_list_begins(polling: Polling, is_busy: bool, expected: datetime) -> None:
    """The rhythm follows what is in flight and what a list costs."""
    assert polling.due(later(1), is_busy=is_busy) == expected


def test_a_cloud_that_tells_is_listed_at_once() -> None:
    """A change that was told makes the next list due now."""
    polling = listed(pushes=True)
    polling.told()
    assert polling.due(later(1), is_busy=False) == later(1)


def test_no_list_while_one_is_under_way() -> None:
    """One shared list a pool."""
    polling = Polling(pushes=False)
    polling.begin(NOW)
    assert polling.due(later(1), is_busy=True) is None


def test_full_lists_come_first_once_a_minute_and_when_asked() -> None:
    """Deltas between; a full one asked for while a list is under way is the one after."""
    polling = Polling(pushes=False)
    fullness = [polling.begin(NOW), polling.begin(later(2))]
    polling.ask_full()
    fullness += [polling.begin(later(4)), polling.begin(later(6)), polling.begin(later(64))]
    assert fullness == [True, False, True, False, True]


def test_a_cloud_that_tells_is_asked_for_everything_in_the_clocks_rhythm_only() -> None:
    """News in between bring what was told, and do not put that off."""
    polling = listed(pushes=True)
    assert polling.asks_all
    polling.told()
    assert polling.due(later(50), is_busy=True) == later(50)
    polling.begin(later(50))
    polling.ended(later(50), failed=False)
    assert not polling.asks_all
    polling.told()
    assert polling.due(later(60), is_busy=True) == later(60)
    polling.begin(later(60))
    assert polling.asks_all


def test_where_a_cloud_that_tells_need_not_tell_it_is_asked_often() -> None:
    """A call without an answer, or a machine that is ill: neither has to be in flight."""
    assert listed(pushes=True).due(later(1), is_busy=False, is_unsure=True) == later(2)


def test_a_cloud_that_cannot_tell_just_now_is_polled() -> None:
    """Until a listing says that it tells again."""
    polling = Polling(pushes=True)
    polling.begin(NOW)
    polling.ended(NOW, failed=False, tells=False)
    polling.told()
    assert polling.due(later(1), is_busy=True) == later(2)
    polling.begin(later(2))
    assert polling.asks_all
    polling.ended(later(2), failed=False, tells=True)
    assert polling.due(later(3), is_busy=True) == later(62)
