# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain machines behind a balancer, in random worlds: crashes, lost replies, outages, lost machines, sick services.

At every change of a member: the floor is kept by members that serve, nobody joins who does not answer, nobody is taken out before its
sessions ended or the drain's time is over, no machine is deleted while it is a member. A failing seed is in the test's name.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports, Result
from ansible_collections.immutable.fleet.plugins.module_utils.model.health import HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import RECREATE, ROLLING_UPDATE, DrainPolicy, Pool, Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile, lognormal
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Fault
from ansible_collections.immutable.fleet.tests.simulation.plain_estate import PlainEstate, PlainWitness
from ansible_collections.immutable.fleet.tests.simulation.test_rollouts import NEVER_REFUSED, Chancy
from ansible_collections.immutable.fleet.tests.simulation.witnesses import Broken

RUNS_TO_CONVERGE = 8
KNOWN_LATE = timedelta(seconds=200)

CONTROL_FAULTS = ("cloud away", "balancer away", "lock away", "stale cloud", "fails")
MACHINE_FAULTS = ("vm_lost", "vm_stopped", "vm_gone", "vm_error", "member_down", "never_joins", "create_error")


@dataclass
class Ordeal(PlainEstate):
    """An estate whose every call is witnessed."""

    witness: PlainWitness | None = None

    def watched(self, ports: Ports) -> Ports:
        if self.witness is None:
            return ports
        self.witness.run_began_at = self.runtime.now()
        return self.witness.around(ports)


def declared(estate: PlainEstate, replicas: int, chance: random.Random, health: HealthPolicy | None = None) -> Pool:
    surge, unavailable = chance.choice(((1, 0), (2, 0), (0, 1), (1, 1), (3, 2), ("25%", 0)))
    strategy = Strategy(
        type=chance.choice((ROLLING_UPDATE, ROLLING_UPDATE, ROLLING_UPDATE, RECREATE)),
        max_surge=surge,
        max_unavailable=unavailable,
        min_ready=timedelta(seconds=chance.choice((0, 10))),
        startup_timeout=timedelta(minutes=chance.choice((3, 6))),
        progress_deadline=timedelta(minutes=20),
        max_failed_new=NEVER_REFUSED,
    )
    return estate.pool(replicas, strategy=strategy, drain=DrainPolicy(timeout=timedelta(seconds=chance.choice((30, 120)))), health=health)


def trouble(estate: Ordeal, chance: random.Random, kinds: tuple[str, ...]) -> None:
    """One fault, some time soon."""
    world, kind = estate.world, chance.choice(kinds)
    delay, lasts = timedelta(seconds=chance.uniform(0, 150)), timedelta(seconds=chance.uniform(5, 120))
    if kind == "stale cloud":
        world.inject(Fault(kind="stale", target="cloud", delay=delay, lasts=lasts, age=timedelta(seconds=chance.uniform(1, 20))))
    elif kind.endswith("away"):
        world.inject(Fault(kind="unreachable", target=kind.split()[0], delay=delay, lasts=lasts))
    elif kind == "fails":
        error = chance.choice(("Transient", "Throttled", "Conflict"))
        verb = chance.choice(("create", "delete", "change_members", "change_members", "list_members"))
        world.inject(Fault(kind="fail", target=verb, delay=delay, error=error, after_effect=error == "Transient" and chance.random() < 0.5))
    else:
        world.inject(Fault(kind=kind, target=f"{estate.name}-*", delay=delay, lasts=lasts))
        if estate.witness is not None and kind not in ("never_joins", "create_error"):
            until = world.now + delay + lasts + KNOWN_LATE
            estate.witness.excused_until = max(until, estate.witness.excused_until or until)
            estate.witness.has_sick = True


def converge(estate: Ordeal, pool: Pool) -> list[str]:
    """Run the same playbook until all is well; what is still wrong after the last run."""
    result: Result | None = None
    wrong = ["never run"]
    for _run in range(RUNS_TO_CONVERGE):
        result = estate.run(pool)
        wrong = estate.witness.converged() if estate.witness is not None else []
        if result is not None and result.failure is None and not wrong:
            return []
        estate.runtime.play_until(estate.runtime.now() + timedelta(seconds=120))
    return [*wrong, str(result.failure if result else "killed"), *(b.what for b in (result.blockers if result else ()))]


def play(seed: int, kinds: tuple[str, ...], faults: int, health: HealthPolicy | None = None) -> Ordeal:
    """Provision, then roll with faults, crashes and scaling, then converge; the guards hold throughout."""
    chance = random.Random(seed)
    profile = Profile(create=lognormal(15, 0.5), ready=lognormal(20, 0.5), delete=lognormal(8, 0.5), session=lognormal(8, 1.0))
    network = Chancy(chance, chance.choice((0, 0.02, 0.1)))
    estate = Ordeal(seed=seed, profile=profile, network=network, asks_first=seed % 2 == 1, sessions=chance.choice((0, 3, 10)))
    replicas = chance.randint(1, 6)
    pool = declared(estate, replicas, chance, health)
    estate.witness = PlainWitness(estate.world, pool)
    if wrong := converge(estate, pool):
        raise Broken(f"provisioning: {wrong}")
    for _run in range(chance.randint(1, 3)):
        estate.image = chance.choice(("v2", "v2", "v3"))
        replicas = max(1, replicas + chance.choice((0, 0, 0, 1, -1, 2)))
        pool = declared(estate, replicas, chance, health)
        estate.witness.ask(pool)
        for _fault in range(chance.randint(0, faults)):
            trouble(estate, chance, kinds)
        dies_at = estate.runtime.now() + timedelta(seconds=chance.uniform(0, 200))
        estate.run(pool, dies_at=dies_at if chance.random() < 0.7 else None)
        estate.runtime.play_until(estate.runtime.now() + timedelta(seconds=chance.choice((0, 1, 70, 200))))
    estate.runtime.play_until(estate.runtime.now() + timedelta(seconds=400))
    for key in list(estate.world.state.faults.keys()):
        estate.world.state.faults.drop(key)
    for host in list(estate.world.state.hosts.values()) if health is not None else ():
        estate.world.mishaps.back(host.vm.id)  # too many that stay ill are left alone
    if wrong := converge(estate, pool):
        raise Broken(f"not converged after the faults: {wrong}")
    again = estate.run(pool)
    while again is not None and again.failure is not None and again.failure.code == "unreachable":
        again = estate.run(pool)
    if again is None or again.changed or again.failure:
        raise Broken(f"not a no-op: {again}")
    return estate


@pytest.mark.share(8)
def test_nobody_is_cut_off_while_calls_and_controllers_fail(seed: int) -> None:
    """Crashes, lost replies, outages: sessions end by themselves, or by the drain's time, and by nothing else."""
    estate = play(seed, CONTROL_FAULTS, 3)
    assert estate.witness is not None
    assert estate.cut <= estate.witness.cuts_expected


@pytest.mark.share(8)
def test_runs_converge_while_machines_fail_too(seed: int) -> None:
    """Machines are lost, stopped, deleted, ill, never come up: the rule heals, and never breaks a guard by an action of its own."""
    play(seed + 600_000, CONTROL_FAULTS + MACHINE_FAULTS, 4)


@pytest.mark.share(8)
def test_remediation_keeps_the_guards_and_its_rate(seed: int) -> None:
    """Where health is looked after, no more machines than the rate are marked for being unhealthy; and it becomes quiet."""
    policy = HealthPolicy(cooldown=timedelta(minutes=1))
    play(seed + 1_200_000, CONTROL_FAULTS + MACHINE_FAULTS, 4, policy)
