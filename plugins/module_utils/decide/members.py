# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain machines and their balancer: who joins it, who drains, who is taken out, and when the VM may go.

Promises: nobody joins before its probes found it well; no member is taken out while it serves sessions, before the drain's time is
over; no VM is deleted while a listing shows it as a member. All that one turn wishes goes in one update.
Why the mark is on the pool's record: a balancer has no place for one that would tell our drain from a person's, and the mark has to
outlive the member. Sources: semantics sections 4 and 11; FM5, FM10.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import AVAILABLE, BOOTING, NOT_READY
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import (
    DRAINING,
    REMOVED,
    SERVING,
    Backend,
    Member,
    MemberChange,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker, ChangeMembers, Wish
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import FAIL, DrainPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_count, say_duration, say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.service import Service
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot

if TYPE_CHECKING:
    from ansible_collections.immutable.fleet.plugins.module_utils.decide.turn import Turn

TOLD_AFTER = timedelta(seconds=30)  # sessions that are counted mostly end sooner, and a line for each such drain would tell nothing


@dataclass(frozen=True, slots=True)
class WayOut:
    """The next step of a machine that goes. `wish` now; or `may_delete`; or ask again at `wake_at`; or it is `overdue` for this reason.

    `waits` is what it waits for until then, where somebody is to be told, and `lasts_until` when its sessions' time is over.
    """

    wish: Wish | None = None
    may_delete: str = ""  # why
    wake_at: datetime | None = None
    overdue: str = ""
    waits: Blocker | None = None
    lasts_until: datetime | None = None


def marked(record: PoolRecord, machine: Machine, reason: str, snapshot: Snapshot) -> PoolRecord:
    """`record` with the machine's mark, by the server's clock. Marks of machines that are gone, and out of the balancer, are dropped."""
    backend = snapshot.backend
    names = snapshot.machines.keys() | {stray.name for stray in (backend.strays if backend is not None else ())}
    kept = {name: note for name, note in record.leaving.items() if name in names}
    return replace(record, leaving={**kept, machine.name: Note((snapshot.at - snapshot.ahead).replace(microsecond=0), reason)})


def way_out(machine: Machine, service: Service, snapshot: Snapshot, policy: DrainPolicy, started: datetime) -> WayOut:
    """The one step that the facts allow a machine which goes, its hooks passed. `started` is when its drain began."""
    member, now = service.member, snapshot.at
    if service.is_changing or (snapshot.backend is not None and snapshot.backend.is_busy):
        return WayOut()  # what the listing shows may be what is only about to be so
    if member is None:
        return WayOut(may_delete="no member of the balancer any more")
    if machine.vm.status == vm_states.STOPPED and member.healthy is not True:  # else it was switched on since, and serves
        return WayOut(wish=_wish(machine, REMOVED, "its VM is off by the cloud's word"))
    if member.state == SERVING:
        why = service.chosen.why if service.chosen is not None else "its delete was asked for"
        return WayOut(wish=_wish(machine, DRAINING, why))
    if service.is_drained:
        return WayOut(wish=_wish(machine, REMOVED, "0 sessions left"))
    since = max(started, service.stands_since or started)  # new sessions came until it was seen to drain
    if now < since + policy.timeout:
        return _wait(machine, member, since, policy, now)
    left = say_count(member.sessions, "session") + " left" if member.sessions is not None else "its sessions are not counted"
    if policy.on_timeout == FAIL:
        return WayOut(overdue=f"drain timeout {say_duration(policy.timeout)} passed, {left}")
    return WayOut(wish=_wish(machine, REMOVED, f"drain timeout {say_duration(policy.timeout)} passed, {left}"))


def _wait(machine: Machine, member: Member, since: datetime, policy: DrainPolicy, now: datetime) -> WayOut:
    """Until its sessions have ended, or their time has. Told without their number, which would be news each time that one ends."""
    deadline = since + policy.timeout
    until, option = say_instant(deadline), f"drain.timeout {say_duration(policy.timeout)}"
    if member.sessions is None:
        what = f"sessions are not counted: drains until {until} ({option})"
    elif now >= since + TOLD_AFTER:
        what = f"its last session has until {until} to end ({option})"
    else:
        return WayOut(wake_at=min(deadline, since + TOLD_AFTER), lasts_until=deadline)
    waits = Blocker(code="sessions", what=what, where=machine.where, since=since)
    return WayOut(wake_at=deadline, waits=waits, lasts_until=deadline)


def give_back(turn: Turn, machines: Iterable[Machine]) -> set[str]:
    """Take back the marks of machines that an abort finds on their way, and let them serve again; their names.

    The mark goes last: until the member serves again its drain would look like a person's. One that is younger than the wish was meant.
    """
    asked, leaving = turn.snapshot.steering.abort, turn.snapshot.record.leaving
    names: set[str] = set()
    kept = dict(leaving)
    for machine in machines:
        service = machine.service
        if asked is None or service is None or service.chosen is None or asked.at < service.chosen.at:
            continue
        if machine.deleting or machine.vm.status == vm_states.DELETING:
            continue  # too late
        names.add(machine.name)
        if service.member is not None and service.member.state != SERVING:
            turn.wish([_wish(machine, SERVING, f"asked {asked}")])
        elif not service.is_changing:
            kept.pop(machine.name, None)
    if len(kept) < len(leaving):
        turn.record = replace(turn.record or turn.snapshot.record, leaving=kept)
    return names


def strays(backend: Backend) -> tuple[list[Wish], list[str]]:
    """Members of ours without a VM: those to take out, and those that the balancer still finds well, so that the list is in doubt."""
    gone = [
        Wish(MemberChange(name=stray.name, to=REMOVED, id=stray.id), stray.name or stray.address, "its VM is gone")
        for stray in backend.strays
        if not stray.healthy
    ]
    return gone, [stray.name or stray.address for stray in backend.strays if stray.healthy]


def change(turn: Turn, backend: Backend) -> None:
    """All that this turn wishes of the balancer, in one update; machines that stay, are well, and are no members, join.

    Nothing is sent while the balancer is busy with the last one; until then the run is not over.
    """
    turn.wish(_joining(turn, backend))
    if not turn.wishes:
        return
    if backend.is_busy or backend.fault:
        turn.has_leftovers = True
    else:
        turn.actions.append(ChangeMembers(tuple(turn.wishes.values())))
    if backend.fault:
        what = f"the balancer takes no change: {backend.fault}"
        turn.blockers.append(Blocker(code="balancer", what=what, where=f"pool {turn.pool.name}"))


def _joining(turn: Turn, backend: Backend) -> list[Wish]:
    """One whose address or name an old member still has comes when that is gone."""
    old = backend.strays
    taken = {stray.address for stray in old} | {stray.name for stray in old if stray.name}
    return [
        _wish(machine, SERVING, "its probes find it well")
        for kind in (BOOTING, NOT_READY, AVAILABLE)
        for machine in turn.census.of(kind)
        if (service := machine.service) is not None
        and service.is_out
        and service.is_well
        and machine.name not in turn.chosen_now
        and machine.vm.addresses
        and not taken & {machine.vm.addresses[0], machine.vm.name}
    ]


def _wish(machine: Machine, to: str, reason: str) -> Wish:
    member = machine.service.member if machine.service is not None else None
    if member is not None:
        return Wish(MemberChange(name=machine.vm.name, to=to, id=member.id), machine.name, reason)
    return Wish(MemberChange(name=machine.vm.name, to=to, address=machine.vm.addresses[0]), machine.name, reason)
