# SPDX-License-Identifier: GPL-3.0-or-later
"""`node_drain` on nodes of a real cluster, beside `kubectl drain`."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import pytest

from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import NODES, Json, Kube, wait
from ansible_collections.immutable.fleet.tests.labs.kubernetes.site import Site
from ansible_collections.immutable.fleet.tests.labs.kubernetes.workload import Workload, nodes
from ansible_collections.immutable.fleet.tests.system.audit import Ledger, instant
from ansible_collections.immutable.fleet.tests.system.playbook import Playbooks

pytestmark = pytest.mark.lab

DRAINED, PODS_PER_NODE, STOP_SECONDS = 10, 30, 2
AFTER_THE_LAST_POD_SECONDS = 3.0  # 0.2 on a quiet machine; docs/benchmarks.md holds it to 1
KEY = "lab.example/drain"


@pytest.fixture
def playbooks(tmp_path: Path) -> Playbooks:
    return Playbooks(tmp_path)


@pytest.fixture
def workers(kube: Kube) -> Iterator[list[str]]:
    """Nodes of this test's own: twice as many as are drained, with room for pods of twice as many."""
    with nodes(kube, 2 * DRAINED, prefix="drain", labels=f"{KEY}=yes") as names:
        for name in names:
            kube.patch(f"{NODES}/{name}", {"spec": {"taints": [{"key": KEY, "value": "yes", "effect": "NoSchedule"}]}})
        yield names


@pytest.fixture
def pair(kube: Kube) -> Iterator[list[str]]:
    with nodes(kube, 2, prefix="pair") as names:
        yield names


PLACED = {"nodeSelector": {KEY: "yes"}, "tolerations": [{"key": KEY, "operator": "Exists"}]}


def test_a_drain_ends_with_its_last_pod(kube: Kube, kubernetes_site: Site, playbooks: Playbooks, workers: list[str]) -> None:
    """Ten nodes at once, 30 pods each that take 2 s to end; kubectl does the same afterwards, to compare."""
    ours, rest = workers[:DRAINED], workers[DRAINED:]
    with Workload(kube, "drain") as shop:
        _cordon(kube, rest, on=True)
        for number in range(PODS_PER_NODE):
            shop.deployment(f"web{number}", DRAINED, spread=True, stop_seconds=STOP_SECONDS, **PLACED)
        shop.wait_running()
        _cordon(kube, rest, on=False)
        ledger = Ledger.open("drain")
        with LastPod(kube, shop, ours) as last:
            run = playbooks.start("node_drain", _task(kubernetes_site, ours, drain={"timeout": "5m"}))
            assert run.until("its end", lambda event: event["kind"] == "end")
            ended = datetime.now(UTC)
            drained = run.outcome()
        assert drained.result["summary"]["empty"] == DRAINED
        assert shop.pods()
        assert not [pod for pod in shop.pods() if pod["spec"]["nodeName"] in ours]
        calls, evicted = len(ledger.replacing_calls()), len(ledger.evictions())
        began = instant(ledger.evictions()[0]["requestReceivedTimestamp"])
        late = (ended - last.gone_at).total_seconds()
        print(f"\nnode_drain: {evicted} pods, {(ended - began).total_seconds():.1f} s, {late:+.2f} s after the last pod, {calls} calls")
        assert evicted == DRAINED * PODS_PER_NODE
        assert late <= AFTER_THE_LAST_POD_SECONDS

        playbooks.run("node_drain", _task(kubernetes_site, ours, state="uncordoned"))
        assert not [name for name in ours if kube.get(f"{NODES}/{name}")["spec"].get("unschedulable")]
        shop.wait_running()
        _tell_of_kubectl(kube, kubernetes_site, shop, rest)


def test_FM06_a_node_that_could_not_be_drained_serves_again(
    kube: Kube, kubernetes_site: Site, playbooks: Playbooks, pair: list[str]
) -> None:
    """Its cordon is taken back; the message names budget and pods. The other node is drained all the same."""
    stuck, free = pair
    with Workload(kube, "stuck") as shop:
        shop.deployment("sick", 2, max_unavailable=1, on=stuck, unready=True)
        shop.deployment("web", 2, on=free)
        shop.wait_running()
        options = _task(kubernetes_site, pair, drain={"timeout": "15s"})
        failed = playbooks.run("node_drain", options, fails=True)
    assert failed.failure["code"] == "blocked"
    assert "PDB stuck/sick" in failed.failure["what"]
    assert stuck in failed.failure["where"]
    assert free not in failed.failure["where"]
    spec, other = (kube.get(f"{NODES}/{name}")["spec"] for name in pair)
    assert (bool(spec.get("unschedulable")), bool(other.get("unschedulable"))) == (False, True)


def test_FM10_an_uncordon_leaves_a_persons_cordon_alone(kube: Kube, kubernetes_site: Site, playbooks: Playbooks, pair: list[str]) -> None:
    """Ours is taken back, theirs is named."""
    ours, theirs = pair
    playbooks.run("node_drain", _task(kubernetes_site, [ours], state="cordoned"))
    _cordon(kube, [theirs], on=True)
    failed = playbooks.run("node_drain", _task(kubernetes_site, pair, state="uncordoned"), fails=True)
    assert theirs in failed.failure["where"]
    assert "cordoned by somebody else" in failed.failure["what"]
    assert [bool(kube.get(f"{NODES}/{name}")["spec"].get("unschedulable")) for name in pair] == [False, True]


def test_a_pod_that_shall_complete_is_waited_for(kube: Kube, kubernetes_site: Site, playbooks: Playbooks, pair: list[str]) -> None:
    """By a rule or by its own label: never evicted, also where nothing brings it back; all others leave meanwhile."""
    batch = pair[0]
    rule = {"behavior": "WaitCompleted", "selector": {"matchLabels": {"app": "import"}}}
    with Workload(kube, "batch") as shop:
        shop.bare_pod("import", on=batch)
        shop.bare_pod("backup", on=batch, labels={"cluster.x-k8s.io/drain": "wait-completed"})
        shop.deployment("web", 2, on=batch)
        shop.wait_running()
        web = {pod["metadata"]["name"] for pod in shop.pods("web")}
        ledger = Ledger.open("batch")
        run = playbooks.start("node_drain", _task(kubernetes_site, [batch], drain={"timeout": "5m", "rules": [rule]}))
        wait("the others gone", lambda: not web & {pod["metadata"]["name"] for pod in shop.pods("web")})
        _complete(shop, "import")
        assert run.until_over(2) is None, "one is still at work"
        _complete(shop, "backup")
        drained = run.outcome()
        assert (drained.code, drained.result["summary"]["empty"]) == (0, 1), drained.text
        assert {call["objectRef"]["name"] for call in ledger.evictions()} == web
        assert not [call for call in ledger.kubernetes_writes() if call.startswith("delete pods")]
        assert {pod["status"]["phase"] for app in ("import", "backup") for pod in shop.pods(app)} == {"Succeeded"}


class LastPod:
    """When the last pod of some nodes was gone, by a watch."""

    def __init__(self, kube: Kube, shop: Workload, names: list[str]) -> None:
        self.gone_at = datetime.min.replace(tzinfo=UTC)
        self._kube, self._names = kube, set(names)
        self._path = shop.pods_path
        self._version = kube.get(self._path)["metadata"]["resourceVersion"]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            for kind, pod in self._kube.watch(self._path, 3, resourceVersion=self._version, allowWatchBookmarks="true"):
                self._version = pod["metadata"]["resourceVersion"]
                if kind == "DELETED" and pod["spec"].get("nodeName") in self._names:
                    self.gone_at = datetime.now(UTC)


def _task(site: Site, names: list[str], **options: object) -> Json:
    return {"nodes": names, "kubernetes": {"kubeconfig": str(site.kubeconfig)}, **options}


def _complete(shop: Workload, pod: str) -> None:
    """As its kubelet tells that it has ended by itself."""
    shop.kube.patch(f"{shop.pods_path}/{pod}/status", {"status": {"phase": "Succeeded"}})


def _cordon(kube: Kube, names: list[str], *, on: bool) -> None:
    """As a person does it."""
    for name in names:
        kube.patch(f"{NODES}/{name}", {"spec": {"unschedulable": on or None}})


def _tell_of_kubectl(kube: Kube, site: Site, shop: Workload, names: list[str]) -> None:
    """As information only: ten `kubectl drain` side by side, on as many pods."""
    pods = sum(pod["spec"].get("nodeName") in names for pod in shop.pods())
    ledger, began = Ledger.open("drain"), time.monotonic()
    with LastPod(kube, shop, names) as last:
        argv = [str(site.bin / "kubectl"), f"--kubeconfig={site.kubeconfig}", "drain", "--ignore-daemonsets", *names]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        ended = datetime.now(UTC)
    calls = sum(call["userAgent"].startswith("kubectl") for call in ledger.all_calls())
    late = (ended - last.gone_at).total_seconds()
    took = time.monotonic() - began
    print(f"kubectl drain: {pods} pods, {took:.1f} s, {late:+.2f} s after the last pod, {calls} calls, status {done.returncode}")
