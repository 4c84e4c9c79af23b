# SPDX-License-Identifier: GPL-3.0-or-later
"""A quiet world tells what a decision could rest on, and leaves the rest unsaid."""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.module_utils.simulation.quiet import QuietSession
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World
from ansible_collections.immutable.fleet.tests.unit.simulation.worlds import after, cordon, create, node, world

CART = {"name": "cart", "namespace": "shop", "replicas": 4, "after_nodes": 2, "budget": {"max_unavailable": 1}}


def shop(order: int = 0) -> World:
    it = world(workloads=[{**CART, "order": order}])
    create(it, "web-0-aaaaa")
    create(it, "web-1-bbbbb")
    return after(it, 120)


def told(it: World) -> list[str]:
    heard: list[str] = []
    QuietSession(it).watch(heard.append)
    return heard


def empty(it: World, name: str) -> None:
    cordon(it, name)
    for pod in node(it, name).pods:
        it.pods.terminate(pod.uid, it.state.pods[pod.uid], None)


def test_one_pod_less_on_a_node_that_is_not_empty_yet() -> None:
    it = shop()
    cordon(it, "web-0-aaaaa")
    heard = told(it)
    first = node(it, "web-0-aaaaa").pods[0]
    it.pods.terminate(first.uid, it.state.pods[first.uid], None)
    assert heard == []


def test_the_last_pod_gone_is_told() -> None:
    it = shop()
    heard = told(it)
    empty(it, "web-0-aaaaa")
    heard.clear()
    after(it, 20)
    assert (node(it, "web-0-aaaaa").pods, "cluster" in heard) == ((), True)


def test_a_budget_that_opens_again_is_told() -> None:
    """Pods may wait for it; one that was never closed lets nobody wait."""
    it = shop()
    cordon(it, "web-0-aaaaa")
    heard = told(it)
    it.pods.evict(node(it, "web-0-aaaaa").pods[0], None)
    assert heard == []
    after(it, 5.5)
    assert heard == ["cluster"]


def test_a_machine_under_way_is_told() -> None:
    it = shop()
    heard = told(it)
    create(it, "web-2-ccccc")
    after(it, 120)
    assert (heard.count("vms") >= 2, heard.count("cluster") >= 2) == (True, True)


def test_groups_of_pods_that_leave_one_after_the_other() -> None:
    """Each pod that goes may be the last of its group: all of them are told, where a workload has an order."""
    it = shop(order=1)
    cordon(it, "web-0-aaaaa")
    heard = told(it)
    first = node(it, "web-0-aaaaa").pods[0]
    it.pods.terminate(first.uid, it.state.pods[first.uid], None)
    assert "cluster" in heard
