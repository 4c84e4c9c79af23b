# SPDX-License-Identifier: GPL-3.0-or-later
"""Random pools in random worlds, with crashes, lost replies, stale views, lost machines and stuck drains.

The worlds have volumes, bootstrap tokens, and things of other people in them, some seeds each.

Whatever happens, the guards hold at every event; and once the faults are over, rerunning the same playbook converges.
A failing seed is in the test's name; `--seed N` replays it alone.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports, Result
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import RECREATE, ROLLING_UPDATE, DrainPolicy, Pool, Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile, lognormal
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import STATEFUL_SET, Fault
from ansible_collections.immutable.fleet.tests.simulation.bystanders import Bystanders
from ansible_collections.immutable.fleet.tests.simulation.estate import Estate
from ansible_collections.immutable.fleet.tests.simulation.witnesses import Broken, Witness

RUNS_WITH_FAULTS = 4
RUNS_TO_CONVERGE = 8
NEVER_REFUSED = 1000
KNOWN_LATE = timedelta(seconds=200)  # so long after a machine fault the run may not know yet what it took

CONTROL_FAULTS = ("stale cloud", "stale cluster", "cloud away", "cluster away", "lock away", "dies half way", "fails")
MACHINE_FAULTS = ("vm_lost", "vm_stopped", "vm_gone", "vm_error", "never_joins", "create_error", "pod_sticks")
TAKE_NO_MACHINE = ("never_joins", "create_error", "pod_sticks")


class Chancy:
    """A network on which calls are slow, and some lose their way."""

    def __init__(self, chance: random.Random, loss: float) -> None:
        self._chance, self._loss = chance, loss

    def send_delay(self) -> timedelta:
        return timedelta(seconds=self._delay())

    def answer_delay(self) -> timedelta:
        return timedelta(seconds=self._delay())

    def fate(self) -> str:
        return self._chance.choice(("lost before", "lost after")) if self._chance.random() < self._loss else ""

    def _delay(self) -> float:
        return self._chance.uniform(1, 9) if self._chance.random() < 0.1 else self._chance.uniform(0.02, 0.5)


@dataclass
class Ordeal(Estate):
    """An estate whose every call is witnessed."""

    witness: Witness | None = None

    def __post_init__(self) -> None:
        Estate.__post_init__(self)
        self.bystanders = Bystanders(self.world)

    def watched(self, ports: Ports) -> Ports:
        return self.witness.around(ports) if self.witness is not None else ports


def ordeal(chance: random.Random, seed: int, how: Strategy) -> Ordeal:
    """A world: durations, domains, workloads."""
    profile = Profile(create=lognormal(15, 0.5), ready=lognormal(20, 0.5), delete=lognormal(8, 0.5), pod_stop=lognormal(4, 0.8))
    network = Chancy(chance, chance.choice((0, 0.02, 0.1)))
    estate = Ordeal(seed=seed, profile=profile, network=network, asks_first=seed % 2 == 1)
    estate.domains(*("az1", "az2", "az3")[: chance.choice((0, 0, 2, 3))])
    # Without surge the last node's pods have nowhere to go, and a budget rightly keeps them there: no budgets in such pools.
    budgets = ("", "1", "50%") if how.max_surge and how.type != RECREATE else ("",)
    for number in range(chance.randint(0, 2)):
        estate.workload(f"app{number}", chance.randint(1, 6), max_unavailable=chance.choice(budgets))
    if seed % 3 == 0:
        estate.workload("db", 1 + seed % 2, max_unavailable=budgets[-1] and "1", kind=STATEFUL_SET, has_volume=True)
    estate.bystanders.move_in()
    return estate


def strategy(chance: random.Random) -> Strategy:
    """A strategy that is not refused."""
    surge, unavailable = chance.choice(((1, 0), (2, 0), (0, 1), (1, 1), (3, 2), ("25%", 0), ("50%", "25%")))
    return Strategy(
        type=chance.choice((ROLLING_UPDATE, ROLLING_UPDATE, ROLLING_UPDATE, RECREATE)),
        max_surge=surge,
        max_unavailable=unavailable,
        min_ready=timedelta(seconds=chance.choice((0, 10, 30))),
        startup_timeout=timedelta(minutes=chance.choice((3, 6))),
        progress_deadline=timedelta(minutes=20),
        max_failed_new=NEVER_REFUSED,  # machines that never join are a fault of the world here, not of the image
    )


def trouble(estate: Ordeal, chance: random.Random, kinds: tuple[str, ...]) -> None:
    """One fault, some time soon."""
    world = estate.world
    kind = chance.choice(kinds)
    delay, lasts = timedelta(seconds=chance.uniform(0, 150)), timedelta(seconds=chance.uniform(5, 120))
    if kind.startswith("stale"):
        age = timedelta(seconds=chance.uniform(1, 20))
        world.inject(Fault(kind="stale", target=kind.split()[1], delay=delay, lasts=lasts, age=age))
    elif kind.endswith("away"):
        world.inject(Fault(kind="unreachable", target=kind.split()[0], delay=delay, lasts=lasts))
    elif kind == "dies half way":
        world.inject(Fault(kind="dies_half_way", delay=delay))
    elif kind == "fails":
        verb = chance.choice(("create", "delete", "change", "evict", "look", "delete_node"))
        error = chance.choice(("Transient", "Throttled", "Conflict"))
        world.inject(Fault(kind="fail", target=verb, delay=delay, error=error, after_effect=error == "Transient" and chance.random() < 0.5))
    else:
        world.inject(Fault(kind=kind, target=f"{estate.name}-*", delay=delay, lasts=lasts))
        if estate.witness is not None and kind not in TAKE_NO_MACHINE:
            until = world.now + delay + lasts + KNOWN_LATE
            estate.witness.excused_until = max(until, estate.witness.excused_until or until)


def declared(estate: Ordeal, replicas: int, how: Strategy, chance: random.Random) -> Pool:
    """The pool, with drains that are given up soon."""
    drain = DrainPolicy(timeout=timedelta(seconds=chance.choice((60, 300))), volume_detach_timeout=timedelta(seconds=60))
    placeholders = frozenset({"bootstrap_token"} if estate.seed // 2 % 2 else ())
    return estate.pool(replicas, strategy=how, drain=drain, placeholders=placeholders)


def converge(estate: Ordeal, pool: Pool) -> tuple[Result | None, list[str]]:
    """Run the same playbook until all is well; what is still wrong after the last run."""
    result, wrong = None, ["never run"]
    for _run in range(RUNS_TO_CONVERGE):
        result = estate.run(pool)
        wrong = estate.witness.converged() if estate.witness is not None else []
        if result is not None and result.failure is None and not wrong:
            return result, []
        estate.runtime.play_until(estate.runtime.now() + timedelta(seconds=120))
    return result, [*wrong, str(result.failure if result else "killed"), *(b.what for b in (result.blockers if result else ()))]


def prove_dead(estate: Ordeal) -> None:
    """Nobody looks after the health of these pools: a person switches off what is in ERROR, which is no proof that its guest is off."""
    for host in list(estate.world.state.hosts.values()):
        if host.vm.status == vm_states.ERROR and host.vm.name in estate.world.state.members:
            estate.world.hypervisor.switch(host.vm, vm_states.OFF)


def force_delete(estate: Ordeal) -> None:
    """What is terminating for ever only a person ends: by a delete with grace 0."""
    stuck = [row.pod for row in estate.world.state.pods.values() if row.stop_known and row.stop is None]
    for pod in stuck:
        estate.world.pods.remove(pod, timedelta(0))


def strip(estate: Ordeal, chance: random.Random, how: Strategy) -> None:
    """A machine is ours no longer. It counts for the ceiling, so that a pool without surge to spare would wait for a person."""
    if how.max_surge in (2, 3) and how.type != RECREATE:
        ours = sorted(host.vm.name for host in estate.world.state.hosts.values() if host.pool == estate.name)
        estate.bystanders.strip(chance.choice(ours), chance.choice((0, 1)))


def play(seed: int, kinds: tuple[str, ...], faults: int) -> None:
    """Provision, then roll with faults, crashes, scaling and retargets, then converge; the guards hold throughout."""
    chance = random.Random(seed)
    how, replicas = strategy(chance), chance.randint(1, 6)
    estate = ordeal(chance, seed, how)
    pool = declared(estate, replicas, how, chance)
    estate.witness = Witness(estate.world, pool)
    _result, wrong = converge(estate, pool)
    if wrong:
        raise Broken(f"provisioning: {wrong}")
    if kinds == CONTROL_FAULTS:
        strip(estate, chance, how)
    for _run in range(chance.randint(1, RUNS_WITH_FAULTS)):
        estate.image = chance.choice(("v2", "v2", "v3"))
        replicas = max(1, replicas + chance.choice((0, 0, 0, 1, -1, 2)))
        pool = declared(estate, replicas, how, chance)
        estate.witness.ask(pool)
        for _fault in range(chance.randint(0, faults)):
            trouble(estate, chance, kinds)
        dies_at = estate.runtime.now() + timedelta(seconds=chance.uniform(0, 200))
        estate.run(pool, dies_at=dies_at if chance.random() < 0.7 else None)
        estate.runtime.play_until(estate.runtime.now() + timedelta(seconds=chance.choice((0, 1, 70, 200))))
    estate.runtime.play_until(estate.runtime.now() + timedelta(seconds=400))
    for key in list(estate.world.state.faults.keys()):
        estate.world.state.faults.drop(key)
    prove_dead(estate)
    force_delete(estate)
    _result, wrong = converge(estate, pool)
    if wrong:
        raise Broken(f"not converged after the faults: {wrong}")
    again = estate.run(pool)
    while again is not None and again.failure is not None and again.failure.code == "unreachable":
        again = estate.run(pool)  # the network still loses calls, and three lists in a row may be among them
    if again is None or again.changed or again.failure:
        raise Broken(f"not a no-op: {again}")
    if changes := estate.bystanders.changes():
        raise Broken(f"not ours, and changed: {changes}")


@pytest.mark.share(4)
def test_guards_hold_and_runs_converge_while_calls_and_controllers_fail(seed: int) -> None:
    """Crashes, lost replies, outages, stale views: floor and ceiling are kept at every event, and the end is right.

    A quarter of the seeds: the same faults, and those of machines beside them, are in each seed of the test below.
    """
    play(seed, CONTROL_FAULTS, 3)


def test_runs_converge_while_machines_fail_too(seed: int) -> None:
    """Machines are lost, stopped, deleted, never join: the rule heals, and never breaks a guard by an action of its own."""
    play(seed + 500_000, CONTROL_FAULTS + MACHINE_FAULTS, 4)
