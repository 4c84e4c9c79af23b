# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules keep a pool's machines apart, what is changed of those that there are, and when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.apart import KIND
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.cloud import VsphereCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.rules import change_of, wanted_rules
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import Ref, data
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, NotFound
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, Vm
from ansible_collections.immutable.fleet.tests.unit.clouds.vsphere.fakes import CLUSTER_A, FLEET, GIVEN, NOW, POOL_A, FakeTransport, fault

TASK = Ref("vim.Task", "task-1")
HOSTS = [Ref("vim.HostSystem", f"host-{number}") for number in range(3)]


def vm(slot: int, **more: Any) -> Vm:
    given = {"id": f"vm-{slot}", "name": f"web-{slot}-aaaaa", "status": vm_states.RUNNING, "created_at": NOW, "slot": slot}
    return Vm(**{**given, **more})


def refs(*numbers: int) -> list[Ref]:
    return [Ref("vim.VirtualMachine", f"vm-{number}") for number in numbers]


def rule(name: str, key: int, *numbers: int, kind: str = "AntiAffinityRuleSpec", **more: Any) -> dict[str, Any]:
    return data(f"vim.cluster.{kind}", key=key, name=name, enabled=True, vm=refs(*numbers), **more)


@pytest.mark.parametrize(
    ("vms", "hosts", "expected"),
    [
        pytest.param([vm(0), vm(1), vm(2)], 3, {"immutable.fleet web 1": (0, 1, 2)}, id="as many as hosts: one rule"),
        pytest.param(
            [vm(4), vm(2), vm(0), vm(3), vm(1)],
            3,
            {"immutable.fleet web 1": (0, 1, 2), "immutable.fleet web 2": (3, 4)},
            id="more: a rule for each so many, by slot",
        ),
        pytest.param([vm(0), vm(1), vm(2), vm(3)], 3, {"immutable.fleet web 1": (0, 1, 2)}, id="a rule of one is none"),
        pytest.param([vm(0), vm(1, status=vm_states.DELETING)], 3, {}, id="one that goes is in none"),
        pytest.param([vm(0), vm(1, status=vm_states.BUILDING)], 3, {}, id="nor one that is being made"),
        pytest.param([vm(0), vm(1, proofs=1)], 3, {}, id="nor one that is not surely ours"),
        pytest.param([vm(0), vm(1)], 1, {}, id="a single host"),
    ],
)
def test_the_rules_of_a_cluster(vms: list[Vm], hosts: int, expected: dict[str, tuple[int, ...]]) -> None:
    assert wanted_rules("web", vms, hosts=hosts) == {name: tuple(refs(*numbers)) for name, numbers in expected.items()}


def test_replacing_a_machine_changes_one_rule_and_no_neighbour() -> None:
    """Its next one has its slot."""
    before = wanted_rules("web", [vm(slot) for slot in range(6)], hosts=3)
    after = wanted_rules("web", [vm(slot) if slot != 4 else vm(4, id="vm-44") for slot in range(6)], hosts=3)
    assert [name for name in before if before[name] != after[name]] == ["immutable.fleet web 2"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param([], [("add", "immutable.fleet web 1")], id="none yet"),
        pytest.param([rule("immutable.fleet web 1", 7, 2, 1, 0)], [], id="in order, whatever the order"),
        pytest.param([rule("immutable.fleet web 1", 7, 0, 1)], [("edit", "immutable.fleet web 1")], id="one machine more"),
        pytest.param(
            [rule("immutable.fleet web 1", 7, 0, 1, 2), rule("immutable.fleet web 2", 8)],
            [("remove", 8)],
            id="an empty one that is not needed",
        ),
        pytest.param([rule("immutable.fleet web 1", 7, 0, 1, 2), rule("immutable.fleet webs 2", 8, 0)], [], id="another pool's"),
        pytest.param([rule("immutable.fleet web 1", 7, 0, 1, 2), rule("keep web apart", 9, 0, 1)], [], id="a person's"),
        pytest.param(
            [rule("immutable.fleet web 1", 7, 0, 1, kind="AffinityRuleSpec")], [("add", "immutable.fleet web 1")], id="one of another kind"
        ),
    ],
)
def test_what_is_changed_of_the_rules(rules: list[dict[str, Any]], expected: list[tuple[str, Any]]) -> None:
    found = {"name": "fd-a", "host": HOSTS, "configurationEx": {"rule": rules}}
    change = change_of(found, "web", [vm(0), vm(1), vm(2)], keeps_apart=True, host_groups={})
    assert [(each["operation"], each.get("removeKey") or each["info"]["name"]) for each in (change.rules if change else ())] == expected


def test_a_rule_that_is_changed_stays_as_a_person_left_it() -> None:
    """Disabled, mandatory; only who is in it is ours."""
    disabled = rule("immutable.fleet web 1", 7, 0, mandatory=False, status="red") | {"enabled": False}
    change = change_of(
        {"name": "fd-a", "host": HOSTS, "configurationEx": {"rule": [disabled]}}, "web", [vm(0), vm(1)], keeps_apart=True, host_groups={}
    )
    assert change is not None
    expected = data("vim.cluster.AntiAffinityRuleSpec", key=7, name="immutable.fleet web 1", enabled=False, mandatory=False, vm=refs(0, 1))
    assert change.rules[0]["info"] == expected


RACK = data("vim.cluster.HostGroup", name="rack-1", host=HOSTS[:2])
ON_RACK = "immutable.fleet web on rack-1"
ITS_GROUP = data("vim.cluster.VmGroup", name=ON_RACK, vm=refs(0, 2))
ITS_RULE = data("vim.cluster.VmHostRuleInfo", key=5, name=ON_RACK, vmGroupName=ON_RACK, affineHostGroupName="rack-1")


@pytest.mark.parametrize(
    ("groups", "rules", "vms", "expected"),
    [
        pytest.param([RACK], [], (0, 1, 2), [("add", ON_RACK), ("add", ON_RACK)], id="a VM group, and a rule to the hosts' group"),
        pytest.param([RACK, ITS_GROUP], [ITS_RULE], (0, 1, 2), [], id="in order"),
        pytest.param([RACK, ITS_GROUP], [ITS_RULE], (0, 1, 4), [("edit", ON_RACK)], id="another machine"),
        pytest.param([RACK, ITS_GROUP], [ITS_RULE], (1,), [("remove", 5), ("remove", ON_RACK)], id="none is left"),
        pytest.param([], [], (0, 1, 2), [], id="a group of another cluster"),
        pytest.param([RACK, data("vim.cluster.VmGroup", name="theirs", vm=[])], [], (1,), [], id="a person's groups"),
    ],
)
def test_machines_of_a_domain_are_kept_on_its_hosts(
    groups: list[dict[str, Any]], rules: list[dict[str, Any]], vms: tuple[int, ...], expected: list[tuple[str, Any]]
) -> None:
    """Machines of even slots are of the domain that is rack-1."""
    found = {"name": "fd-a", "host": HOSTS, "configurationEx": {"rule": rules, "group": groups}}
    machines = [vm(slot, failure_domain="east" if slot % 2 else "west") for slot in vms]
    change = change_of(found, "web", machines, keeps_apart=False, host_groups={"west": "rack-1"})
    changes = [*change.rules, *change.groups] if change else []
    assert [(each["operation"], each.get("removeKey") or each["info"]["name"]) for each in changes] == expected


def pool_of_two(**answers: Any) -> tuple[VsphereCloud, FakeTransport]:
    transport = FakeTransport(ReconfigureComputeResource_Task=TASK, **answers)
    transport.world[CLUSTER_A] |= {"host": HOSTS, "configurationEx": {"rule": []}}
    for slot in range(2):
        annotation = "immutable.fleet.pool=web"
        facts = {"name": f"web-{slot}-aaaaa", "parent": FLEET, "config.uuid": "4230", "config.annotation": annotation}
        transport.world[Ref("vim.VirtualMachine", f"vm-{slot}")] = {**facts, "runtime.powerState": "poweredOn", "resourcePool": POOL_A}
    options = parse_options({**GIVEN, "anti_affinity": True})
    return VsphereCloud("web", options, call_timeout=timedelta(seconds=20), now=lambda: NOW, transport=transport), transport


def leftovers(cloud: VsphereCloud) -> tuple[Leftover, ...]:
    return cloud.list_vms(None, with_leftovers=True).leftovers or ()


def test_rules_are_put_in_order_by_a_full_list_and_one_call() -> None:
    cloud, transport = pool_of_two()
    (found,) = leftovers(cloud)
    assert (found.kind, found.machine, found.name) == (KIND, "", "the rules of cluster fd-a are out of date: 2 machines are to be in them")
    assert cloud.list_vms(None, with_leftovers=False).leftovers is None
    cloud.clear(found)
    assert (transport.calls[-1], transport.arguments[-1]["modify"]) == (f"ReconfigureComputeResource_Task {CLUSTER_A.id}", True)
    transport.world[TASK] = {"info.state": "running"}
    assert leftovers(cloud) == (), "its change is under way"
    (change,) = transport.arguments[-1]["spec"]["rulesSpec"]
    transport.world[TASK] = {"info.state": "success"}
    assert leftovers(cloud) == (), "the cluster may have been read before its end"
    assert len(leftovers(cloud)) == 1, "and now it cannot have been"
    transport.world[CLUSTER_A]["configurationEx"] = {"rule": [{**change["info"], "key": 1}]}
    assert leftovers(cloud) == ()


def test_a_change_that_failed_is_told_by_the_next_one() -> None:
    """And made again after that."""
    cloud, transport = pool_of_two()
    cloud.clear(leftovers(cloud)[0])
    transport.world[TASK] = {"info.state": "error", "info.error": fault("NoPermission", privilegeId="Host.Inventory.EditCluster")}
    (again,) = leftovers(cloud)
    with pytest.raises(Denied, match=r"Host\.Inventory\.EditCluster"):
        cloud.clear(again)
    cloud.clear(leftovers(cloud)[0])
    assert transport.calls[-1].startswith("ReconfigureComputeResource_Task")


def test_what_a_newer_list_says_otherwise_is_not_done() -> None:
    cloud, transport = pool_of_two()
    (old,) = leftovers(cloud)
    leftovers(cloud)
    with pytest.raises(NotFound):
        cloud.clear(old)
    assert "ReconfigureComputeResource_Task" not in " ".join(transport.calls)
