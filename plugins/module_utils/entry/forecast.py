# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode: the real loop on a copy of the observed world, in virtual time.

Not a description of what the loop would do but the loop itself, so the plan has its order, its reasons and its blockers.
The durations are a profile's, hence estimates. Nothing of the real world is written to.
"""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.cloud import SimulatedCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.cluster import SimulatedCluster
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.lock import SimulatedLock
from ansible_collections.immutable.fleet.plugins.module_utils.engine import loop
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Job, Ports, Result, RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.engine.virtual import VirtualRuntime
from ansible_collections.immutable.fleet.plugins.module_utils.entry.observing import Seen, observe
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Runtime
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.from_facts import world_of
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import VirtualSession

SEED = 0  # the profile's durations are constant: one replay tells all


def forecast(job: Job, ports: Ports, settings: RunSettings, runtime: Runtime) -> Result:
    """What `loop.run` would do now. Raises what the first look at the real world raises."""
    seen = observe(ports, runtime)
    pool = job.pool.name if job.pool is not None else ""
    world = world_of(
        seen.listing.vms if seen.listing is not None else (),
        seen.view,
        seen.at,
        Profile(),
        SEED,
        pool=pool,
        leftovers=(seen.listing.leftovers or ()) if seen.listing is not None else (),
        lock=seen.lock,
    )
    session = VirtualSession(world)
    rehearsed = Ports(
        cloud=SimulatedCloud(session, pool, "", resolver=ports.cloud.resolve) if ports.cloud is not None else None,
        cluster=SimulatedCluster(session, pool) if ports.cluster is not None else None,
        lock=SimulatedLock(session, pool) if ports.lock is not None else None,
    )
    virtual = VirtualRuntime(world, seen.at, call_timeout=settings.call_timeout)
    result = loop.run(job, rehearsed, virtual, None, replace(settings, wait=True, steering_look=None))
    return replace(result, blockers=(*_held_by_another(seen), *result.blockers))


def _held_by_another(seen: Seen) -> tuple[Blocker, ...]:
    """A lock that is held now would make the real run wait or refuse."""
    if seen.lock is None or not seen.lock.holder:
        return ()
    what = f"another run holds the pool now: {seen.lock.holder}, since {seen.lock.since}"
    return (Blocker(code="lock_held", what=what, where="lock of the pool"),)
