# SPDX-License-Identifier: GPL-3.0-or-later
"""Others live in the same quota: they take the last places when they like, above all between a run's look and its creates.

Whatever they take, the guards hold at every event, tries are few and far between, a refused create leaves nothing behind, and a run
that could not go on says what is short. Once there is room, the same playbook converges. `--seed N` replays a failing seed alone.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.engine.answers import BACK_OFF_FIRST, CREATE_TRIES_MAX
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports, Result
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Exhausted
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool, limits_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Room
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import NewMachine
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Image
from ansible_collections.immutable.fleet.tests.simulation.estate import DAWN
from ansible_collections.immutable.fleet.tests.simulation.test_rollouts import (
    CONTROL_FAULTS,
    RUNS_WITH_FAULTS,
    Ordeal,
    converge,
    declared,
    ordeal,
    strategy,
    trouble,
)
from ansible_collections.immutable.fleet.tests.simulation.witnesses import Broken, Witness

TENANT = "others"
MOVES, ALL = "others move", "all"
BARE = Image("bare", "sha512:bare", joins=False)  # their machines are nothing to the cluster


class Others:
    """Whoever shares the quota: machines come and go at instants of the world's own time."""

    def __init__(self, estate: Ordeal, chance: random.Random) -> None:
        self._estate, self._chance, self._count = estate, chance, 0
        estate.world.state.images.put(BARE.digest, BARE)
        estate.world._handlers[MOVES] = lambda _key: self.move()

    def plan(self, within: float) -> None:
        """Some comings and goings, some time soon."""
        for number in range(self._chance.randint(0, 4)):
            delay = timedelta(seconds=self._chance.uniform(0, within))
            self._estate.world.state.plan(delay, MOVES, f"{self._estate.runs}-{number}")

    def move(self) -> None:
        """Take a place or two, or all; or give some back."""
        if self._chance.random() < 0.5:
            self.take(self._chance.choice((1, 2, 1000)))
        else:
            self.go(self._chance.choice((1, 2, 1000)))

    def take(self, most: int) -> None:
        """So many places, as far as there are any."""
        world = self._estate.world
        for _number in range(most):
            self._count += 1
            name, fields = f"{TENANT}-{self._count}", {"image": BARE.digest}
            asked = NewMachine(name=name, slot=0, failure_domain="", revision="", fields=fields, attempt=1, created_at=world.now, values={})
            try:
                world.hypervisor.create(TENANT, "", asked)
            except Exhausted:
                return

    def go(self, most: int) -> None:
        """Their oldest machines are deleted."""
        for vm in list(self._estate.world.hypervisor.vms.get(TENANT, {}).values())[:most]:
            self._estate.world.hypervisor.delete(vm)


class Snatching:
    """A cloud in which others take what a run has just seen to be free."""

    def __init__(self, cloud: object, others: Others, chance: random.Random) -> None:
        self._cloud, self._others, self._chance = cloud, others, chance

    def __getattr__(self, verb: str) -> object:
        return getattr(self._cloud, verb)

    def room(self) -> Room:
        found: Room = self._cloud.room()  # type: ignore[attr-defined]
        if self._chance.random() < 0.6:
            self._others.take(self._chance.choice((1, 1000)))
        return found


@dataclass
class Crowded(Ordeal):
    """An estate in a quota that is not its own. Its runs look before they begin."""

    others: Others | None = None
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def watched(self, ports: Ports) -> Ports:
        """Witnessed, and snatched from."""
        seen = super().watched(ports)
        if self.others is None:
            return seen
        cloud = Snatching(seen.cloud, self.others, self.chance)
        return replace(seen, cloud=cloud)  # type: ignore[arg-type]


class Tries:
    """A reporter that judges, at each event of one run, how it goes on after creates that found no room; and the run's job, watched.

    Creates that fly together are one try. After the last of them that failed there is a pause, longer each time, then one create
    alone; after so many in a row the run gives up. A machine that became available, as far as the run knows, ends the row.
    """

    def __init__(self, pool: Pool) -> None:
        self.refusals = 0
        self.policy = pool.drain
        self._job = Rollout(pool)
        self._up_to_date = self._in_a_row = 0
        self._again_at = self._sent_at = DAWN

    @property
    def pool(self) -> Pool:
        return self._job.pool

    def retarget(self, revision: Revision) -> None:
        self._job.retarget(revision)

    def decide(self, snapshot: Snapshot, now: datetime) -> Decision:
        decision = self._job.decide(snapshot, now)
        if decision.tally.up_to_date > self._up_to_date:
            self._in_a_row, self._again_at = 0, DAWN
        self._up_to_date = decision.tally.up_to_date
        return decision

    def tell(self, event: Event) -> None:
        """Judge."""
        if event.kind == "refused" and event.data["code"] == "exhausted":
            self.refusals += 1
            if event.at >= self._again_at:
                self._in_a_row += 1
            self._again_at = event.at + BACK_OFF_FIRST * 2 ** (self._in_a_row - 1)
            if self._in_a_row > CREATE_TRIES_MAX:
                raise Broken(f"{event.at}: {self._in_a_row} failed creates in a row")
        elif event.kind == "create" and self._in_a_row:
            if event.at < self._again_at:
                raise Broken(f"{event.at}: a create, though the cloud had no room; not before {self._again_at}")
            if self._sent_at == event.at:
                raise Broken(f"{event.at}: two creates at once, though the last one found no room")
            self._sent_at = event.at


def judged(result: Result | None, tries: Tries) -> None:
    """What holds at the end of a run that was not killed."""
    if result is None or result.failure is None or result.failure.code != "exhausted":
        return
    if "machines: " not in str(result.failure):
        raise Broken(f"what is short is not said: {result.failure}")
    if not (result.failure.forward and result.failure.back):
        raise Broken(f"it is not said what to do: {result.failure}")
    if not result.changed and tries.refusals:
        raise Broken("a refusal is told of a run that tried nothing")


@pytest.mark.share(8)
def test_the_guards_hold_and_runs_converge_though_others_take_the_room(seed: int) -> None:
    """Between the look and the create, and at any time later."""
    chance = random.Random(seed + 700_000)
    how, replicas = strategy(chance), chance.randint(1, 6)
    plain = ordeal(chance, seed, how)
    estate = Crowded(seed=seed, profile=plain.profile, network=plain.network, asks_first=True, chance=chance)
    estate.others = Others(estate, chance)
    pool = declared(estate, replicas, how, chance)
    estate.witness = Witness(estate.world, pool)
    settings = estate.world.state.settings
    _result, wrong = converge(estate, pool)
    if wrong:
        raise Broken(f"provisioning: {wrong}")
    for _run in range(chance.randint(1, RUNS_WITH_FAULTS)):
        estate.image = chance.choice(("v2", "v2", "v3"))
        replicas = max(1, replicas + chance.choice((0, 0, 0, 1, -1, 2)))
        pool = declared(estate, replicas, how, chance)
        estate.witness.ask(pool)
        settings.machines_max = len(estate.world.state.hosts) + chance.choice((0, 1, 1, 2, limits_of(pool).surge, 8))
        estate.others.plan(within=200)
        if chance.random() < 0.3:
            trouble(estate, chance, CONTROL_FAULTS)
        tries = Tries(pool)
        dies_at = estate.runtime.now() + timedelta(seconds=chance.uniform(0, 200))
        result = estate.run(tries, tries, dies_at=dies_at if chance.random() < 0.3 else None, timeout=timedelta(minutes=20))
        judged(result, tries)
        estate.runtime.play_until(estate.runtime.now() + timedelta(seconds=chance.choice((0, 1, 70, 200))))
    estate.runtime.play_until(estate.runtime.now() + timedelta(seconds=400))
    for key in list(estate.world.state.faults.keys()):
        estate.world.state.faults.drop(key)
    estate.others.go(1000)
    estate.others = None
    settings.machines_max = -1
    _result, wrong = converge(estate, pool)
    if wrong:
        raise Broken(f"not converged once there was room: {wrong}")
