# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators steer while runs go on: pause, resume, abort, retarget, roll back, single machines, more and fewer replicas.

Whatever they ask, and whatever calls are lost and runs are killed meanwhile, the guards hold at every event. Once everything is
taken back, the same playbook converges. A failing seed is in the test's name; `--seed N` replays it alone.
"""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.decide.control import Wish, steered
from ansible_collections.immutable.fleet.plugins.module_utils.decide.target import replicas_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Refused
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Asked
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import State
from ansible_collections.immutable.fleet.tests.simulation.test_rollouts import (
    CONTROL_FAULTS,
    Ordeal,
    converge,
    declared,
    ordeal,
    strategy,
    trouble,
)
from ansible_collections.immutable.fleet.tests.simulation.witnesses import SEEN_WITHIN, Broken, Witness

WISH = "an operator's wish"  # an event of the world's agenda
STATES = ("paused", "resumed", "aborted", "retargeted", "rolled_back", "scaled", "released", "replaced", "protected")
RUNS, WISHES_A_RUN = 3, 4


class Operator:
    """Asks for something at instants of the world's own time, as another process would, through the pool's lock."""

    def __init__(self, estate: Ordeal, chance: random.Random) -> None:
        self._estate, self._chance = estate, chance
        self.asked: list[str] = []
        self.declared: Pool
        estate.world._handlers[WISH] = lambda _key: self.ask(self._chance.choice(STATES))

    def plan(self, state: State, within: float) -> None:
        """Some wishes, some time soon."""
        for number in range(self._chance.randint(1, WISHES_A_RUN)):
            state.plan(timedelta(seconds=self._chance.uniform(0, within)), WISH, f"{len(self.asked)}-{number}")

    def take_everything_back(self) -> None:
        """As the variables say; protections run out by themselves."""
        self.ask("resumed")
        self.ask("retargeted", images=("",))
        self.ask("scaled", replicas=None)

    def ask(self, state: str, images: tuple[str, ...] = ("v1", "v2", "v3", ""), replicas: int | None = 0) -> None:
        """One wish; what the record does not know yet is refused, and that is that."""
        world, pool = self._estate.world, self._estate.name
        machines = sorted(vm.name for vm in world.hypervisor.vms.get(pool, {}).values())
        machine = self._chance.choice(machines) if machines else ""
        if state in ("released", "replaced", "protected") and not machine:
            return
        wanted = self._chance.choice(images) if state == "retargeted" else ""
        lasts = timedelta(seconds=self._chance.choice((0, 30, 120)) if state == "protected" else 30)
        if replicas == 0 and state == "scaled":
            replicas = self._chance.randint(1, 12)
        asked = Asked("ana@laptop", world.now)
        wish = Wish(
            pool=pool, state=state, asked=asked, machine=machine, image=wanted, lasts=lasts, replicas=replicas, max_scale_down="100%"
        )
        seen = world.leases.read(pool)
        with suppress(Refused, Conflict, KeyError):
            world.leases.steer(pool, seen, steered(seen, wish))
            self.asked.append(state)
            if state == "scaled":
                witnessed(self._estate, self.declared, SEEN_WITHIN)


def witnessed(estate: Ordeal, pool: Pool, seen_within: timedelta = timedelta(0)) -> Witness:
    """The witness, for what is asked for now: by the variables, or by an operator who scaled."""
    steering = estate.world.leases.read(estate.name).steering
    pool = replace(pool, replicas=replicas_of(pool.replicas, steering))
    if estate.witness is None:
        estate.witness = Witness(estate.world, pool)
    estate.witness.ask(pool, seen_within)
    return estate.witness


def test_the_guards_hold_and_runs_converge_while_operators_steer(seed: int) -> None:
    """A run may end at any time, well or not; in the end all is as the variables say."""
    chance = random.Random(seed + 900_000)
    how, replicas = strategy(chance), chance.randint(1, 6)
    estate = ordeal(chance, seed, how)
    pool = declared(estate, replicas, how, chance)
    witnessed(estate, pool)
    _result, wrong = converge(estate, pool)
    if wrong:
        raise Broken(f"provisioning: {wrong}")
    operator = Operator(estate, chance)
    for _run in range(chance.randint(1, RUNS)):
        estate.image = chance.choice(("v2", "v2", "v3"))
        replicas = max(1, replicas + chance.choice((0, 0, 4, -2)))
        pool = declared(estate, replicas, how, chance)
        operator.declared = pool
        witnessed(estate, pool)
        operator.plan(estate.world.state, within=200)
        if chance.random() < 0.5:
            trouble(estate, chance, CONTROL_FAULTS)
        dies_at = estate.runtime.now() + timedelta(seconds=chance.uniform(0, 200))
        estate.run(pool, dies_at=dies_at if chance.random() < 0.3 else None, timeout=timedelta(minutes=15))
        estate.runtime.play_until(estate.runtime.now() + timedelta(seconds=chance.choice((0, 1, 70))))
    estate.runtime.play_until(estate.runtime.now() + timedelta(seconds=400))
    for key in list(estate.world.state.faults.keys()):
        estate.world.state.faults.drop(key)
    operator.take_everything_back()
    _result, wrong = converge(estate, pool)
    if wrong:
        raise Broken(f"not converged after {operator.asked}: {wrong}")
