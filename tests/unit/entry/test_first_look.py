# SPDX-License-Identifier: GPL-3.0-or-later
"""The first list of a run is under way before it is asked for."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.entry.first_look import FirstLook
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Listing
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, later, vm


class Cloud:
    """Answers lists in the order given, each once `answers` is set; an exception is raised. Remembers what it was asked."""

    def __init__(self, *listings: Listing | Exception) -> None:
        self.asked: list[tuple[datetime | None, bool]] = []
        self.begun, self.answers = threading.Event(), threading.Event()
        self._listings = iter(listings)

    def list_vms(self, since: datetime | None, *, with_leftovers: bool) -> Listing:
        self.asked.append((since, with_leftovers))
        self.begun.set()
        self.answers.wait()
        listing = next(self._listings)
        if isinstance(listing, Exception):
            raise listing
        return listing


def first_look(cloud: Any) -> FirstLook:
    return FirstLook(cloud)


def test_the_list_begins_at_once_and_answers_the_first_question() -> None:
    """In full and with leftovers, as a run's first list is; as old as it is."""
    cloud = Cloud(Listing(as_of=NOW, vms=(vm(),)))
    looking = first_look(cloud)
    assert cloud.begun.wait(10)
    cloud.answers.set()
    assert looking.list_vms(None, with_leftovers=True) == Listing(as_of=NOW, vms=(vm(),))
    assert cloud.asked == [(None, True)]


def test_later_lists_are_asked_for() -> None:
    """With what they were asked."""
    cloud = Cloud(Listing(as_of=NOW), Listing(as_of=later(60), is_full=False))
    cloud.answers.set()
    looking = first_look(cloud)
    looking.list_vms(None, with_leftovers=True)
    assert looking.list_vms(NOW, with_leftovers=False).as_of == later(60)
    assert cloud.asked == [(None, True), (NOW, False)]


def test_a_failure_is_raised_where_the_list_is_asked_for() -> None:
    """Once: the next question is a new list."""
    cloud = Cloud(Denied(what="no", where="openstack.auth"), Listing(as_of=NOW))
    cloud.answers.set()
    looking = first_look(cloud)
    with pytest.raises(Denied):
        looking.list_vms(None, with_leftovers=True)
    assert looking.list_vms(None, with_leftovers=True).as_of == NOW
