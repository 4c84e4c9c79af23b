# SPDX-License-Identifier: GPL-3.0-or-later
"""The port `Cloud` on a vCenter.

Calls of a machine's life: one CloneVM_Task with everything inline, and two to delete it: power off (by its guest, where that can),
destroy; one more between them where disks are to outlive it. Nothing is reconfigured after. Everything else is shared: one list shows
all of the pool, its tasks that are under way, and the disks of what is going. The unique name in its folder is the fence against a
machine made twice; the instance UUID is a hint.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere import convert, disks, governor, under_way, ways
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.addresses import addresses_for
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.apart import KIND, POOL_PATH, Apart
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.client import Client
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.inventory import Inventory, find_folder, read_inventory
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.memory import ASKED, PATHS, Memory
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import Options, check_pool_name
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.refusals import refusal
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.resolve import Resolved, machine_gib, resolve, revision
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.transport import Transport
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.under_way import Clone, Going
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.updates import LEAVE, Updates, laid_over
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import TASK, VM, Found, Ref, Wanted, data, well_known
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.ways import Way
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Conflict,
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
        self._apart = Apart.wanted_by(pool, options.template)
        self._updates: Updates | None = None
        self._lock = threading.Lock()  # of all that follows
        self._memory = Memory(pool, patience=call_timeout, shutdown_timeout=options.shutdown_timeout)
        self._lanes: dict[str, governor.Lane] = {}  # what was learned of what clones share
        self._seen: dict[str, governor.Seen] = {}  # by looks that were too short to learn from
        self._looked_at: datetime | None = None
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
            taken = set(self._memory.taken)
        return room_of(self._transport, self._template, resolved, taken)

    def watch(self, on_change: Callable[[], None]) -> bool:
        """As `Cloud.watch`. No call before something is in flight: tasks and VMs in flight are all that vCenter is asked to watch."""
        self._updates = Updates(self._transport, self._now, PATHS, on_change)
        atexit.register(self._updates.stop)  # before the logout, which was registered earlier: nobody logs in again for it
        return True

    def list_vms(self, since: datetime | None, *, with_leftovers: bool) -> Listing:
        """As `Cloud.list_vms`. One call for a thousand VMs, tasks and disks of those under way included.

        With `since` what was told is laid over the last list: one call for VMs that were made since, or none. What is in flight
        after it is followed: a call more where that is more than before, two where it is nothing any more.
        A machine's clone leaves nothing beside the VM: the only leftovers are rules that lack a machine, or have none.
        """
        listing = self._list_told() if since is not None and not with_leftovers else None
        if listing is None:
            listing = self._list_all(with_leftovers=with_leftovers)
        if self._updates is None:
            return listing
        with self._lock:
            known = self._memory
            in_flight, due, is_followed = known.in_flight(), known.due(self._now()), known.is_followed()
        self._updates.follow(in_flight, due)
        return replace(listing, tells=self._updates.tells and is_followed)

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
            clones = self._memory.clones
            clones[machine.name] = Clone(machine=machine, sent_at=self._now(), addresses=addresses, lanes=way.lanes)
        try:
            task = self._transport.call(way.source.template, "CloneVM_Task", **arguments)
        except Transient:
            raise
        except PortError as exc:
            with self._lock:
                self._memory.clones.pop(machine.name, None)
            exc.where = exc.where or f"machine {machine.name}"
            if isinstance(exc, NotFound):  # of something the request names, which is no ordinary end here
                raise Invalid(what=f"the template, or what it is cloned to, is gone: {exc.what}", where=exc.where) from exc
            raise
        with self._lock:
            clones = self._memory.clones
            if machine.name in clones:
                clones[machine.name] = replace(clones[machine.name], task=task)
        self._follow(anew=False)

    def delete(self, vm: Vm) -> None:
        """As `Cloud.delete`. One call: the next step that the newest facts allow; `Vm.delete_again` asks for the one after."""
        with self._lock:
            known = self._memory
            clone = next((each for each in known.clones.values() if each.id == vm.id), None)
            going, found = known.goings.get(vm.id, Going()), known.machines.get(Ref(VM, vm.id), {})
            if clone is None:
                known.goings[vm.id] = replace(going, fault=None)
                known.clones.pop(vm.name, None)  # its clone failed, or has not ended yet: it is seen by itself from now on
        anew = clone is not None  # whether it was called off in time, only a list of everything tells
        try:
            if clone is not None:
                self._call_off(clone, has_failed=vm.status == vm_states.ERROR)
            elif going.fault is not None:
                raise refusal(f"the last step to delete {vm.name}", going.fault)
            else:
                self._go_on(Ref(VM, vm.id), going, found)
        except NotFound:
            anew = True
        except Conflict:
            anew = True  # somebody else does something to it
            raise
        finally:
            self._follow(anew=anew)

    def power(self, vm: Vm, wanted: str) -> None:
        """As `Cloud.power`. One call; a clone that is under way has no power to switch."""
        if any(clone.id == vm.id for clone in self._memory.clones.values()):
            raise Conflict(what="its clone is under way", where=f"machine {vm.name}")
        if wanted == vm_states.OFF and vm.status == vm_states.STOPPED:
            return
        task = self._transport.call(Ref(VM, vm.id), "PowerOffVM_Task" if wanted == vm_states.OFF else "ResetVM_Task")
        with self._lock:
            self._memory.powers.add(task)
        self._follow(anew=False)

    def clear(self, leftover: Leftover) -> None:
        """As `Cloud.clear`: rules are put in order, one call for all machines of a cluster. Nothing else is ever left."""
        if self._apart is not None and leftover.kind == KIND:
            self._apart.clear(leftover, self._transport)
            return
        raise InvariantViolated(what=f"a leftover {leftover.kind} is none of this cloud's", where=leftover.name)

    def close(self) -> None:
        """Log out; the client does so by itself when the process ends."""
        if self._updates is not None:
            self._updates.stop()
        self._transport.close()

    def _follow(self, *, anew: bool) -> None:
        """The loop lists at once what it asked for, and that list has it followed; one of everything, where it has to be `anew`."""
        if self._updates is not None:
            self._updates.touch(anew=anew)

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
    def _list_told(self) -> Listing | None:
        """The last list with what was told since; None where only one of everything can tell."""
        news = self._updates.take() if self._updates is not None else None
        with self._lock:
            known, as_of = self._memory, self._memory.listed_at
            if news is None or as_of is None or any(each.kind == LEAVE and each.ref.kind == TASK for each in news):
                return None  # vCenter forgot a task: it was restarted
            clones, others = dict(known.clones), dict(known.others)
            machines = laid_over(known.machines, (each for each in news if each.ref.kind == VM))
            tasks = laid_over(
                {**dict.fromkeys(known.followed_tasks(), ASKED), **known.tasks}, (each for each in news if each.ref.kind == TASK)
            )
            if known.has_switched(tasks):
                return None
            unread = known.unread(tasks, self._now())
            made = known.made(tasks, unread)
        if made:
            machines |= self._transport.read(Wanted(kind=VM, paths=convert.VM_PATHS, objects=tuple(sorted(made))))
        with self._lock:
            vms = known.take(machines, tasks, others, as_of=as_of, now=self._now(), skew=self._transport.skew, unread=unread)
        return Listing(as_of=as_of, vms=tuple(vms), starts=self._starts(clones.values(), tasks))

    def _list_all(self, *, with_leftovers: bool) -> Listing:
        as_of, folder = self._now(), self._folder_of_vms()
        with self._lock:
            known = self._memory
            clones, goings, others = dict(known.clones), dict(known.goings), dict(known.others)
            own, followed = known.own_tasks(), known.followed_tasks()
            is_unsure = known.listed_at is None or any(clone.task is None for clone in clones.values())
        apart = self._apart if with_leftovers else None
        paths = convert.VM_PATHS if apart is None else (*convert.VM_PATHS, POOL_PATH)
        wanted = [Wanted(kind=VM, paths=paths, within=folder), *(apart.wanted(self._names(), self._home()) if apart is not None else ())]
        wanted.append(Wanted(kind=TASK, paths=under_way.TASK_PATHS, objects=tuple(sorted(followed))))
        wanted.append(Wanted(kind=VM, paths=(disks.DEVICES,), objects=tuple(Ref(VM, key) for key in sorted(goings))))
        if is_unsure:
            wanted.append(Wanted(kind=TASK, paths=under_way.RECENT_PATHS, objects=(well_known("taskManager"),), along="recentTask"))
        read = self._transport.read(*wanted)
        machines: dict[Ref, Found] = {ref: found for ref, found in read.items() if ref.kind == VM}
        tasks: dict[Ref, Found] = {ref: found for ref, found in read.items() if ref.kind == TASK}
        if is_unsure:
            found = self._found_under_way(tasks, own, folder)
            others, followed = {**others, **found}, [*followed, *(task for task, _since in found.values())]
        vms = self._take(machines, tasks, followed, others, as_of)
        leftovers = apart.leftovers(read, self._names(), vms, as_of) if apart is not None else () if with_leftovers else None
        return Listing(as_of=as_of, vms=tuple(vms), leftovers=leftovers, starts=self._starts(clones.values(), tasks))

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
        followed: Sequence[Ref],
        others: Mapping[str, tuple[Ref, datetime]],
        as_of: datetime,
    ) -> list[Vm]:
        """Remember a list of everything, with what was told while it was read."""
        news = [each for each in (self._updates.take() or () if self._updates is not None else ()) if each.at > as_of]
        machines = laid_over(machines, (each for each in news if each.ref.kind == VM))
        with self._lock:
            known = self._memory
            for name, (task, _since) in others.items():
                clone = known.clones.get(name)
                if clone is not None and clone.task is None:
                    known.clones[name] = replace(clone, task=task)
            whole = laid_over(known.tasks_after(tasks, followed), (each for each in news if each.ref.kind == TASK))
            known.has_switched(whole)
            return known.take(machines, whole, others, as_of=as_of, now=as_of, skew=self._transport.skew)

    def _starts(self, clones: Iterable[Clone], tasks: Mapping[Ref, Found]) -> Starts | None:
        """How many clones may begin until the next list; `clones` are those that there were before this one."""
        with self._lock:
            resolved = next(reversed(self._resolved.values()), None)
            if resolved is None:
                return None
            seen, now = governor.together(self._seen, governor.see(under_way.pace_of(clones, tasks))), self._now()
            if self._looked_at is None or not self._updates or now - self._looked_at >= governor.LOOK:
                self._lanes |= {name: governor.adapt(self._lanes.get(name, governor.Lane()), each) for name, each in seen.items()}
                seen, self._looked_at = {}, now
            self._seen = seen
            return ways.starts(resolved, self._lanes, self._memory.under_way())

    # Creates ------------------------------------------------------------------------------------------------------------------
    def _choose_addresses(self, machine: NewMachine) -> tuple[str, ...]:
        interfaces, known = [network.addresses for network in self._template.networks or ()], self._memory
        return addresses_for(machine, interfaces, known.holders(), known.secret, are_stable=self._template.stable_addresses)

    def _choose_way(self, machine: NewMachine, resolved: Resolved) -> Way:
        """Counts what this run put on a datastore since its space was read, and clones that no list shows yet."""
        way = ways.choose(resolved, machine.failure_domain, self._lanes, self._memory.under_way(), self._placed)
        if way.store is not None:
            size = max(1, machine_gib(self._template, resolved) * disks.GIB)
            self._placed[way.store.ref] = self._placed.get(way.store.ref, 0) + size
        return way

    # Deletes ------------------------------------------------------------------------------------------------------------------
    def _call_off(self, clone: Clone, *, has_failed: bool) -> None:
        """A clone that is not whole: one that failed is forgotten, one under way is called off, which may come too late."""
        with self._lock:
            self._memory.clones.pop(clone.machine.name, None)
        if clone.task is None or has_failed:
            return
        try:
            self._transport.call(clone.task, "CancelTask")
        except (NotFound, Conflict, Invalid):  # it has ended: the next list shows what came of it
            return
        with self._lock:
            self._memory.clones[clone.machine.name] = replace(clone, is_cancelled=True)

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
            self._memory.goings[ref.id] = going
