# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategy `recreate`: a machine is deleted first and made again with the same name, slot, failure domain and address.

Its place goes on the pool's record before the delete is sent: a run that is killed in between finds the machine, or its
place. It is filled when neither a VM nor a Node has the name any more: a reused name inherits the old Node's cordon
(semantics section 1), and which of two VMs of one name is which nobody could tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Action, Create, Delete
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import RECREATE, Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Creating, Snapshot


@dataclass(frozen=True, slots=True)
class Vacated:
    """Places on the record whose machine is not there: `{name: (slot, failure domain)}` of those that are free, and names of the others."""

    free: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    waiting: Collection[str] = ()


def vacated(pool: Pool, snapshot: Snapshot) -> Vacated:
    """The places that are to be filled again. Nothing for another strategy."""
    if pool.strategy.type != RECREATE or not pool.replicas:
        return Vacated()
    there = snapshot.machines.keys() | {sent.name for sent in snapshot.creating} | set(snapshot.half_owned)
    taken = {machine.vm.slot for machine in snapshot.machines.values() if not machine.is_going}
    taken |= {sent.slot for sent in snapshot.creating}
    places: dict[str, tuple[int, str]] = {}
    for name, domain in snapshot.record.vacated.items():
        slot = marks.slot_of(pool.name, name)
        if slot is not None and slot not in taken and name not in there:
            places[name] = slot, domain
            taken.add(slot)
    waiting = places.keys() & {marks.machine_of(node) for node in snapshot.nodes}
    return Vacated({name: place for name, place in places.items() if name not in waiting}, waiting)


def keep_places(
    actions: Sequence[Action], record: PoolRecord, snapshot: Snapshot, missing: int, domains: Sequence[str]
) -> tuple[list[Action], PoolRecord]:
    """`actions` without deletes of machines whose place is not on record yet, and the record with these.

    `missing` machines are to be made, in these failure domains: surplus leaves no place, nor does a machine of a domain that would
    stay fuller than the others, as it would where a machine was lost while the pool shrank.
    """
    deletes = {action.machine.name for action in actions if isinstance(action, Delete)}
    leaving = [machine for machine in snapshot.machines.values() if machine.is_going or machine.name in deletes]
    gone = {machine.name for machine in leaving}
    staying = [machine for machine in snapshot.machines.values() if machine.name not in gone]
    names = {machine.name for machine in staying}
    kept = {name: domain for name, domain in record.vacated.items() if name not in names}
    made: list[Creating | Create] = [*snapshot.creating, *(action for action in actions if isinstance(action, Create))]
    waiting = {name: domain for name, domain in kept.items() if name not in {each.name for each in made}}
    taken = [*(machine.failure_domain for machine in staying), *(each.failure_domain for each in made), *waiting.values()]
    slots = {machine.vm.slot for machine in staying}
    undecided = [machine for machine in leaving if not machine.deleting and machine.vm.status != vm_states.DELETING]
    candidates = [machine for machine in undecided if machine.name not in kept and machine.vm.slot not in slots]
    fresh = {name: domain for name, domain in _returning(candidates, taken, missing - len(waiting), domains) if name in deletes}
    if not fresh:
        return list(actions), record
    held = [action for action in actions if not (isinstance(action, Delete) and action.machine.name in fresh)]
    return held, replace(record, vacated={**kept, **fresh})


def _returning(candidates: Iterable[Machine], taken: Iterable[str], most: int, domains: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and failure domain of those that come back, where fewer are wanted than leave: of the emptiest domain first, by slot."""
    have, slots = Counter(taken), set[int]()
    left = sorted(((machine.vm.slot, machine) for machine in candidates if machine.vm.slot is not None), key=itemgetter(0))
    while left and len(slots) < most:
        slot, machine = min(left, key=lambda one: have[one[1].failure_domain])
        there = have[machine.failure_domain]
        if sum(max(0, there - have[domain]) for domain in domains) >= most - len(slots):
            return  # one more there, and those that are still to be made could not fill the others up to it
        left = [one for one in left if one[0] != slot]
        slots.add(slot)
        have[machine.failure_domain] += 1
        yield machine.name, machine.failure_domain
