# SPDX-License-Identifier: GPL-3.0-or-later
"""A world that begins with what was observed shows the same facts, and lives on from there."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.cluster import SimulatedCluster
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Throttled
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact, PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.ports import ClusterView
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.from_facts import world_of
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import VirtualSession
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World
from ansible_collections.immutable.fleet.tests.unit.simulation.worlds import (
    POOL,
    after,
    budget,
    cordon,
    create,
    names_of_vms,
    node,
    nodes,
    pod,
    pods_on,
    vm,
    world,
)


def original() -> World:
    """Two machines with a shop and a database; a third is building."""
    it = world(
        workloads=[
            {"name": "cart", "namespace": "shop", "replicas": 2, "after_nodes": 2, "budget": {"max_unavailable": 1}},
            {"name": "db", "kind": "StatefulSet", "replicas": 1, "after_nodes": 2, "volume": True},
            {"name": "lone", "kind": "Pod", "replicas": 1, "after_nodes": 2},
        ],
    )
    create(it, "web-0-aaaaa")
    create(it, "web-1-bbbbb")
    after(it, 90)
    create(it, "web-2-ccccc")
    return after(it, 10)


def observed(it: World) -> ClusterView:
    cluster = SimulatedCluster(VirtualSession(it), POOL)
    return cluster.view()


def copy(it: World) -> World:
    return world_of(
        it.hypervisor.vms[POOL].values(),
        observed(it),
        it.now,
        Profile(),
        0,
        pool=POOL,
        leftovers=it.hypervisor.leftovers(POOL),
    )


def test_the_copy_shows_the_same_facts() -> None:
    it = original()
    there = copy(it)
    assert (nodes(there), there.facts.budgets) == (nodes(it), it.facts.budgets)
    assert there.hypervisor.vms == it.hypervisor.vms
    assert there.hypervisor.leftovers(POOL) == it.hypervisor.leftovers(POOL)


def test_machines_that_are_under_way_arrive() -> None:
    there = after(copy(original()), 80)
    assert (vm(there, "web-2-ccccc").status, node(there, "web-2-ccccc").ready) == ("running", True)


def test_evicted_pods_come_back_under_their_budget() -> None:
    """Healthy goes down while a pod is on its way, and comes back with its replacement."""
    there = copy(original())
    cordon(there, "web-0-aaaaa")
    cart = next(each for each in node(there, "web-0-aaaaa").pods if each.owner == "Deployment/cart")
    there.pods.evict(cart, None)
    assert (budget(there, "shop/cart").healthy, budget(there, "shop/cart").allowed) == (1, 0)
    other = next(each for each in node(there, "web-1-bbbbb").pods if each.owner == "Deployment/cart")
    with pytest.raises(Throttled):
        there.pods.evict(other, None)
    after(there, 5)
    assert (budget(there, "shop/cart").healthy, budget(there, "shop/cart").allowed) == (2, 1)


def test_what_nothing_brings_back_stays_gone() -> None:
    there = copy(original())
    there.pods.evict(pod(there, "lone-00000"), None)
    after(there, 60)
    assert all(each.pod.name != "lone-00000" for each in there.state.pods.values())


def test_volumes_leave_with_the_last_pod() -> None:
    """Facts do not tell whose an attachment is."""
    there = copy(original())
    name = next(name for name, each in nodes(there).items() if each.attachments)
    cordon(there, name)
    for each in node(there, name).pods:
        there.pods.evict(each, None)
    assert node(after(there, 5), name).attachments != ()
    after(there, 8)
    assert (pods_on(there, name), node(there, name).attachments) == ([], ())


def test_what_was_leaving_leaves() -> None:
    it = original()
    (home,) = [each.node for each in it.state.pods.values() if each.pod.name == "lone-00000"]
    other = "web-0-aaaaa" if home == "web-1-bbbbb" else "web-1-bbbbb"
    it.hypervisor.delete(vm(it, other))
    it.pods.evict(pod(it, "lone-00000"), None)
    there = after(copy(it), 60)
    assert other not in names_of_vms(there)
    assert node(there, other).ready is None
    assert all(each.pod.name != "lone-00000" for each in there.state.pods.values())


def test_plain_vms_join_nothing() -> None:
    it = original()
    there = after(world_of(it.hypervisor.vms[POOL].values(), None, it.now, Profile(), 0, pool=POOL), 600)
    assert (vm(there, "web-2-ccccc").status, nodes(there)) == ("running", {})


def test_the_record_and_token_of_the_lock_go_along() -> None:
    """Check mode resolves as the run would: pinned images stay pinned. Who holds the lock is no obstacle to a plan."""
    fact = LockFact(holder="another", token=4, ttl=timedelta(seconds=60), version="9", record=PoolRecord(pinned={"id": "x"}))
    there = world_of([], None, original().now, Profile(), 0, pool=POOL, lock=fact)
    copied = there.leases.read(POOL)
    assert (copied.holder, copied.token, copied.record) == ("", 4, fact.record)


def test_machines_whose_nodes_have_other_names_arrive_and_fall_silent() -> None:
    """A kubelet may take the full host name: VM and node are matched by their ids, in the copy as well."""
    it = original()
    it.state.settings.node_suffix = ".example.org"
    name = "web-2-ccccc.example.org"
    while name not in nodes(it):
        after(it, 1)
    there = copy(it)
    assert node(there, name).ready is False
    assert node(after(there, 80), name).ready is True
    host = next(host for host in there.state.hosts.values() if host.vm.name == "web-2-ccccc")
    there.hypervisor.power(host, on=False, seen=True)
    assert node(after(there, 120), name).ready is None
