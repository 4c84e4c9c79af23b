# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists for which vCenter is asked nothing, or next to nothing: what was told of objects in flight, laid over the last one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.cloud import VsphereCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.updates import ENTER, LEAVE, MODIFY, Update
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import Ref, Wanted
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, NotFound
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm
from ansible_collections.immutable.fleet.tests.unit.clouds.vsphere.fakes import FLEET, MACHINE, NOW, FakeTransport
from ansible_collections.immutable.fleet.tests.unit.clouds.vsphere.test_cloud import CLONE, TASK, VM, cloud_on, seen

SECOND = Ref("vim.Task", "task-2")
OFF = {"runtime.powerState": "poweredOff"}


class Told:
    """In the place of the watch: a test says what vCenter told, and sees what is followed."""

    tells = True

    def __init__(self) -> None:
        self.news: list[Update] | None = []
        self.followed: frozenset[Ref] = frozenset()
        self.until: datetime | None = None
        self.touched: list[bool] = []

    def take(self) -> list[Update] | None:
        news, self.news = self.news, []
        return news

    def touch(self, *, anew: bool) -> None:
        self.touched.append(anew)
        self.news = None if anew else self.news

    def follow(self, wanted: frozenset[Ref], until: datetime | None) -> None:
        self.followed, self.until = wanted, until

    def say(self, ref: Ref, kind: str = MODIFY, **values: Any) -> None:
        """`info_state` stands for "info.state"."""
        named = {name.replace("_", ".", 1): value for name, value in values.items()}
        self.news = [*(self.news or ()), Update(at=NOW + timedelta(seconds=1), ref=ref, kind=kind, values=named)]


def watched(transport: FakeTransport, **given: Any) -> tuple[VsphereCloud, Told]:
    cloud, told = cloud_on(transport, **given), Told()
    cloud._updates = told  # type: ignore[assignment]
    return cloud, told


def listed(cloud: VsphereCloud) -> list[Vm]:
    return list(cloud.list_vms(NOW, with_leftovers=False).vms)


def test_a_clone_is_told_by_its_task_and_its_vm_is_read_once() -> None:
    """Until it ends nothing is asked at all; the VM is on by then, and so nothing is in flight."""
    transport = FakeTransport(CloneVM_Task=TASK)
    cloud, told = watched(transport)
    cloud.create(MACHINE)
    assert [(vm.status, vm.id) for vm in listed(cloud)] == [(vm_states.BUILDING, "task-1")]
    assert (told.followed, told.touched) == ({TASK}, [False])
    told.say(TASK, ENTER, info_state="running")
    assert [vm.status for vm in listed(cloud)] == [vm_states.BUILDING]
    assert transport.calls == [CLONE]
    transport.world[VM] = seen()
    told.say(TASK, info_state="success", info_result=VM)
    assert [(vm.status, vm.id) for vm in listed(cloud)] == [(vm_states.RUNNING, "vm-30")]
    assert transport.calls == [CLONE, "read"]
    assert told.followed == frozenset()
    assert [vm.id for vm in listed(cloud)] == ["vm-30"]
    assert transport.calls == [CLONE, "read"]


def test_vms_whose_clones_end_together_are_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second after the first, or with the last of those that run; meanwhile each is being made, and takes no clone's place."""
    refs = [Ref("vim.VirtualMachine", f"vm-{number}") for number in range(3)]
    tasks = [Ref("vim.Task", f"task-{number}") for number in range(3)]
    transport = FakeTransport(CloneVM_Task=list(tasks))
    cloud, told = watched(transport)
    for slot, task in enumerate(tasks):
        cloud.create(replace(MACHINE, name=f"web-{slot}-aaaaa", slot=slot))
        told.say(task, ENTER, info_state="running")
        transport.world[refs[slot]] = seen(f"web-{slot}-aaaaa")
    told.say(tasks[0], info_state="success", info_result=refs[0])
    transport.calls.clear()
    assert [vm.status for vm in listed(cloud)] == [vm_states.BUILDING] * 3
    assert (told.until, told.followed, len(cloud._memory.under_way())) == (NOW + timedelta(seconds=0.5), {*tasks[1:]}, 2)
    told.say(tasks[1], info_state="success", info_result=refs[1])
    assert [vm.status for vm in listed(cloud)] == [vm_states.BUILDING] * 3
    assert transport.calls == []
    monkeypatch.setattr(cloud, "_now", lambda: NOW + timedelta(seconds=0.5))
    assert sorted(vm.status for vm in listed(cloud)) == [vm_states.BUILDING, vm_states.RUNNING, vm_states.RUNNING]
    told.say(tasks[2], info_state="success", info_result=refs[2])
    assert [vm.status for vm in listed(cloud)] == [vm_states.RUNNING] * 3
    assert transport.calls == ["read", "read"]
    assert told.followed == frozenset()


def test_a_vm_that_is_made_and_not_on_is_followed_until_it_is() -> None:
    transport = FakeTransport(CloneVM_Task=TASK)
    cloud, told = watched(transport)
    cloud.create(MACHINE)
    transport.world[VM] = seen(**OFF)
    told.say(TASK, ENTER, info_state="success", info_result=VM)
    assert [vm.status for vm in listed(cloud)] == [vm_states.STOPPED]
    assert told.followed == {VM}
    told.say(VM, runtime_powerState="poweredOn")
    assert [vm.status for vm in listed(cloud)] == [vm_states.RUNNING]
    assert told.followed == frozenset()


@pytest.mark.parametrize("whose", ["of an earlier run", "whose task vCenter forgot"])
def test_a_vm_that_is_listed_by_its_name_only_is_followed(whose: str) -> None:
    """No task tells when it is whole and on."""
    transport = FakeTransport(CloneVM_Task=TASK)
    cloud, told = watched(transport)
    if whose != "of an earlier run":
        cloud.create(MACHINE)
    transport.world[VM] = {"name": MACHINE.name, "parent": FLEET}
    assert len(cloud.list_vms(None, with_leftovers=False).vms) == 1
    assert told.followed == {VM}
    told.say(VM, ENTER, **seen())
    assert [(vm.status, vm.is_ours) for vm in listed(cloud)] == [(vm_states.RUNNING, True)]
    assert told.followed == frozenset()


def test_nobody_tells_of_a_clone_whose_task_vcenter_forgot() -> None:
    """Until a list shows it: it may have been done all the same."""
    transport = FakeTransport(CloneVM_Task=TASK)
    cloud, _told = watched(transport)
    cloud.create(MACHINE)
    assert cloud.list_vms(NOW, with_leftovers=False).tells
    assert not cloud.list_vms(None, with_leftovers=False).tells, "there is no such task"
    transport.world[VM] = seen()
    assert cloud.list_vms(None, with_leftovers=False).tells


def test_a_deletion_goes_on_by_what_is_told() -> None:
    """Two calls, and none between them."""
    transport = FakeTransport(PowerOffVM_Task=TASK, Destroy_Task=SECOND)
    transport.world[VM] = seen()
    cloud, told = watched(transport)
    (vm,) = listed(cloud)
    cloud.delete(vm)
    assert [(each.status, each.delete_again) for each in listed(cloud)] == [(vm_states.DELETING, False)]
    assert told.followed == {TASK, VM}
    told.say(VM, ENTER, **seen(**OFF))
    assert [each.delete_again for each in listed(cloud)] == [False], "its task has not ended"
    told.say(TASK, ENTER, info_state="success")
    (vm,) = listed(cloud)
    assert (vm.status, vm.delete_again) == (vm_states.DELETING, True)
    cloud.delete(vm)
    assert [each.delete_again for each in listed(cloud)] == [False]
    told.say(VM, LEAVE)
    assert listed(cloud) == []
    assert told.followed == frozenset()
    assert transport.calls == ["PowerOffVM_Task vm-30", "Destroy_Task vm-30"]


def test_a_guest_that_does_not_shut_down_is_looked_at_when_its_time_is_over() -> None:
    transport = FakeTransport()
    transport.world[VM] = seen(**{"guest.toolsRunningStatus": "guestToolsRunning"})
    cloud, told = watched(transport, shutdown_timeout="90s")
    cloud.delete(listed(cloud)[0])
    listed(cloud)
    assert (told.followed, told.until) == ({VM}, NOW + timedelta(seconds=90))


def everything(transport: FakeTransport) -> list[str]:
    """Containers that were read as a whole; filled by `noting`."""
    return [call for call in transport.calls if call == "read everything"]


class Noting(FakeTransport):
    """Tells a list of everything from a read of some objects."""

    def read(self, *wanted: Wanted) -> dict[Ref, dict[str, Any]]:
        found = super().read(*wanted)
        if any(each.within is not None for each in wanted):
            self.calls[-1] = "read everything"
        return found


@pytest.mark.parametrize(
    "how",
    ["nobody was told", "a task was forgotten", "power was switched", "called off", "gone already", "somebody was faster"],
)
def test_what_news_cannot_tell_a_list_of_everything_does(how: str) -> None:
    transport = Noting(CloneVM_Task=TASK, ResetVM_Task=SECOND, PowerOffVM_Task=NotFound(what="gone"))
    transport.world[VM] = seen("web-1-bbbbb")
    cloud, told = watched(transport)
    (vm,) = listed(cloud)
    if how == "nobody was told":
        told.news = None
    elif how == "a task was forgotten":
        cloud.create(MACHINE)
        told.say(TASK, LEAVE)
    elif how == "power was switched":
        cloud.power(vm, vm_states.REBOOT)
        assert listed(cloud)
        assert everything(transport) == []
        assert told.followed == {SECOND}
        told.say(SECOND, ENTER, info_state="success")
    elif how == "called off":
        cloud.create(MACHINE)
        cloud.delete(listed(cloud)[-1])
    elif how == "gone already":
        cloud.delete(vm)
    else:
        transport.answers["PowerOffVM_Task"] = Conflict(what="InvalidPowerState")
        with pytest.raises(Conflict):
            cloud.delete(vm)
    listed(cloud)
    assert everything(transport) == ["read everything"]


@pytest.mark.parametrize(("since", "with_leftovers"), [(None, False), (NOW, True)])
def test_who_asks_for_everything_gets_it(since: datetime | None, with_leftovers: bool) -> None:
    transport = Noting()
    cloud, _told = watched(transport)
    cloud.list_vms(since, with_leftovers=with_leftovers)
    assert everything(transport) == ["read everything"]


def test_what_is_told_while_a_list_is_read_is_laid_over_it() -> None:
    """The list may be older. What was told before it began is in it, and is passed over."""
    transport = FakeTransport()
    transport.world[VM] = seen()
    cloud, told = watched(transport)
    told.say(VM, runtime_powerState="poweredOff")
    assert [vm.status for vm in cloud.list_vms(None, with_leftovers=False).vms] == [vm_states.STOPPED]
    told.news = [Update(at=NOW, ref=VM, kind=MODIFY, values=OFF)]
    assert [vm.status for vm in cloud.list_vms(None, with_leftovers=False).vms] == [vm_states.RUNNING]


def test_a_task_that_was_sent_while_a_list_was_read_has_not_ended() -> None:
    """The list knows nothing of it: it runs until something tells."""

    class Slow(FakeTransport):
        def read(self, *wanted: Wanted) -> dict[Ref, dict[str, Any]]:
            found = super().read(*wanted)
            if vm is not None and "PowerOffVM_Task vm-30" not in self.calls:
                cloud.delete(vm)
            return found

    vm: Vm | None = None
    transport = Slow(PowerOffVM_Task=TASK)
    transport.world[VM] = seen()
    cloud, _told = watched(transport)
    (vm,) = listed(cloud)
    assert [(each.status, each.delete_again) for each in cloud.list_vms(None, with_leftovers=False).vms] == [(vm_states.DELETING, False)]


def test_what_told_lists_show_is_one_look_of_the_governor() -> None:
    """Ends that are told one by one say as much of a queue as if they were seen together."""
    tasks = [Ref("vim.Task", f"task-{number}") for number in range(3)]
    cloud, told = watched(FakeTransport(CloneVM_Task=list(tasks)))
    listed(cloud)
    for slot, task in enumerate(tasks):
        cloud.create(replace(MACHINE, name=f"web-{slot}-aaaaa", slot=slot))
        told.say(task, ENTER, info_state="running", info_startTime=NOW)
    listed(cloud)
    for task in tasks:
        told.say(task, info_state="success", info_completeTime=NOW + timedelta(seconds=2))
        listed(cloud)
    assert {lane: len(seen.took) for lane, seen in cloud._seen.items()} == dict.fromkeys(cloud._seen, len(tasks))
    assert cloud._seen
