# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes without VMs, and workloads like those of real clusters, for tests and benchmarks.

    with nodes(kube, 6, prefix="drain") as names, Workload(kube, "shop") as shop:
        shop.fill(len(names), pods_per_node=30)                              # 180 pods, each app with a PDB
        shop.deployment("blocked", 2, min_available=2)                       # a PDB that allows 0 evictions
        shop.deployment("slow", 2, stop_seconds=2, max_unavailable=1)        # pods that take 2 s to end
        shop.stateful_set("db", 3, volumes=True, max_unavailable=1)          # with VolumeAttachments of driver lab.csi
        shop.wait_running()
        ...                                                                  # namespace and nodes are removed afterwards

A prefix and a namespace per test keep tests apart; pods go to any node, `on=` pins them.
"""

import concurrent.futures
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from .guests import VM, facts, node
from .kube import NODES, Json, Kube, kubelet_start, readiness, wait

APPS, POLICY = "/apis/apps/v1/namespaces", "/apis/policy/v1/namespaces"
STORAGE, VOLUMES = "/apis/storage.k8s.io/v1", "/api/v1/persistentvolumes"
EVERYTHING = [{"operator": "Exists"}]  # tolerations
DRIVER = "lab.csi"
ZONES = ("az1", "az2", "az3")
AT_ONCE = 16
WORKLOAD_SECONDS = 180  # a budget that counts a pod as on its way may do so for two minutes (NOTES.md, trap 11)
T = TypeVar("T")
R = TypeVar("R")


def side_by_side(call: Callable[[T], R], items: Iterable[T]) -> list[R]:
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(call, items))


# --- nodes -----------------------------------------------------------------------------------------------------------


def make_nodes(
    kube: Kube, count: int, *, prefix: str, zones: Sequence[str] = ZONES, version: str = "v1.36.3", labels: str = ""
) -> list[str]:
    """`prefix`-0000 and so on, zone by turns; Ready on return. `labels` as "a=b,c=d"."""

    def one(number: int) -> str:
        name = f"{prefix}-{number:04d}"
        meta = {"lab_labels": labels} if labels else {}
        vm = VM(id=name, name=name, zone=zones[number % len(zones)], provider_id=f"lab:///{name}", meta=meta)
        kube.ensure(NODES, node(vm, facts(vm, {}, version), boot_id=name))
        return name

    names = side_by_side(one, range(count))
    wait(f"{count} nodes Ready", lambda: ready_nodes(kube) >= set(names), 120, missing=lambda: sorted(set(names) - ready_nodes(kube)))
    return names


def ready_nodes(kube: Kube) -> set[str]:
    return {item["metadata"]["name"] for item in kube.get(NODES)["items"] if readiness(item) == "True"}


def remove_nodes(kube: Kube, names: Iterable[str]) -> None:
    """Also those whose kubelet was stopped."""

    def one(name: str) -> None:
        kubelet_start(kube, name)
        kube.delete(f"{NODES}/{name}")

    side_by_side(one, names)


@contextlib.contextmanager
def nodes(kube: Kube, count: int, *, prefix: str, **options: Any) -> Iterator[list[str]]:
    """`make_nodes` for the time of a test."""
    names = [f"{prefix}-{number:04d}" for number in range(count)]
    try:
        yield make_nodes(kube, count, prefix=prefix, **options)
    finally:
        remove_nodes(kube, names)


# --- pods ------------------------------------------------------------------------------------------------------------


class Workload:
    """A namespace with what runs in it. `clean` removes all of it, also what a test has left half done."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.kube, self.namespace = kube, namespace
        self.pods_path = f"/api/v1/namespaces/{namespace}/pods"
        self.wanted: dict[str, int] = {}  # pods of each app
        kube.ensure("/api/v1/namespaces", {"metadata": {"name": namespace}})
        account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        wait(f"service account of {namespace}", lambda: kube.find(account))

    def deployment(self, app: str, replicas: int, **options: Any) -> None:
        """Options: those of `template` and `budget`."""
        self._make("Deployment", app, replicas, options)

    def stateful_set(self, app: str, replicas: int, *, volumes: bool = False, **options: Any) -> None:
        """Pods made and replaced one by one by name; `volumes`: one lab.csi volume each."""
        more: Json = {"serviceName": app, "podManagementPolicy": "Parallel"}
        if volumes:
            side_by_side(self._volume, [f"data-{app}-{number}" for number in range(replicas)])
            request = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}}}
            more["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": request}]
        self._make("StatefulSet", app, replicas, options, more)

    def daemon_set(self, app: str, **options: Any) -> None:
        """A pod on every node, which nobody waits for."""
        self._make("DaemonSet", app, None, options)

    def bare_pod(self, app: str, **options: Any) -> None:
        """A pod that nothing brings back."""
        body = template(app, **options)
        body["metadata"]["name"] = app
        self.kube.ensure(self.pods_path, body)
        self.wanted[app] = 1

    def mirror_pod(self, on: str) -> None:
        """The mirror of a static pod of that node."""
        body = template("static", annotations={"kubernetes.io/config.mirror": "lab"}, tolerations=EVERYTHING, nodeName=on)
        body["metadata"]["name"] = f"static-{on}"
        self.kube.ensure(self.pods_path, body)

    def budget(self, name: str, app: str, *, max_unavailable: int | None = None, min_available: int | None = None) -> None:
        """A PodDisruptionBudget over an app; two over one app make its pods impossible to evict (500).

        The controller of PDBs tells a pod's changes to one of its budgets only: make the second one, and wait, when the pods run.
        """
        limits = {"maxUnavailable": max_unavailable, "minAvailable": min_available}
        spec = {"selector": {"matchLabels": {"app": app}}, **{key: value for key, value in limits.items() if value is not None}}
        self.kube.ensure(f"{POLICY}/{self.namespace}/poddisruptionbudgets", {"metadata": {"name": name}, "spec": spec})

    def fill(self, node_count: int, *, pods_per_node: int, **options: Any) -> None:
        """`pods_per_node` Deployments of a pod per node, spread over the nodes, each with PDB maxUnavailable 1."""
        side_by_side(
            lambda number: self.deployment(f"web{number:03d}", node_count, spread=True, **{"max_unavailable": 1, **options}),
            range(pods_per_node),
        )

    def _make(self, kind: str, app: str, replicas: int | None, options: Json, more: Json | None = None) -> None:
        limits = {key: options.pop(key) for key in ("max_unavailable", "min_available") if key in options}
        spec = {"selector": {"matchLabels": {"app": app}}, "template": template(app, **options), **(more or {})}
        if replicas is not None:
            spec["replicas"] = self.wanted[app] = replicas
        self.kube.ensure(f"{APPS}/{self.namespace}/{kind.lower()}s", {"metadata": {"name": app}, "spec": spec})
        if limits:
            self.budget(app, app, **limits)

    def _volume(self, claim: str) -> None:
        """A volume of the driver lab.csi, bound to a claim to be."""
        self.kube.ensure(f"{STORAGE}/csidrivers", {"metadata": {"name": DRIVER}, "spec": {"attachRequired": True}})
        name = f"{self.namespace}-{claim}"
        spec = {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": self.namespace, "name": claim},
            "csi": {"driver": DRIVER, "volumeHandle": name},
        }
        self.kube.ensure(VOLUMES, {"metadata": {"name": name}, "spec": spec})

    # --- looking -----------------------------------------------------------------------------------------------------

    def pods(self, app: str | None = None, on: str | None = None) -> list[Json]:
        query = {"labelSelector": f"app={app}"} if app else {}
        if on:
            query["fieldSelector"] = f"spec.nodeName={on}"
        found: list[Json] = self.kube.get(self.pods_path, **query)["items"]
        return found

    def wait_running(self, seconds: float = WORKLOAD_SECONDS) -> float:
        """Every pod asked for runs, and every budget has counted them and their health; returns the seconds it took."""
        return wait(f"pods of {self.namespace}", lambda: not self.missing(), seconds, 0.2, self.missing)[1]

    def missing(self) -> list[str]:
        """What `wait_running` waits for, as "web: 1 of 2 pods run (web-1 Pending)"."""
        pods: dict[str, list[Json]] = {}
        for pod in self.pods():
            if "deletionTimestamp" not in pod["metadata"]:
                pods.setdefault(pod["metadata"]["labels"]["app"], []).append(pod)
        budgets = self.kube.get(f"{POLICY}/{self.namespace}/poddisruptionbudgets")["items"]
        return [
            *(told for app in self.wanted if (told := self._not_running(app, pods.get(app, [])))),
            *(told for budget in budgets if (told := self._not_counted(budget, pods))),
        ]

    def _not_running(self, app: str, pods: Sequence[Json]) -> str:
        phases = {pod["metadata"]["name"]: str(pod["status"].get("phase")) for pod in pods}
        running = sum(phase == "Running" for phase in phases.values())
        if running >= self.wanted[app]:
            return ""
        others = ", ".join(f"{name} {phase}" for name, phase in phases.items() if phase != "Running")
        return f"{app}: {running} of {self.wanted[app]} pods run ({others or 'no other'})"

    def _not_counted(self, budget: Json, pods: Mapping[str, Sequence[Json]]) -> str:
        app = budget["spec"]["selector"]["matchLabels"]["app"]
        healthy = sum(readiness(pod) == "True" for pod in pods.get(app, []))
        facts = {"expectedPods": self.wanted.get(app, 0), "currentHealthy": healthy}
        told = {name: budget.get("status", {}).get(name, 0) for name in facts}
        return "" if told == facts else f"PDB {budget['metadata']['name']}: {told} instead of {facts}"

    def attached(self, on: str | None = None) -> list[str]:
        """The volumes of this namespace that are attached (to that node)."""
        return [
            item["spec"]["source"]["persistentVolumeName"]
            for item in self.kube.get(f"{STORAGE}/volumeattachments")["items"]
            if item["spec"]["source"]["persistentVolumeName"].startswith(f"{self.namespace}-")
            and item.get("status", {}).get("attached")
            and on in (None, item["spec"]["nodeName"])
        ]

    def report_in_use(self, node_name: str) -> None:
        """Says in the node's status that its attached volumes are in use, as a kubelet would and kwok does not.

        Without it the attach-detach controller lets volumes of a dead node go at once instead of after 6 minutes.
        """
        handles = [f"kubernetes.io/csi/{DRIVER}^{volume}" for volume in self.attached(node_name)]
        self.kube.patch(f"{NODES}/{node_name}/status", {"status": {"volumesInUse": handles}})

    # --- cleaning ----------------------------------------------------------------------------------------------------

    def clean(self, seconds: float = WORKLOAD_SECONDS) -> None:
        """Ends when the namespace is empty and its volumes are gone. Its name stays: to delete it would take 5 s more."""
        for kind in ("deployments", "replicasets", "statefulsets", "daemonsets"):
            self.kube.delete(f"{APPS}/{self.namespace}/{kind}", propagationPolicy="Background")
        self.kube.delete(f"{POLICY}/{self.namespace}/poddisruptionbudgets")
        claims = f"/api/v1/namespaces/{self.namespace}/persistentvolumeclaims"

        def empty() -> bool:
            self.kube.delete(self.pods_path, gracePeriodSeconds="0")
            self.kube.delete(claims)
            return not self.pods() and not self.kube.get(claims)["items"]

        wait(f"{self.namespace} empty", empty, seconds, 0.2, lambda: [pod["metadata"]["name"] for pod in self.pods()])
        for volume in self.kube.get(VOLUMES)["items"]:
            if volume["metadata"]["name"].startswith(f"{self.namespace}-"):
                self.kube.delete(f"{VOLUMES}/{volume['metadata']['name']}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.clean()


def template(
    app: str,
    *,
    on: str | None = None,
    start_seconds: float | str | None = None,
    stop_seconds: float | str | None = None,
    unready: bool = False,
    empty_dir: bool = False,
    spread: bool = False,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> Json:
    """A pod template. `start_seconds` and `stop_seconds` may be "never"; the stop is capped by the grace period (30 s).

    `on` pins to a node, `unready` runs without ever being Ready; `spec` goes into the pod's spec as it is.
    """
    notes = {"lab/start-seconds": start_seconds, "lab/stop-seconds": stop_seconds, "lab/unready": "true" if unready else None}
    container: Json = {"name": "c", "image": f"lab/{app}", "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}
    if empty_dir:
        spec["volumes"] = [{"name": "tmp", "emptyDir": {}}]
        container["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}]
    if on:
        spec["nodeSelector"] = {"kubernetes.io/hostname": on}
    if spread:
        selector = {"labelSelector": {"matchLabels": {"app": app}}, "whenUnsatisfiable": "ScheduleAnyway"}
        spec["topologySpreadConstraints"] = [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", **selector}]
    written = {key: str(value) for key, value in notes.items() if value is not None}
    return {
        "metadata": {"labels": {"app": app, **(labels or {})}, "annotations": {**written, **(annotations or {})}},
        "spec": {"terminationGracePeriodSeconds": 30, "containers": [container], **spec},
    }
