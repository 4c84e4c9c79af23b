# SPDX-License-Identifier: GPL-3.0-or-later
"""The port's verbs over a vCenter in a dictionary: which calls, in which order, and what is told after them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere import convert
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.cloud import VsphereCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.disks import DEVICES
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import Ref, data
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Conflict,
    Denied,
    Exhausted,
    Invalid,
    InvariantViolated,
    NotFound,
    PortError,
    Throttled,
    Transient,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, Starts, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Cloud
from ansible_collections.immutable.fleet.tests.unit.clouds.vsphere.fakes import (
    DISK,
    DS_A,
    FLEET,
    GIVEN,
    GOLDEN,
    MACHINE,
    NOW,
    FakeTransport,
    fault,
)

TASK, VM = Ref("vim.Task", "task-1"), Ref("vim.VirtualMachine", "vm-30")
CLONE = f"CloneVM_Task {GOLDEN.id}"
STATIC = {"name": "pg-nodes", "addresses": ["10.0.0.10-10.0.0.11"], "prefix_length": 24}


def cloud_on(transport: FakeTransport, user_data: str = "", **given: Any) -> VsphereCloud:
    options = parse_options({**GIVEN, **given}, user_data)
    cloud = VsphereCloud("web", options, call_timeout=timedelta(seconds=20), now=lambda: NOW, transport=transport)
    cloud._resolved["r"] = cloud._resolved[cloud.resolve().id]
    cloud.list_vms(None, with_leftovers=True)
    transport.calls.clear()
    return cloud


def listed(cloud: VsphereCloud) -> list[Vm]:
    return list(cloud.list_vms(None, with_leftovers=False).vms)


def seen(name: str = MACHINE.name, addresses: tuple[str, ...] = (), **facts: Any) -> dict[str, Any]:
    """A VM of the pool as vCenter has it."""
    return {
        "name": name,
        "parent": FLEET,
        "config.uuid": "4230",
        convert.MARKS_PATH: {"value": json.dumps(convert.marks_for(MACHINE, "web", addresses))},
        "runtime.powerState": "poweredOn",
        "runtime.connectionState": "connected",
        DEVICES: [DISK],
        **facts,
    }


def test_it_is_a_cloud() -> None:
    """For mypy, which compares every verb with the contract."""
    cloud: Cloud = cloud_on(FakeTransport())
    assert cloud.watch(lambda: None) is True


def test_a_machine_costs_one_call_and_is_listed_from_then_on() -> None:
    """Its marks too, while vCenter shows nothing of it."""
    transport = FakeTransport(CloneVM_Task=TASK)
    cloud = cloud_on(transport, user_data="join ${token}")
    cloud.create(MACHINE)
    assert transport.calls == [CLONE]
    transport.world[TASK] = {"info.state": "running"}
    (vm,) = listed(cloud)
    assert (vm.name, vm.status, vm.revision, vm.is_ours, vm.id) == (MACHINE.name, vm_states.BUILDING, "r", True, "task-1")


@pytest.mark.parametrize(
    ("refused", "raised"),
    [
        (Exhausted(what="full"), Exhausted),
        (Denied(what="privilege"), Denied),
        (NotFound(what="template"), Invalid),
        (Conflict(what="DuplicateName"), Conflict),
    ],
)
def test_FM22_a_refused_clone_leaves_nothing(refused: PortError, raised: type[PortError]) -> None:
    transport = FakeTransport(CloneVM_Task=refused)
    cloud = cloud_on(transport)
    with pytest.raises(raised) as error:
        cloud.create(MACHINE)
    assert error.value.where == f"machine {MACHINE.name}"
    assert listed(cloud) == []


def test_FM26_a_clone_without_an_answer_is_looked_up_and_never_sent_again() -> None:
    """By the event and the task of the same moment, where vCenter shows no VM yet."""
    event = data("vim.event.VmBeingClonedEvent", destName=MACHINE.name, createdTime=NOW, vm={"vm": GOLDEN}, destFolder={"folder": FLEET})
    transport = FakeTransport(CloneVM_Task=Transient(what="lost"), QueryEvents=[[event]])
    cloud = cloud_on(transport)
    with pytest.raises(Transient):
        cloud.create(MACHINE)
    transport.world[TASK] = {
        "info.state": "running",
        "info.descriptionId": "VirtualMachine.clone",
        "info.entity": GOLDEN,
        "info.queueTime": NOW,
    }
    transport.recent = (TASK,)
    (vm,) = listed(cloud)
    assert (vm.id, vm.status, vm.is_ours) == ("task-1", vm_states.BUILDING, True)
    assert transport.calls == [CLONE, "read", "QueryEvents eventManager"]
    listed(cloud)
    assert transport.calls[3:] == ["read"], "its task is known now"


def test_a_clone_that_failed_is_a_machine_in_error_until_its_delete() -> None:
    """No call deletes what never was."""
    transport = FakeTransport(CloneVM_Task=TASK)
    cloud = cloud_on(transport)
    cloud.create(MACHINE)
    transport.world[TASK] = {"info.state": "error", "info.error": fault("NoDiskSpace")}
    (vm,) = listed(cloud)
    assert (vm.status, vm.fault) == (vm_states.ERROR, "no (NoDiskSpace)")
    cloud.delete(vm)
    assert listed(cloud) == []
    assert transport.calls == [CLONE, "read", "read"]


def test_a_clone_that_failed_and_left_its_vm_ends_with_the_vm() -> None:
    """The VM is told, in ERROR, and deleted as any other; nothing is told of its clone afterwards."""
    transport = FakeTransport(CloneVM_Task=TASK, PowerOffVM_Task=Ref("vim.Task", "task-2"))
    cloud = cloud_on(transport)
    cloud.create(MACHINE)
    transport.world[TASK], transport.world[VM] = {"info.state": "error", "info.error": fault("SystemError")}, seen()
    (vm,) = listed(cloud)
    assert (vm.id, vm.status) == ("vm-30", vm_states.ERROR)
    cloud.delete(vm)
    del transport.world[VM]
    assert listed(cloud) == []


def test_a_clone_under_way_is_called_off() -> None:
    transport = FakeTransport(CloneVM_Task=TASK)
    cloud = cloud_on(transport)
    cloud.create(MACHINE)
    transport.world[TASK] = {"info.state": "running"}
    cloud.delete(listed(cloud)[0])
    assert transport.calls[-1] == "CancelTask task-1"
    assert [vm.status for vm in listed(cloud)] == [vm_states.DELETING]
    transport.world[TASK] = {"info.state": "error", "info.error": fault("RequestCanceled")}
    assert listed(cloud) == []


def test_a_machine_is_deleted_in_two_calls() -> None:
    """Each call a step; the list says when the next is due, and the disks are read along with it."""
    transport = FakeTransport(PowerOffVM_Task=TASK, Destroy_Task=TASK)
    transport.world[VM] = seen()
    cloud = cloud_on(transport)
    vm = listed(cloud)[0]
    cloud.delete(vm)
    transport.world[TASK] = {"info.state": "running"}
    assert [(each.status, each.delete_again) for each in listed(cloud)] == [(vm_states.DELETING, False)]
    cloud.delete(vm)
    transport.world[TASK], transport.world[VM] = {"info.state": "success"}, seen(**{"runtime.powerState": "poweredOff"})
    (vm,) = listed(cloud)
    assert (vm.status, vm.delete_again) == (vm_states.DELETING, True)
    cloud.delete(vm)
    del transport.world[VM]
    assert listed(cloud) == []
    assert [call for call in transport.calls if call != "read"] == ["PowerOffVM_Task vm-30", "Destroy_Task vm-30"]
    cloud.delete(vm)


def test_a_guest_that_cannot_shut_down_is_powered_off() -> None:
    transport = FakeTransport(ShutdownGuest=Conflict(what="ToolsUnavailable"), PowerOffVM_Task=TASK)
    transport.world[VM] = seen(**{"guest.toolsRunningStatus": "guestToolsRunning"})
    cloud = cloud_on(transport)
    cloud.delete(listed(cloud)[0])
    assert transport.calls[-2:] == ["ShutdownGuest vm-30", "PowerOffVM_Task vm-30"]


def test_a_vm_with_a_disk_of_somebody_else_is_not_destroyed() -> None:
    """Off already: its disks are read first. The refusal says what to do."""
    transport = FakeTransport()
    transport.world[VM] = seen(
        **{"runtime.powerState": "poweredOff", DEVICES: [data("x.VirtualDisk", vDiskId={}, deviceInfo={"label": "Hard disk 2"})]}
    )
    cloud = cloud_on(transport)
    with pytest.raises(Throttled, match="Hard disk 2; detach"):
        cloud.delete(listed(cloud)[0])
    assert transport.calls == ["read", "read"]


def test_why_a_step_failed_is_said_by_the_next_delete() -> None:
    transport = FakeTransport(PowerOffVM_Task=TASK)
    transport.world[VM] = seen()
    cloud = cloud_on(transport)
    cloud.delete(listed(cloud)[0])
    transport.world[TASK] = {"info.state": "error", "info.error": fault("NoPermission", privilegeId="VirtualMachine.Interact.PowerOff")}
    (vm,) = listed(cloud)
    assert vm.delete_again
    with pytest.raises(Denied, match=r"VirtualMachine\.Interact\.PowerOff"):
        cloud.delete(vm)


def test_an_address_is_given_once_also_to_machines_that_no_list_shows() -> None:
    transport = FakeTransport(CloneVM_Task=TASK)
    transport.world[VM] = seen("other-0-aaaaa", ("10.0.0.10",))
    cloud = cloud_on(transport, networks=[STATIC])
    cloud.create(MACHINE)
    assert '"immutable.fleet.addresses":"10.0.0.11"' in str(transport.arguments[-1])
    with pytest.raises(Exhausted, match="all 2 addresses") as refusal:
        cloud.create(replace(MACHINE, name="web-1-bbbbb", slot=1))
    assert refusal.value.where == "vsphere.networks[0].addresses"


def test_no_address_is_given_while_one_is_not_known() -> None:
    """A machine of an earlier run is listed by its name at first: its address is in what is not there yet."""
    transport = FakeTransport()
    transport.world[VM] = {"name": "web-5-ccccc", "parent": FLEET}
    cloud = cloud_on(transport, networks=[STATIC])
    with pytest.raises(Throttled, match="web-5-ccccc is being cloned"):
        cloud.create(MACHINE)
    assert transport.calls == []


def test_machines_are_spread_over_a_datastore_cluster() -> None:
    """By the space that is left when what this run put there is counted."""
    twin = Ref("vim.Datastore", "datastore-99")
    transport = FakeTransport(CloneVM_Task=[TASK] * 3)
    pod = Ref("vim.StoragePod", "group-p14")
    transport.world[DS_A]["parent"] = pod
    transport.world[twin] = {**transport.world[DS_A], "name": "ds-z", "summary.freeSpace": 12 << 30}
    transport.world[Ref("vim.ClusterComputeResource", "domain-c7")]["datastore"] = [DS_A, twin]
    cloud = cloud_on(transport, datastore=None, datastore_cluster="pod")
    for slot in range(3):
        cloud.create(replace(MACHINE, name=f"web-{slot}-aaaaa", slot=slot))
    chosen = [each["spec"]["location"]["datastore"].id for each in transport.arguments[-3:]]
    assert chosen == ["datastore-99", "datastore-12", "datastore-99"]


def test_names_are_read_once() -> None:
    """By the list that runs ahead, or by the first resolve."""
    transport = FakeTransport()
    cloud = VsphereCloud("web", parse_options(GIVEN), call_timeout=timedelta(seconds=20), now=lambda: NOW, transport=transport)
    cloud.list_vms(None, with_leftovers=True)
    assert transport.calls == ["read", "read"]
    cloud.resolve()
    assert transport.calls[2:] == ["FindChild searchIndex"] * 2 + ["read"] * 2, "the template by its name, details, copies"


def test_nothing_here_leaves_anything_behind() -> None:
    cloud = cloud_on(FakeTransport())
    assert cloud.list_vms(None, with_leftovers=True).leftovers == ()
    with pytest.raises(InvariantViolated):
        cloud.clear(Leftover(kind="port", id="x", name="x", machine="x", created_at=NOW))


def privileges(**missing: str) -> list[dict[str, Any]]:
    """What vCenter answers: everything is granted but what is named by the object's id, with _ for -."""
    asked = {
        GOLDEN: "VirtualMachine.Provisioning.DeployTemplate",
        FLEET: "VirtualMachine.Inventory.Delete",
        DS_A: "Datastore.AllocateSpace",
    }
    return [
        {"entity": ref, "privAvailability": [{"privId": name, "isGranted": missing.get(ref.id.replace("-", "_")) != name}]}
        for ref, name in asked.items()
    ]


def test_room_is_space_and_addresses() -> None:
    transport = FakeTransport(HasUserPrivilegeOnEntities=[privileges()])
    transport.world[VM] = seen("other-0-aaaaa", ("10.0.0.10",))
    room = cloud_on(transport, networks=[STATIC]).room()
    assert [(each.name, each.limit, each.used, each.each, each.fits) for each in room.resources] == [
        ("addresses of pg-nodes", 2, 1, 1, 1),
        ("space of ds-a", 100, 92, 4, 2),
    ]
    assert room.unknown == ()


def test_room_names_a_missing_privilege_with_its_object() -> None:
    answer = privileges(vm_20="VirtualMachine.Provisioning.DeployTemplate", datastore_12="Datastore.AllocateSpace")
    cloud = cloud_on(FakeTransport(HasUserPrivilegeOnEntities=[answer]))
    with pytest.raises(Denied) as refusal:
        cloud.room()
    assert refusal.value.what.startswith(
        "the account fleet@vsphere.local lacks Datastore.AllocateSpace on the datastore ds-a, "
        "VirtualMachine.Provisioning.DeployTemplate on the template golden; "
    )


def test_room_that_cannot_be_read_is_unknown() -> None:
    transport = FakeTransport(HasUserPrivilegeOnEntities=Invalid(what="too old"))
    room = cloud_on(transport).room()
    assert ["privileges" in sentence for sentence in room.unknown] == [True]
    assert room.fits == 2


def test_a_list_says_how_many_clones_may_begin() -> None:
    """Sixteen at first, without those under way; a queue that is too long is cut. Before anything is resolved nobody knows."""
    transport = FakeTransport(CloneVM_Task=[Ref("vim.Task", f"task-{number}") for number in range(16)])
    fresh = VsphereCloud("web", parse_options(GIVEN), call_timeout=timedelta(seconds=20), now=lambda: NOW, transport=transport)
    assert fresh.list_vms(None, with_leftovers=False).starts is None
    cloud = cloud_on(transport)
    assert cloud.list_vms(None, with_leftovers=False).starts == Starts(total=16)
    for slot in range(16):
        cloud.create(replace(MACHINE, name=f"web-{slot}-aaaaa", slot=slot))
        transport.world[Ref("vim.Task", f"task-{slot}")] = {"info.state": "queued" if slot > 3 else "running"}
    assert cloud.list_vms(None, with_leftovers=False).starts == Starts(total=0)
    for slot in range(12):
        task = {"info.state": "success", "info.startTime": NOW, "info.completeTime": NOW + timedelta(seconds=2)}
        transport.world[Ref("vim.Task", f"task-{slot}")] = task
    assert cloud.list_vms(None, with_leftovers=False).starts == Starts(total=4), "8 may be under way now, and 4 are"


def test_a_clone_that_failed_is_under_way_no_more() -> None:
    transport = FakeTransport(CloneVM_Task=TASK)
    cloud = cloud_on(transport)
    cloud.create(MACHINE)
    transport.world[TASK] = {"info.state": "error", "info.error": fault("NoDiskSpace")}
    assert cloud.list_vms(None, with_leftovers=False).starts == Starts(total=16)


def test_a_stable_address_is_the_slots_own_and_waited_for() -> None:
    """Also when others are free; who holds it is said. A slot that has none of its own is refused."""
    transport = FakeTransport(CloneVM_Task=[TASK] * 2)
    transport.world[VM] = seen("web-0-old00", ("10.0.0.10",))
    cloud = cloud_on(transport, networks=[STATIC], stable_addresses=True)
    with pytest.raises(Throttled, match=r"10\.0\.0\.10, which is that of slot 0, is held by web-0-old00 until it is gone"):
        cloud.create(MACHINE)
    cloud.create(replace(MACHINE, name="web-1-bbbbb", slot=1))
    assert '"immutable.fleet.addresses":"10.0.0.11"' in str(transport.arguments[-1])
    del transport.world[VM]
    listed(cloud)
    cloud.create(MACHINE)
    assert '"immutable.fleet.addresses":"10.0.0.10"' in str(transport.arguments[-1])
    with pytest.raises(Exhausted, match="none is that of slot 2"):
        cloud.create(replace(MACHINE, name="web-2-ccccc", slot=2))


def test_a_disk_that_outlives_its_machine_is_detached_first() -> None:
    """Between power off and destroy; its file stays where it is."""
    transport = FakeTransport(ReconfigVM_Task=TASK, Destroy_Task=TASK)
    kept = data("vim.vm.device.VirtualDisk", controllerKey=1000, unitNumber=1, backing={"diskMode": "independent_persistent"})
    marks = json.dumps(convert.marks_for(MACHINE, "web", (), ("1000:1",)))
    off = {"runtime.powerState": "poweredOff", convert.MARKS_PATH: {"value": marks}}
    transport.world[VM] = seen(**off, **{DEVICES: [DISK, kept]})
    cloud = cloud_on(transport)
    cloud.delete(listed(cloud)[0])
    (change,) = transport.arguments[-1]["spec"]["deviceChange"]
    assert (change["operation"], change["device"], "fileOperation" in change) == ("remove", kept, False)
    transport.world[TASK], transport.world[VM] = {"info.state": "success"}, seen(**off)
    (vm,) = listed(cloud)
    assert vm.delete_again
    cloud.delete(vm)
    assert transport.calls[-1] == "Destroy_Task vm-30"


def test_power_is_one_task() -> None:
    """Without asking the guest; off already needs none."""
    transport = FakeTransport(PowerOffVM_Task=TASK, ResetVM_Task=TASK)
    transport.world[VM] = seen()
    cloud = cloud_on(transport)
    (vm,) = listed(cloud)
    cloud.power(vm, vm_states.OFF)
    cloud.power(vm, vm_states.REBOOT)
    cloud.power(replace(vm, status=vm_states.STOPPED), vm_states.OFF)
    assert [call for call in transport.calls if call != "read"] == ["PowerOffVM_Task vm-30", "ResetVM_Task vm-30"]


def test_a_clone_under_way_has_no_power_to_switch() -> None:
    transport = FakeTransport(CloneVM_Task=TASK)
    cloud = cloud_on(transport)
    cloud.create(MACHINE)
    transport.world[TASK] = {"info.state": "running"}
    with pytest.raises(Conflict):
        cloud.power(listed(cloud)[0], vm_states.OFF)
