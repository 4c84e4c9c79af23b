# SPDX-License-Identifier: GPL-3.0-or-later
"""Records a pool while something happens to it: nodes, pods, budgets and attachments by watch, servers by a quick poll."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import FleetError
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import NODES, ApiError, Json, readiness
from ansible_collections.immutable.fleet.tests.system.audit import instant
from ansible_collections.immutable.fleet.tests.system.estate import Estate

PODS = "/api/v1/namespaces/{}/pods"
BUDGETS = "/apis/policy/v1/namespaces/{}/poddisruptionbudgets"
ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
WATCH_SECONDS = 4  # a watch that is longer would keep a test waiting for its end
POLL_SECONDS = 0.4


class Sampler:
    """From `with` to its end. A watch misses nothing between two of its events, so "at any instant" is meant."""

    def __init__(self, estate: Estate, namespace: str, min_ready: timedelta) -> None:
        self.estate, self.min_ready = estate, min_ready
        self.available_min = 10**6
        self.servers_max = 0
        self.budget_slack_min = 10**6  # healthy pods over those that a budget wants
        self.emptied_at: dict[str, datetime] = {}  # node -> when its last pod or attachment was seen to be gone
        self.left_at_delete: dict[str, list[str]] = {}  # server -> pods on its node, by a look once its delete had begun
        self.trouble = ""
        self._namespace = namespace
        self._nodes: dict[str, Json] = {}
        self._places: dict[str, str] = {}  # uid of pod or attachment -> node
        self._stop = threading.Event()
        watched: list[tuple[str, Callable[[str, Json], None]]] = [
            (NODES, self._node),
            (PODS.format(namespace), self._pod),
            (BUDGETS.format(namespace), self._budget),
            (ATTACHMENTS, self._attachment),
        ]
        self._threads = [threading.Thread(target=self._watch, args=pair, daemon=True) for pair in watched]
        self._threads.append(threading.Thread(target=self._poll_servers, daemon=True))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _watch(self, path: str, take: Callable[[str, Json], None]) -> None:
        try:
            listed = self.estate.kube.get(path)
            version = listed["metadata"]["resourceVersion"]
            for item in listed["items"]:
                take("LISTED", item)
            while not self._stop.is_set():
                for kind, item in self.estate.kube.watch(path, WATCH_SECONDS, resourceVersion=version, allowWatchBookmarks="true"):
                    version = item["metadata"]["resourceVersion"]
                    if kind != "BOOKMARK":
                        take(kind, item)
        except (ApiError, OSError, KeyError) as error:
            self.trouble = f"{path}: {error!r}"

    def _node(self, kind: str, node: Json) -> None:
        name = node["metadata"]["name"]
        if not name.startswith(f"{self.estate.name}-"):
            return
        if kind == "DELETED":
            self._nodes.pop(name, None)
        else:
            self._nodes[name] = node
        if kind != "LISTED":  # a list comes one by one and yet is one instant
            self.available_min = min(self.available_min, sum(map(self._is_available, self._nodes.values())))

    def _is_available(self, node: Json) -> bool:
        """As a pool counts it: ready for long enough by the kubelet's stamp, which has whole seconds, and schedulable."""
        stamps = [item["lastTransitionTime"] for item in node["status"].get("conditions", []) if item["type"] == "Ready"]
        if readiness(node) != "True" or node["spec"].get("unschedulable"):
            return False
        return datetime.now(UTC) >= instant(stamps[0]) + self.min_ready

    def _pod(self, kind: str, pod: Json) -> None:
        self._occupies(kind, pod, pod["spec"].get("nodeName", ""))

    def _attachment(self, kind: str, attachment: Json) -> None:
        self._occupies(kind, attachment, attachment["spec"]["nodeName"])

    def _occupies(self, kind: str, item: Json, node: str) -> None:
        uid = item["metadata"]["uid"]
        if kind == "DELETED" and (was_on := self._places.pop(uid, "")):
            self.emptied_at[was_on] = datetime.now(UTC)
        elif kind != "DELETED" and node:
            self._places[uid] = node

    def _budget(self, _kind: str, budget: Json) -> None:
        status = budget.get("status", {})
        if status.get("observedGeneration") == budget["metadata"].get("generation") and status.get("expectedPods"):
            self.budget_slack_min = min(self.budget_slack_min, status["currentHealthy"] - status["desiredHealthy"])

    def _poll_servers(self) -> None:
        while not self._stop.is_set():
            try:
                existing = self.estate.existing()
                self.servers_max = max(self.servers_max, len(existing))
                for name, is_deleted in existing.items():
                    if is_deleted and name not in self.left_at_delete:
                        self.left_at_delete[name] = self._pods_on(name)
            except (FleetError, ApiError, OSError) as error:
                self.trouble = repr(error)
            time.sleep(POLL_SECONDS)

    def _pods_on(self, node: str) -> list[str]:
        found = self.estate.kube.get(PODS.format(self._namespace), fieldSelector=f"spec.nodeName={node}")["items"]
        return [pod["metadata"]["name"] for pod in found]
