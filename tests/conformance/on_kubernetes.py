# SPDX-License-Identifier: GPL-3.0-or-later
"""Harnesses of the Kubernetes adapter, over the lab: nodes, a namespace and pools that no one else uses."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.cluster import KubernetesCluster
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.lock import KubernetesLock
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Cluster, Lock
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import NODES, Json, Kube, wait
from ansible_collections.immutable.fleet.tests.labs.kubernetes.workload import Workload, make_nodes, remove_nodes
from ansible_collections.immutable.fleet.tests.system.kubernetes_lab import client_of, site_or_skip

Found = TypeVar("Found")

PATIENCE_SECONDS = 120  # on a busy machine; most waits take a tenth of a second
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"


class Kubernetes:
    """Both harnesses; a test uses one of them."""

    def __init__(self, _folder: Path) -> None:
        site = site_or_skip()
        self._run = secrets.token_hex(3)
        self._kube = Kube(site.kubeconfig, agent="conformance")
        self._client = client_of(site.kubeconfig)
        self._clusters: list[KubernetesCluster] = []
        self._nodes: list[str] = []
        self._workload: Workload | None = None
        self._pools: set[str] = set()
        self._apps = 0

    def until(self, look: Callable[[], Found | None], what: str) -> Found:
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE_SECONDS:
            found = look()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"not within {PATIENCE_SECONDS} s: {what}")

    def clean_up(self) -> None:
        for cluster in self._clusters:
            cluster.stop()
        self._client.close()
        if self._workload is not None:
            self._workload.clean()
            self._kube.delete(f"/api/v1/namespaces/{self._workload.namespace}")
        remove_nodes(self._kube, self._nodes)
        self.delete_locks()

    def cluster(self) -> Cluster:
        cluster = KubernetesCluster(self._client, pool=f"one{self._run}", mints_tokens=True)
        self._clusters.append(cluster)
        cluster.start(lambda: None)
        return cluster

    def add_node(self) -> str:
        """Ready, and nobody has anything left to write on it: its first seconds are full of that."""
        (name,) = make_nodes(self._kube, 1, prefix=f"conf{self._run}{len(self._nodes)}")
        self._nodes.append(name)
        wait(f"no taints on {name}", lambda: not self._taints(name), missing=lambda: self._taints(name))
        versions: list[str] = []

        def is_quiet() -> bool:
            versions.append(self._kube.get(f"{NODES}/{name}")["metadata"]["resourceVersion"])
            return len(versions) > 1 and versions[-1] == versions[-2]

        wait("a quiet node", is_quiet, every=0.5)
        return name

    def _taints(self, node: str) -> list[Json]:
        return list(self._kube.get(f"{NODES}/{node}")["spec"].get("taints", []))

    def run_pods(self, count: int, *, node: str, min_available: tuple[int, ...] = ()) -> str:
        if self._workload is None:
            self._workload = Workload(self._kube, f"conf-{self._run}")
        self._apps += 1
        app = f"app{self._apps}"
        self._workload.deployment(app, count, on=node)
        self._workload.wait_running()
        for index, number in enumerate(min_available):
            self._workload.budget(f"{app}-{index}", app, min_available=number)
            self._workload.wait_running()
        return app

    def lock(self, pool: str = "one") -> Lock:
        self._pools.add(f"{pool}{self._run}")
        return KubernetesLock(self._client, pool=f"{pool}{self._run}")

    def delete_locks(self) -> None:
        for pool in self._pools:
            self._kube.delete(f"{LEASES}/immutable-fleet-{pool}")
