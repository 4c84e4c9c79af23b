# SPDX-License-Identifier: GPL-3.0-or-later
"""The Cluster port over a real API server.

Six watches (nodes, pods, PDBs, VolumeAttachments, DaemonSets, and our tokens where asked) feed one join; a view costs no call.
A replaced node costs two direct reads (`look`), one PATCH for its mark, one eviction per pod, one DELETE.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes import convert, joining
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.answers import TWO_BUDGETS
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.client import METADATA_LIST, Client
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.shared import SharedRead
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.table import Table
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.view import Join
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.watch import Resource, Watch
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Denied, Invalid, NotFound, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Look, Node, NodeChange, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import ClusterView

NODES = "/api/v1/nodes"
PODS = "/api/v1/pods"
BUDGETS = "/apis/policy/v1/poddisruptionbudgets"
ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
DAEMON_SETS = "/apis/apps/v1/daemonsets"
TOKENS = f"/api/v1/namespaces/{joining.TOKEN_NAMESPACE}/secrets"
CLUSTER_INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"  # made by kubeadm, readable by anyone

# The server leaves out what no drain waits for; a pod that leaves the selection comes as DELETED.
LIVE_PODS = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"
TOKEN_TRIES_MAX = 4  # names of tokens, should another machine's token have the first
STOP_SECONDS = 2.0


class KubernetesCluster:
    """The workload cluster, with the bootstrap tokens of one pool."""

    def __init__(
        self,
        client: Client,
        *,
        pool: str,
        mints_tokens: bool = False,
        drain_rules: Sequence[convert.DrainRule] = (),
        kept_annotations: Collection[str] = (),
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`kept_annotations` are keys to keep in Node.annotations beside ours; `mints_tokens` False never reads a Secret."""
        self._client, self._pool = client, pool
        self._mints_tokens, self._rules, self._kept = mints_tokens, tuple(drain_rules), frozenset(kept_annotations)
        self._jitter = jitter
        self._join = Join()
        self._watches: list[Watch] = []
        self._view = ClusterView(as_of=datetime.min.replace(tzinfo=UTC))
        self._all_attachments = SharedRead(self._list_attachments)
        self._all_nodes = SharedRead(self._list_nodes)
        self._join_values: dict[str, str] = {}
        self._first_lists: Future[None] | None = None
        self._on_change: Callable[[], None] = _nobody_is_told

    def look_ahead(self) -> None:
        """Begin the first lists: `start` waits for their end, and raises what they raise. They are as old as they say."""
        listed = self._first_lists = Future[None]()

        def look() -> None:
            try:
                self._list_all()
            except Exception as error:  # noqa: BLE001  # it is raised by `start`
                listed.set_exception(error)
            else:
                listed.set_result(None)

        # A daemon: an option that is refused meanwhile ends the process without waiting for an answer nobody needs.
        threading.Thread(target=look, name="first lists", daemon=True).start()

    def start(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        if self._first_lists is None:
            self._list_all()
        else:
            self._first_lists.result()
        for watch in self._watches:
            watch.start()

    def _list_all(self) -> None:
        for resource, table in self._resources():
            watch = Watch(self._client, resource, table, self._join.lock, on_change=self._changed, jitter=self._jitter)
            watch.list_all()
            self._watches.append(watch)

    def _changed(self) -> None:
        self._on_change()

    def view(self) -> ClusterView:
        # First the instants, then the facts: so the facts are at least as new as said.
        as_of = min((watch.as_of() for watch in self._watches), default=self._view.as_of)
        error = next((watch.error for watch in self._watches if watch.error), "")
        with self._join.lock:
            nodes, budgets, tokens = self._join.view()
        as_of, ahead = max(as_of, self._view.as_of), self._client.skew.now
        self._view = ClusterView(as_of=as_of, nodes=nodes, budgets=budgets, tokens=tokens, error=error, ahead=ahead)
        return self._view

    def change(self, change: NodeChange) -> None:
        with self._join.lock:
            body = convert.patch_of(change, self._join.taint_times(change.node))
        where = f"node {change.node}"
        try:
            raw = self._client.call("PATCH", f"{NODES}/{change.node}", body=body, where=where)
        except Invalid as error:
            if "metadata.uid" not in error.what:  # 422, "field is immutable": the UID is another one now
                raise
            raise Conflict(what="it is gone, and there is another node of that name", where=where) from error
        fact = convert.read_node(raw, self._client.skew.now, self._kept)
        with self._join.lock:  # our own cordon is seen at once, not when the watch brings it
            self._join.nodes.amend(convert.key_of(raw), int(convert.version_of(raw)), fact)

    def evict(self, pod: Pod, grace: timedelta | None) -> None:
        """See ports.Cluster.

        The UID is compared with the watch before the call, and goes along as precondition. Within the watch's lag a
        StatefulSet may still have put a new pod under the name: then the precondition refuses (409) and the budget is
        spent for two minutes (FM50). Without it a pod that just started on another node would be evicted: the drain
        would be quicker, and the application hurt for nothing. Waiting is the lesser evil.
        """
        where = f"pod {pod.full_name}"
        with self._join.lock:
            if not self._join.is_there(pod):
                raise NotFound(what="it is gone", where=where)
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "deleteOptions": _delete_options(pod.uid, grace),
        }
        try:
            self._client.call("POST", f"{_path_of(pod)}/eviction", body=body, where=where)
        except Transient as error:
            if TWO_BUDGETS not in error.what:
                raise
            names = " and ".join(pod.budgets) or "two PodDisruptionBudgets"
            what = f"{names} both select it, and the API server evicts no pod that has more than one PodDisruptionBudget"
            raise Invalid(what=what, where=where) from error

    def remove(self, pod: Pod, grace: timedelta | None) -> None:
        try:
            self._client.call("DELETE", _path_of(pod), body=_delete_options(pod.uid, grace), where=f"pod {pod.full_name}")
        except (Conflict, NotFound):  # the only precondition is the UID: this pod is gone
            return

    def look(self, node: str) -> Look:
        """See ports.Cluster. Two lists; attachments cannot be selected by node, so that one is of the whole cluster, and shared.

        They are read also where the watch never saw one: the first volume of a cluster is as dear as any (FM12).
        """
        begun = self._client.now()
        pods: list[str] = []
        for page in self._client.pages(PODS, where=f"node {node}", query={"fieldSelector": f"spec.nodeName={node}"}):
            facts = [convert.read_pod(raw, self._client.skew.now, self._rules) for raw in page.get("items") or ()]
            with self._join.lock:
                pods += [fact.pod.full_name for fact in facts if fact is not None and not self._join.stays(fact)]
        attachments = [name for on, name in self._all_attachments.get() if on == node]
        return Look(begun_at=begun, pods=tuple(sorted(pods)), attachments=tuple(sorted(attachments)))

    def look_for_node(self, vm: Vm) -> Look:
        """See ports.Cluster. One list of all Nodes' metadata, shared: which of them is the VM's only their contents would tell.

        So any Node that the watch does not show yet may be the VM's; a moment later the watch shows it.
        """
        begun, listed = self._client.now(), self._all_nodes.get()
        with self._join.lock:
            news = [name for uid, name in listed if self._join.nodes.get(uid) is None]
        return Look(begun_at=begun, node=min(news, default=""))

    def _list_nodes(self) -> list[tuple[str, str]]:
        """(UID, name) of each."""
        pages = self._client.pages(NODES, where="nodes", accept=METADATA_LIST)
        return [(convert.key_of(raw), str(raw["metadata"]["name"])) for page in pages for raw in page.get("items") or ()]

    def _list_attachments(self) -> list[tuple[str, str]]:
        pages = self._client.pages(ATTACHMENTS, where="volumeattachments")
        shift = self._client.skew.now
        return [convert.read_attachment(raw, shift) for page in pages for raw in page.get("items") or ()]

    def delete_node(self, node: Node) -> None:
        body = {"preconditions": {"uid": node.uid}}
        try:
            self._client.call("DELETE", f"{NODES}/{node.name}", body=body, where=f"node {node.name}")
        except (Conflict, NotFound):  # gone; under its name there may be another by now
            return

    def mint_token(self, machine: str, ttl: timedelta) -> str:
        """See ports.Cluster. Repeatable: a token whose answer was lost gets a new secret and a new end."""
        expires_at = self._client.now() - self._client.skew.now + ttl
        secret = joining.new_secret()
        where = f"bootstrap token of {machine}"
        for attempt in range(TOKEN_TRIES_MAX):
            id_ = joining.token_id(machine, attempt)
            body = joining.token_secret_object(self._pool, machine, id_, secret, expires_at)
            try:
                self._client.call("POST", TOKENS, body=body, where=where)
            except Conflict:
                path = f"{TOKENS}/{joining.TOKEN_PREFIX}{id_}"
                found = self._client.call("GET", path, where=where)
                if not joining.is_minted_for(found, self._pool, machine):
                    continue
                self._client.call("PATCH", path, body={"stringData": body["stringData"]}, where=where)
            return f"{id_}.{secret}"
        raise Invalid(what=f"the ids of {TOKEN_TRIES_MAX} tokens are taken by tokens of others", where=where)

    def delete_token(self, token: Leftover) -> None:
        try:
            self._client.call("DELETE", f"{TOKENS}/{token.id}", where=f"bootstrap token of {token.machine}")
        except NotFound:
            return

    def join_values(self) -> dict[str, str]:
        """See ports.Cluster. From kubeadm's cluster-info where that exists: our own way to the API server may be a proxy.

        Asked once: what it says is part of what a run's machines are made of.
        """
        if not self._join_values:
            server, ca = self._client.host, self._client.ca_certificate()
            with suppress(Denied, NotFound):  # a cluster of other make, or nobody but kubeadm join may read it
                server, ca = joining.cluster_info(self._client.call("GET", CLUSTER_INFO, where="configmap kube-public/cluster-info"))
            self._join_values = {"api_server": joining.host_and_port(server), "ca_hash": joining.ca_hash(ca)}
        return self._join_values

    def stop(self) -> None:
        for watch in self._watches:
            watch.stop()
        for watch in self._watches:
            watch.join(STOP_SECONDS / len(self._watches))

    def _resources(self) -> list[tuple[Resource, Table[Any]]]:
        """In the order of the first lists: DaemonSets after the pods, so that none looks orphaned because it is new."""
        join, rules, kept = self._join, self._rules, self._kept
        resources: list[tuple[Resource, Table[Any]]] = [
            (Resource(name="nodes", path=NODES, read=lambda raw, shift: convert.read_node(raw, shift, kept)), join.nodes),
            (Resource(name="poddisruptionbudgets", path=BUDGETS, read=convert.read_budget), join.budgets),
            (Resource(name="volumeattachments", path=ATTACHMENTS, read=convert.read_attachment), join.attachments),
            (
                Resource(
                    name="pods",
                    path=PODS,
                    read=lambda raw, shift: convert.read_pod(raw, shift, rules),
                    query={"fieldSelector": LIVE_PODS},
                ),
                join.pods,
            ),
            (Resource(name="daemonsets", path=DAEMON_SETS, read=convert.read_name, metadata_only=True), join.daemon_sets),
        ]
        if self._mints_tokens:
            query = {"labelSelector": f"{marks.NODE_POOL}={self._pool}", "fieldSelector": f"type={joining.TOKEN_TYPE}"}
            tokens = Resource(name="secrets", path=TOKENS, read=convert.read_token, query=query, metadata_only=True)
            resources.append((tokens, join.tokens))
        return resources


def _nobody_is_told() -> None:
    """What there is to tell before `start`."""


def _path_of(pod: Pod) -> str:
    return f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"


def _delete_options(uid: str, grace: timedelta | None) -> dict[str, Any]:
    options: dict[str, Any] = {"preconditions": {"uid": uid}}
    if grace is not None:  # 0 is an answer, too (FM7)
        options["gracePeriodSeconds"] = round(grace.total_seconds())
    return options
