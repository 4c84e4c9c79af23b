# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded objects -> facts, and changes -> patches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes import convert
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.selector import Selector
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget, Node, NodeChange, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Taint
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover
from ansible_collections.immutable.fleet.tests.unit.clusters.kubernetes.worlds import MADE, MADE_AT, NO_SHIFT, node, pod, recorded

AHEAD = timedelta(minutes=5)  # our clock, of the server's
CHANGED_AT = datetime(2026, 11, 21, 8, 53, 7, tzinfo=UTC)


def test_node_with_all_that_is_used() -> None:
    """Instants in our clock; of the annotations only ours."""
    fact = convert.read_node(recorded("node"), AHEAD)
    assert fact == convert.NodeFact(
        Node(
            name="web-1-0000",
            uid="febc5ae4-2b98-4bd0-b4f1-5549ec523fc5",
            version="2513",
            created_at=datetime(2026, 11, 21, 8, 53, 7, tzinfo=UTC),
            provider_id="lab:///web-1-0000",
            system_uuid="web-1-0000",
            ready=True,
            ready_since=datetime(2026, 11, 21, 8, 53, 7, tzinfo=UTC),
            was_ready=True,
            conditions=dict.fromkeys(("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"), ("False", CHANGED_AT)),
            schedulable=False,
            pool="web",
            revision="a1b2c3d4e5f6",
            chosen=Note(datetime(2026, 11, 21, 4, 10, 7, tzinfo=UTC), "outdated"),
            labels=recorded("node")["metadata"]["labels"],
            annotations={
                "immutable.fleet/chosen": "2026-11-21T04:10:07Z outdated",
                "immutable.fleet/ready-at": "2026-11-21T04:00:00Z",
            },
            taints=(
                Taint("node.kubernetes.io/unschedulable", "", "NoSchedule"),
                Taint("immutable.fleet/outdated", "", "PreferNoSchedule"),
            ),
            failure_domain="az1",
        ),
        ((("node.kubernetes.io/unschedulable", "NoSchedule"), "2026-11-21T04:10:07Z"),),
    )


@pytest.mark.parametrize(("status", "ready"), [("True", True), ("False", False), ("Unknown", None), (None, None)], ids=str)
def test_ready_is_the_kubelets_word(status: str | None, ready: bool | None) -> None:
    """Unknown is its silence; a node that nobody has reported on yet is silent, too."""
    raw = node("n1")
    raw["status"]["conditions"] = [{"type": "DiskPressure", "status": "False"}]
    if status:
        raw["status"]["conditions"].append({"type": "Ready", "status": status, "lastTransitionTime": MADE})
    made = convert.read_node(raw, NO_SHIFT).node
    assert (made.ready, made.ready_since) == (ready, MADE_AT if status else None)


def test_annotations_that_were_asked_for_are_kept() -> None:
    """Those that the pool manages; others may be long and change often."""
    raw = node("n1")
    raw["metadata"]["annotations"] = {"estate/rack": "r7", "flannel/backend": "x" * 5000, "immutable.fleet/quarantined": "by hand"}
    made = convert.read_node(raw, NO_SHIFT, {"estate/rack"}).node
    assert made.annotations == {"estate/rack": "r7", "immutable.fleet/quarantined": "by hand"}
    assert made.quarantined == Note(datetime(1970, 1, 1, tzinfo=UTC), "by hand")


def test_annotations_of_cluster_api_are_kept() -> None:
    """Delete-first marks and hooks steer us; all else of Cluster API's is its own business."""
    raw = node("n1")
    kept = {
        "cluster.x-k8s.io/delete-machine": "",
        "pre-drain.delete.hook.machine.cluster.x-k8s.io/move-vips": "vip-operator",
        "pre-terminate.delete.hook.machine.cluster.x-k8s.io": "wiper",
    }
    raw["metadata"]["annotations"] = {"cluster.x-k8s.io/machine": "web-1", "cluster.x-k8s.io/owner-kind": "MachineSet", **kept}
    assert convert.read_node(raw, NO_SHIFT).node.annotations == kept


def test_pod_with_all_that_is_used() -> None:
    """Of a StatefulSet, terminating since its deletion was asked for, not since its grace is over."""
    fact = convert.read_pod(recorded("pod-terminating"), AHEAD)
    assert fact is not None
    assert fact.pod == Pod(
        uid="8ed4d913-bd54-41aa-9896-35d0babe64fd",
        namespace="shop",
        name="cart-0",
        grace=timedelta(seconds=30),
        terminating_since=datetime(2026, 11, 21, 8, 53, 9, tzinfo=UTC),
        ready_since=datetime(2026, 11, 21, 8, 53, 9, tzinfo=UTC),
        owner="StatefulSet/cart",
    )
    assert (fact.node, fact.is_guarded, fact.labels["app"]) == ("web-1-0000", False, "cart")


@pytest.mark.parametrize(
    ("status", "is_ready"), [("True", True), ("False", False), ("", False)], ids=["ready", "not ready", "no word of it"]
)
def test_FM14_a_pod_is_ready_since_its_condition_changed(status: str, is_ready: bool) -> None:
    """In our clock: a step of the ladder counts its soak from there."""
    raw = pod("p")
    raw["status"]["conditions"] = [{"type": "Ready", "status": status, "lastTransitionTime": MADE}] if status else []
    fact = convert.read_pod(raw, NO_SHIFT)
    assert fact is not None
    assert (fact.pod.is_ready, fact.pod.ready_since) == (is_ready, MADE_AT if status else None)


def test_pod_of_a_daemon_set_is_kept_with_its_owner() -> None:
    """Whether it stays depends on whether that still exists."""
    fact = convert.read_pod(recorded("pod-agent"), NO_SHIFT)
    assert fact is not None
    assert fact.daemon_set == "afa1a98f-4a4c-4c91-85c5-e3b71cc2c17a"


def test_pod_with_an_empty_dir() -> None:
    """Its data goes with it."""
    fact = convert.read_pod(recorded("pod-front"), NO_SHIFT)
    assert fact is not None
    assert (fact.pod.has_empty_dir, fact.pod.is_replicated, fact.pod.owner) == (True, True, "ReplicaSet/front-78b68bc65c")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(recorded("pod-mirror"), id="mirror of a static pod"),
        pytest.param(pod("p", phase="Succeeded"), id="finished"),
        pytest.param(pod("p", phase="Failed"), id="failed"),
        pytest.param(pod("p", on=""), id="on no node"),
        pytest.param(pod("p", labels={"cluster.x-k8s.io/drain": "skip"}), id="to be skipped"),
    ],
)
def test_pod_that_no_drain_waits_for(raw: dict[str, Any]) -> None:
    """It is not listed."""
    assert convert.read_pod(raw, NO_SHIFT) is None


@pytest.mark.parametrize(
    ("changes", "is_guarded"),
    [({}, True), ({"phase": "Pending"}, False), ({"ready": False}, True)],
    ids=["running", "pending", "unready"],
)
def test_budgets_are_asked_for_running_pods_only(changes: dict[str, Any], is_guarded: bool) -> None:
    """eviction.go, canIgnorePDB."""
    fact = convert.read_pod(pod("p", **changes), NO_SHIFT)
    assert fact is not None
    assert fact.is_guarded is is_guarded


def test_bare_pod_and_grace_of_zero() -> None:
    """Nothing brings it back; zero is a grace period (FM7)."""
    fact = convert.read_pod(pod("p", owner=None, terminationGracePeriodSeconds=0), NO_SHIFT)
    assert fact is not None
    assert (fact.pod.is_replicated, fact.pod.owner, fact.pod.grace) == (False, "", timedelta(0))


DATABASES = convert.DrainRule(selector=Selector((("app", "db"),)), namespaces=frozenset({"shop"}), order=10)
JOBS = convert.DrainRule(behaviour=convert.WAIT_COMPLETED, selector=Selector((("kind", "job"),)))
ALL_SKIPPED = convert.DrainRule(behaviour=convert.SKIP, namespaces=frozenset({"logs"}))


@pytest.mark.parametrize(
    ("namespace", "labels", "rule"),
    [
        pytest.param("shop", {"app": "db"}, DATABASES, id="matches selector and namespace"),
        pytest.param("lab", {"app": "db"}, convert.DrainRule(), id="another namespace"),
        pytest.param("shop", {"app": "db", "kind": "job"}, DATABASES, id="the first that matches"),
        pytest.param("logs", {}, ALL_SKIPPED, id="a whole namespace"),
        pytest.param(
            "shop",
            {"app": "db", "cluster.x-k8s.io/drain": "wait-completed"},
            convert.DrainRule(behaviour=convert.WAIT_COMPLETED),
            id="the pod's own label comes first",
        ),
        pytest.param("shop", {"app": "db", "cluster.x-k8s.io/drain": "maybe"}, DATABASES, id="an unknown label says nothing"),
    ],
)
def test_drain_rules(namespace: str, labels: dict[str, str], rule: convert.DrainRule) -> None:
    """Cluster API's meaning of rules and label."""
    assert convert.drain_rule_for(namespace, labels, [DATABASES, JOBS, ALL_SKIPPED]) == rule


def test_budget() -> None:
    """Its numbers as the status tells them; the selector for the pods it guards."""
    fact = convert.read_budget(recorded("budget"), NO_SHIFT)
    assert fact == convert.BudgetFact(
        Budget(
            name="shop/front",
            allowed=0,
            healthy=2,
            desired=2,
            expected=2,
            created_at=datetime(2026, 11, 21, 8, 48, 7, tzinfo=UTC),
        ),
        "shop",
        Selector((("app", "front"),)),
        lets_unready_go=True,
    )


@pytest.mark.parametrize(
    ("policy", "healthy", "lets"),
    [("AlwaysAllow", 0, True), ("IfHealthyBudget", 1, False), ("IfHealthyBudget", 2, True), (None, 1, False), (None, 3, True)],
)
def test_FM02_when_a_budget_lets_an_unready_pod_go(policy: str | None, healthy: int, lets: bool) -> None:
    """Always, or while the application has as many healthy pods as it needs (2)."""
    raw = recorded("budget")
    raw["spec"]["unhealthyPodEvictionPolicy"] = policy
    raw["status"].update(currentHealthy=healthy, desiredHealthy=2)
    assert convert.read_budget(raw, NO_SHIFT).lets_unready_go is lets


def test_budget_without_a_status_allows_nothing() -> None:
    """The controller has not counted yet, and the API server refuses, too."""
    raw = recorded("budget")
    del raw["status"]
    fact = convert.read_budget(raw, NO_SHIFT)
    assert (fact.budget.allowed, fact.lets_unready_go) == (0, False)


def test_attachment() -> None:
    """By the node it ties a volume to."""
    node_name, name = convert.read_attachment(recorded("attachment"), NO_SHIFT)
    assert (node_name, name[:8]) == ("web-1-0000", "csi-1b07")


def test_token_is_read_from_its_metadata_alone() -> None:
    """As the API server sends a PartialObjectMetadata."""
    metadata = {"name": "bootstrap-token-abc234", "creationTimestamp": MADE, "annotations": {"immutable.fleet/machine": "web-1-x"}}
    leftover = convert.read_token({"metadata": metadata}, NO_SHIFT)
    name = "bootstrap-token-abc234"
    assert leftover == Leftover(kind="token", id=name, name=name, machine="web-1-x", created_at=MADE_AT)


OUTDATED = Taint("immutable.fleet/outdated", "", "PreferNoSchedule")
HELD = Taint("estate/held", "yes", "NoExecute")
CHANGE = NodeChange(node="n1", uid="u1")


@pytest.mark.parametrize(
    ("change", "patch"),
    [
        pytest.param(CHANGE, {"metadata": {"uid": "u1"}}, id="nothing but the precondition"),
        pytest.param(
            NodeChange(node="n1", uid="u1", version="7", schedulable=False, annotations={"a": "b"}),
            {"metadata": {"uid": "u1", "resourceVersion": "7", "annotations": {"a": "b"}}, "spec": {"unschedulable": True}},
            id="cordon and annotation in one",
        ),
        pytest.param(
            NodeChange(node="n1", uid="u1", schedulable=True, labels={"gone": None}),
            {"metadata": {"uid": "u1", "labels": {"gone": None}}, "spec": {"unschedulable": None}},
            id="uncordon, and a label away",
        ),
        pytest.param(
            NodeChange(node="n1", uid="u1", version="7", taints=(OUTDATED, HELD)),
            {
                "metadata": {"uid": "u1", "resourceVersion": "7"},
                "spec": {
                    "taints": [
                        {"key": "immutable.fleet/outdated", "effect": "PreferNoSchedule"},
                        {"key": "estate/held", "value": "yes", "effect": "NoExecute", "timeAdded": MADE},
                    ]
                },
            },
            id="taints, with the instant of one that stays",
        ),
        pytest.param(
            NodeChange(node="n1", uid="u1", version="7", taints=()),
            {"metadata": {"uid": "u1", "resourceVersion": "7"}, "spec": {"taints": None}},
            id="no taint left",
        ),
    ],
)
def test_patch(change: NodeChange, patch: dict[str, Any]) -> None:
    """One merge patch, with its preconditions in the metadata."""
    assert convert.patch_of(change, {("estate/held", "NoExecute"): MADE}) == patch
