# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of clones and deletions that are under way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere import under_way
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.convert import MARKS_PATH, vm_under_way
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.disks import DEVICES
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.under_way import Clone, Going, next_step, tell_going
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import Ref, data
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm
from ansible_collections.immutable.fleet.tests.unit.clouds.vsphere.fakes import DISK, FLEET, GOLDEN, MACHINE, NOW, fault

TASK, OTHER = Ref("vim.Task", "task-1"), Ref("vim.Task", "task-2")
CLONE = Clone(machine=MACHINE, sent_at=NOW, task=TASK)
WHOLE = replace(vm_under_way(MACHINE, "vm-30", vm_states.RUNNING), provider_id="vsphere://x")
NAMED = Vm(id="vm-30", name=MACHINE.name, status=vm_states.BUILDING, created_at=NOW, proofs=1)
OFF, ON = {"runtime.powerState": "poweredOff", DEVICES: [DISK]}, {"runtime.powerState": "poweredOn"}
WITH_TOOLS = {**ON, "guest.toolsRunningStatus": "guestToolsRunning"}
KEPT = data("x.VirtualDisk", controllerKey=1000, unitNumber=1, backing={"diskMode": "independent_persistent"})
FAILED = {"info.state": "error", "info.error": fault("NoDiskSpace", datastore="ds-a")}


def told(clone: Clone, *vms: Vm, task: dict[str, Any] | None = None, after: int = 1) -> tuple[list[tuple[str, str, int]], bool]:
    """`([(id, status, proofs)], whether the clone stays remembered)`."""
    found = under_way.tell_clones(
        [clone], vms, {TASK: task} if task else {}, as_of=NOW + timedelta(seconds=after), patience=timedelta(seconds=20)
    )
    return [(vm.id, vm.status, vm.proofs) for vm in found.vms], bool(found.clones)


@pytest.mark.parametrize(
    ("clone", "vms", "task", "after", "expected"),
    [
        pytest.param(CLONE, (), {"info.state": "queued"}, 1, ([("task-1", "building", 3)], True), id="queued: it is there, with all marks"),
        pytest.param(CLONE, (NAMED,), {"info.state": "running"}, 99, ([("task-1", "building", 3)], True), id="listed by its name alone"),
        pytest.param(CLONE, (WHOLE,), {"info.state": "running"}, 1, ([("vm-30", "building", 3)], True), id="whole, and not yet powered on"),
        pytest.param(CLONE, (WHOLE,), {"info.state": "success"}, 1, ([("vm-30", "running", 3)], False), id="made: as the list has it"),
        pytest.param(CLONE, (), {"info.state": "success"}, 99, ([("task-1", "building", 3)], True), id="made a moment after the list"),
        pytest.param(
            replace(CLONE, is_made=True),
            (),
            {"info.state": "success"},
            1,
            ([], False),
            id="made, and in the second list neither: somebody removed it",
        ),
        pytest.param(CLONE, (), FAILED, 1, ([("task-1", "error", 3)], True), id="failed: a machine in ERROR"),
        pytest.param(CLONE, (WHOLE,), FAILED, 1, ([("vm-30", "error", 3)], True), id="failed and left behind: this one is in ERROR"),
        pytest.param(CLONE, (WHOLE,), None, 1, ([("vm-30", "running", 3)], False), id="vCenter forgot the task"),
        pytest.param(replace(CLONE, task=None), (), None, 1, ([], True), id="FM26 no answer: nothing is known yet"),
        pytest.param(
            replace(CLONE, task=None), (WHOLE,), None, 1, ([("vm-30", "running", 3)], False), id="FM26 no answer, and it is there"
        ),
        pytest.param(replace(CLONE, task=None), (), None, 21, ([], False), id="FM26 no answer, and it never came"),
        pytest.param(
            replace(CLONE, is_cancelled=True), (), {"info.state": "running"}, 1, ([("task-1", "deleting", 3)], True), id="called off"
        ),
        pytest.param(replace(CLONE, is_cancelled=True), (), FAILED, 1, ([], False), id="called off, and it ended"),
        pytest.param(
            replace(CLONE, is_cancelled=True),
            (WHOLE,),
            {"info.state": "success"},
            1,
            ([("vm-30", "running", 3)], False),
            id="called off too late",
        ),
    ],
)
def test_a_clone_is_a_machine_from_the_moment_it_was_asked_for(
    clone: Clone, vms: tuple[Vm, ...], task: dict[str, Any] | None, after: int, expected: Any
) -> None:
    assert told(clone, *vms, task=task, after=after) == expected


def test_a_clone_that_failed_says_why() -> None:
    found = under_way.tell_clones([CLONE], [], {TASK: FAILED}, as_of=NOW, patience=timedelta(0))
    assert found.vms[0].fault == "no: datastore ds-a (NoDiskSpace)"


def task_of(**changes: Any) -> dict[str, Any]:
    return {"info.state": "running", "info.descriptionId": "VirtualMachine.clone", "info.entity": GOLDEN, "info.queueTime": NOW, **changes}


def event_of(**changes: Any) -> dict[str, Any]:
    source, folder = {"vm": GOLDEN}, {"folder": FLEET}
    return {"destName": "web-0-aaaaa", "vm": source, "destFolder": folder, "createdTime": NOW - timedelta(seconds=1), **changes}


@pytest.mark.parametrize(
    ("task", "event", "is_found"),
    [
        pytest.param(task_of(), event_of(), True, id="its event, and a task of that moment on the same template"),
        pytest.param(task_of(**{"info.state": "success"}), event_of(), False, id="it has ended"),
        pytest.param(task_of(**{"info.descriptionId": "VirtualMachine.powerOn"}), event_of(), False, id="another kind of task"),
        pytest.param(task_of(**{"info.entity": Ref("vim.VirtualMachine", "vm-9")}), event_of(), False, id="another template"),
        pytest.param(task_of(), event_of(createdTime=NOW - timedelta(minutes=9)), False, id="an older clone of the template"),
        pytest.param(task_of(), event_of(destName="db-0-aaaaa"), False, id="another pool"),
        pytest.param(task_of(), event_of(destFolder={"folder": GOLDEN}), False, id="another folder"),
    ],
)
def test_FM41_a_clone_that_an_earlier_run_asked_for_is_found_by_its_event(
    task: dict[str, Any], event: dict[str, Any], is_found: bool
) -> None:
    running = under_way.clones_of_others({OTHER: task}, own=[])
    assert under_way.names_being_cloned([event], running, FLEET, "web") == ({"web-0-aaaaa": OTHER} if is_found else {})


def test_a_clone_of_this_run_is_no_other_runs() -> None:
    assert under_way.clones_of_others({TASK: task_of()}, own=[TASK]) == {}


@pytest.mark.parametrize(
    ("going", "facts", "expected"),
    [
        pytest.param(Going(), WITH_TOOLS, "shut down", id="its guest is asked first"),
        pytest.param(Going(), ON, "power off", id="no tools: nobody to ask"),
        pytest.param(Going(shut_down_at=NOW), WITH_TOOLS, "wait", id="asked just now"),
        pytest.param(Going(shut_down_at=NOW - timedelta(seconds=60)), WITH_TOOLS, "power off", id="asked in vain"),
        pytest.param(Going(task=TASK), ON, "wait", id="a step is under way"),
        pytest.param(Going(), OFF, "destroy", id="off"),
        pytest.param(Going(), {**OFF, DEVICES: [DISK, data("x.VirtualDisk", vDiskId={"id": 1})]}, "keep", id="a disk of CSI is attached"),
        pytest.param(
            Going(), {**OFF, DEVICES: [data("x.VirtualDisk", backing={"diskMode": "independent_persistent"})]}, "keep", id="independent"
        ),
        pytest.param(
            Going(), {**OFF, DEVICES: [DISK, KEPT], MARKS_PATH: '{"immutable.fleet.kept_disks":"1000:1"}'}, "detach", id="one to be kept"
        ),
        pytest.param(Going(), {**OFF, DEVICES: [DISK], MARKS_PATH: '{"immutable.fleet.kept_disks":"1000:1"}'}, "destroy", id="detached"),
        pytest.param(Going(), {**OFF, DEVICES: [DISK, KEPT]}, "keep", id="FM25 one to be kept, and the marks were stripped"),
    ],
)
def test_a_machine_goes_by_the_step_that_its_facts_allow(going: Going, facts: dict[str, Any], expected: str) -> None:
    assert next_step(going, facts, now=NOW, shutdown_timeout=timedelta(seconds=60)) == expected


def test_no_guest_is_asked_without_a_timeout() -> None:
    assert next_step(Going(), WITH_TOOLS, now=NOW, shutdown_timeout=timedelta(0)) == "power off"


@pytest.mark.parametrize(("step", "again"), [("wait", False), ("destroy", True), ("power off", True), ("keep", True)])
def test_a_machine_that_is_going_says_when_the_next_step_is_due(step: str, again: bool) -> None:
    found = tell_going(WHOLE, Going(), step, {**OFF, DEVICES: [data("x.VirtualDisk", vDiskId={}, deviceInfo={"label": "Hard disk 2"})]})
    assert (found.status, found.delete_again, "Hard disk 2" in found.fault) == (vm_states.DELETING, again, step == "keep")


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        pytest.param({"info.state": "running"}, Going(task=TASK), id="runs"),
        pytest.param({"info.state": "success"}, Going(), id="ended"),
        pytest.param({"info.state": "error", "info.error": fault("InvalidPowerState")}, Going(), id="was off already: nothing to tell"),
        pytest.param({"info.state": "error", "info.error": fault("NoPermission")}, Going(fault=fault("NoPermission")), id="failed"),
        pytest.param({}, Going(), id="vCenter forgot it"),
    ],
)
def test_a_step_that_ended_is_no_longer_under_way(info: dict[str, Any], expected: Going) -> None:
    assert under_way.without_finished({"vm-30": Going(task=TASK)}, {TASK: info} if info else {}) == {"vm-30": expected}
