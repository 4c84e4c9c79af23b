# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machines are too old."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.age import Aged, due_at, outdated_by_age
from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import GOING, QUARANTINED
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.tests.unit.builders import NEW, NOW, ago, machine

DAY = timedelta(days=1)
MAX_AGE = 10 * DAY


def of_age(name: str, days: float, kind: str = "available") -> Machine:
    return machine(name, NEW, kind, created_at=ago(days * DAY.total_seconds()))


def names(machines: list[Machine], replicas: int = 3, left_out: frozenset[str] = frozenset()) -> set[str]:
    return set(outdated_by_age(machines, MAX_AGE, replicas, NOW, left_out).names)


@pytest.mark.parametrize(
    ("machines", "replicas", "expected"),
    [
        pytest.param([of_age("m1", 7.9), of_age("m2", 1)], 3, set(), id="none before 80% of it"),
        pytest.param([of_age("m1", 10), of_age("m2", 1)], 3, {"m1"}, id="all at its end"),
        pytest.param([of_age("m1", 11), of_age("m2", 20), of_age("m3", 15)], 3, {"m2"}, id="one at a time, the longest due first"),
        pytest.param([of_age(f"m{days}", days) for days in range(11, 41)], 30, {"m40", "m39", "m38"}, id="a tenth of the pool at a time"),
        pytest.param([of_age("m1", 11, GOING), of_age("m2", 30)], 3, {"m1"}, id="one that is going keeps its place until it is gone"),
        pytest.param([of_age("m1", 11, QUARANTINED), of_age("m2", 12)], 3, {"m2"}, id="one that is set aside has given it back"),
        pytest.param([], 0, set(), id="none"),
    ],
)
def test_who_is_too_old(machines: list[Machine], replicas: int, expected: set[str]) -> None:
    """Bounded at both ends, and never many at once."""
    assert names(machines, replicas) == expected


def test_one_that_cannot_go_holds_no_place() -> None:
    """Protected, or cordoned by a person: a new machine in its stead would wait for nothing."""
    machines = [of_age("m1", 30), of_age("m2", 12)]
    assert names(machines, left_out=frozenset({"m1"})) == {"m2"}


def test_the_next_instant_is_the_next_machines() -> None:
    """The loop sleeps until then. Of machines that no name could make due yet it is when the first of them comes into reach."""
    in_reach, other, young, due = of_age("m1", 8), of_age("m2", 8), of_age("m3", 4), of_age("m4", 12)
    assert due_at(in_reach, MAX_AGE) != due_at(other, MAX_AGE)
    first = min(due_at(in_reach, MAX_AGE), due_at(other, MAX_AGE))
    assert outdated_by_age([in_reach, other, young, due], MAX_AGE, 3, NOW) == Aged(frozenset({"m4"}), first)
    assert outdated_by_age([young, of_age("m5", 3)], MAX_AGE, 3, NOW) == Aged(frozenset(), NOW + 4 * DAY)
    assert outdated_by_age([due], MAX_AGE, 3, NOW) == Aged(frozenset({"m4"}), None)


def test_asked_at_each_next_instant_it_gets_there() -> None:
    """Never twice at the same one: the loop would turn in place. The last is exactly when the machine is due."""
    young, now, asked = of_age("m1", 3), NOW, []
    while not (aged := outdated_by_age([young], MAX_AGE, 3, now)).names:
        assert aged.next_at is not None
        assert aged.next_at > now
        now = aged.next_at
        asked.append(now)
    assert asked == [NOW + 5 * DAY, due_at(young, MAX_AGE)]


def test_machines_made_together_do_not_go_together() -> None:
    """1,000 machines of one minute come due evenly over the last fifth: in each tenth of it between 70 and 130 of them."""
    instants = [due_at(of_age(f"web-{slot}-x7k2p", 0), MAX_AGE) - NOW for slot in range(1000)]
    assert all(8 * DAY < each <= 10 * DAY for each in instants)
    tenth = DAY * 0.2
    counts = [sum(1 for each in instants if index == int((each - 8 * DAY) / tenth)) for index in range(10)]
    assert min(counts) > 70
    assert max(counts) < 130


def test_the_instant_belongs_to_the_name_for_good() -> None:
    """On another controller, with another Python, after an upgrade of the collection."""
    made = machine("web-3-x7k2p", created_at=datetime.fromisoformat("2026-11-01T00:00:00Z"))
    assert due_at(made, 30 * DAY) == datetime.fromisoformat("2026-11-30T17:16:36.797191+00:00")
