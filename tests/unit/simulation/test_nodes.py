# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, NotFound
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import NodeChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Taint
from ansible_collections.immutable.fleet.tests.unit.simulation.worlds import (
    after,
    budget,
    create,
    node,
    nodes,
    pods_on,
    row,
    vm,
    world,
)


def test_a_patch_is_refused_when_somebody_was_faster() -> None:
    """By UID and by version; without a version only the UID counts."""
    it = world(nodes=["n1"])
    seen = node(it, "n1")
    it.nodes.change(NodeChange(node="n1", uid=seen.uid, version=seen.version, schedulable=False))
    late = NodeChange(node="n1", uid=seen.uid, version=seen.version, labels={"a": "b"})
    for wrong in (late, replace(late, version=None, uid="another")):
        with pytest.raises(Conflict):
            it.nodes.change(wrong)
    it.nodes.change(replace(late, version=None))
    assert (node(it, "n1").labels["a"], node(it, "n1").schedulable) == ("b", False)
    with pytest.raises(NotFound):
        it.nodes.change(replace(late, node="n9"))


def test_a_patch_that_changes_nothing_writes_nothing() -> None:
    it = world(nodes=["n1"])
    seen = node(it, "n1")
    it.nodes.change(NodeChange(node="n1", uid=seen.uid, version=seen.version, schedulable=True, annotations={"x": None}))
    assert node(it, "n1") is seen


def test_our_marks_are_read_from_labels_and_annotations() -> None:
    it = world(nodes=["n1"])
    seen = node(it, "n1")
    note = f"{marks.Note(it.now, 'outdated')}"
    it.nodes.change(
        NodeChange(
            node="n1",
            uid=seen.uid,
            schedulable=False,
            labels={marks.NODE_POOL: "web", marks.NODE_REVISION: "rev1"},
            annotations={marks.NODE_CHOSEN: note, marks.NODE_READY_AT: "x"},
        )
    )
    seen = node(it, "n1")
    assert (seen.pool, seen.revision, seen.is_cordoned_by_us, seen.was_ready) == ("web", "rev1", True, True)
    assert seen.chosen == marks.Note(it.now, "outdated")


def test_a_lost_machine_falls_silent() -> None:
    """Noticed after 40 s; its pods are no longer healthy, given up 5 minutes later, and replaced elsewhere."""
    it = world(workloads=[{"name": "cart", "replicas": 1, "budget": {"max_unavailable": 1}}])
    create(it, "web-0-aaaaa")
    after(it, 90)
    create(it, "web-1-bbbbb")
    after(it, 90)
    (host, _other) = it.state.hosts.values()
    it.hypervisor.power(host, on=False, seen=False)
    assert (vm(it, "web-0-aaaaa").status, node(after(it, 39), "web-0-aaaaa").ready) == ("running", True)
    assert (node(after(it, 1), "web-0-aaaaa").ready, budget(it, "default/cart").healthy) == (None, 0)
    after(it, 300)
    assert (len(pods_on(it, "web-0-aaaaa")), pods_on(it, "web-1-bbbbb")) == (1, ["cart-00001"])
    assert len(pods_on(after(it, 36000), "web-0-aaaaa")) == 1
    gone = node(it, "web-0-aaaaa")
    it.nodes.delete(gone.name, gone.uid)
    assert (len(it.state.pods), len(after(it, 20).state.pods)) == (2, 1)


def test_out_of_service_removes_pods_at_once() -> None:
    """The taint of semantics section 4: only on a node that is not ready."""
    it = world(workloads=[{"name": "db", "kind": "StatefulSet", "replicas": 1}])
    create(it, "web-0-aaaaa")
    after(it, 90)
    (host,) = it.state.hosts.values()
    it.hypervisor.power(host, on=False, seen=True)
    after(it, 60)
    seen = node(it, "web-0-aaaaa")
    taint = Taint("node.kubernetes.io/out-of-service", "nodeshutdown", "NoExecute")
    it.nodes.change(NodeChange(node=seen.name, uid=seen.uid, taints=(taint,)))
    assert (pods_on(it, "web-0-aaaaa"), row(it, "db-0").node) == ([], "")


def test_a_node_is_deleted_by_uid() -> None:
    it = world(nodes=["n1"])
    it.nodes.delete("n1", "of yesterday")
    assert list(nodes(it)) == ["n1"]
    it.nodes.delete("n1", node(it, "n1").uid)
    it.nodes.delete("n1", "again")
    assert nodes(it) == {}


def test_a_cloud_controller_removes_nodes_where_there_is_one() -> None:
    for has_one in (True, False):
        it = world(deletes_nodes=has_one)
        create(it)
        after(it, 90)
        it.hypervisor.delete(vm(it))
        assert (nodes(after(it, 10)) == {}) == has_one


def test_machines_may_label_themselves() -> None:
    it = world(labels_nodes=True)
    create(it)
    after(it, 90)
    assert (node(it, "web-0-aaaaa").pool, node(it, "web-0-aaaaa").revision) == ("web", "rev1")


def test_workloads_grow_with_the_nodes_or_wait_for_them() -> None:
    it = world(workloads=[{"name": "per", "per_node": 2}, {"name": "late", "replicas": 4, "after_nodes": 2}])
    create(it, "web-0-aaaaa")
    after(it, 90)
    assert sorted(pods_on(it, "web-0-aaaaa")) == ["per-00000", "per-00001"]
    create(it, "web-1-bbbbb")
    after(it, 90)
    assert (len(pods_on(it, "web-0-aaaaa")), len(pods_on(it, "web-1-bbbbb"))) == (4, 4)


def test_unchanged_nodes_stay_the_same_objects() -> None:
    """What a view promises (ports.Cluster.view): whoever compares by identity sees the changes only."""
    it = world(nodes=["n1", "n2"])
    before = nodes(it)
    it.nodes.cordon("n1", schedulable=False)
    now = nodes(it)
    assert (now["n1"] is before["n1"], now["n2"] is before["n2"], before["n1"].schedulable) == (False, True, True)
