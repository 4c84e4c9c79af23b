# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated estate for tests: a world, a pool in it, and runs of the real loop over it in virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.cloud import SimulatedCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.cluster import SimulatedCluster
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.lock import SimulatedLock
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.engine import loop
from ansible_collections.immutable.fleet.plugins.module_utils.engine.preflight import with_preflight
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Job, Ports, Result, RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.engine.virtual import Network, VirtualRuntime
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import revision_of
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Probe, Reporter
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile, constant
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import BudgetRow, Domain, Image, Workload
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import VirtualSession
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World

DAWN = datetime(2026, 11, 21, 4, 0, 0, tzinfo=UTC)

# Durations that make stories easy to read: a machine is built in 10 s and ready 8 s later, a pod stops in 5 s.
PLAIN = Profile(create=constant(10), ready=constant(8), delete=constant(4))


class Killed(BaseException):
    """SIGKILL: nothing in the process gets to clean up."""


class Mortal:
    """A runtime whose process is killed at an instant."""

    def __init__(self, runtime: VirtualRuntime, dies_at: datetime) -> None:
        self._runtime, self._dies_at = runtime, dies_at
        self.now, self.submit, self.wake, self.fresh_suffix = runtime.now, runtime.submit, runtime.wake, runtime.fresh_suffix

    def wait(self, until: datetime | None) -> None:
        self._runtime.wait(self._dies_at if until is None else min(until, self._dies_at))
        if self._runtime.now() >= self._dies_at:
            raise Killed


@dataclass
class Estate:
    """One world with one pool. `image` is what the next run asks for; `runtime` goes on from run to run."""

    seed: int = 0
    profile: Profile = field(default_factory=lambda: PLAIN)
    network: Network | None = None
    name: str = "web"
    image: str = "v1"
    asks_first: bool = False  # what room there is, as a task does
    probes: Mapping[str, Probe] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world = World(DAWN, self.seed, self.profile)
        for name in ("v1", "v2", "v3"):
            self.world.state.images.put(f"sha512:{name}", Image(name, f"sha512:{name}"))
        self.session = VirtualSession(self.world)
        self.runtime = VirtualRuntime(self.world, DAWN, network=self.network, seed=self.seed)
        self.runs = 0

    def domains(self, *names: str) -> Estate:
        """Give the cloud failure domains."""
        for name in names:
            self.world.state.domains.put(name, Domain(name))
        return self

    def workload(self, name: str, replicas: int, *, max_unavailable: str = "", min_available: str = "", **more: Any) -> Estate:
        """Run a Deployment, with a budget where one is given."""
        budgets: tuple[str, ...] = ()
        if max_unavailable or min_available:
            key = f"shop/{name}"
            row = BudgetRow(key, self.world.now, max_unavailable=max_unavailable, min_available=min_available)
            self.world.state.budgets.put(key, row)
            budgets = (key,)
        work = Workload("shop", name, budgets=budgets, **more)
        self.world.state.workloads.put(work.key, work)
        self.world.pods.scale(work, replicas)
        return self

    def ports(self) -> Ports:
        """Fresh adapters, as a fresh process has them."""
        return Ports(
            cloud=SimulatedCloud(self.session, self.name, self.image),
            cluster=SimulatedCluster(self.session, self.name),
            lock=SimulatedLock(self.session, self.name),
            probes=self.probes,
        )

    def pool(self, replicas: int, **options: Any) -> Pool:
        """The pool as a playbook would declare it now."""
        digest = self.world.hypervisor.image("", self.image).digest
        revision = revision_of({"image": digest}, {"asked": self.image, "name": self.image, "id": digest, "digest": digest})
        domains = tuple(key for key, row in self.world.state.domains.items())
        return Pool(name=self.name, replicas=replicas, revision=revision, failure_domains=domains, **options)

    def run(self, job: Job | Pool, reporter: Reporter | None = None, *, dies_at: datetime | None = None, **settings: Any) -> Result | None:
        """One run of the real loop, from a fresh process's memory to its end; None when it was killed at `dies_at`."""
        self.runs += 1
        job = Rollout(job) if isinstance(job, Pool) else job
        pinned = job.pool.revision.image if job.pool is not None else {}
        seen = self.world.leases.read(self.name)
        replicas = job.pool.replicas if job.pool is not None else 0
        given = replace(RunSettings(holder=f"run-{self.runs}", pinned=pinned, replicas=replicas, seen=seen), **settings)
        runtime = Mortal(self.runtime, dies_at) if dies_at is not None else self.runtime
        ports = self.watched(self.ports())
        try:
            return loop.run(with_preflight(job, ports, runtime) if self.asks_first else job, ports, runtime, reporter, given)
        except Killed:
            self.runtime.crash()
            return None

    def watched(self, ports: Ports) -> Ports:
        """The ports through which a run goes; a test may put witnesses around them."""
        return ports
