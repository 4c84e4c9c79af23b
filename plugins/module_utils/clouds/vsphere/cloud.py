# SPDX-License-Identifier: GPL-3.0-or-later
"""The port `Cloud` on a vCenter.

Calls of a machine's life: one CloneVM_Task with everything inline, and two to delete it: power off (by its guest, where that can),
destroy; one more between them where disks are to outlive it. Nothing is reconfigured after. Everything else is shared: one list shows
all of the pool, its tasks that are under way, and the disks of what is going. The unique name in its folder is the fence against a
machine made twice; the instance UUID is a hint.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere import convert, disks, governor, under_way, ways
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.addresses import Addresses
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.apart import KIND, POOL_PATH, Apart
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.client import Client, Transport
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.governor import Lanes
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.inventory import Inventory, find_folder, read_inventory
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import Options, check_pool_name
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.refusals import refusal
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.resolve import Resolved, machine_gib, resolve, revision
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.under_way import Clone, Going
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import TASK, VM, Found, Ref, Wanted, data, well_known
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.ways import Way
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Conflict,
    Exhausted,
    Invalid,
    InvariantViolated,
    NotFound,
    PortError,
    Throttled,
    Transient,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.user_data import render
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, NewMachine, Starts, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Listing

if TYPE_CHECKING:  # only a run that makes machines needs it
    from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Room

EVENTS_BEFORE = timedelta(minutes=1)  # a clone's event is older than its task
ADDRESS_RETRY = timedelta(seconds=5)
KEPT_RETRY = timedelta(seconds=30)
CLONED = "VmBeingClonedEvent"


class VsphereCloud:
    """One pool's VMs in one folder. Connects at the first call; verbs may be called from many threads, lists by one at a time."""

    def __init__(
        self,
        pool: str,
        options: Options,
        *,
        failure_domains: Sequence[str] | None = (),
        call_timeout: timedelta,
        now: Callable[[], datetime],
        transport: Transport | None = None,
    ) -> None:
        """`failure_domains` are the pool's; None where it is only looked at, and nobody knows them."""
        check_pool_name(pool)
        self._pool, self._template = pool, options.template
        self._domains = None if failure_domains is None else tuple(failure_domains)
        self._shutdown_timeout = options.shutdown_timeout
        self._now, self._call_timeout = now, call_timeout
        self._transport: Transport = transport or Client(options.connection, call_timeout, now)
        self._resolved: dict[str, Resolved] = {}  # by revision id: a run that is retargeted has several
        self._names_lock = threading.Lock()
        self._inventory: Inventory | None = None
        self._folder: Ref | None = None
        self._lock = threading.Lock()  # of all that follows
        self._clones: dict[str, Clone] = {}  # by name: asked for, and not yet in a list as they are
        self._goings: dict[str, Going] = {}  # by VM id
        self._facts: dict[str, Found] = {}  # by VM id, of the newest list
        self._taken: dict[str, str] = {}  # {address: machine} by the newest list, of every pool in the folder
        self._secret: list[str] = []  # names of machines whose addresses nobody tells yet
        self._others: dict[str, tuple[Ref, datetime]] = {}  # {name: (task, since)} being cloned, asked for by an earlier run
        self._has_listed = False
        self._lanes: dict[str, governor.Lane] = {}  # what was learned of what clones share
        self._apart = Apart.wanted_by(pool, options.template)
        self._placed: dict[Ref, int] = {}  # bytes that this run put on a datastore since its space was read

    def resolve(self, pinned: Mapping[str, str] | None = None) -> Revision:
        """As `Cloud.resolve`. Two calls for names, one or two for the template, one or two for what they mean."""
        resolved = resolve(self._transport, self._names(), self._template, self._domains, pinned or {})
        found = revision(self._template, resolved)
        with self._lock:
            self._resolved[found.id] = resolved
        return found

    def room(self) -> Room:
        """As `Cloud.room`. Two calls; names a privilege that is missing, with the object."""
        from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.room import room_of

        resolved = next(reversed(self._resolved.values()), None)  # of another template perhaps, which takes as much
        if resolved is None:
            raise InvariantViolated(what="room before resolve")
        with self._lock:
            taken = set(self._taken)
        return room_of(self._transport, self._template, resolved, taken)

    def watch(self, on_change: Callable[[], None]) -> bool:
        """As `Cloud.watch`. Polled: to be told of whatever changes, vCenter would have to watch every VM of the folder for us."""
        del on_change
        return False

    def list_vms(self, since: datetime | None, *, with_leftovers: bool) -> Listing:
        """As `Cloud.list_vms`. One call for a thousand VMs, tasks and disks of those under way included; always a full list.

        A machine's clone leaves nothing beside the VM: the only leftovers are rules that lack a machine, or have none.
        """
        del since
        as_of, folder = self._now(), self._folder_of_vms()
        with self._lock:
            clones, goings, others = dict(self._clones), dict(self._goings), dict(self._others)
            is_unsure = not self._has_listed or any(clone.task is None for clone in clones.values())
        own = [task for task in (*(clone.task for clone in clones.values()), *(going.task for going in goings.values())) if task]
        followed = (*own, *(task for task, _since in others.values()))
        apart = self._apart if with_leftovers else None
        paths = convert.VM_PATHS if apart is None else (*convert.VM_PATHS, POOL_PATH)
        wanted = [Wanted(kind=VM, paths=paths, within=folder), *(apart.wanted(self._names(), self._home()) if apart is not None else ())]
        wanted.append(Wanted(kind=TASK, paths=under_way.TASK_PATHS, objects=tuple(sorted(followed))))
        wanted.append(Wanted(kind=VM, paths=(disks.DEVICES,), objects=tuple(Ref(VM, key) for key in sorted(goings))))
        if is_unsure:
            wanted.append(Wanted(kind=TASK, paths=under_way.RECENT_PATHS, objects=(well_known("taskManager"),), along="recentTask"))
        read = self._transport.read(*wanted)
        machines = {ref: found for ref, found in read.items() if ref.kind == VM}
        tasks = {ref: found for ref, found in read.items() if ref.kind == TASK}
        if is_unsure:
            others = {**others, **self._found_under_way(tasks, own, folder)}
        vms = self._take(machines, tasks, others, as_of)
        leftovers = apart.leftovers(read, self._names(), vms, as_of) if apart is not None else () if with_leftovers else None
        return Listing(as_of=as_of, vms=tuple(vms), leftovers=leftovers, starts=self._starts(clones.values(), tasks))

    def create(self, machine: NewMachine) -> None:
        """As `Cloud.create`. One call; that vCenter failed to do what it took on is told by a list."""
        resolved = self._resolved.get(machine.revision)
        if resolved is None:
            raise InvariantViolated(what=f"create of a revision that was not resolved: {machine.revision}")
        if machine.failure_domain not in resolved.sites:
            raise InvariantViolated(what=f"create in a failure domain that was not resolved: {machine.failure_domain!r}")
        user_data = render(self._template.user_data, machine.values)
        with self._lock:
            addresses = self._choose_addresses(machine)
            way = self._choose_way(machine, resolved)
            arguments = convert.clone_arguments(
                machine, self._pool, self._template, resolved, way=way, addresses=addresses, user_data=user_data
            )
            self._clones[machine.name] = Clone(machine=machine, sent_at=self._now(), addresses=addresses, lanes=way.lanes)
        try:
            task = self._transport.call(way.source.template, "CloneVM_Task", **arguments)
        except Transient:
            raise
        except PortError as exc:
            with self._lock:
                self._clones.pop(machine.name, None)
            exc.where = exc.where or f"machine {machine.name}"
            if isinstance(exc, NotFound):  # of something the request names, which is no ordinary end here
                raise Invalid(what=f"the template, or what it is cloned to, is gone: {exc.what}", where=exc.where) from exc
            raise
        with self._lock:
            if machine.name in self._clones:
                self._clones[machine.name] = replace(self._clones[machine.name], task=task)

    def delete(self, vm: Vm) -> None:
        """As `Cloud.delete`. One call: the next step that the newest facts allow; `Vm.delete_again` asks for the one after."""
        with self._lock:
            clone = next((each for each in self._clones.values() if each.id == vm.id), None)
            going, found = self._goings.get(vm.id, Going()), self._facts.get(vm.id, {})
            if clone is None:
                self._goings[vm.id] = replace(going, fault=None)
                self._clones.pop(vm.name, None)  # its clone failed, or has not ended yet: it is seen by itself from now on
        if clone is not None:
            self._call_off(clone, has_failed=vm.status == vm_states.ERROR)
        elif going.fault is not None:
            raise refusal(f"the last step to delete {vm.name}", going.fault)
        else:
            try:
                self._go_on(Ref(VM, vm.id), going, found)
            except NotFound:
                return

    def power(self, vm: Vm, wanted: str) -> None:
        """As `Cloud.power`. One call; a clone that is under way has no power to switch."""
        if any(clone.id == vm.id for clone in self._clones.values()):
            raise Conflict(what="its clone is under way", where=f"machine {vm.name}")
        if wanted == vm_states.OFF and vm.status == vm_states.STOPPED:
            return
        self._transport.call(Ref(VM, vm.id), "PowerOffVM_Task" if wanted == vm_states.OFF else "ResetVM_Task")

    def clear(self, leftover: Leftover) -> None:
        """As `Cloud.clear`: rules are put in order, one call for all machines of a cluster. Nothing else is ever left."""
        if self._apart is not None and leftover.kind == KIND:
            self._apart.clear(leftover, self._transport)
            return
        raise InvariantViolated(what=f"a leftover {leftover.kind} is none of this cloud's", where=leftover.name)

    def close(self) -> None:
        """Log out; the client does so by itself when the process ends."""
        self._transport.close()

    # Names --------------------------------------------------------------------------------------------------------------------
    def _names(self) -> Inventory:
        """Read once a run: by the first list, or by the first resolve, whichever comes first."""
        with self._names_lock:
            if self._inventory is None:
                self._inventory = read_inventory(self._transport)
            return self._inventory

    def _home(self) -> Ref | None:
        return self._names().datacenter(self._template.datacenter)

    def _folder_of_vms(self) -> Ref:
        if self._folder is None:
            self._folder = find_folder(self._names(), self._template.datacenter, self._template.folder)
        return self._folder

    # Lists --------------------------------------------------------------------------------------------------------------------
    def _found_under_way(self, tasks: Mapping[Ref, Found], own: Sequence[Ref], folder: Ref) -> dict[str, tuple[Ref, datetime]]:
        """Machines that are being cloned and were not asked for here, or whose answer was lost. A call, where any clone runs."""
        running = under_way.clones_of_others(tasks, own)
        if not running:
            return {}
        oldest = min(found["info.queueTime"] for found in running.values())
        time = data("vim.event.EventFilterSpec.ByTime", beginTime=oldest - EVENTS_BEFORE)
        spec = data("vim.event.EventFilterSpec", time=time, eventTypeId=[CLONED])
        events = self._transport.call(well_known("eventManager"), "QueryEvents", filter=spec)
        named = under_way.names_being_cloned(events or (), running, folder, self._pool)
        return {name: (task, running[task]["info.queueTime"] - self._transport.skew) for name, task in named.items()}

    def _take(
        self,
        machines: Mapping[Ref, Found],
        tasks: Mapping[Ref, Found],
        others: Mapping[str, tuple[Ref, datetime]],
        as_of: datetime,
    ) -> list[Vm]:
        """Remember what the next verbs need of a list, and lay over it what is under way."""
        skew = self._transport.skew
        listed = [vm for ref, found in machines.items() if (vm := convert.vm_of(ref, found, self._pool, skew))]
        with self._lock:
            for name, (task, _since) in others.items():
                clone = self._clones.get(name)
                if clone is not None and clone.task is None:
                    self._clones[name] = replace(clone, task=task)
            told = under_way.tell_clones(self._clones.values(), listed, tasks, as_of=as_of, patience=self._call_timeout)
            self._clones = dict(told.clones)
            names = {vm.name for vm in told.vms}
            self._others = {
                name: each
                for name, each in others.items()
                if name not in names and tasks.get(each[0], {}).get("info.state") in under_way.RUNNING
            }
            half = [under_way.half_known(name, task, self._pool, since) for name, (task, since) in self._others.items()]
            self._facts = {ref.id: found for ref, found in machines.items()}
            alive = {vm.id for vm in listed}
            self._goings = {key: going for key, going in under_way.without_finished(self._goings, tasks).items() if key in alive}
            self._note_addresses(machines, half)
            self._has_listed = True
            return [self._told(vm, as_of) for vm in (*told.vms, *half)]

    def _starts(self, clones: Iterable[Clone], tasks: Mapping[Ref, Found]) -> Starts | None:
        """How many clones may begin until the next list; `clones` are those that there were before this one."""
        with self._lock:
            resolved = next(reversed(self._resolved.values()), None)
            if resolved is None:
                return None
            seen = governor.see(under_way.pace_of(clones, tasks))
            self._lanes |= {name: governor.adapt(self._lanes.get(name, governor.Lane()), each) for name, each in seen.items()}
            return ways.starts(resolved, self._lanes, self._under_way())

    def _told(self, vm: Vm, now: datetime) -> Vm:
        going = self._goings.get(vm.id)
        if going is None:
            return vm
        found = self._facts.get(vm.id, {})
        step = under_way.next_step(going, found, now=now, shutdown_timeout=self._shutdown_timeout)
        return under_way.tell_going(vm, going, step, found)

    def _note_addresses(self, machines: Mapping[Ref, Found], half: Sequence[Vm]) -> None:
        """Which addresses are in use, and by whom it is not known yet: a machine that is being cloned tells its own late."""
        self._taken, self._secret = {}, [vm.name for vm in half]
        for found in machines.values():
            name, given = str(found.get("name", "")), convert.marks_of(found)
            self._taken |= {address: name for address in given.get(marks.ADDRESSES, "").split(",") if address}
            if "config.uuid" not in found and name not in self._clones and marks.slot_of(self._pool, name) is not None:
                self._secret.append(name)

    # Creates ------------------------------------------------------------------------------------------------------------------
    def _choose_addresses(self, machine: NewMachine) -> tuple[str, ...]:
        """By interface; "" where DHCP gives one. Raises `Exhausted` when none is left, `Throttled` while it is not known which are."""
        networks = self._template.networks or ()
        if not any(network.addresses for network in networks):
            return ()
        if self._secret:
            what = f"{self._secret[0]} is being cloned, and which address it was given is not known until vCenter shows it whole"
            raise Throttled(what=what, where=f"machine {machine.name}", after=ADDRESS_RETRY)
        holders = {address: clone.machine.name for clone in self._clones.values() for address in clone.addresses} | self._taken
        chosen: list[str] = []
        for index, network in enumerate(networks):
            given, where = network.addresses, f"vsphere.networks[{index}].addresses"
            if given is None:
                chosen.append("")
            elif self._template.stable_addresses:
                chosen.append(_own_address(given, machine, holders, where))
            else:
                chosen.append(given.choose(machine.slot, {*holders, *chosen}))
                if not chosen[-1]:
                    raise Exhausted(what=f"all {len(given.given)} addresses are given to machines; expected more of them", where=where)
        return tuple(chosen)

    def _choose_way(self, machine: NewMachine, resolved: Resolved) -> Way:
        """Counts what this run put on a datastore since its space was read, and clones that no list shows yet."""
        way = ways.choose(resolved, machine.failure_domain, self._lanes, self._under_way(), self._placed)
        if way.store is not None:
            size = max(1, machine_gib(self._template, resolved) * disks.GIB)
            self._placed[way.store.ref] = self._placed.get(way.store.ref, 0) + size
        return way

    def _under_way(self) -> list[Lanes]:
        return [clone.lanes for clone in self._clones.values() if not clone.is_made and not clone.has_failed]

    # Deletes ------------------------------------------------------------------------------------------------------------------
    def _call_off(self, clone: Clone, *, has_failed: bool) -> None:
        """A clone that is not whole: one that failed is forgotten, one under way is called off, which may come too late."""
        with self._lock:
            self._clones.pop(clone.machine.name, None)
        if clone.task is None or has_failed:
            return
        try:
            self._transport.call(clone.task, "CancelTask")
        except (NotFound, Conflict, Invalid):  # it has ended: the next list shows what came of it
            return
        with self._lock:
            self._clones[clone.machine.name] = replace(clone, is_cancelled=True)

    def _go_on(self, ref: Ref, going: Going, found: Found) -> None:
        if not found or (found.get("runtime.powerState") != convert.ON and disks.DEVICES not in found):
            found = self._transport.read(Wanted(kind=VM, paths=(*convert.VM_PATHS, disks.DEVICES), objects=(ref,))).get(ref, {})
            if not found:
                return
        now = self._now()
        step = under_way.next_step(going, found, now=now, shutdown_timeout=self._shutdown_timeout)
        if step == under_way.KEEP:
            raise Throttled(what=under_way.kept_for(found), where=f"machine {found.get('name', ref.id)}", after=KEPT_RETRY)
        if step == under_way.SHUT_DOWN:
            try:
                self._transport.call(ref, "ShutdownGuest")
                self._remember(ref, replace(going, shut_down_at=now))
                return
            except (Conflict, Invalid):  # its guest cannot
                step = under_way.POWER_OFF
        if step == under_way.WAIT:
            return
        if step == under_way.DETACH:
            spec = disks.detached(disks.kept_disks(found, under_way.kept_of(found)))
            task: Any = self._transport.call(ref, "ReconfigVM_Task", spec=spec)
        else:
            task = self._transport.call(ref, "PowerOffVM_Task" if step == under_way.POWER_OFF else "Destroy_Task")
        self._remember(ref, replace(going, task=task))

    def _remember(self, ref: Ref, going: Going) -> None:
        with self._lock:
            self._goings[ref.id] = going


def _own_address(given: Addresses, machine: NewMachine, holders: Mapping[str, str], where: str) -> str:
    """The slot's own. Raises `Exhausted` where there are fewer, `Throttled` until whoever holds it is gone."""
    own = given.own(machine.slot)
    if not own:
        raise Exhausted(what=f"{len(given.given)} addresses, and none is that of slot {machine.slot}; expected more of them", where=where)
    if own in holders:
        what = f"{own}, which is that of slot {machine.slot}, is held by {holders[own]} until it is gone"
        raise Throttled(what=what, where=f"machine {machine.name}", after=ADDRESS_RETRY)
    return own
