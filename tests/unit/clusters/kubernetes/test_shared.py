# SPDX-License-Identifier: GPL-3.0-or-later
"""One read for all who ask at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.shared import SharedRead
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Transient

SECONDS = 5


class Gate:
    """A read that begins when asked and ends when told; numbers its answers."""

    def __init__(self) -> None:
        self.begun, self.end = threading.Event(), threading.Event()
        self.answers = count()

    def read(self) -> int:
        number = next(self.answers)
        self.begun.set()
        assert self.end.wait(SECONDS)
        return number


def test_those_who_come_during_a_read_share_the_next() -> None:
    """The one under way began before they asked: what they need to see may have happened since."""
    gate = Gate()
    shared = SharedRead(gate.read)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(shared.get)
        assert gate.begun.wait(SECONDS)
        second = pool.submit(shared.get)
        threading.Timer(0.2, gate.end.set).start()
        third = shared.get()
        assert (first.result(SECONDS), second.result(SECONDS), third) == (0, 1, 1)


def test_each_read_after_another_is_a_new_one() -> None:
    """Nothing is kept."""
    answers = iter(range(3))
    shared = SharedRead(lambda: next(answers))
    assert [shared.get(), shared.get(), shared.get()] == [0, 1, 2]


def test_errors_are_raised_and_the_next_read_starts_afresh() -> None:
    """Also after a bug, which must not leave anybody waiting."""
    outcomes: list[object] = [Transient(what="away"), ValueError("bug"), "fine"]

    def read() -> object:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    shared = SharedRead(read)
    with pytest.raises(Transient):
        shared.get()
    with pytest.raises(ValueError, match="bug"):
        shared.get()
    assert shared.get() == "fine"
