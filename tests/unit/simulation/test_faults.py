# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults, as a run meets them through the ports."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.cloud import SimulatedCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.cluster import SimulatedCluster
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.lock import SimulatedLock
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Exhausted, Throttled, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.describe import fault_of
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import VirtualSession
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World
from ansible_collections.immutable.fleet.tests.unit.simulation.worlds import (
    DAWN,
    POOL,
    after,
    create,
    names_of_vms,
    new_machine,
    node,
    pods_on,
    vm,
    world,
)


def ports(it: World) -> tuple[SimulatedCloud, SimulatedCluster, SimulatedLock]:
    session = VirtualSession(it)
    cluster = SimulatedCluster(session, POOL)
    cluster.start(lambda: None)
    return SimulatedCloud(session, POOL, "v1"), cluster, SimulatedLock(session, POOL)


def inject(it: World, kind: str, **fault: Any) -> None:
    it.inject(fault_of({"kind": kind, **fault}))


def test_FM26_a_lost_reply_has_its_effect() -> None:
    """The caller knows nothing; the next list shows the machine."""
    it = world()
    cloud = ports(it)[0]
    inject(it, "fail", target="create", after_effect=True)
    with pytest.raises(Transient):
        cloud.create(new_machine())
    assert [each.name for each in cloud.list_vms(None, with_leftovers=False).vms] == ["web-0-aaaaa"]
    cloud.create(new_machine("web-1-bbbbb"))
    assert len(names_of_vms(it)) == 2


def test_refused_calls_have_no_effect_and_are_counted() -> None:
    it = world()
    cloud = ports(it)[0]
    inject(it, "fail", target="create", count=2, error="Exhausted", text="quota exceeded for cores")
    for _time in range(2):
        with pytest.raises(Exhausted, match="cores"):
            cloud.create(new_machine())
    assert names_of_vms(it) == []
    cloud.create(new_machine())
    assert it.state.faults == {}


def test_throttled_says_when_to_try_again() -> None:
    it = world()
    cloud = ports(it)[0]
    inject(it, "fail", target="list_vms", error="Throttled", age="7s")
    with pytest.raises(Throttled) as refusal:
        cloud.list_vms(None, with_leftovers=False)
    assert refusal.value.after == timedelta(seconds=7)


def test_FM22_a_create_that_dies_half_way_leaves_its_port() -> None:
    it = world()
    cloud = ports(it)[0]
    inject(it, "dies_half_way")
    with pytest.raises(Transient):
        cloud.create(new_machine())
    listing = cloud.list_vms(None, with_leftovers=True)
    assert (listing.vms, [each.machine for each in listing.leftovers or ()]) == ((), ["web-0-aaaaa"])
    cloud.clear((listing.leftovers or ())[0])
    assert cloud.list_vms(None, with_leftovers=True).leftovers == ()


def test_an_outage_stops_calls_and_views() -> None:
    """The view keeps its age and says why; with the cluster goes the lock; the cloud goes on."""
    it = world(nodes=["n1"])
    cloud, cluster, lock = ports(it)
    before = cluster.view()
    inject(it, "unreachable", target="cluster", lasts="2m")
    after(it, 60)
    for call in (lambda: cluster.look("n1"), lock.read):
        with pytest.raises(Transient):
            call()
    view = cluster.view()
    assert (view.as_of, view.nodes, bool(view.error)) == (before.as_of, before.nodes, True)
    assert cloud.list_vms(None, with_leftovers=False).as_of == it.now
    told: list[str] = []
    it.listen(lambda kind, _name: told.append(kind))
    after(it, 60)
    assert (cluster.view().as_of, cluster.view().error, told) == (it.now, "", ["cluster"])
    lock.read()


def test_a_stale_list_is_honest_about_its_age() -> None:
    """It shows what was, says when that was, and never claims more."""
    it = world()
    cloud = ports(it)[0]
    inject(it, "stale", target="cloud", age="30s", lasts="5m")
    after(it, 1)
    cloud.create(new_machine())
    after(it, 25)
    listing = cloud.list_vms(None, with_leftovers=False)
    assert (listing.vms, listing.as_of) == ((), DAWN)
    after(it, 25)
    listing = cloud.list_vms(None, with_leftovers=False)
    assert ([each.status for each in listing.vms], listing.as_of) == (["running"], it.now - timedelta(seconds=30))
    cloud.delete(vm(it))
    after(it, 20)
    assert len(cloud.list_vms(None, with_leftovers=False).vms) == 1
    assert cloud.list_vms(None, with_leftovers=False).vms[0].status == "running"


def test_a_stale_view_stands_still_then_lags() -> None:
    it = world(nodes=["n1"])
    _cloud, cluster, _lock = ports(it)
    after(it, 100)
    began = it.now
    inject(it, "stale", target="cluster", age="10s", lasts="60s")
    after(it, 1)
    it.nodes.cordon("n1", schedulable=False)
    after(it, 4)
    assert (cluster.view().as_of, cluster.view().nodes["n1"].schedulable) == (began, True)
    it.nodes.cordon("n1", schedulable=True)
    after(it, 7)
    view = cluster.view()
    assert (view.as_of, view.nodes["n1"].schedulable) == (began + timedelta(seconds=2), False)
    after(it, 48)
    assert (cluster.view().as_of, cluster.view().nodes["n1"].schedulable) == (it.now, True)


def test_a_lost_machine_goes_on_running_for_the_cloud() -> None:
    it = world()
    create(it)
    create(it, "web-1-bbbbb")
    after(it, 90)
    inject(it, "vm_lost", target="web-1-*", after="1m")
    after(it, 101)
    assert [(vm(it, name).status, node(it, name).ready) for name in names_of_vms(it)] == [("running", True), ("running", None)]


def test_a_stopped_machine_comes_back_after_its_time() -> None:
    it = world()
    create(it)
    after(it, 90)
    inject(it, "vm_stopped", lasts="5m")
    assert vm(it).status == "stopped"
    assert node(after(it, 41), "web-0-aaaaa").ready is None
    assert (node(after(it, 320), "web-0-aaaaa").ready, vm(it).status) == (True, "running")


def test_machines_fail_disappear_or_lose_their_marks() -> None:
    it = world()
    for name in ("web-0-aaaaa", "web-1-bbbbb", "web-2-ccccc"):
        create(it, name)
    after(it, 90)
    inject(it, "vm_error", target="web-0-*", text="hypervisor lost")
    inject(it, "vm_gone", target="web-1-*")
    inject(it, "strip_marks", target="web-2-*", proofs=1)
    assert names_of_vms(it) == ["web-0-aaaaa", "web-2-ccccc"]
    assert (vm(it, "web-0-aaaaa").fault, vm(it, "web-2-ccccc").is_ours) == ("hypervisor lost", False)


def test_the_next_machines_never_join_or_end_in_error() -> None:
    it = world()
    inject(it, "never_joins", target="web-0-*")
    inject(it, "create_error", target="web-1-*", text="no disk left")
    for name in ("web-0-aaaaa", "web-1-bbbbb", "web-2-ccccc"):
        create(it, name)
    after(it, 90)
    assert [(vm(it, name).status, name in it.state.members) for name in names_of_vms(it)] == [
        ("running", False),
        ("error", False),
        ("running", True),
    ]


def test_a_delete_sticks() -> None:
    it = world()
    create(it)
    inject(it, "delete_sticks")
    it.hypervisor.delete(vm(it))
    assert vm(after(it, 36000)).status == "deleting"


def test_a_zone_goes_down_and_comes_back() -> None:
    it = world(failure_domains=["az1", "az2"])
    create(it, "web-0-aaaaa", failure_domain="az1")
    create(it, "web-1-bbbbb", failure_domain="az2")
    after(it, 90)
    inject(it, "domain_down", target="az1", lasts="10m")
    create(it, "web-2-ccccc", failure_domain="az1")
    after(it, 60)
    assert [node(it, name).ready for name in ("web-0-aaaaa", "web-1-bbbbb")] == [None, True]
    assert vm(it, "web-2-ccccc").status == "error"
    assert node(after(it, 700), "web-0-aaaaa").ready is True


def test_a_person_cordons_and_a_pod_sticks() -> None:
    it = world(nodes=["n1"], workloads=[{"name": "cart", "namespace": "shop", "kind": "Pod", "replicas": 2}])
    inject(it, "cordon", target="n1")
    inject(it, "pod_sticks", target="shop/cart-00000")
    for each in node(it, "n1").pods:
        it.pods.evict(each, None)
    after(it, 3600)
    assert (node(it, "n1").is_held, pods_on(it, "n1")) == (True, ["cart-00000"])


def test_a_quota_that_shrinks() -> None:
    it = world()
    create(it)
    inject(it, "quota", count=1)
    with pytest.raises(Exhausted):
        create(it, "web-1-bbbbb")
