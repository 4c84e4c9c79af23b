# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Node belongs to which VM."""

from __future__ import annotations

from datetime import datetime

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.engine.machines import Machines
from ansible_collections.immutable.fleet.plugins.module_utils.engine.matching import match
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, POOL, ago, node, vm


@pytest.mark.parametrize(
    ("subject", "other", "expected"),
    [
        pytest.param(vm("m1", provider_id="openstack:///7A"), node("n1", provider_id="openstack:///7a"), "n1", id="providerID"),
        pytest.param(
            vm("m1", provider_id="openstack:///7a"), node("n1", provider_id="openstack://eu/7a"), "n1", id="providerID with a region"
        ),
        pytest.param(vm("m1", system_uuid="AB-1"), node("n1", system_uuid="ab-1"), "n1", id="systemUUID"),
        pytest.param(vm("m1"), node("m1"), "m1", id="name"),
        pytest.param(vm("m1"), node("n1"), "", id="nothing in common"),
        pytest.param(vm("m1", created_at=ago(60)), node("m1", created_at=ago(64)), "m1", id="name, and stamps of two clocks"),
        pytest.param(vm("m1", created_at=ago(60)), node("m1", created_at=ago(66)), "", id="name of a Node older than the VM"),
        pytest.param(
            vm("m1", provider_id="openstack:///new"), node("m1", provider_id="openstack:///old"), "", id="name, but another VM's Node"
        ),
    ],
)
def test_FM26_a_vm_finds_its_own_node_only(subject: Vm, other: Node, expected: str) -> None:
    """A new VM never inherits the Node of an old one that had its name."""
    assert match((subject,), {other.name: other}).get(subject.id, "") == expected


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        pytest.param(vm("m1", provider_id="openstack:///7a", system_uuid="ab-1"), "by-id", id="providerID before systemUUID"),
        pytest.param(vm("m1", provider_id="openstack:///none", system_uuid="ab-1"), "by-uuid", id="systemUUID before the name"),
        pytest.param(vm("m1", provider_id="openstack:///none", system_uuid="none"), "m1", id="the name at last"),
    ],
)
def test_where_two_signs_disagree_the_stronger_one_counts(subject: Vm, expected: str) -> None:
    """A cloned disk may have another machine's systemUUID, and a name may have been another's; a providerID is the cloud's own."""
    found = {
        "by-uuid": node("by-uuid", system_uuid="ab-1"),
        "by-id": node("by-id", provider_id="openstack:///7a", system_uuid="cd-2"),
        "m1": node("m1"),
    }
    assert match((subject,), found) == {subject.id: expected}


def joined(nodes: tuple[Node, ...], vms: tuple[Vm, ...], at: datetime = NOW) -> Machines:
    """Machines after these nodes were seen and these VMs listed."""
    machines = Machines(POOL)
    machines.take_nodes({each.name: each for each in nodes}, at)
    machines.take_vms({each.id: each for each in vms})
    machines.join({}, at)
    return machines


@pytest.mark.parametrize(
    ("subject", "listed_at", "expected"),
    [
        pytest.param(node("m9"), NOW, ["m9"], id="our label, and in no list begun since it was seen"),
        pytest.param(node("m9"), ago(1), [], id="seen after the list was begun: its VM may be new"),
        pytest.param(node("m9", pool=""), NOW, [], id="without our label it is not ours"),
        pytest.param(node("m1"), NOW, [], id="it has a VM"),
    ],
)
def test_a_node_without_a_vm_is_ownerless_only_by_a_later_list(subject: Node, listed_at: datetime, expected: list[str]) -> None:
    """A Node object is deleted only when a list begun after it was first seen has no VM for it."""
    assert list(joined((subject,), (vm("m1"),)).ownerless(listed_at, {})) == expected


def test_a_node_that_lost_its_vm_remembers_its_owner() -> None:
    """The Node of a deleted VM is ours even if nobody labelled it."""
    machines = joined((node("n1", pool="", system_uuid="1"),), (vm("m1", system_uuid="1"),), ago(9))
    machines.take_vms({})
    machines.join({}, NOW)
    assert (machines.owner_of("n1"), list(machines.ownerless(NOW, {}))) == ("m1", ["n1"])


def test_a_node_named_like_a_machine_that_is_to_come_back_is_ours() -> None:
    """A killed run deleted its VM before anybody labelled the node; the next run must not make the machine beside it."""
    machines = Machines(POOL)
    machines.take_nodes({"web-0-aaaaa.example.com": node("web-0-aaaaa.example.com", pool="")}, ago(30))
    machines.take_vms({})
    machines.join({}, NOW)
    assert list(machines.ownerless(NOW, {"web-0-aaaaa": "az1"})) == ["web-0-aaaaa.example.com"]


def test_FM26_a_duplicate_name_is_a_machine_of_its_own() -> None:
    """Nova allows one name twice: the second VM is a machine too, so that it counts and can go."""
    machines, _half_owned = joined((), (vm("m1"), vm("m1", id="other"))).join({}, NOW)
    assert {name: found.vm.id for name, found in machines.items()} == {"m1": "id-m1", "m1/other": "other"}


def test_a_node_of_another_pool_is_nobodys_leftover() -> None:
    """Two pools of one cluster leave each other alone."""
    machines = Machines(POOL)
    machines.take_nodes({"db-0": node("db-0", pool="db")}, ago(30))
    machines.take_vms({})
    machines.join({}, NOW)
    assert machines.ownerless(NOW, {}) == {}
