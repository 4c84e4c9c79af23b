# SPDX-License-Identifier: GPL-3.0-or-later
"""The Cluster port, verb by verb (docs/provider-contract.md)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Invalid, NotFound, Throttled
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node, NodeChange, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import RUNNING, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Cluster
from ansible_collections.immutable.fleet.tests.conformance.harness import ClusterHarness


def seen(clusters: ClusterHarness, cluster: Cluster, name: str) -> Node:
    """The node, once the view shows it ready."""

    def look() -> Node | None:
        node = cluster.view().nodes.get(name)
        return node if node is not None and node.ready else None

    return clusters.until(look, f"node {name} is in the view")


def pods_of(clusters: ClusterHarness, cluster: Cluster, node: str, prefix: str, count: int) -> list[Pod]:
    """Exactly so many living pods of a workload, once the view shows them."""

    def look() -> list[Pod] | None:
        pods = [pod for pod in cluster.view().nodes[node].pods if pod.name.startswith(prefix)]
        living = [pod for pod in pods if pod.terminating_since is None]
        return living if len(living) == count else None

    return clusters.until(look, f"{count} pods of {prefix} on {node}")


def chosen(node: Node) -> NodeChange:
    """Cordon and mark, as the engine sends them: one PATCH."""
    note = str(marks.Note(node.created_at, "outdated"))
    return NodeChange(node=node.name, uid=node.uid, version=node.version, schedulable=False, annotations={marks.NODE_CHOSEN: note})


def test_the_view_shows_nodes_pods_and_its_age(clusters: ClusterHarness) -> None:
    """From `start` on, without a call per view; as_of never goes back."""
    name = clusters.add_node()
    cluster = clusters.cluster()
    node = seen(clusters, cluster, name)
    prefix = clusters.run_pods(2, node=name)
    pods = pods_of(clusters, cluster, name, prefix, 2)
    assert (node.schedulable, all(pod.is_replicated and pod.uid for pod in pods)) == (True, True)
    one, two = cluster.view(), cluster.view()
    assert (one.as_of <= two.as_of, one.error) == (True, "")


def test_unchanged_nodes_are_the_same_objects(clusters: ClusterHarness) -> None:
    one, other = clusters.add_node(), clusters.add_node()
    cluster = clusters.cluster()
    before, kept = seen(clusters, cluster, one), seen(clusters, cluster, other)
    cluster.change(chosen(before))
    clusters.until(lambda: not cluster.view().nodes[one].schedulable or None, "the cordon is seen")
    assert cluster.view().nodes[other] is kept


def test_cordon_and_mark_in_one_patch(clusters: ClusterHarness) -> None:
    """Both are seen together: a node that is marked and open would be cordoned again."""
    name = clusters.add_node()
    cluster = clusters.cluster()
    cluster.change(chosen(seen(clusters, cluster, name)))
    node = clusters.until(lambda: (cluster.view().nodes[name].chosen and cluster.view().nodes[name]) or None, "the mark is seen")
    assert (node.is_cordoned_by_us, node.chosen.why if node.chosen else "") == (True, "outdated")


def test_none_removes_and_the_rest_stays(clusters: ClusterHarness) -> None:
    name = clusters.add_node()
    cluster = clusters.cluster()
    node = seen(clusters, cluster, name)
    cluster.change(NodeChange(node=name, uid=node.uid, labels={"fleet-a": "1", "fleet-b": "2"}))
    clusters.until(lambda: cluster.view().nodes[name].labels.get("fleet-b") == "2" or None, "labels are seen")
    cluster.change(NodeChange(node=name, uid=node.uid, labels={"fleet-a": None}))
    clusters.until(lambda: "fleet-a" not in cluster.view().nodes[name].labels or None, "the removal is seen")
    assert cluster.view().nodes[name].labels["fleet-b"] == "2"


def test_annotations_of_cluster_api_are_facts(clusters: ClusterHarness) -> None:
    """Delete-first marks and hooks, which others write and take away while we look."""
    name = clusters.add_node()
    cluster = clusters.cluster()
    node = seen(clusters, cluster, name)
    hook = f"{marks.PRE_DRAIN_HOOK}/move-vips"
    cluster.change(NodeChange(node=name, uid=node.uid, annotations={hook: "vip-operator", marks.DELETE_FIRST: ""}))
    clusters.until(lambda: cluster.view().nodes[name].annotations.get(hook) == "vip-operator" or None, "the hook is seen")
    assert marks.DELETE_FIRST in cluster.view().nodes[name].annotations
    cluster.change(NodeChange(node=name, uid=node.uid, annotations={hook: None}))
    clusters.until(lambda: hook not in cluster.view().nodes[name].annotations or None, "it is seen to be gone")


def test_a_change_somebody_preceded_is_refused(clusters: ClusterHarness) -> None:
    """By version, and by UID even where no version is named. Nothing is written."""
    name = clusters.add_node()
    cluster = clusters.cluster()
    node = seen(clusters, cluster, name)
    cluster.change(NodeChange(node=name, uid=node.uid, version=node.version, labels={"fleet-a": "1"}))
    for late in (chosen(node), replace(chosen(node), version=None, uid="00000000-0000-0000-0000-000000000000")):
        with pytest.raises(Conflict):
            cluster.change(late)
    clusters.until(lambda: cluster.view().nodes[name].labels.get("fleet-a") == "1" or None, "the first change is seen")
    assert cluster.view().nodes[name].schedulable


def test_a_change_of_a_node_that_is_gone(clusters: ClusterHarness) -> None:
    cluster = clusters.cluster()
    with pytest.raises(NotFound):
        cluster.change(NodeChange(node="fleet-never-was", uid="00000000-0000-0000-0000-000000000000", labels={"a": "b"}))


def test_an_evicted_pod_goes_and_is_replaced(clusters: ClusterHarness) -> None:
    """The call returns at once; that the pod is gone is a fact of the view, by UID."""
    name = clusters.add_node()
    cluster = clusters.cluster()
    seen(clusters, cluster, name)
    prefix = clusters.run_pods(1, node=name)
    (pod,) = pods_of(clusters, cluster, name, prefix, 1)
    cluster.evict(pod, timedelta(seconds=1))
    clusters.until(lambda: pod.uid not in [each.uid for each in cluster.view().nodes[name].pods] or None, "the pod is gone")


def test_FM1_a_refused_eviction_is_throttled(clusters: ClusterHarness) -> None:
    """The budget's status is in the view, by the name that the pod carries; the pod lives on."""
    name = clusters.add_node()
    cluster = clusters.cluster()
    seen(clusters, cluster, name)
    prefix = clusters.run_pods(2, node=name, min_available=(2,))

    def look() -> Pod | None:
        pod, _other = pods_of(clusters, cluster, name, prefix, 2)
        budgets = [cluster.view().budgets.get(budget) for budget in pod.budgets]
        return pod if len(budgets) == 1 and budgets[0] is not None and budgets[0].can_never_allow else None

    pod = clusters.until(look, "the budget is in the view")
    with pytest.raises(Throttled):
        cluster.evict(pod, None)
    assert pod.uid in [each.uid for each in cluster.view().nodes[name].pods if each.terminating_since is None]


def test_FM3_two_budgets_are_a_refusal_that_waiting_does_not_cure(clusters: ClusterHarness) -> None:
    name = clusters.add_node()
    cluster = clusters.cluster()
    seen(clusters, cluster, name)
    prefix = clusters.run_pods(2, node=name, min_available=(1, 0))
    clusters.until(lambda: len(pods_of(clusters, cluster, name, prefix, 2)[0].budgets) == 2 or None, "both budgets are known")
    with pytest.raises(Invalid):
        cluster.evict(pods_of(clusters, cluster, name, prefix, 2)[0], None)


def test_evicting_what_is_gone(clusters: ClusterHarness) -> None:
    cluster = clusters.cluster()
    with pytest.raises(NotFound):
        cluster.evict(Pod(uid="00000000-0000-0000-0000-000000000000", namespace="default", name="fleet-never-was"), None)


def test_FM50_another_pod_of_the_same_name_is_not_evicted(clusters: ClusterHarness) -> None:
    """A conflict, or `NotFound` from an adapter that looked first; the pod lives on."""
    name = clusters.add_node()
    cluster = clusters.cluster()
    seen(clusters, cluster, name)
    prefix = clusters.run_pods(1, node=name)
    (pod,) = pods_of(clusters, cluster, name, prefix, 1)
    with pytest.raises((Conflict, NotFound)):
        cluster.evict(replace(pod, uid="00000000-0000-0000-0000-000000000000"), None)
    assert pods_of(clusters, cluster, name, prefix, 1) == [pod]


def test_removal_passes_budgets(clusters: ClusterHarness) -> None:
    name = clusters.add_node()
    cluster = clusters.cluster()
    seen(clusters, cluster, name)
    prefix = clusters.run_pods(1, node=name, min_available=(1,))
    (pod,) = pods_of(clusters, cluster, name, prefix, 1)
    cluster.remove(pod, timedelta(0))
    clusters.until(lambda: pod.uid not in [each.uid for each in cluster.view().nodes[name].pods] or None, "the pod is gone")


def test_a_look_reads_directly(clusters: ClusterHarness) -> None:
    """Full names of what a drain must see gone, begun now; a node that does not exist has nothing left."""
    name = clusters.add_node()
    cluster = clusters.cluster()
    seen(clusters, cluster, name)
    assert cluster.look(name).is_empty
    prefix = clusters.run_pods(1, node=name)
    (pod,) = pods_of(clusters, cluster, name, prefix, 1)
    assert pod.full_name in cluster.look(name).pods
    assert cluster.look("fleet-never-was").is_empty


def test_a_machine_that_has_not_joined_has_no_node_by_a_direct_read(clusters: ClusterHarness) -> None:
    """All nodes that there were when the read began are in the view."""
    name, cluster = clusters.add_node(), clusters.cluster()
    seen(clusters, cluster, name)
    vm = Vm(id="fleet-never-was", name="fleet-never-was", status=RUNNING, created_at=datetime.now(UTC))
    clusters.until(lambda: cluster.look_for_node(vm).is_empty or None, "no node that the view lacks")


def test_a_node_is_deleted_by_uid(clusters: ClusterHarness) -> None:
    """Another node of the name is left alone; again is success."""
    name = clusters.add_node()
    cluster = clusters.cluster()
    node = seen(clusters, cluster, name)
    cluster.delete_node(replace(node, uid="00000000-0000-0000-0000-000000000000"))
    assert cluster.view().nodes[name].uid == node.uid
    cluster.delete_node(node)
    cluster.delete_node(node)
    clusters.until(lambda: name not in cluster.view().nodes or None, "the node is gone")


def test_tokens_are_made_for_one_machine_and_found_again(clusters: ClusterHarness) -> None:
    """By the next run too, with the machine's name, so that a token without a machine is cleared."""
    text = clusters.cluster().mint_token("one-3-aaaaa", timedelta(minutes=20))
    cluster = clusters.cluster()
    token_id, _dot, secret = text.partition(".")
    assert (len(token_id), len(secret)) == (6, 16)
    (token,) = clusters.until(lambda: cluster.view().tokens, "the token is in the view")
    assert (token.kind, token.machine) == ("token", "one-3-aaaaa")
    cluster.delete_token(token)
    cluster.delete_token(token)
    clusters.until(lambda: not cluster.view().tokens or None, "the token is gone")


def test_join_values(clusters: ClusterHarness) -> None:
    """What user data needs beside the token, as kubeadm wants it."""
    values = clusters.cluster().join_values()
    assert ":" in values["api_server"]
    assert values["ca_hash"].startswith("sha256:")


def test_stop_ends_the_watches(clusters: ClusterHarness) -> None:
    """Never fails; the last view may still be asked for."""
    cluster = clusters.cluster()
    cluster.stop()
    cluster.view()
