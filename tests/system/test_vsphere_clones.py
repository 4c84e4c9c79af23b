# SPDX-License-Identifier: GPL-3.0-or-later
"""How many clones a vCenter is asked for at once, from which templates; and disks that outlive a machine, or are none of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.governor import BEGIN
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import CLUSTER, TASK, VM, Ref, Wanted, data
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Throttled
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm
from ansible_collections.immutable.fleet.tests.labs.vsphere.simulator import Simulator
from ansible_collections.immutable.fleet.tests.labs.vsphere.site import Site
from ansible_collections.immutable.fleet.tests.system.vsphere_lab import LabPool, pool, use_or_skip

pytestmark = pytest.mark.lab

DIGEST = f"{marks.IMAGE_DIGEST}=sha256:feed"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    found = use_or_skip()
    yield found
    found.reset()


def removed(made: LabPool) -> None:
    """All of the pool's machines, as the loop removes them."""
    for vm in made.list():
        made.cloud.delete(vm)
    made.until("no machine left", lambda vms: not vms)


def test_no_more_clones_are_asked_for_than_the_queue_takes(simulator: Simulator) -> None:
    """Four slots: what waits for them is never more than at first, and as many are running as can."""
    simulator.set(task_ms={"CloneVM_Task": 1000}, slots_all=4)
    wanted, sent, seen = 30, 0, list[tuple[int, int]]()
    with pool(simulator) as made:

        def go_on(vms: tuple[Vm, ...]) -> bool:
            nonlocal sent
            room = made.listing.starts
            assert room is not None
            building = sum(vm.status == vm_states.BUILDING for vm in vms)
            seen.append((building, room.total))
            for _slot in range(min(room.total, wanted - sent)):
                made.cloud.create(made.machine(sent))
                sent += 1
            return len(vms) == wanted and not building

        made.until("thirty machines", go_on)
        assert len(made.truth()) == wanted
        removed(made)
    assert seen[0] == (0, BEGIN)
    assert max(building for building, _room in seen) <= BEGIN
    assert min(building + room for building, room in seen) < BEGIN, "more waited than ran, so fewer were asked for"


def test_replicas_of_a_template_are_used_where_they_are(simulator: Simulator) -> None:
    """Each machine is copied from the template on its own datastore: two clusters, a replica for each."""
    names = {"golden-a": ("fd-a", "ds-a"), "golden-b": ("fd-b", "ds-b")}
    simulator.make(
        {
            "name": name,
            "source": "golden-base-v1",
            "cluster": cluster,
            "datastore": store,
            "folder": "templates",
            "annotation": DIGEST,
            "off": True,
        }
        for name, (cluster, store) in names.items()
    )
    templates = {name: Ref(VM, simulator.vms()[name]["moref"]) for name in names}
    domains = [{"name": cluster, "cluster": cluster, "datastore": store} for cluster, store in names.values()]
    lab = LabPool(simulator)
    for ref in templates.values():
        lab.transport.call(ref, "MarkAsTemplate")
    lab.cloud.close()
    with pool(simulator, template="golden-a", datastore=None, failure_domains=domains, domains=("fd-a", "fd-b")) as made:
        for slot in range(4):
            made.cloud.create(made.machine(slot))
        vms = made.until_all(vm_states.RUNNING, 4)
        sources = [this for this, method in made.transport.calls_of if method == "CloneVM_Task"]
        assert sources == [templates["golden-a"], templates["golden-b"]] * 2
        assert {vm.fields["image"] for vm in vms} == {"sha256:feed"}
        removed(made)


def test_a_digest_may_be_a_custom_attribute(simulator: Simulator) -> None:
    """As people write it by hand, or a build of templates does: in no call of ours."""
    simulator.make([{"name": "golden-c", "source": "golden-base-v1", "folder": "templates", "off": True}])
    template = Ref(VM, simulator.vms()["golden-c"]["moref"])
    lab = LabPool(simulator)
    fields, kind = Ref("content", "customFieldsManager"), lab.transport._types.GetVmodlType(VM)
    key = lab.transport.call(fields, "AddCustomFieldDef", name=marks.IMAGE_DIGEST, moType=kind)["key"]
    try:
        lab.transport.call(fields, "SetField", entity=template, key=key, value="sha256:c0ffee")
        lab.transport.call(template, "MarkAsTemplate")
        with pool(simulator, template="golden-c") as made:
            assert made.revision.fields["image"] == "sha256:c0ffee"
    finally:
        lab.transport.call(fields, "RemoveCustomFieldDef", key=key)  # a reset of the lab leaves it
        lab.cloud.close()


def test_an_extra_disk_goes_with_its_machine_or_stays(simulator: Simulator) -> None:
    """One that is declared to be kept is detached first; its file is left where it was."""
    with pool(simulator, extra_disks=[{"size_gb": 1}, {"size_gb": 2, "keep": True}]) as made:
        machine = made.machine(0)
        made.cloud.create(machine)
        made.until_all(vm_states.RUNNING, 1)
        disks = made.truth()[machine.name]["disks"]
        assert [(disk["gib"], disk["mode"]) for disk in disks] == [(4, "persistent"), (1, "persistent"), (2, "independent_persistent")]
        removed(made)
        assert made.transport.writes()[-2:] == ["ReconfigVM_Task", "Destroy_Task"]
    left = {file.name for file in Site.from_environment().data.rglob(f"{machine.name}*.vmdk") if "-flat" not in file.name}
    assert left == {disks[2]["file"].rpartition("/")[2]}


def test_a_machine_with_a_first_class_disk_is_not_destroyed(simulator: Simulator) -> None:
    """Its disk is named, and the machine stays, off, until somebody detaches it: then it goes."""
    with pool(simulator) as made:
        machine = made.machine(0)
        made.cloud.create(machine)
        (vm,) = made.until_all(vm_states.RUNNING, 1)
        disk = first_class_disk(made, Ref(VM, vm.id))
        made.cloud.delete(vm)
        (kept,) = made.until("it is off", lambda vms: vms[0].fault and vms)
        assert "detach them" in kept.fault
        with pytest.raises(Throttled, match="detach them"):
            made.cloud.delete(kept)
        assert list(made.truth()) == [machine.name]
        ended(made, made.transport.call(Ref(VM, vm.id), "DetachDisk_Task", diskId=disk))
        made.until("it is gone", lambda vms: not vms)


def first_class_disk(made: LabPool, vm: Ref) -> Any:
    """One as CSI makes and attaches it."""
    manager = Ref("vim.vslm.vcenter.VStorageObjectManager", "VStorageObjectManager")
    store = next(each.ref for each in made.cloud._resolved[made.revision.id].sites["fd-a"].stores)
    where = data("vim.vslm.CreateSpec.DiskFileBackingSpec", datastore=store, provisioningType="thin")
    spec = data("vim.vslm.CreateSpec", name="csi", capacityInMB=1024, backingSpec=where, keepAfterDeleteVm=True)
    disk = ended(made, made.transport.call(manager, "CreateDisk_Task", spec=spec))["config"]["id"]
    ended(made, made.transport.call(vm, "AttachDisk_Task", diskId=disk, datastore=store))
    return disk


def ended(made: LabPool, task: Ref) -> dict[str, Any]:
    """The result of a task that ends well."""
    while True:
        info = made.transport.read(Wanted(kind=TASK, paths=("info.state", "info.error", "info.result"), objects=(task,)))[task]
        assert info["info.state"] != "error", info
        if info["info.state"] == "success":
            return dict(info.get("info.result") or {})
        time.sleep(0.05)


def test_machines_are_kept_apart_by_rules_that_follow_them(simulator: Simulator) -> None:
    """Four on a cluster of two hosts: two rules. A machine that is replaced leaves its rule, and the next one of its slot joins it."""
    with pool(simulator, anti_affinity=True) as made:
        expected = {f"immutable.fleet {made.name} 1": [0, 1], f"immutable.fleet {made.name} 2": [2, 3]}
        for slot in range(4):
            made.cloud.create(made.machine(slot))
        made.until_all(vm_states.RUNNING, 4)
        made.until("two rules", lambda vms: kept_apart(made, vms) == expected)
        assert made.transport.calls.count("ReconfigureComputeResource_Task") == 1
        (old,) = [vm for vm in made.list() if vm.slot == 2]
        made.cloud.delete(old)
        made.until("slot 2 is gone", lambda vms: len(vms) == 3)
        made.cloud.create(made.machine(2))
        made.until("two rules again", lambda vms: kept_apart(made, vms) == expected)
        removed(made)
        made.until("no rule", lambda vms: not kept_apart(made, vms))


def test_a_failure_domain_may_be_a_group_of_hosts(simulator: Simulator) -> None:
    """Machines are cloned to its host, though the cluster has another one, and kept there by a VM group and a rule."""
    with pool(simulator) as made:
        cluster = cluster_of(made)
        (host, *_others) = made.transport.read(Wanted(kind=CLUSTER, paths=("host",), objects=(cluster,)))[cluster]["host"]
        rack = data("vim.cluster.GroupSpec", operation="add", info=data("vim.cluster.HostGroup", name="rack-1", host=[host]))
        spec = data("vim.cluster.ConfigSpecEx", groupSpec=[rack])
        ended(made, made.transport.call(cluster, "ReconfigureComputeResource_Task", spec=spec, modify=True))
    domains = [{"name": "west", "cluster": "fd-a", "host_group": "rack-1"}]
    with pool(simulator, failure_domains=domains, domains=("west",)) as made:
        for slot in range(3):
            made.cloud.create(made.machine(slot))
        made.until_all(vm_states.RUNNING, 3)
        assert len({vm["host"] for vm in made.truth().values()}) == 1
        name = f"immutable.fleet {made.name} on rack-1"
        made.until("its group", lambda vms: in_groups(made, vms) == {name: [0, 1, 2]})
        removed(made)
        made.until("no group", lambda vms: not in_groups(made, vms))


def kept_apart(made: LabPool, vms: tuple[Vm, ...]) -> dict[str, list[int]]:
    """`{rule: slots}` as vCenter has them."""
    return put_in_order(made, vms, "rule")


def in_groups(made: LabPool, vms: tuple[Vm, ...]) -> dict[str, list[int]]:
    """`{VM group: slots}` as vCenter has them."""
    return put_in_order(made, vms, "group")


def put_in_order(made: LabPool, vms: tuple[Vm, ...], what: str) -> dict[str, list[int]]:
    """What the newest list found out of order is cleared, as the loop does."""
    slots = {vm.id: vm.slot or 0 for vm in vms}
    for leftover in made.listing.leftovers or ():
        made.cloud.clear(leftover)
    cluster = cluster_of(made)
    found = made.transport.read(Wanted(kind=CLUSTER, paths=("configurationEx",), objects=(cluster,)))[cluster]["configurationEx"]
    ours = [each for each in found.get(what) or () if made.name in each["name"]]
    return {each["name"]: sorted(slots.get(vm.id, -1) for vm in each.get("vm") or ()) for each in ours}


def cluster_of(made: LabPool) -> Ref:
    (site,) = made.cloud._resolved[made.revision.id].sites.values()
    assert site.cluster is not None
    return site.cluster
