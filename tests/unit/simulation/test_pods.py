# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API server and the controllers do with pods, as a drain meets it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Invalid, NotFound, Throttled
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import NodeChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Taint
from ansible_collections.immutable.fleet.tests.unit.simulation.worlds import after, budget, cordon, node, pod, pods_on, row, world


def shop(**cart: Any) -> Any:
    """Two nodes, and a workload "cart" that has just become ready."""
    it = world(nodes=["n1", "n2"], workloads=[{"name": "cart", "namespace": "shop", "replicas": 2, **cart}])
    return after(it, 5)


def test_pods_go_to_the_least_loaded_node() -> None:
    it = shop(replicas=4)
    assert (pods_on(it, "n1"), pods_on(it, "n2")) == (["cart-00000", "cart-00002"], ["cart-00001", "cart-00003"])


def test_prefer_no_schedule_comes_after_all_others() -> None:
    """An outdated machine gets pods only when no other takes them, so that a pod moves once."""
    it = world(nodes=["n1", "n2"])
    seen = node(it, "n1")
    taint = Taint("immutable.fleet/outdated", "", "PreferNoSchedule")
    it.nodes.change(NodeChange(node="n1", uid=seen.uid, version=seen.version, taints=(taint,)))
    from ansible_collections.immutable.fleet.plugins.module_utils.simulation.describe import describe
    from ansible_collections.immutable.fleet.plugins.module_utils.simulation.furnish import furnish

    furnish(it, describe({"workloads": [{"name": "cart", "replicas": 3}]}))
    assert (len(pods_on(it, "n1")), len(pods_on(it, "n2"))) == (0, 3)
    cordon(it, "n2")
    it.pods.evict(pod(it, "cart-00000"), None)
    assert pods_on(it, "n1") == ["cart-00003"]


def test_a_deployment_brings_its_pod_back_at_once() -> None:
    """The replacement exists before the old pod is gone, under a new name, and is ready after its start time."""
    it = shop()
    cordon(it, "n1")
    it.pods.evict(pod(it, "cart-00000"), None)
    assert pod(it, "cart-00000").terminating_since == it.now
    assert (pods_on(it, "n2"), row(it, "cart-00002").ready) == (["cart-00001", "cart-00002"], False)
    after(it, 5)
    assert (pods_on(it, "n1"), row(it, "cart-00002").ready) == ([], True)


def test_a_stateful_set_brings_its_pod_back_under_the_same_name_once_it_is_gone() -> None:
    it = shop(kind="StatefulSet")
    old = pod(it, "cart-0")
    it.pods.evict(old, None)
    after(it, 4)
    assert (pod(it, "cart-0").uid == old.uid, len(it.state.pods)) == (True, 2)
    after(it, 1)
    assert (pod(it, "cart-0").uid == old.uid, len(it.state.pods)) == (False, 2)


def test_a_bare_pod_does_not_come_back() -> None:
    it = shop(kind="Pod", replicas=1)
    assert pod(it, "cart-00000").is_replicated is False
    it.pods.evict(pod(it, "cart-00000"), None)
    assert after(it, 60).state.pods == {}


@pytest.mark.parametrize(
    ("stop", "grace", "asked", "gone_after"),
    [
        pytest.param(10, 30, None, 10, id="it stops by itself"),
        pytest.param(100, 30, None, 30, id="killed at the end of its grace period"),
        pytest.param(100, 30, 7, 7, id="the caller's grace period is shorter"),
        pytest.param(100, 30, 50, 50, id="the caller's grace period is longer"),
        pytest.param(10, 30, 0, 0, id="FM7 a grace period of 0 is honoured"),
    ],
)
def test_terminations_take_their_time(stop: int, grace: int, asked: int | None, gone_after: int) -> None:
    it = shop(kind="Pod", replicas=1, stop=stop, grace=grace)
    it.pods.evict(pod(it, "cart-00000"), None if asked is None else timedelta(seconds=asked))
    if gone_after:
        assert len(after(it, gone_after - 1).state.pods) == 1
        after(it, 1)
    assert it.state.pods == {}


def test_a_pod_that_never_terminates() -> None:
    """Only the removal of its object, grace 0, ends it."""
    it = shop(kind="Pod", replicas=1, stop="never")
    it.pods.evict(pod(it, "cart-00000"), None)
    assert len(after(it, 36000).state.pods) == 1
    it.pods.remove(pod(it, "cart-00000"), timedelta(0))
    assert it.state.pods == {}


def test_FM1_a_budget_that_allows_nothing_refuses() -> None:
    it = shop(budget={"min_available": 2})
    with pytest.raises(Throttled, match="needs 2 healthy pods and has 2 currently"):
        it.pods.evict(pod(it, "cart-00000"), None)
    assert budget(it, "shop/cart").can_never_allow


def test_a_budget_allows_one_after_the_other() -> None:
    """The second eviction is refused until the first pod's replacement is ready."""
    it = shop(budget={"max_unavailable": 1})
    it.pods.evict(pod(it, "cart-00000"), None)
    for _time in range(4):
        with pytest.raises(Throttled):
            it.pods.evict(pod(it, "cart-00001"), None)
        after(it, 1)
    after(it, 1)
    it.pods.evict(pod(it, "cart-00001"), None)
    assert (budget(it, "shop/cart").healthy, budget(it, "shop/cart").allowed) == (1, 0)


def test_FM3_two_budgets_on_one_pod() -> None:
    """The server answers 500 and names both; nothing happens to the pod."""
    it = shop(budget=[{"max_unavailable": 1}, {"min_available": 1}])
    with pytest.raises(Invalid, match="shop/cart, shop/cart-2"):
        it.pods.evict(pod(it, "cart-00000"), None)
    assert pod(it, "cart-00000").terminating_since is None


def test_FM50_a_wrong_uid_is_refused_and_spends_the_budget() -> None:
    """For two minutes every other eviction under this budget is refused, though no pod was disturbed."""
    it = shop(budget={"max_unavailable": 1})
    with pytest.raises(Conflict, match="UID in precondition"):
        it.pods.evict(replace(pod(it, "cart-00000"), uid="of yesterday"), None)
    assert pod(it, "cart-00000").terminating_since is None
    with pytest.raises(Throttled):
        it.pods.evict(pod(it, "cart-00001"), None)
    after(it, 119)
    assert budget(it, "shop/cart").allowed == 0
    after(it, 1)
    it.pods.evict(pod(it, "cart-00001"), None)


def test_a_pod_that_is_gone_is_not_found() -> None:
    it = shop(kind="Pod", replicas=1)
    gone = pod(it, "cart-00000")
    it.pods.evict(gone, timedelta(0))
    with pytest.raises(NotFound):
        it.pods.evict(gone, None)


def test_evicting_a_terminating_pod_again_is_accepted() -> None:
    """Whatever its budget says by now: it is on its way out already."""
    it = shop(budget={"max_unavailable": 1})
    it.pods.evict(pod(it, "cart-00000"), None)
    it.pods.evict(pod(it, "cart-00000"), None)
    assert len(after(it, 5).state.pods) == 2


def test_FM2_an_unhealthy_pod_may_go_while_the_healthy_ones_suffice() -> None:
    """UnhealthyPodEvictionPolicy IfHealthyBudget, the default: it may not when they don't."""
    it = shop(replicas=2, budget={"min_available": 2})
    row(it, "cart-00000").ready = False
    it.pods._budgets.recount(row(it, "cart-00000"))
    with pytest.raises(Throttled):
        it.pods.evict(pod(it, "cart-00000"), None)
    third = shop(replicas=3, budget={"min_available": 2})
    row(third, "cart-00000").ready = False
    third.pods._budgets.recount(row(third, "cart-00000"))
    assert budget(third, "shop/cart").allowed == 0
    third.pods.evict(pod(third, "cart-00000"), None)


def test_removal_asks_no_budget() -> None:
    it = shop(budget={"min_available": 2})
    it.pods.remove(pod(it, "cart-00000"), None)
    assert pod(it, "cart-00000").terminating_since == it.now


def test_a_full_cluster_keeps_pods_waiting() -> None:
    it = world(nodes=["n1"], pods_per_node_max=2, workloads=[{"name": "cart", "replicas": 3}])
    assert len(pods_on(it, "n1")) == 2
    it.nodes.stand_alone("n2")
    assert pods_on(it, "n2") == ["cart-00002"]


def test_one_pod_per_node_is_not_moved() -> None:
    """A drain of a known duration: it goes when evicted, and no other node gets it."""
    it = world(nodes=["n1", "n2"], workloads=[{"name": "load", "kind": "PerNode", "stop": 40, "grace": "1h"}])
    (only,) = node(it, "n1").pods
    it.pods.evict(only, None)
    assert (len(pods_on(after(it, 39), "n1")), len(pods_on(after(it, 1), "n1")), len(pods_on(it, "n2"))) == (1, 0, 1)


def test_a_share_of_the_pods_per_node_is_blocked() -> None:
    """A visible block: their budget demands all of them."""
    it = after(world(nodes=["n1", "n2"], workloads=[{"name": "load", "kind": "PerNode", "blocked_share": 1}]), 5)
    with pytest.raises(Throttled):
        it.pods.evict(node(it, "n1").pods[0], None)
    assert budget(it, "simulation/blocked").can_never_allow


def test_FM14_a_node_shows_since_when_its_pods_are_ready() -> None:
    """And that they are not, while they start and while their kubelet is silent."""
    it = shop()
    began = it.now
    cordon(it, "n1")
    it.pods.evict(pod(it, "cart-00000"), None)
    starting = pod(it, "cart-00002")
    after(it, 5)
    there = next(each for each in node(it, "n2").pods if each.name == "cart-00002")
    assert (starting.is_ready, there.is_ready, there.ready_since) == (False, True, began + timedelta(seconds=5))
    it.pods.node_is_silent("n2")
    assert [each.is_ready for each in node(it, "n2").pods] == [False, False]
