# SPDX-License-Identifier: GPL-3.0-or-later
"""What this run asked vCenter for and no list shows whole: clones, and machines that are going. Pure.

vCenter takes a clone and makes it later; that it failed stands in its task and nowhere else. So the tasks of a run's own clones are
read along with each list, and one that failed is told as a machine in ERROR, with vCenter's words, until its delete is asked for.
This memory may be lost with the run: what it failed to make is then simply not there. What is still being made then is found by the
event that vCenter writes for each clone, which has the name, and the task that runs on the same template since that moment.

A machine goes in steps, and each call of `delete` takes one: its guest is asked to shut down, it is powered off where the guest cannot
or does not, disks that are to outlive it are taken off, and it is destroyed. A step is decided from what the newest list showed, so
a repeated or lost call does no harm.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.convert import (
    ON,
    TOOLS_RUN,
    marks_of,
    vm_under_way,
)
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.disks import foreign_disks, kept_disks
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.governor import Lanes
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.refusals import refusal, words
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import Data, Found, Ref
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import NewMachine, Vm

TASK_PATHS = ("info.state", "info.error", "info.result", "info.startTime", "info.completeTime")
RECENT_PATHS = ("info.state", "info.descriptionId", "info.entity", "info.queueTime")
CLONING = "VirtualMachine.clone"  # how the descriptionId of such a task begins
RUNNING = ("queued", "running")
SAME_MOMENT = timedelta(seconds=5)  # between a clone's event and its task, by one clock

SHUT_DOWN, POWER_OFF, DETACH, DESTROY = "shut down", "power off", "detach", "destroy"
WAIT, KEEP = "wait", "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone:
    """One that was asked for. `task` None: no answer came (yet)."""

    machine: NewMachine
    sent_at: datetime
    addresses: tuple[str, ...] = ()
    lanes: Lanes = ()
    task: Ref | None = None
    is_cancelled: bool = False
    is_made: bool = False  # its task had ended well by the last list, which did not show it yet
    has_failed: bool = False  # its task did, and it is told until its delete is asked for

    @property
    def id(self) -> str:
        """Of the machine, as long as it is none of vCenter's."""
        return self.task.id if self.task is not None else self.machine.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """A VM whose delete was asked for. `task` is the step that is under way, `fault` why the last one failed."""

    shut_down_at: datetime | None = None
    task: Ref | None = None
    fault: Data | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What becomes of clones by a list: the VMs as they are told, and the clones that stay remembered."""

    vms: tuple[Vm, ...]
    clones: Mapping[str, Clone] = field(default_factory=dict)


def tell_clones(
    clones: Iterable[Clone],
    vms: Iterable[Vm],
    tasks: Mapping[Ref, Found],
    *,
    as_of: datetime,
    patience: timedelta,
    unread: Collection[Ref] = (),
) -> Told:
    """The list's VMs with what is known of the clones laid over them.

    `patience`: how long a call without an answer may take. `unread`: tasks that ended well, whose VMs were not asked for yet.
    """
    by_name = {vm.name: vm for vm in vms}
    kept: dict[str, Clone] = {}
    for clone in clones:
        name = clone.machine.name
        seen = by_name.get(name)
        task = tasks.get(clone.task) if clone.task else None
        told, stays = _tell(clone, seen, task or {}, is_late=as_of > clone.sent_at + patience)
        if clone.task in unread:
            told, stays = vm_under_way(clone.machine, clone.id, vm_states.BUILDING), replace(clone, is_made=True)
        if told is not None:
            by_name[name] = told
        if stays is not None:
            kept[name] = stays
    return Told(vms=tuple(by_name.values()), clones=kept)


def pace_of(clones: Iterable[Clone], tasks: Mapping[Ref, Found]) -> list[tuple[Lanes, str, timedelta | None]]:
    """What the governor wants to know of clones: each one's lanes, its task's state, and how long it took. An end is told once."""
    told = []
    for clone in clones:
        task: Found = tasks.get(clone.task, {}) if clone.task is not None else {}
        began, ended = task.get("info.startTime"), task.get("info.completeTime")
        if not clone.is_made and not clone.is_cancelled:
            told.append((clone.lanes, str(task.get("info.state", "")), ended - began if began and ended else None))
    return told


def _tell(clone: Clone, seen: Vm | None, task: Found, *, is_late: bool) -> tuple[Vm | None, Clone | None]:
    """`(as it is told, what stays remembered)`; a task that vCenter forgot says nothing."""
    state = str(task.get("info.state", ""))
    is_whole = seen is not None and seen.is_ours
    if state == "error":
        return _tell_failed(clone, seen, words(task.get("info.error") or {}))
    if state in RUNNING:
        status = vm_states.DELETING if clone.is_cancelled else vm_states.BUILDING
        if seen is None or not is_whole:
            return vm_under_way(clone.machine, clone.id, status), clone
        return replace(seen, status=vm_states.BUILDING), clone
    if is_whole:
        return seen, None
    if seen is not None:
        return vm_under_way(clone.machine, clone.id, vm_states.BUILDING), clone
    if state == "success":  # the VMs were read a moment too early, or somebody removed it at once
        return (None, None) if clone.is_made else (vm_under_way(clone.machine, clone.id, vm_states.BUILDING), replace(clone, is_made=True))
    return None, None if is_late else clone


def _tell_failed(clone: Clone, seen: Vm | None, why: str) -> tuple[Vm | None, Clone | None]:
    if seen is not None:
        return replace(seen, status=vm_states.ERROR, fault=why), replace(clone, has_failed=True)
    if clone.is_cancelled:
        return None, None
    return vm_under_way(clone.machine, clone.id, vm_states.ERROR, why), replace(clone, has_failed=True)


def clones_of_others(tasks: Mapping[Ref, Found], own: Iterable[Ref]) -> dict[Ref, Found]:
    """Clones under way that were not asked for here, or whose answer was lost."""
    known = set(own)
    return {
        task: found
        for task, found in tasks.items()
        if task not in known
        and found.get("info.state") in RUNNING
        and str(found.get("info.descriptionId", "")).startswith(CLONING)
        and "info.queueTime" in found
    }


def names_being_cloned(events: Iterable[Data], tasks: Mapping[Ref, Found], folder: Ref, pool: str) -> dict[str, Ref]:
    """`{name: task}` of machines of the pool that are being cloned into the folder, by vCenter's events."""
    found = {}
    for event in events:
        name = str(event.get("destName", ""))
        if marks.slot_of(pool, name) is None or (event.get("destFolder") or {}).get("folder") != folder:
            continue
        source = (event.get("vm") or {}).get("vm")
        for task, info in tasks.items():
            if info.get("info.entity") == source and abs(info["info.queueTime"] - event["createdTime"]) <= SAME_MOMENT:
                found[name] = task
    return found


def half_known(name: str, task: Ref, pool: str, since: datetime) -> Vm:
    """A machine of which no more is known than that it is being made: it exists, and is left alone until it says more."""
    return Vm(id=task.id, name=name, status=vm_states.BUILDING, created_at=since, proofs=1, slot=marks.slot_of(pool, name))


def next_step(going: Going, found: Found, *, now: datetime, shutdown_timeout: timedelta) -> str:
    """What the next call of `delete` does, by what was last read of the VM; `DEVICES` are read of all that are going."""
    if going.task is not None:
        return WAIT
    if found.get("runtime.powerState") != ON:
        own = kept_of(found)
        if foreign_disks(found, own):
            return KEEP
        return DETACH if kept_disks(found, own) else DESTROY
    if going.shut_down_at is not None:
        return WAIT if now < going.shut_down_at + shutdown_timeout else POWER_OFF
    can_shut_down = shutdown_timeout > timedelta(0) and found.get("guest.toolsRunningStatus") == TOOLS_RUN
    return SHUT_DOWN if can_shut_down else POWER_OFF


def tell_going(vm: Vm, going: Going, step: str, found: Found) -> Vm:
    """A VM that is going: it is being deleted, and whether that goes on only when `delete` is called again."""
    fault = ""
    if step == KEEP:
        fault = kept_for(found)
    elif going.fault is not None:
        fault = words(going.fault)
    return replace(vm, status=vm_states.DELETING, delete_again=step != WAIT, fault=fault)


def kept_of(found: Found) -> str:
    """Places of the disks that were declared to outlive the machine, by its marks."""
    return marks_of(found).get(marks.KEPT_DISKS, "")


def kept_for(found: Found) -> str:
    """Why a VM is not destroyed, and what to do."""
    disks = ", ".join(foreign_disks(found, kept_of(found)))
    return f"disks that must outlive the machine are attached: {disks}; detach them, they would be destroyed with it"


def without_finished(goings: Mapping[str, Going], tasks: Mapping[Ref, Found]) -> dict[str, Going]:
    """The goings after their tasks were read: one that ended is no longer under way, and leaves its fault."""
    found: dict[str, Going] = {}
    for key, going in goings.items():
        info: Mapping[str, Any] = tasks.get(going.task, {}) if going.task is not None else {}
        if going.task is None or info.get("info.state") in RUNNING:
            found[key] = going
        else:
            fault = info.get("info.error")
            is_outdated = fault is not None and isinstance(refusal("", fault), Conflict)  # off already: the facts tell what is next
            found[key] = replace(going, task=None, fault=None if is_outdated else fault)
    return found
