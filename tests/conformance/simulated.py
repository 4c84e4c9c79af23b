# SPDX-License-Identifier: GPL-3.0-or-later
"""Harnesses of the simulated adapters: over a world in memory, and over one in a file that a second process uses too."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ansible_collections.immutable.fleet.plugins.module_utils.balancers.simulated.balancer import SimulatedBalancer
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.cloud import SimulatedCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.images import SimulatedImages
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.cluster import SimulatedCluster
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.lock import SimulatedLock
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import RUNNING, NewMachine
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Balancer, Cloud, Cluster, ImageStore, Lock
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.describe import describe, fault_of
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.furnish import furnish, world_from
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import Session, VirtualSession
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.store import create_world, open_world

Found = TypeVar("Found")

STEP = timedelta(seconds=1)
STEPS_MAX = 600  # ten minutes of the world: nothing here takes longer
MOMENT_SECONDS = 0.005  # watchers are threads, and look each 50 ms
DAWN = datetime(2026, 11, 21, 4, 0, 0, tzinfo=UTC)
DESCRIPTION: dict[str, Any] = {
    "images": {"v1": {}},
    "failure_domains": ["az1"],
    "backends": [{"name": "shop", "sessions": 3}],
    "durations": {"balancer_change": 2},
}


class Site(Protocol):
    """A world and its time."""

    def session(self) -> Session:
        """As a fresh process has it."""

    def pass_time(self) -> None:
        """A second of the world."""

    def close(self) -> None:
        """End it."""


class InMemory:
    """A world in virtual time."""

    def __init__(self, _folder: Path) -> None:
        self._world = world_from(describe(DESCRIPTION), DAWN)

    def session(self) -> Session:
        return VirtualSession(self._world)

    def pass_time(self) -> None:
        self._world.advance(self._world.now + STEP)

    def close(self) -> None:
        pass


class InFile:
    """A world in a file. Each adapter gets a session of its own, as a process of its own has."""

    def __init__(self, folder: Path) -> None:
        self._path = str(folder / "world")
        self._first = create_world(self._path, world_from(describe(DESCRIPTION), datetime.now(UTC)))
        self._sessions = [self._first]

    def session(self) -> Session:
        self._sessions.append(open_world(self._path))
        return self._sessions[-1]

    def pass_time(self) -> None:
        self._first.skip(STEP)
        time.sleep(MOMENT_SECONDS)

    def close(self) -> None:
        for session in self._sessions:
            session.close()


class Simulated:
    """All five harnesses; a test uses one of them."""

    can_hold_names = True
    can_count_sessions = True
    can_be_busy = True
    format = "raw"

    def __init__(self, site: Site) -> None:
        self._site = site
        self._made = 0
        self._watching: list[SimulatedCluster | SimulatedCloud] = []

    def until(self, look: Callable[[], Found | None], what: str) -> Found:
        for _time in range(STEPS_MAX):
            found = look()
            if found:
                return found
            self._site.pass_time()
        raise AssertionError(f"not within {STEPS_MAX} s: {what}")

    def clean_up(self) -> None:
        for adapter in self._watching:
            adapter.stop()
        self._site.close()

    # Cloud

    def cloud(self, pool: str = "one") -> Cloud:
        cloud = SimulatedCloud(self._site.session(), pool, "v1", {"flavor": "m1"})
        self._watching.append(cloud)
        return cloud

    def cloud_of_unknown_image(self) -> Cloud:
        return SimulatedCloud(self._site.session(), "one", "never-baked")

    def new_machine(self, name: str, pool: str = "one") -> NewMachine:
        session = self._site.session()
        revision = SimulatedCloud(session, pool, "v1", {"flavor": "m1"}).resolve()
        return NewMachine(
            name=name,
            slot=3,
            failure_domain="az1",
            revision=revision.id,
            fields=revision.fields,
            attempt=2,
            created_at=session.now(),
        )

    def lose_reply(self, verb: str) -> None:
        self._inject(kind="fail", target=verb, after_effect=True)

    def exhaust(self) -> None:
        self._inject(kind="quota", count=0)

    def leave_room(self, machines: int) -> None:
        with self._site.session().world() as world:
            world.hypervisor.leave_room(machines)

    def leave_port(self, machine: NewMachine) -> None:
        self._inject(kind="dies_half_way")

    # Cluster

    def cluster(self) -> Cluster:
        cluster = SimulatedCluster(self._site.session(), "one")
        cluster.start(lambda: None)
        self._watching.append(cluster)
        return cluster

    def add_node(self) -> str:
        self._made += 1
        name = f"node-{self._made}"
        self._furnish({"nodes": [name]})
        return name

    def run_pods(self, count: int, *, node: str, min_available: tuple[int, ...] = ()) -> str:
        """The only open node gets them."""
        self._made += 1
        name = f"app{self._made}"
        budgets = [{"min_available": number} for number in min_available]
        with self._site.session().world() as world:
            closed = [other for other, row in world.state.members.items() if other != node and row.schedulable]
            for other in closed:
                world.nodes.cordon(other, schedulable=False)
            furnish(world, describe({"workloads": [{"name": name, "replicas": count, "budget": budgets}]}))
            for other in closed:
                world.nodes.cordon(other, schedulable=True)
        for _time in range(10):
            self._site.pass_time()
        return name

    # Lock

    def lock(self, pool: str = "one") -> Lock:
        return SimulatedLock(self._site.session(), pool)

    def delete_locks(self) -> None:
        with self._site.session().world() as world:
            for pool in list(world.state.leases):
                world.state.leases.drop(pool)

    # Image store

    def store(self) -> ImageStore:
        return SimulatedImages(self._site.session())

    def image(self) -> str:
        return "web"

    def write(self, path: Path, content: str) -> None:
        path.write_text(content, encoding="utf-8")

    def cut_upload(self) -> None:
        self._inject(kind="dies_half_way")

    # Balancer

    def balancer(self, pool: str = "one") -> Balancer:
        return SimulatedBalancer(self._site.session(), pool, "shop")

    def balancer_of_unknown_backend(self) -> Balancer:
        return SimulatedBalancer(self._site.session(), "one", "shoe")

    def start_machine(self, pool: str = "one") -> tuple[str, str]:
        self._made += 1
        cloud, machine = self.cloud(pool), self.new_machine(f"{pool}-{self._made}-aaaaa", pool)
        cloud.create(machine)

        def address() -> str | None:
            found = [vm for vm in cloud.list_vms(None, with_leftovers=False).vms if vm.name == machine.name and vm.status == RUNNING]
            return found[0].addresses[0] if found else None

        return machine.name, self.until(address, f"{machine.name} runs")

    def stop_machine(self, name: str) -> None:
        self._inject(kind="vm_lost", target=name)

    def add_by_hand(self) -> str:
        self._furnish({"backends": [{"name": "shop", "sessions": 3, "members": [{"name": "legacy-1", "address": "192.0.2.7"}]}]})
        return "192.0.2.7"

    def open_sessions(self) -> None:
        """The simulated ones come and go by themselves."""

    def end_sessions(self) -> None:
        pass

    def broken_sessions(self) -> int:
        with self._site.session().world() as world:
            return world.balancers.backend("shop").cut

    def _inject(self, **fault: Any) -> None:
        with self._site.session().world() as world:
            world.inject(fault_of(fault))

    def _furnish(self, description: dict[str, Any]) -> None:
        with self._site.session().world() as world:
            furnish(world, describe(description))
