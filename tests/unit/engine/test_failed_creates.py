# SPDX-License-Identifier: GPL-3.0-or-later
"""Creates that come to nothing, over many runs: nothing of them piles up, and the pool keeps what it has."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Result
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import BUILDING
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import constant
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Fault
from ansible_collections.immutable.fleet.tests.simulation.estate import Estate

REPLICAS = 3
RERUNS = 20  # of five creates that fail, and what was in flight by then
FOREVER = 10**6
SURGE_2 = Strategy(max_surge=2, min_ready=timedelta(0), startup_timeout=timedelta(minutes=5))


def rolled(estate: Estate) -> Result:
    result = estate.run(estate.pool(REPLICAS, strategy=SURGE_2))
    assert result is not None
    return result


def there(estate: Estate) -> tuple[Counter[str], int, int]:
    """`({image: machines}, ports, tokens)`"""
    state = estate.world.state
    return Counter(host.image for host in state.hosts.values()), len(state.ports), len(state.tokens)


def provisioned() -> Estate:
    """Three machines of v1, and v2 is wanted from now on."""
    estate = Estate()
    rolled(estate)
    estate.image = "v2"
    return estate


def test_FM22_no_valid_host_a_hundred_times_leaves_as_many_ports_as_before() -> None:
    """Somebody reruns the playbook all night while the cloud finds no host for anything."""
    estate = provisioned()
    estate.world.inject(Fault(kind="create_error", count=FOREVER, text="No valid host was found"))
    created = 0
    for _rerun in range(RERUNS):
        result = rolled(estate)
        created += sum(step.verb == "create" for step in result.steps)
        assert result.failure is not None
        assert (result.failure.code, "No valid host was found" in result.failure.what) == ("exhausted", True)
        assert there(estate) == ({"v1": REPLICAS}, REPLICAS, 0)
    assert created >= 100


def test_FM24_a_build_that_never_ends_is_replaced() -> None:
    """Nova says BUILD for days: the machine is late by `startup_timeout`, goes with its port, and another one is made."""
    estate = provisioned()
    state, usual = estate.world.state, estate.world.state.profile
    state.profile = replace(usual, create=constant(FOREVER))
    estate.run(estate.pool(REPLICAS, strategy=SURGE_2), dies_at=estate.runtime.now() + timedelta(seconds=30))
    stuck = [host.vm.name for host in state.hosts.values() if host.vm.status == BUILDING]
    assert len(stuck) == SURGE_2.max_surge
    state.profile = usual
    result = rolled(estate)
    assert {step.machine for step in result.steps if step.verb == "delete"} >= set(stuck)
    assert (result.failure, there(estate)) == (None, (Counter(v2=REPLICAS), REPLICAS, 0))


def test_FM44_a_whole_batch_that_fails_neither_ends_the_run_nor_passes_for_a_success() -> None:
    """All that are made at once fail: they are made again. What cannot be made fails the run by its own code, and a rerun goes on."""
    estate = provisioned()
    estate.world.inject(Fault(kind="create_error", count=2))
    assert (rolled(estate).failure, there(estate)) == (None, (Counter(v2=REPLICAS), REPLICAS, 0))
    estate.image = "v3"
    key = estate.world.inject(Fault(kind="create_error", count=FOREVER))
    failed = rolled(estate).failure
    assert (failed is not None and failed.code, there(estate)) == ("exhausted", (Counter(v2=REPLICAS), REPLICAS, 0))
    estate.world.state.faults.drop(key)
    assert (rolled(estate).failure, there(estate)) == (None, (Counter(v3=REPLICAS), REPLICAS, 0))
