# SPDX-License-Identifier: GPL-3.0-or-later
"""`node_drain` of ten nodes with 30 pods each that take 2 s to end, and `kubectl drain` of as many beside it."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ansible_collections.immutable.fleet.tests.benchmarks.figures import Figure
from ansible_collections.immutable.fleet.tests.benchmarks.labs import kubernetes_or_skip
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import NODES, Kube
from ansible_collections.immutable.fleet.tests.labs.kubernetes.site import Site
from ansible_collections.immutable.fleet.tests.labs.kubernetes.workload import Workload, nodes
from ansible_collections.immutable.fleet.tests.system.playbook import Playbooks
from ansible_collections.immutable.fleet.tests.system.test_node_drain import LastPod

DRAINED, PODS_PER_NODE, STOP_SECONDS = 10, 30, 2
GOAL_SECONDS = 1.0
NAME = "benchdrain"
KEY = "lab.example/bench-drain"
PLACED = {"nodeSelector": {KEY: "yes"}, "tolerations": [{"key": KEY, "operator": "Exists"}]}


def measure() -> Iterator[Figure]:
    """Half of the nodes for each: the other half takes the pods."""
    kube = kubernetes_or_skip()
    with nodes(kube, 2 * DRAINED, prefix=NAME, labels=f"{KEY}=yes") as names, Workload(kube, NAME) as shop:
        for name in names:
            kube.patch(f"{NODES}/{name}", {"spec": {"taints": [{"key": KEY, "value": "yes", "effect": "NoSchedule"}]}})
        ours, theirs = names[:DRAINED], names[DRAINED:]
        _cordon(kube, theirs, on=True)
        for number in range(PODS_PER_NODE):
            shop.deployment(f"web{number}", DRAINED, spread=True, stop_seconds=STOP_SECONDS, **PLACED)
        shop.wait_running()
        _cordon(kube, theirs, on=False)
        late = _node_drain(kube, shop, ours)
        yield Figure(name="node_drain, its end after the slowest pod's", value=late, unit="s", goal=GOAL_SECONDS)
        _cordon(kube, ours, on=False)
        shop.wait_running()
        late, took = _kubectl(kube, shop, theirs)
        yield Figure(name="kubectl drain, its end after the slowest pod's", value=late, unit="s")
        yield Figure(name="kubectl drain, all of it", value=took, unit="s")
    kube.delete(f"/api/v1/namespaces/{NAME}")


def _node_drain(kube: Kube, shop: Workload, names: Sequence[str]) -> float:
    task = {"nodes": list(names), "kubernetes": {"kubeconfig": str(kube.kubeconfig)}, "drain": {"timeout": "5m"}}
    with tempfile.TemporaryDirectory(prefix="immutable-fleet-bench-") as folder, LastPod(kube, shop, list(names)) as last:
        run = Playbooks(Path(folder)).start("node_drain", task)
        run.until("its end", lambda event: event["kind"] == "end")
        ended = datetime.now(UTC)
        outcome = run.outcome()
    if outcome.code != 0:
        raise RuntimeError(outcome.text)
    return (ended - last.gone_at).total_seconds()


def _kubectl(kube: Kube, shop: Workload, names: Sequence[str]) -> tuple[float, float]:
    """`(seconds after the last pod, all seconds)`."""
    argv = [str(Site.from_environment().bin / "kubectl"), f"--kubeconfig={kube.kubeconfig}", "drain", "--ignore-daemonsets", *names]
    began = time.monotonic()
    with LastPod(kube, shop, list(names)) as last:
        subprocess.run(argv, capture_output=True, timeout=300, check=True)
        ended, took = datetime.now(UTC), time.monotonic() - began
    return (ended - last.gone_at).total_seconds(), took


def _cordon(kube: Kube, names: Sequence[str], *, on: bool) -> None:
    for name in names:
        kube.patch(f"{NODES}/{name}", {"spec": {"unschedulable": on or None}})
