# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool on the real Kubernetes lab whose cloud is simulated, in memory and with no delays.

Its VMs boot guests by the lab's joiner, which is told of them at once; so what is measured is the engine, the Kubernetes
adapter and the API server, and no cloud.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.cloud import SimulatedCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.client import Client, Connection
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.cluster import KubernetesCluster
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.lock import KubernetesLock
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.engine import loop
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports, Result, RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.engine.threads import ThreadsRuntime
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool, Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision, revision_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile, constant
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import LiveSession
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import VMS
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World
from ansible_collections.immutable.fleet.tests.benchmarks.labs import kubernetes_or_skip
from ansible_collections.immutable.fleet.tests.benchmarks.reaction import Stopwatch, TimedCloud, TimedCluster
from ansible_collections.immutable.fleet.tests.labs.kubernetes.guests import VM
from ansible_collections.immutable.fleet.tests.labs.kubernetes.joiner import Joiner
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import NODES, Kube
from ansible_collections.immutable.fleet.tests.labs.kubernetes.workload import Workload, remove_nodes

OLD, NEW = revision_of({"image": "sha512:v1"}), revision_of({"image": "sha512:v2"})
KEY = "lab.example/pool"  # label and taint that keep a pool's pods on its own nodes
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/immutable-fleet-"
AT_ONCE = constant(0)
GUESTS_AT_ONCE = 8


class Guests:
    """Boots and stops the guests of a simulated cloud's VMs, the moment they run or are asked to go."""

    def __init__(self, session: LiveSession, pool: str) -> None:
        self._session, self._pool = session, pool
        self._joiner = Joiner()
        self._told: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._booted: set[str] = set()
        self._threads = [threading.Thread(target=self._follow, daemon=True) for _number in range(GUESTS_AT_ONCE)]
        with session.world() as world:
            world.listen(lambda kind, name: self._told.put(name) if kind == VMS else None)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Hear of nothing more."""
        for _thread in self._threads:
            self._told.put("")
        for thread in self._threads:
            thread.join()

    def _follow(self) -> None:
        while name := self._told.get():
            with self._session.world() as world:
                vm = next((vm for vm in world.hypervisor.vms.get(self._pool, {}).values() if vm.name == name), None)
                boots = vm is not None and vm.status == vm_states.RUNNING and vm.id not in self._booted
                if vm is not None and boots:
                    self._booted.add(vm.id)
            if vm is not None and boots:
                self._joiner.boot(self._guest(vm))
            elif vm is not None and vm.status == vm_states.DELETING:
                self._joiner.delete(vm.id)

    def _guest(self, vm: Vm) -> VM:
        meta = {"lab_labels": f"{KEY}={self._pool}", "lab_taints": f"{KEY}={self._pool}:NoSchedule"}
        return VM(id=vm.id, name=vm.name, provider_id=vm.provider_id, meta=meta)


class LabFleet:
    """The pool. `roll` brings it to an image, and can be asked how quickly it answered to facts."""

    def __init__(self, name: str, kube: Kube, session: LiveSession, runtime: ThreadsRuntime) -> None:
        self.name, self.kube, self.session, self.runtime = name, kube, session, runtime

    def roll(self, revision: Revision, replicas: int, surge: int, watch: Stopwatch | None = None) -> tuple[float, Result]:
        """`(seconds, result)` of one run from its first look to its end."""
        client = Client(Connection(kubeconfig=str(self.kube.kubeconfig)), now=self.runtime.now)
        cloud = SimulatedCloud(self.session, self.name, revision.fields["image"])
        cluster = KubernetesCluster(client, pool=self.name)
        lock = KubernetesLock(client, pool=self.name)
        ports = Ports(cloud=cloud, cluster=cluster, lock=lock)
        if watch is not None:
            ports = replace(ports, cloud=TimedCloud(cloud, watch), cluster=TimedCluster(cluster, watch))
        strategy = Strategy(max_surge=surge, min_ready=timedelta(0))
        pool = Pool(name=self.name, replicas=replicas, revision=revision, strategy=strategy)
        began = time.monotonic()
        result = loop.run(Rollout(pool), ports, self.runtime, None, RunSettings(holder="bench"))
        took = time.monotonic() - began
        cloud.stop()
        if result.failure is not None or result.tally.up_to_date != replicas:
            raise RuntimeError(f"the roll did not end well: {result.failure or result.tally}")
        return took, result

    def fill(self, shop: Workload, pods: int) -> None:
        """Pods that end 2 s after their eviction, under no budget, on this pool's nodes only; all run on return."""
        toleration = {"key": KEY, "operator": "Equal", "value": self.name, "effect": "NoSchedule"}
        shop.deployment("web", pods, stop_seconds=2, spread=True, nodeSelector={KEY: self.name}, tolerations=[toleration])
        shop.wait_running()

    def clean(self) -> None:
        """Its nodes, its lock and the namespace of its pods."""
        names = [node["metadata"]["name"] for node in self.kube.get(NODES)["items"]]
        remove_nodes(self.kube, [name for name in names if name.startswith(f"{self.name}-")])
        self.kube.delete(LEASE + self.name)
        self.kube.delete(f"/api/v1/namespaces/{self.name}")


@contextmanager
def lab_fleet(name: str) -> Iterator[LabFleet]:
    """A pool for the time of a measurement. Raises `Skipped` where the lab is down."""
    kube = kubernetes_or_skip()
    runtime = ThreadsRuntime()
    profile = Profile(create=AT_ONCE, ready=AT_ONCE, delete=AT_ONCE)
    world = World(runtime.now(), seed=1, profile=profile)
    world.state.settings.any_image, world.state.settings.has_cluster = True, False
    session = LiveSession(world, runtime.now)
    session.play()
    guests = Guests(session, name)
    fleet = LabFleet(name, kube, session, runtime)
    try:
        yield fleet
    finally:
        guests.stop()
        session.stop()
        runtime.close()
        fleet.clean()
