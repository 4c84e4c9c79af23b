# SPDX-License-Identifier: GPL-3.0-or-later
"""API calls that the replacement of one node costs, on both labs at once.

Counted at the two transports of the run itself: everything but watches, the lists that the whole pool shares, the lock, and
what a run does once (to resolve the template, to find out how machines join). Calls that were refused count too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack import client as openstack
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.cloud import OpenStackCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes import client as kubernetes
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.cluster import KubernetesCluster
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.lock import KubernetesLock
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.engine import loop
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports, RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.engine.threads import ThreadsRuntime
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool, Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.model.user_data import placeholders
from ansible_collections.immutable.fleet.tests.benchmarks.figures import Figure
from ansible_collections.immutable.fleet.tests.benchmarks.labs import CALL_TIMEOUT, kubernetes_or_skip, openstack_or_skip
from ansible_collections.immutable.fleet.tests.system.estate import Estate, estate

POOL, NODES, PODS_PER_NODE = "benchcalls", 3, 4
BESIDE_PODS = 14
LOOK = "fieldSelector"  # of the pods of one node: a direct look, and no shared list

Calls = list[str]


def measure() -> Iterator[Figure]:
    """The mean of a roll of three."""
    kube, unused = kubernetes_or_skip(), openstack_or_skip()
    del unused
    with tempfile.TemporaryDirectory(prefix="immutable-fleet-bench-") as folder, estate(POOL, kube, Path(folder)) as pool:
        _roll(pool, "golden-v1")
        with pool.workload() as shop:
            shop.deployment("web", NODES * PODS_PER_NODE, spread=True, **pool.placement())
            shop.wait_running()
            calls = _roll(pool, "golden-v2")
        kube.delete(f"/api/v1/namespaces/{POOL}")
    evictions = sum(call.endswith("/eviction") for call in calls)
    yield Figure(name="calls for a replaced node, beside its evictions", value=(len(calls) - evictions) / NODES, unit="calls")
    yield Figure(name="calls for a replaced node of 4 pods", value=len(calls) / NODES, unit="calls", goal=PODS_PER_NODE + BESIDE_PODS)


def _roll(pool: Estate, image: str) -> Calls:
    """What was asked of both API servers to bring the pool to this image."""
    task, calls, runtime = pool.task(image), [], ThreadsRuntime()
    cloud = CountedOpenStack(calls, {"cloud": "user"}, CALL_TIMEOUT, lambda: datetime.now(UTC))
    cluster = CountedKubernetes(calls, kubernetes.Connection(kubeconfig=str(pool.kube.kubeconfig)), now=runtime.now)
    text = task["user_data"]
    options = parse_options(task["openstack"], text)
    ports = Ports(
        cloud=OpenStackCloud(POOL, options, call_timeout=CALL_TIMEOUT, now=runtime.now, transport=cloud),
        cluster=KubernetesCluster(cluster, pool=POOL, mints_tokens=True),
        lock=KubernetesLock(cluster, pool=POOL),
    )
    revision = ports.cloud.resolve() if ports.cloud else None
    if revision is None:
        raise RuntimeError("no cloud")
    strategy = Strategy(max_surge=1, min_ready=timedelta(seconds=1))
    wanted = Pool(name=POOL, replicas=NODES, revision=revision, strategy=strategy, placeholders=placeholders(text))
    result = loop.run(Rollout(wanted), ports, runtime, None, RunSettings(holder="bench"))
    runtime.close()
    if result.failure is not None:
        raise result.failure
    return calls


class CountedOpenStack(openstack.Client):
    """Writes only: all its reads are shared lists, or done once a run."""

    def __init__(self, calls: Calls, *given: Any) -> None:
        super().__init__(*given)
        self._calls = calls

    def request(self, method: str, service: str, path: str, **given: Any) -> Any:
        if method != "GET":
            self._calls.append(f"{method} {service} {path}")
        return super().request(method, service, path, **given)


class CountedKubernetes(kubernetes.Client):
    """Writes, and reads about one node: its pods, and the attachments that are read with them."""

    def __init__(self, calls: Calls, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._calls = calls

    def call(self, method: str, path: str, *, query: Any = None, **given: Any) -> dict[str, Any]:
        is_look = (query or {}).get(LOOK, "").startswith(f"spec.nodeName={POOL}-")
        if "/leases" not in path and (method != "GET" or is_look):
            self._calls.append(f"{method} {path}")
        if is_look:
            self._calls.append("GET attachments, beside the look")
        return super().call(method, path, query=query, **given)
