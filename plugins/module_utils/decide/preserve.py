# SPDX-License-Identifier: GPL-3.0-or-later
"""Failed machines that are kept for a look instead of being deleted (`health.preserve_on_fail`; semantics section 5).

Promises: never more than asked for, the first ones; none of them serves anybody, has pods or volumes, or counts in anything but the room
that it takes. Each is on the pool's record before it begins to leave. It leaves as any other machine, and where that one would be deleted
it stays, for three days at most.
What ends it sooner: somebody deletes the VM, or asks for fewer; then the pool clears up what is left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import PRESERVED, Blocker
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot

KEPT_FOR = timedelta(hours=72)


def set_apart(snapshot: Snapshot, most: int) -> tuple[Snapshot, dict[str, Machine]]:
    """The snapshot without machines that are kept, their ports and the like, and these machines. O(machines) where there are any."""
    names = standing(snapshot.record, snapshot, most)
    kept = {name: snapshot.machines[name] for name in names if _has_left(snapshot.machines[name])}
    if not kept:
        return snapshot, kept
    others = {name: machine for name, machine in snapshot.machines.items() if name not in kept}
    leftovers = tuple(leftover for leftover in snapshot.leftovers if leftover.machine not in kept)
    return replace(snapshot, machines=others, leftovers=leftovers, preserved=kept.keys()), kept


def standing(record: PoolRecord, snapshot: Snapshot, most: int) -> dict[str, Note]:
    """Machines that are to be kept, or are: of those on record that exist, the first `most` whose time is not over."""
    server_now = snapshot.at - snapshot.ahead
    notes = {
        name: note
        for name, note in record.preserved.items()
        if name in snapshot.machines
        and snapshot.machines[name].vm.created_at <= note.at + snapshot.ahead  # else another machine has its name
        and server_now - note.at < KEPT_FOR
    }
    return dict(sorted(notes.items(), key=lambda item: (item[1].at, item[0]))[:most])


def noted(record: PoolRecord, machine: Machine, why: str, snapshot: Snapshot, most: int) -> PoolRecord | None:
    """`record` with the failed machine as one to be kept; None where it is not to be kept, or stands there already.

    `snapshot` is without those that are kept.
    """
    if machine.name in record.preserved or not _is_worth_a_look(machine):
        return None
    if len(standing(record, snapshot, most)) + len(snapshot.preserved) >= most:
        return None
    known = {name: note for name, note in record.preserved.items() if name in snapshot.machines or name in snapshot.preserved}
    note = Note((snapshot.at - snapshot.ahead).replace(microsecond=0), why)
    return replace(record, preserved={**known, machine.name: note})


def without_the_well(record: PoolRecord, available: Iterable[Machine], ill: Collection[str]) -> PoolRecord | None:
    """`record` without machines that came back before they began to leave, None where there is none.

    Else each would be kept when it leaves for a new image, and take the place of one that failed. `ill` are those with a finding.
    """
    well = {machine.name for machine in available if machine.name in record.preserved} - set(ill)
    if not well:
        return None
    return replace(record, preserved={name: note for name, note in record.preserved.items() if name not in well})


def told(kept: Mapping[str, Machine], snapshot: Snapshot) -> list[Blocker]:
    """What is said of each that is kept."""
    found = []
    for name, machine in sorted(kept.items()):
        note = snapshot.record.preserved[name]
        since = note.at + snapshot.ahead
        what = f"kept for a look until {say_instant(note.at + KEPT_FOR)}: {note.why}"
        forward = "delete its VM once it was looked at, or lower health.preserve_on_fail"
        found.append(Blocker(code=PRESERVED, what=what, where=machine.where, since=since, forward=forward))
    return found


def _is_worth_a_look(machine: Machine) -> bool:
    """It has run: there is a disk with what happened on it."""
    return machine.was_ready or machine.vm.status in (vm_states.RUNNING, vm_states.STOPPED)


def _has_left(machine: Machine) -> bool:
    """Nothing of the pool's is on it any more, so that it would be deleted now."""
    if machine.deleting or machine.vm.status == vm_states.DELETING:
        return False
    if machine.service is not None:
        return machine.service.is_out
    node = machine.node
    return node is None or (node.is_cordoned_by_us and not node.pods and not node.attachments)
