# SPDX-License-Identifier: GPL-3.0-or-later
"""Images built on machines of a cloud, in random worlds: builds are killed at random moments, replies are lost, deletes are slow.

At every write: nothing of another builder is touched before its time, no disk is copied of a machine that is not off, no second builder
is made for one that was asked for. At the end: the next sweep leaves nothing. A failing seed is in the test's name.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.building import ABSENT, CAPTURED, OPENED
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Result, RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.entry.forecast import forecast
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile, lognormal
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Fault
from ansible_collections.immutable.fleet.tests.simulation.builder_estate import CALL_TIMEOUT, MARK, MAX_AGE, TIMEOUT, BuilderEstate
from ansible_collections.immutable.fleet.tests.simulation.test_rollouts import Chancy
from ansible_collections.immutable.fleet.tests.simulation.together import Seat, together
from ansible_collections.immutable.fleet.tests.simulation.witnesses import Broken

KINDS = ("cloud away", "stale cloud", "fails", "dies half-way", "create_error", "vm_gone", "vm_stopped")
VERBS = ("create", "delete", "power", "clear", "capture", "fetch", "list_captures")


def named(number: int) -> str:
    return f"{MARK}-0-{number:05d}"


def trouble(estate: BuilderEstate, chance: random.Random) -> None:
    """One fault, some time soon."""
    world, kind = estate.world, chance.choice(KINDS)
    delay, lasts = timedelta(seconds=chance.uniform(0, 120)), timedelta(seconds=chance.uniform(5, 90))
    if kind == "stale cloud":
        world.inject(Fault(kind="stale", target="cloud", delay=delay, lasts=lasts, age=timedelta(seconds=chance.uniform(1, 20))))
    elif kind == "cloud away":
        world.inject(Fault(kind="unreachable", target="cloud", delay=delay, lasts=lasts))
    elif kind == "fails":
        error = chance.choice(("Transient", "Throttled", "Conflict"))
        after_effect = error == "Transient" and chance.random() < 0.5
        world.inject(Fault(kind="fail", target=chance.choice(VERBS), delay=delay, error=error, after_effect=after_effect))
    elif kind == "dies half-way":
        world.inject(Fault(kind="dies_half_way", delay=delay))
    else:
        world.inject(Fault(kind=kind, target=f"{MARK}-*", delay=delay))


def build(estate: BuilderEstate, chance: random.Random, number: int) -> None:
    """A playbook: open, roles, capture, and in any case the end, unless it is killed. Each task is a process of its own."""
    opened = task(estate, chance, OPENED, number)
    estate.runtime.play_until(estate.runtime.now() + timedelta(seconds=chance.uniform(0, 600)))
    if opened is not None and opened.failure is None:
        captured = task(estate, chance, CAPTURED, number)
        if captured is None:
            return
    if opened is not None:
        task(estate, chance, ABSENT, number)


def task(estate: BuilderEstate, chance: random.Random, state: str, number: int) -> Result | None:
    for _fault in range(chance.choice((0, 0, 1, 2))):
        trouble(estate, chance)
    return estate.run(estate.job(state, named(number)), dies_at=death(estate, chance))


def death(estate: BuilderEstate, chance: random.Random) -> datetime | None:
    """Often early: there the calls are."""
    if chance.random() < 0.6:
        return None
    return estate.runtime.now() + timedelta(seconds=chance.choice((chance.uniform(0, 3), chance.uniform(0, 60))))


def estate_of(seed: int) -> tuple[BuilderEstate, random.Random]:
    chance = random.Random(seed)
    profile = Profile(create=lognormal(15, 0.7), delete=lognormal(chance.choice((5, 60, 300)), 0.8))
    network = Chancy(chance, chance.choice((0, 0.02, 0.1)))
    return BuilderEstate(seed=seed, profile=profile, network=network, copying=lognormal(30, 0.8)), chance


def quieted(estate: BuilderEstate) -> None:
    for key in list(estate.world.state.faults.keys()):
        estate.world.state.faults.drop(key)


@pytest.mark.share(4)
def test_nothing_of_a_killed_build_outlives_the_next_sweep(seed: int) -> None:
    """Builds one after the other, some killed, with pauses; then the time that a builder may take passes, and another task comes."""
    estate, chance = estate_of(seed)
    for number in range(chance.randint(1, 5)):
        build(estate, chance, number)
        estate.runtime.play_until(estate.runtime.now() + timedelta(minutes=chance.choice((0, 1, 30, 130))))
    estate.runtime.play_until(estate.runtime.now() + MAX_AGE + timedelta(minutes=10))
    quieted(estate)
    swept = estate.run(estate.job(ABSENT, named(999)))
    while swept is not None and swept.failure is not None and swept.failure.code == "unreachable":
        swept = estate.run(estate.job(ABSENT, named(999)))
    if swept is None or swept.failure is not None or estate.left():
        raise Broken(f"left: {estate.left()}, {swept.failure if swept else 'killed'}")
    again = estate.run(estate.job(ABSENT, named(999)))
    assert again is not None
    assert again is not None
    assert not again.changed


@pytest.mark.share(8)
def test_builds_at_the_same_time_leave_each_other_alone(seed: int) -> None:
    """Each has a machine, ports and a copy of its own, whatever the others are at."""
    estate, chance = estate_of(seed + 300_000)

    def life(number: int) -> Callable[[Seat], object]:
        states = (OPENED, CAPTURED, ABSENT)
        return lambda seat: [estate.run(estate.job(state, named(number)), seat) for state in states]

    for _fault in range(chance.choice((0, 1, 3))):
        trouble(estate, chance)
    together(estate.runtime, *(life(number) for number in range(chance.choice((2, 3)))))
    quieted(estate)
    estate.runtime.play_until(estate.runtime.now() + timedelta(minutes=5))
    swept = estate.run(estate.job(ABSENT, ""))
    assert (swept is not None and swept.failure is None, estate.left()) == (True, [])


def test_an_undisturbed_build_does_each_thing_once() -> None:
    estate = BuilderEstate()
    results = [estate.run(estate.job(state, named(0))) for state in (OPENED, CAPTURED, ABSENT)]
    steps = [[step.verb for step in result.steps] for result in results if result is not None]
    assert steps == [["create"], ["power off", "capture", "fetch"], ["delete", "clear"]]
    assert [result.failure for result in results if result is not None] == [None, None, None]
    assert estate.left() == []


def test_check_mode_is_the_loop_on_a_copy() -> None:
    """In virtual time; nothing is done to the builder, and no file is written."""
    estate = BuilderEstate()
    estate.run(estate.job(OPENED, named(0)))
    plans = {}
    for state in (OPENED, CAPTURED, ABSENT):
        job = estate.job(state, named(1 if state == OPENED else 0))
        settings = RunSettings(holder="", call_timeout=CALL_TIMEOUT, timeout=TIMEOUT, steering_look=None)
        result = forecast(job, estate.ports(), settings, estate.runtime).result
        plans[state] = [(step.verb, step.machine) for step in result.steps]
        assert result.failure is None
    mine = named(0)
    assert plans == {
        OPENED: [("create", named(1))],
        CAPTURED: [("power off", mine), ("capture", mine), ("fetch", mine)],
        ABSENT: [("delete", mine)],
    }
    assert estate.left() == [mine, f"port of {mine}"]
