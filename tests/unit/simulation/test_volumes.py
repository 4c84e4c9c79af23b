# SPDX-License-Identifier: GPL-3.0-or-later
"""FM12: volumes leave some time after their pods, and a machine deleted before that leaves them stuck."""

from __future__ import annotations

from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World
from ansible_collections.immutable.fleet.tests.unit.simulation.worlds import after, cordon, create, node, pod, row, vm, world

DATABASE = {"name": "db", "kind": "StatefulSet", "replicas": 1, "volume": True}


def test_the_attachment_goes_some_time_after_the_pod() -> None:
    it = after(world(nodes=["n1", "n2"], workloads=[DATABASE]), 5)
    cordon(it, "n1")
    it.pods.evict(pod(it, "db-0"), None)
    after(it, 5)
    assert (node(it, "n1").pods, node(it, "n1").attachments) == ((), ("csi-default-db-0",))
    assert not it.nodes.look("n1").is_empty
    after(it, 8)
    assert (node(it, "n1").attachments, node(it, "n2").attachments) == ((), ("csi-default-db-0",))
    assert it.nodes.look("n1").is_empty


def test_the_pod_waits_for_its_volume() -> None:
    """It is on its new node, and starts only when the volume is there."""
    it = after(world(nodes=["n1", "n2"], workloads=[DATABASE]), 5)
    cordon(it, "n1")
    it.pods.evict(pod(it, "db-0"), None)
    after(it, 5 + 8 + 4)
    assert (row(it, "db-0").node, row(it, "db-0").ready) == ("n2", False)
    assert row(after(it, 1), "db-0").ready is True


def test_a_pod_that_stays_on_its_node_keeps_the_volume() -> None:
    it = after(world(nodes=["n1"], workloads=[DATABASE]), 5)
    it.pods.evict(pod(it, "db-0"), None)
    after(it, 60)
    assert (node(it, "n1").attachments, row(it, "db-0").ready) == (("csi-default-db-0",), True)


def stuck_database() -> World:
    """Its machine was deleted while the pod still ran there."""
    it = world(workloads=[DATABASE])
    create(it, "web-0-aaaaa")
    after(it, 90)
    create(it, "web-1-bbbbb")
    after(it, 90)
    it.hypervisor.delete(vm(it, "web-0-aaaaa"))
    return after(it, 60)


def test_a_volume_of_a_dead_machine_is_let_go_late() -> None:
    """The pod is deleted when the node was silent for its toleration, but nobody confirms it: nothing moves."""
    it = stuck_database()
    assert node(it, "web-0-aaaaa").ready is None
    after(it, 600)
    assert (row(it, "db-0").node, row(it, "db-0").pod.terminating_since is not None) == ("web-0-aaaaa", True)
    gone = node(it, "web-0-aaaaa")
    it.nodes.delete(gone.name, gone.uid)
    after(it, 20 + 359)
    assert (row(it, "db-0").node, row(it, "db-0").ready) == ("web-1-bbbbb", False)
    assert row(after(it, 10), "db-0").ready is True


def test_a_node_that_is_back_lets_go_in_time() -> None:
    """A machine that was off for a while goes on with what was asked of it."""
    it = world(workloads=[DATABASE])
    create(it, "web-0-aaaaa")
    after(it, 90)
    (host,) = it.state.hosts.values()
    it.hypervisor.power(host, on=False, seen=True)
    after(it, 400)
    assert row(it, "db-0").pod.terminating_since is not None
    it.hypervisor.power(host, on=True, seen=True)
    after(it, 120)
    assert (row(it, "db-0").ready, row(it, "db-0").pod.terminating_since) == (True, None)


def test_forgotten_detach() -> None:
    """A detach planned before the volume came back to its node is void."""
    it = after(world(nodes=["n1"], workloads=[DATABASE]), 5)
    it.pods.evict(pod(it, "db-0"), timedelta(0))
    after(it, 8)
    assert node(it, "n1").attachments == ("csi-default-db-0",)
