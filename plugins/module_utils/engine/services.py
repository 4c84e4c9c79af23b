# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of machines' services, laid on the machines that VMs and nodes were joined to: probes, and members of a balancer.

An unchanged machine stays the same object, as in engine/machines.py: verdicts on it are kept by that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import Health
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm

if TYPE_CHECKING:  # few pools have a balancer
    from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import Backend, Member
    from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Wish
    from ansible_collections.immutable.fleet.plugins.module_utils.model.service import Service
    from ansible_collections.immutable.fleet.plugins.module_utils.ports import MemberListing

NONE, TAKING, ILL = "none", "taking", "ill"  # what a machine is to the balancer; else the member's state
NOT_AHEAD = timedelta(0)
Worn = tuple["Health | None", "Service | None"]


class Services:
    """Feeds on what probes find, by VM id, and on listings of members. `has_balancer`: machines get a `Service`."""

    def __init__(self, *, has_balancer: bool, began_at: datetime) -> None:
        self.has_balancer = has_balancer
        self.health: Mapping[str, Health] = {}
        self.listing: MemberListing | None = None
        self._began_at = began_at
        self._first: frozenset[str] = frozenset()  # ids of members in the first listing
        self._ours: dict[str, list[Member]] = {}  # of the newest listing, by address
        self._standing: dict[str, tuple[str, datetime | None]] = {}  # by VM id: what it is to the balancer, since when; None: as found
        self._strays: tuple[Member, ...] = ()
        self._dressed: dict[str, tuple[Machine, Worn, Machine]] = {}  # by name: undressed, what it wears, dressed
        self._machines: Mapping[str, Machine] = {}  # dressed
        self._dressed_by: tuple[object, ...] = ()  # all that they were dressed by

    def take_listing(self, listing: MemberListing) -> None:
        """The newest members. One that is older than the newest is ignored: views only move forward."""
        if self.listing is None:
            self._first = frozenset(member.id for member in listing.members)
        if self.listing is not None and listing.as_of < self.listing.as_of:
            return
        self.listing = listing
        known = {member.id: member for members in self._ours.values() for member in members}
        ours: dict[str, list[Member]] = {}
        for told in map(_without_moods, listing.members):
            if told.is_ours:
                before = known.get(told.id)
                ours.setdefault(told.address, []).append(before if before is not None and before == told else told)
        if ours != self._ours:
            self._ours = ours

    def backend(self) -> Backend | None:
        """The backend as of the last `dress`; None where there is none, or nothing was heard of it yet."""
        if self.listing is None:
            return None
        from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import Backend

        listing = self.listing
        return Backend(as_of=listing.as_of, is_busy=listing.is_busy, fault=listing.fault, strays=self._strays)

    def shows(self, wishes: Iterable[Wish]) -> bool:
        """Whether the newest listing shows all of them fulfilled, and nothing under way."""
        from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import REMOVED

        listing = self.listing
        if listing is None or listing.is_busy:
            return False
        for wish in wishes:
            change = wish.change
            found = next((m for m in listing.members if (m.id == change.id if change.id else m.address == change.address)), None)
            if (found is not None and found.state != change.to) or ((found is None) != (change.to == REMOVED)):
                return False
        return True

    def dress(
        self,
        machines: Mapping[str, Machine],
        vms: Mapping[str, Vm],
        record: PoolRecord,
        changing: Collection[str],
        now: datetime,
        ahead: timedelta = NOT_AHEAD,
    ) -> Mapping[str, Machine]:
        """The same machines with what is known of their services. O(machines) where there is anything to know.

        `vms` are all there are, ours or not; `changing` names machines about whose member a call is under way. The same mapping as
        before when nothing changed. `ahead` is how far our clock is ahead of the record's.
        """
        if not self.has_balancer and not self.health and not self._dressed:
            return machines
        dressed_by = machines, vms, self.health, self._ours, self.listing is None, record.leaving, changing, ahead
        if dressed_by != self._dressed_by:
            if self.has_balancer:
                self._look_for_strays(vms.values())
            marks = {name: Note(note.at + ahead, note.why) for name, note in record.leaving.items()} if ahead else record.leaving
            self._dressed = {name: self._dress(name, machine, marks.get(name), name in changing, now) for name, machine in machines.items()}
            self._machines, self._dressed_by = {name: row[2] for name, row in self._dressed.items()}, dressed_by
        return self._machines

    def _dress(self, name: str, machine: Machine, mark: Note | None, is_changing: bool, now: datetime) -> tuple[Machine, Worn, Machine]:
        health = self.health.get(machine.vm.id)
        worn = health, self._service(machine, health, mark, is_changing, now) if self.has_balancer else None
        known = self._dressed.get(name)
        if known is not None and known[0] is machine and known[1] == worn:
            return known
        return machine, worn, replace(machine, health=health, service=worn[1])

    def _service(self, machine: Machine, health: Health | None, mark: Note | None, is_changing: bool, now: datetime) -> Service | None:
        """None before the balancer has spoken."""
        if self.listing is None:
            return None
        from ansible_collections.immutable.fleet.plugins.module_utils.model.service import Service

        vm = machine.vm
        member = self._member_of(vm)
        standing, since = self._stands(vm.id, member, now)
        is_old = member is not None and member.id in self._first
        is_well = health.healthy if health is not None else None
        if is_well is None and health is not None and health.is_untarnished and is_old:
            is_well = True  # it served before this run, and all that it has answered was good
        ready: bool | None = False
        if vm.status != vm_states.RUNNING:
            is_well = False
        elif standing == TAKING or (standing == NONE and is_well is None):
            ready = is_well
        return Service(
            member=member,
            chosen=mark if mark is not None and mark.at >= vm.created_at else None,
            ready=ready,
            is_well=is_well,
            since=self._since(vm, health, standing, since, ready=ready is True, is_old=is_old),
            stands_since=since,
            is_changing=is_changing,
        )

    def _since(self, vm: Vm, health: Health | None, standing: str, since: datetime | None, *, ready: bool, is_old: bool) -> datetime:
        """Since when it is ready: the later of what makes it so; or is not: the earlier. What was found so is as old as can be."""
        if ready:
            well_since = health.since if health is not None and not (health.is_untarnished and is_old) else None
            return max([instant for instant in (since, well_since) if instant is not None], default=vm.created_at)
        ill_since = health.since if health is not None and health.healthy is False else None
        found = [instant for instant in (since if standing != TAKING else None, ill_since) if instant is not None]
        return min(found, default=max(vm.created_at, self._began_at))

    def _stands(self, vm_id: str, member: Member | None, now: datetime) -> tuple[str, datetime | None]:
        from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import SERVING

        if member is None:
            standing = NONE
        elif member.state != SERVING:
            standing = member.state
        else:
            standing = ILL if member.healthy is False else TAKING
        known = self._standing.get(vm_id)
        if known is None or known[0] != standing:
            is_found = known is None and (member is None or member.id in self._first)
            known = self._standing[vm_id] = standing, None if is_found else now
        return known

    def _look_for_strays(self, vms: Iterable[Vm]) -> None:
        """Members of ours that no VM of the newest list stands behind."""
        owned = {member.id for vm in vms if (member := self._member_of(vm)) is not None}
        self._strays = tuple(member for members in self._ours.values() for member in members if member.id not in owned)

    def _member_of(self, vm: Vm) -> Member | None:
        """The member that this VM stands behind: by address, and by name where the balancer holds one."""
        found = (member for address in vm.addresses for member in self._ours.get(address, ()) if member.name in ("", vm.name))
        return next(found, None)


def _without_moods(member: Member) -> Member:
    """Sessions of one that serves change all the time, and nobody asks for them."""
    from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import SERVING

    return replace(member, sessions=None) if member.state == SERVING and member.sessions is not None else member
