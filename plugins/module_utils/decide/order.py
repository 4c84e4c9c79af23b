# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machine goes next, among those that may.

Longest predicted drain first, so that the last token is not spent on the slowest node (or, where asked for, the oldest or
the newest first); round-robin over failure domains, so that no domain pays for all; nodes that share a tight budget with a
drain under way after those that do not (they would only wait for each other). What Cluster API's annotation names comes
before all of these; the node this run lives on comes last of all (FM42).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.decide.asked import Asked, Counted, scarce
from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import AVAILABLE, BOOTING, NOT_READY
from ansible_collections.immutable.fleet.plugins.module_utils.decide.drain import predicted_drain
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import LONGEST_DRAIN, NEWEST, OLDEST
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_instant

LetsGo = Callable[[Machine], bool]  # whether this one goes, now or as soon as it may

OWN, LATE, SHARES = 4, 2, 1  # of a standing: the own node, nobody wants it to go first, it shares a tight budget


def in_order(
    candidates: Iterable[Machine],
    budgets: Mapping[str, Budget],
    busy_budgets: AbstractSet[str],
    own_node: str,
    order: str = LONGEST_DRAIN,
    doubles: AbstractSet[str] | None = None,
    counted: Counted | None = None,
    have: Counter[str] | None = None,
) -> list[Machine]:
    """`candidates`, first to go first. Pure; O(n log n), plus O(pods) of candidates whose node changed.

    `doubles` is given where fewer machines are wanted: those of these names go before the others, and among equals the highest slot.
    `have` says how many stay by failure domain, where these are not all. `counted` is kept from turn to turn.
    """
    machines = list(candidates)
    all_asked = (counted or Counted()).asked_by([machine.node for machine in machines])
    tight = scarce(budgets, all_asked)
    # Sorted are numbers, by one key after the other, the last of them first: a tuple for each machine would cost ten times as much
    # and, in a large pool, a look of the garbage collector at the whole heap.
    found = sorted(range(len(machines)), key=[machine.name for machine in machines].__getitem__)
    if doubles is not None:
        found.sort(key=lambda number: -(machines[number].vm.slot or 0))
    found.sort(key=_urgencies(machines, all_asked, tight, order).__getitem__)
    standings = _standings(machines, all_asked, tight, busy_budgets, own_node, doubles or ())
    found.sort(key=standings.__getitem__)
    domains = [machine.failure_domain for machine in machines]
    if len(set(domains)) > 1:
        found.sort(key=_turns(found, domains, have).__getitem__)
        found.sort(key=standings.__getitem__)
    return [machines[number] for number in found]


def _turns(found: Iterable[int], domains: Sequence[str], have: Counter[str] | None) -> list[int]:
    """Of each number its turn: a domain's k-th from the end has turn -k, so that the fullest domain leads until all are level."""
    turns, left = [0] * len(domains), Counter(domains if have is None else have)
    for number in found:
        turns[number] = -left[domains[number]]
        left[domains[number]] -= 1
    return turns


def unprotected(
    candidates: Iterable[Machine], protected: Mapping[str, datetime], now: datetime
) -> tuple[list[Machine], list[Blocker], datetime | None]:
    """Those of `candidates` that nobody protects now, a blocker for each other one, and when the first protection ends."""
    free: list[Machine] = []
    blockers: list[Blocker] = []
    ends: datetime | None = None
    for machine in candidates:
        until = protected.get(machine.name)
        if until is None or until <= now:
            free.append(machine)
            continue
        blockers.append(Blocker(code="protected", what=f"protected until {say_instant(until)}", where=machine.where))
        ends = until if ends is None else min(ends, until)
    return free, blockers, ends


def doubles_of(staying: Mapping[str, Iterable[Machine]], chosen: AbstractSet[str], surplus: int) -> set[str]:
    """Names of machines whose slot a better one has: a create that was thought lost, or a name that the cloud gave twice.

    `staying` is by class. Better is one that a person holds, since it can't be taken; then by use: available, young, not ready,
    never ready; then the older. Where there is no surplus nobody asks.
    """
    slots: set[int] = set()
    found: set[str] = set()
    kinds = enumerate((AVAILABLE, BOOTING, NOT_READY)) if surplus > 0 else ()
    ranked = [(machine, rank) for rank, kind in kinds for machine in staying[kind] if machine.name not in chosen]
    for machine, _rank in sorted(ranked, key=_best_first):
        slot = machine.vm.slot
        if slot in slots:
            found.add(machine.name)
        elif slot is not None:
            slots.add(slot)
    return found


def fewer(classes: Iterable[tuple[Iterable[Machine], LetsGo]], have: Counter[str], doubles: AbstractSet[str], count: int) -> None:
    """Offer machines to their class's `LetsGo` until `count` were let go, so that those that stay are spread over failure domains.

    The domain leads that has most; among equals the one whose next machine is of the earliest class. Were it the other way round, a
    pool that is scaled down while machines boot would lose them all in one domain. Of all, `doubles` come first. `have` is by domain,
    of all that stay; it falls with each that goes.
    """
    offers = [(rank, machine, lets_go) for rank, (members, lets_go) in enumerate(classes, start=1) for machine in members]
    queues: dict[str, deque[tuple[int, Machine, LetsGo]]] = {}
    for rank, machine, lets_go in sorted(offers, key=lambda offer: offer[1].name not in doubles):
        queues.setdefault(machine.failure_domain, deque()).append((0 if machine.name in doubles else rank, machine, lets_go))
    while count > 0 and queues:
        domain = min(queues, key=lambda name: (queues[name][0][0] > 0, -have[name], queues[name][0][0]))
        _rank, machine, lets_go = queues[domain].popleft()
        if not queues[domain]:
            del queues[domain]
        if lets_go(machine):
            have[domain] -= 1
            count -= 1


def _best_first(ranked: tuple[Machine, int]) -> tuple[bool, bool, int, datetime]:
    machine, rank = ranked
    return not machine.is_held, rank > 0 and not machine.was_ready, rank, machine.vm.created_at


def goes_first(machine: Machine) -> bool:
    """Whether somebody wrote Cluster API's annotation on its node; as there, its presence counts and not its value."""
    return machine.node is not None and marks.DELETE_FIRST in machine.node.annotations


def budgets_in_use(going: Iterable[Machine]) -> set[str]:
    """Budgets with pods still to leave on machines that are going."""
    return {name for machine in going if machine.node is not None for pod in machine.node.pods for name in pod.budgets}


def _standings(
    machines: Sequence[Machine],
    all_asked: Sequence[Asked],
    tight: Mapping[str, Budget],
    busy_budgets: AbstractSet[str],
    own_node: str,
    first: Collection[str],
) -> list[int]:
    """Of each machine what comes before failure domains and the order asked for; the less, the earlier.

    The own node is last; before it those that neither are among `first` nor marked to go first; and of these last who alone would
    use up a budget in use.
    """
    standings = [0 if goes_first(machine) else LATE for machine in machines]
    if first or own_node:
        for number, machine in enumerate(machines):
            if machine.name in first:
                standings[number] = 0
            if machine.node is not None and machine.node.name == own_node:
                standings[number] |= OWN
    busy = tight.keys() & busy_budgets
    for number, asked in enumerate(all_asked if busy else ()):
        if any(tight[name].allowed <= asked.pods_of[name] for name in asked.pods_of.keys() & busy):
            standings[number] |= SHARES
    return standings


def _urgencies(machines: Sequence[Machine], all_asked: Sequence[Asked], tight: Mapping[str, Budget], order: str) -> list[float]:
    """Of each machine; the less, the earlier."""
    if order == OLDEST:
        return [machine.vm.created_at.timestamp() for machine in machines]
    if order == NEWEST:
        return [-machine.vm.created_at.timestamp() for machine in machines]
    return [-predicted_drain(asked, tight) for asked in all_asked]
