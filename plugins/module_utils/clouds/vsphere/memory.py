# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run's adapter knows between its calls: the newest facts, and what it asked for. Pure.

A list of everything replaces the facts; what vCenter tells of objects in flight is laid over them. So a list for which nothing is asked is
made of the same parts by the same rules as one that is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere import convert, disks, under_way
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.governor import Lanes
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.under_way import Clone, Going
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import TASK, VM, Found, Ref
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm

_Read = tuple[Found, "Vm | None", tuple[str, ...]]  # facts, and by them the pool's machine and the addresses that it was given
ASKED: Found = {"info.state": "running"}  # a task of which nothing is known yet
TOGETHER = timedelta(seconds=0.5)  # while other clones run: a guest boots for longer
PATHS = {TASK: under_way.TASK_PATHS, VM: (*convert.VM_PATHS, disks.DEVICES)}  # of what is in flight


class Memory:
    """Not locked: whoever uses it holds the adapter's lock."""

    def __init__(self, pool: str, *, patience: timedelta, shutdown_timeout: timedelta) -> None:
        """`patience`: how long a call without an answer may take."""
        self._pool, self._patience, self._shutdown_timeout = pool, patience, shutdown_timeout
        self.clones: dict[str, Clone] = {}  # by name: asked for, and not yet in a list as they are
        self.goings: dict[str, Going] = {}  # by VM id
        self.powers: set[Ref] = set()  # tasks that switch power
        self.others: dict[str, tuple[Ref, datetime]] = {}  # {name: (task, since)} being cloned, asked for by an earlier run
        self.machines: dict[Ref, Found] = {}
        self.tasks: dict[Ref, Found] = {}  # nothing of one that vCenter forgot
        self.taken: dict[str, str] = {}  # {address: machine} by the newest facts, of every pool in the folder
        self.secret: list[str] = []  # names of machines whose addresses nobody tells yet
        self.listed_at: datetime | None = None  # when the last list of everything began
        self._made_at: datetime | None = None  # when the first of those ended whose VMs were not asked for yet
        self._read: dict[Ref, _Read] = {}
        self._fresh: set[Ref] = set()  # VMs that are being made, or were in this run, and are not on yet

    # What to ask --------------------------------------------------------------------------------------------------------------
    def own_tasks(self) -> list[Ref]:
        """All that this run asked for and that may be under way."""
        asked = (*(clone.task for clone in self.clones.values()), *(going.task for going in self.goings.values()), *self.powers)
        return [task for task in asked if task is not None]

    def followed_tasks(self) -> list[Ref]:
        """With those of an earlier run's clones."""
        return [*self.own_tasks(), *(task for task, _since in self.others.values())]

    def unread(self, tasks: Mapping[Ref, Found], now: datetime) -> frozenset[Ref]:
        """Clones that ended well a moment ago, whose VMs can wait to be read together with those that end in the next one."""
        cloning = {
            clone.task: str(tasks.get(clone.task, ASKED).get("info.state")) for clone in self.clones.values() if clone.task is not None
        }
        ended = frozenset(task for task, state in cloning.items() if state == "success")
        self._made_at = (self._made_at or now) if ended and any(state in under_way.RUNNING for state in cloning.values()) else None
        if self._made_at is None or now - self._made_at >= TOGETHER:
            self._made_at = None
            return frozenset()
        return ended

    def made(self, tasks: Mapping[Ref, Found], unread: frozenset[Ref] = frozenset()) -> list[Ref]:
        """VMs whose clone has ended well, and which no list has shown whole."""
        cloning = (*(clone.task for clone in self.clones.values()), *(task for task, _since in self.others.values()))
        found = [tasks.get(task, {}) for task in cloning if task is not None and task not in unread]
        return [ref for each in found if each.get("info.state") == "success" and isinstance(ref := each.get("info.result"), Ref)]

    def in_flight(self) -> frozenset[Ref]:
        """Objects of which the next news may come: tasks that run, and VMs that are being made or going."""
        running = [task for task in self.followed_tasks() if self.tasks.get(task, ASKED).get("info.state") in under_way.RUNNING]
        going = [ref for key in self.goings if (ref := Ref(VM, key)) in self.machines]
        return frozenset((*running, *going, *self._fresh, *(() if self._made_at else self.made(self.tasks))))

    def is_followed(self) -> bool:
        """Whether all clones under way are: not that whose task vCenter forgot, and which no list shows yet."""
        names = {vm.name for _found, vm, _addresses in self._read.values() if vm is not None}
        return all(clone.task is None or self.tasks.get(clone.task, ASKED) or clone.machine.name in names for clone in self.clones.values())

    def due(self, now: datetime) -> datetime | None:
        """When to look at the latest: a guest that was asked to shut down has had its time, or VMs that were made are to be read."""
        ends = [
            going.shut_down_at + self._shutdown_timeout
            for key, going in self.goings.items()
            if going.shut_down_at is not None and going.task is None and not _is_off(self.machines.get(Ref(VM, key), {}))
        ]
        if self._made_at is not None:
            ends.append(self._made_at + TOGETHER)
        return min((end for end in ends if end > now), default=None)

    # What was answered --------------------------------------------------------------------------------------------------------
    def tasks_after(self, read: Mapping[Ref, Found], followed: Iterable[Ref]) -> dict[Ref, Found]:
        """Of all that is under way: what was read of those that were asked about, and that the others, sent meanwhile, run."""
        return {**dict.fromkeys(self.followed_tasks(), ASKED), **{task: read.get(task, {}) for task in followed}}

    def has_switched(self, tasks: Mapping[Ref, Found]) -> bool:
        """Whether a task that switches power has ended: what came of it only the VM tells."""
        ended = {task for task in self.powers if tasks.get(task, ASKED).get("info.state") not in under_way.RUNNING}
        self.powers -= ended
        return bool(ended)

    def take(
        self,
        machines: Mapping[Ref, Found],
        tasks: Mapping[Ref, Found],
        others: Mapping[str, tuple[Ref, datetime]],
        *,
        as_of: datetime,
        now: datetime,
        skew: timedelta,
        unread: frozenset[Ref] = frozenset(),
    ) -> list[Vm]:
        """Remember what the next verbs need of a list begun `as_of`, with what is told `now`; and lay over it what is under way."""
        self._read = {ref: self._read_anew(ref, found, skew) for ref, found in machines.items()}
        listed = [vm for _found, vm, _addresses in self._read.values() if vm is not None]
        coming = {ref for ref, (found, vm, _addresses) in self._read.items() if vm and (vm.name in self.clones or _is_half(found))}
        self._fresh = {ref for ref in {*self._fresh, *self.made(tasks), *coming} if _is_off(machines.get(ref, {}))}
        told = under_way.tell_clones(self.clones.values(), listed, tasks, as_of=as_of, patience=self._patience, unread=unread)
        self.clones = dict(told.clones)
        names = {vm.name for vm in told.vms}
        self.others = {
            name: each
            for name, each in others.items()
            if name not in names and tasks.get(each[0], {}).get("info.state") in under_way.RUNNING
        }
        half = [under_way.half_known(name, task, self._pool, since) for name, (task, since) in self.others.items()]
        self.machines, self.listed_at = dict(machines), as_of
        self._made_at = self._made_at if unread else None
        alive = {vm.id for vm in listed}
        self.goings = {key: going for key, going in under_way.without_finished(self.goings, tasks).items() if key in alive}
        followed = set(self.followed_tasks())
        self.tasks = {task: found for task, found in tasks.items() if task in followed}
        self._note_addresses(half)
        return [self._told(vm, now) for vm in (*told.vms, *half)]

    def under_way(self) -> list[Lanes]:
        """What each clone that is under way takes a place of."""
        return [clone.lanes for clone in self.clones.values() if not clone.is_made and not clone.has_failed]

    def holders(self) -> dict[str, str]:
        """`{address: machine}` of all that are given."""
        return {address: clone.machine.name for clone in self.clones.values() for address in clone.addresses} | self.taken

    def _read_anew(self, ref: Ref, found: Found, skew: timedelta) -> _Read:
        """What a machine's facts mean; those that did not change since the last time are not taken apart again."""
        before = self._read.get(ref)
        if before is not None and before[0] is found:
            return before
        addresses = tuple(each for each in convert.marks_of(found).get(marks.ADDRESSES, "").split(",") if each)
        return found, convert.vm_of(ref, found, self._pool, skew), addresses

    def _told(self, vm: Vm, now: datetime) -> Vm:
        going = self.goings.get(vm.id)
        if going is None:
            return vm
        found = self.machines.get(Ref(VM, vm.id), {})
        step = under_way.next_step(going, found, now=now, shutdown_timeout=self._shutdown_timeout)
        return under_way.tell_going(vm, going, step, found)

    def _note_addresses(self, half: Sequence[Vm]) -> None:
        """Which addresses are in use, and by whom it is not known yet: a machine that is being cloned tells its own late."""
        self.taken, self.secret = {}, [vm.name for vm in half]
        for found, _vm, addresses in self._read.values():
            name = str(found.get("name", ""))
            self.taken |= dict.fromkeys(addresses, name)
            if _is_half(found) and name not in self.clones and marks.slot_of(self._pool, name) is not None:
                self.secret.append(name)


def _is_off(found: Found) -> bool:
    """Of one that is there."""
    return bool(found) and found.get("runtime.powerState") != convert.ON


def _is_half(found: Found) -> bool:
    """Of one that vCenter lists by its name while it is cloned."""
    return "config.uuid" not in found
