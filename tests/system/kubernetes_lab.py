# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes lab for tests of our adapter: who is under test, and waiting for what it sees."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.client import Client, Connection
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.cluster import KubernetesCluster
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.ports import ClusterView
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Json, Kube
from ansible_collections.immutable.fleet.tests.labs.kubernetes.site import Site

AGENT = "immutable.fleet"  # of the adapter's calls in the audit log
PATIENCE_SECONDS = 60  # most waits take a tenth of a second; a busy machine may take a hundred times that


def now() -> datetime:
    return datetime.now(UTC)


def site_or_skip() -> Site:
    """The lab, if it is up."""
    site = Site.from_environment()
    try:
        is_up = Kube(site.kubeconfig).raw("GET", "/readyz")[0] == 200
    except OSError:
        is_up = False
    if not is_up:
        pytest.skip("the Kubernetes lab is not up: tests/labs/lab up kubernetes")
    return site


def client_of(kubeconfig: Path, **options: Any) -> Client:
    return Client(Connection(kubeconfig=str(kubeconfig), **options), now=now)


class Watched:
    """A started cluster under test; `until` waits for its views, woken by `on_change` as the loop is."""

    def __init__(self, cluster: KubernetesCluster) -> None:
        self.cluster = cluster
        self.changed = threading.Event()
        cluster.start(self.changed.set)

    def until(self, what: str, test: Callable[[ClusterView], object], seconds: float = PATIENCE_SECONDS, every: float = 0.5) -> float:
        """Seconds until the view is as `test` wants it."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            self.changed.clear()
            if test(self.cluster.view()):
                return time.monotonic() - began
            self.changed.wait(every)
        view = self.cluster.view()
        pods = {name: [pod.full_name for pod in node.pods] for name, node in view.nodes.items()}
        facts = f"{view.error or 'no error'}, as of {view.as_of}, {pods}, budgets {list(view.budgets)}"
        raise AssertionError(f"not within {seconds} s: {what}; the last view: {facts}")

    def node(self, name: str) -> Node:
        return self.cluster.view().nodes[name]

    def pods(self, app: str) -> list[Pod]:
        """Pods of a lab app, by the names their owners give."""
        return [pod for node in self.cluster.view().nodes.values() for pod in node.pods if pod.name.rsplit("-", 2)[0] == app]

    def pod(self, raw: Json) -> Pod:
        """The adapter's pod for one of the API server's, once it sees it."""
        uid = raw["metadata"]["uid"]
        self.until(f"pod {raw['metadata']['name']}", lambda view: any(uid == pod.uid for n in view.nodes.values() for pod in n.pods))
        return next(pod for node in self.cluster.view().nodes.values() for pod in node.pods if pod.uid == uid)


@contextmanager
def watched(client: Client, **options: Any) -> Iterator[Watched]:
    """A cluster under test for the time of a test."""
    cluster = KubernetesCluster(client, **{"pool": "web", **options})
    try:
        yield Watched(cluster)
    finally:
        cluster.stop()
