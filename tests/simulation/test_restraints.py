# SPDX-License-Identifier: GPL-3.0-or-later
"""Random calendars, ladders, gates, hooks, protections and marks over random worlds, with calls lost and runs killed.

Nothing begins outside of a window, no more is on its way out than the budget of the hour allows, no step is exceeded before it is
passed, no hook is passed over, no protected machine is marked, and who is to go first does. Once the calendar is open for good and
every gate passes, the same playbook converges. `--seed N` replays a failing seed alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.control import Wish, steered
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, NotFound, Refused
from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import Gate, Question
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import NodeChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import LONGEST_DRAIN, NEWEST, OLDEST, Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.model.schedule import ReplacementBudget, Window
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Asked
from ansible_collections.immutable.fleet.tests.simulation.restraints import Restraints, names_of
from ansible_collections.immutable.fleet.tests.simulation.test_rollouts import (
    CONTROL_FAULTS,
    Ordeal,
    converge,
    declared,
    ordeal,
    strategy,
    trouble,
)
from ansible_collections.immutable.fleet.tests.simulation.witnesses import Broken

SOMEBODY = "somebody"  # an event of the world's agenda
RUNS = 4
CHECK = Gate(command=("check",))
GATES = ("gate", "before_drain", "before_delete")


class Moody:
    """A gate that passes when it likes, until it `is_good`."""

    def __init__(self, chance: random.Random, mood: list[bool]) -> None:
        self._chance, self._mood = chance, mood

    def ask(self, question: Question) -> tuple[bool, str]:
        passed = self._mood[0] or self._chance.random() < 0.4
        return passed, "" if passed else f"not yet ({question.step})"


def calendar(chance: random.Random, now: datetime) -> Callable[[], Window]:
    """Windows of minutes, with minutes between them."""

    def window() -> Window:
        intervals, begins = [], now + timedelta(seconds=chance.uniform(-60, 60))
        for _number in range(6):
            ends = begins + timedelta(seconds=chance.uniform(20, 200))
            intervals.append((begins, ends))
            begins = ends + timedelta(seconds=chance.uniform(20, 200))
        return Window(cron="* * * * *", duration=timedelta(minutes=1), intervals=tuple(intervals))

    return window


def restrained(chance: random.Random, how: Strategy, now: datetime) -> Strategy:
    """The strategy, with some of what may hold it back."""
    window = calendar(chance, now)
    given = {name: CHECK for name in GATES if chance.random() < 0.4}
    return replace(
        how,
        windows=tuple(window() for _number in range(chance.choice((0, 0, 1, 2)))),
        budgets=tuple(
            ReplacementBudget(count=chance.choice((0, 1, 1, 2)), window=window()) for _number in range(chance.choice((0, 0, 1, 2)))
        ),
        steps=chance.choice(((), (1,), (1, "50%"), (2,))),
        soak=timedelta(seconds=chance.choice((0, 30, 240))),
        order=chance.choice((LONGEST_DRAIN, OLDEST, NEWEST)),
        **given,
    )


class Somebody:
    """Protects machines, and marks some to go first, at instants of the world's own time."""

    def __init__(self, estate: Ordeal, witness: Restraints, chance: random.Random) -> None:
        self._estate, self._witness, self._chance = estate, witness, chance
        estate.world._handlers[SOMEBODY] = lambda _key: self.act()

    def plan(self) -> None:
        """Now and then, over the next minutes."""
        for number in range(self._chance.randint(0, 3)):
            delay = timedelta(seconds=self._chance.uniform(0, 150))
            self._estate.world.state.plan(delay, SOMEBODY, f"{self._estate.runs}-{number}")

    def act(self) -> None:
        world, pool = self._estate.world, self._estate.name
        world.facts.refresh()
        nodes = names_of(pool, world.facts.nodes)
        if not nodes:
            return
        name = self._chance.choice(nodes)
        if self._chance.random() < 0.5:
            uid = world.facts.nodes[name].uid
            with suppress(Conflict, NotFound):
                world.nodes.change(NodeChange(node=name, uid=uid, annotations={marks.DELETE_FIRST: ""}))
                self._witness.annotated_at[name] = world.now
            return
        asked = Asked("ana@laptop", world.now)
        lasts = timedelta(seconds=self._chance.choice((60, 200)))
        seen = world.leases.read(pool)
        with suppress(Conflict, Refused):
            world.leases.steer(pool, seen, steered(seen, Wish(pool=pool, state="protected", asked=asked, machine=name, lasts=lasts)))


@pytest.mark.share(4)
def test_what_holds_a_rollout_back_does(seed: int) -> None:
    """At every event, whatever fails; and in the end all is as asked for."""
    chance = random.Random(seed + 300_000)
    how, replicas = strategy(chance), chance.randint(1, 6)
    estate = ordeal(chance, seed, how)
    mood = [False]
    pool = declared(estate, replicas, how, chance)
    witness = estate.witness = Restraints(estate.world, pool, is_spread=False)
    _result, wrong = converge(estate, pool)
    if wrong:
        raise Broken(f"provisioning: {wrong}")
    somebody = Somebody(estate, witness, chance)
    estate.probes = {name: Moody(chance, mood) for name in GATES}
    for _run in range(chance.randint(1, RUNS)):
        estate.image = chance.choice(("v2", "v2", "v3"))
        replicas = max(1, replicas + chance.choice((0, 0, 0, 1, -1)))
        how = restrained(chance, how, estate.runtime.now())
        pool = declared(estate, replicas, how, chance)
        witness.ask(pool)
        somebody.plan()
        if chance.random() < 0.5:
            trouble(estate, chance, CONTROL_FAULTS)
        dies_at = estate.runtime.now() + timedelta(seconds=chance.uniform(0, 200))
        estate.run(pool, witness, dies_at=dies_at if chance.random() < 0.4 else None, timeout=timedelta(minutes=15))
        estate.runtime.play_until(estate.runtime.now() + timedelta(seconds=chance.choice((0, 1, 70, 200))))
    estate.runtime.play_until(estate.runtime.now() + timedelta(seconds=400))
    for key in list(estate.world.state.faults.keys()):
        estate.world.state.faults.drop(key)
    mood[0] = True
    pool = declared(estate, replicas, replace(how, windows=(), budgets=()), chance)
    witness.ask(pool)
    _result, wrong = converge(estate, pool)
    if wrong:
        raise Broken(f"not converged once nothing held it back: {wrong}")
