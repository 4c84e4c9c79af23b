# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task's request becomes, given what the pool's record says of the runs before it."""

from __future__ import annotations

from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Result, RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.entry.jobs import pool_job
from ansible_collections.immutable.fleet.plugins.module_utils.entry.parse import PoolRequest
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Image
from ansible_collections.immutable.fleet.tests.simulation.estate import Estate

REPLICAS = 4
FIRST_IS_REPLACED = timedelta(seconds=60)  # of a rollout that takes three minutes


def run_as_a_task_does(estate: Estate, timeout: timedelta | None = None) -> Result:
    settings = RunSettings(holder="", timeout=timeout)
    request = PoolRequest(pool=estate.pool(REPLICAS), is_absent=False, max_scale_down="50%", user_data="", settings=settings)
    seen = estate.world.leases.read(estate.name)
    result = estate.run(pool_job(request, estate.ports(), seen, estate.runtime.now()), timeout=timeout)
    assert result is not None
    return result


def made_of(estate: Estate) -> list[str]:
    """The images' digests of the machines that exist."""
    return sorted(host.vm.fields["image"] for host in estate.world.state.hosts.values())


def test_FM37_a_rollout_ends_with_the_image_that_it_began_with_and_the_next_one_takes_the_new() -> None:
    """A run is stopped half way, somebody gives the image's name to other bytes: no pool of three kinds of machines."""
    estate = Estate()
    run_as_a_task_does(estate)
    estate.image = "v2"
    stopped = run_as_a_task_does(estate, timeout=FIRST_IS_REPLACED)
    assert (stopped.failure is not None and stopped.failure.code, set(made_of(estate))) == ("stopped", {"sha512:v1", "sha512:v2"})
    estate.world.state.images.put("sha512:rebuilt", Image("v2", "sha512:rebuilt", order=1))
    resumed = run_as_a_task_does(estate)
    assert (resumed.failure, made_of(estate)) == (None, ["sha512:v2"] * REPLICAS)
    following = run_as_a_task_does(estate)
    assert (following.failure, made_of(estate)) == (None, ["sha512:rebuilt"] * REPLICAS)


def test_FM37_an_image_that_another_name_asks_for_is_not_held_by_the_pin() -> None:
    """Who changes the variables in the middle of a rollout means it."""
    estate = Estate()
    run_as_a_task_does(estate)
    estate.image = "v2"
    run_as_a_task_does(estate, timeout=FIRST_IS_REPLACED)
    estate.image = "v3"
    turned = run_as_a_task_does(estate)
    assert (turned.failure, made_of(estate)) == (None, ["sha512:v3"] * REPLICAS)
