# SPDX-License-Identifier: GPL-3.0-or-later
"""Storms over random pools: partitions, failure domains that are lost, nodes that flap, slow boots, bad images, a roll meanwhile.

The pool is looked at every two minutes, by runs that may be killed. No action of ours takes the available below the floor, no more
machines are under way than the rate, none goes while the gate is shut; and once the faults are over, it becomes quiet.
`--seed N` replays a failing seed alone.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.decide.control import Wish, steered
from ansible_collections.immutable.fleet.plugins.module_utils.model.health import DEFAULT_CHECKS, HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import DrainPolicy, Pool, Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Asked
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile, lognormal
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Fault
from ansible_collections.immutable.fleet.tests.simulation.remediation import Nurse
from ansible_collections.immutable.fleet.tests.simulation.test_rollouts import NEVER_REFUSED, Chancy, Ordeal
from ansible_collections.immutable.fleet.tests.simulation.witnesses import Broken

PASSES, EVERY = 25, timedelta(minutes=2)
PASSES_TO_QUIET = 40
FAULTS = 5
KINDS = ("silent", "flaps", "shut off", "error", "partition", "zone", "api", "cloud", "lock", "stale", "never joins", "bad image", "loss")


def tower(chance: random.Random, seed: int) -> Ordeal:
    """A world in which machines sometimes boot for minutes."""
    slow = chance.choice((0.4, 0.4, 1.2))
    profile = Profile(create=lognormal(15, slow), ready=lognormal(25, slow), delete=lognormal(8, 0.5), pod_stop=lognormal(4, 0.8))
    estate = Ordeal(seed=seed, profile=profile, network=Chancy(chance, chance.choice((0, 0.02))))
    estate.domains(*("az1", "az2", "az3")[: chance.choice((0, 2, 3))])
    if chance.random() < 0.5:
        estate.workload("app", chance.randint(1, 6))
    return estate


def declared(estate: Ordeal, replicas: int, chance: random.Random) -> Pool:
    """The pool, with a policy of its own."""
    surge, unavailable = chance.choice(((1, 0), (2, 0), (0, 1), (1, 1)))
    checks = DEFAULT_CHECKS if chance.random() < 0.5 else tuple(replace(check, timeout=timedelta(minutes=2)) for check in DEFAULT_CHECKS)
    health = HealthPolicy(
        conditions=checks,
        max_unhealthy=chance.choice(("34%", "34%", "50%", 2)),
        max_in_flight=chance.choice(("5%", "20%")),
        cooldown=timedelta(minutes=chance.choice((1, 5))),
        reboot=timedelta(minutes=4) if estate.seed % 3 == 0 else None,
        preserve_on_fail=1 if estate.seed % 3 == 1 else 0,
    )
    how = Strategy(
        max_surge=surge,
        max_unavailable=unavailable,
        min_ready=timedelta(seconds=10),
        startup_timeout=timedelta(minutes=8),
        progress_deadline=timedelta(minutes=20),
        max_failed_new=NEVER_REFUSED,
    )
    drain = DrainPolicy(timeout=timedelta(minutes=2), volume_detach_timeout=timedelta(seconds=60))
    return estate.pool(replicas, strategy=how, drain=drain, health=health)


def trouble(estate: Ordeal, chance: random.Random) -> None:
    """One fault within the next hour."""
    kind, delay = chance.choice(KINDS), timedelta(minutes=chance.uniform(0, 45))
    lasts, names = timedelta(minutes=chance.uniform(1, 12)), f"{estate.name}-*"
    some = chance.randint(1, 8)
    faults = {
        "silent": [Fault(kind="vm_lost", target=names, delay=delay, lasts=4 * lasts)],
        "flaps": [
            Fault(kind="vm_lost", target=f"{estate.name}-1-*", delay=delay + number * timedelta(minutes=3), lasts=timedelta(seconds=100))
            for number in range(4)
        ],
        "shut off": [Fault(kind="vm_stopped", target=names, delay=delay, lasts=4 * lasts)],
        "error": [Fault(kind="vm_error", target=names, delay=delay)],
        "partition": [Fault(kind="vm_lost", target=names, count=some, delay=delay, lasts=lasts)],
        "zone": [Fault(kind="domain_down", target="az1", delay=delay, lasts=lasts)],
        "api": [Fault(kind="unreachable", target="cluster", delay=delay, lasts=lasts)],
        "cloud": [Fault(kind="unreachable", target="cloud", delay=delay, lasts=lasts)],
        "lock": [Fault(kind="unreachable", target="lock", delay=delay, lasts=lasts)],
        "stale": [Fault(kind="stale", target="cluster", delay=delay, lasts=lasts, age=timedelta(seconds=20))],
        "never joins": [Fault(kind="never_joins", count=2, delay=delay)],
        "bad image": [
            Fault(kind="vm_lost", target=f"{estate.name}-0-*", delay=delay + number * timedelta(minutes=8)) for number in range(5)
        ],
        "loss": [Fault(kind="vm_gone", target=names, delay=delay)],
    }[kind]
    for fault in faults:
        estate.world.inject(fault)


def resume(estate: Ordeal) -> None:
    """An operator looked at it."""
    leases, seen = estate.world.leases, estate.world.leases.read(estate.name)
    wish = Wish(pool=estate.name, state="resumed", asked=Asked("ana@laptop", estate.world.now.replace(microsecond=0)))
    leases.steer(estate.name, seen, steered(seen, wish))


def look_after(estate: Ordeal, pool: Pool, nurse: Nurse, chance: random.Random) -> None:
    """A run every two minutes; some are killed."""
    for _pass in range(PASSES):
        dies_at = estate.runtime.now() + timedelta(seconds=chance.uniform(1, 200)) if chance.random() < 0.15 else None
        begun = estate.runtime.now()
        estate.run(pool, nurse, dies_at=dies_at, timeout=timedelta(minutes=15))
        estate.runtime.play_until(max(estate.runtime.now(), begun + EVERY))


def quiet(estate: Ordeal, pool: Pool, nurse: Nurse) -> list[str]:
    """What is still wrong after many more runs."""
    wrong: list[str] = []
    for _pass in range(PASSES_TO_QUIET):
        result = estate.run(pool, nurse)
        wrong = nurse.converged()
        if result is not None and result.failure is None and not wrong:
            return []
        wrong += [str(result.failure) if result is not None else "killed"]
        resume(estate)
        estate.runtime.play_until(estate.runtime.now() + EVERY)
    return wrong


def test_storms_do_no_harm_and_end_quietly(seed: int) -> None:
    """Whatever comes together."""
    chance = random.Random(seed + 900_000)
    estate = tower(chance, seed)
    pool = declared(estate, chance.randint(3, 12), chance)
    nurse = Nurse(estate.world, pool)
    estate.witness = nurse
    if wrong := quiet(estate, pool, nurse):
        raise Broken(f"provisioning: {wrong}")
    for _fault in range(chance.randint(1, FAULTS)):
        trouble(estate, chance)
    if chance.random() < 0.4:
        estate.image = "v2"
        pool = replace(pool, revision=estate.pool(pool.replicas).revision)
        nurse.ask(pool)
    look_after(estate, pool, nurse, chance)
    for key in list(estate.world.state.faults.keys()):
        estate.world.state.faults.drop(key)
    for host in list(estate.world.state.hosts.values()):
        estate.world.mishaps.back(host.vm.id)
    estate.runtime.play_until(estate.runtime.now() + timedelta(minutes=10))
    if wrong := quiet(estate, pool, nurse):
        raise Broken(f"not quiet after the storm: {wrong}")
    again = estate.run(pool, nurse)
    if again is None or again.changed or again.failure is not None:
        raise Broken(f"not a no-op: {again}")
