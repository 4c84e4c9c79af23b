# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be known before the first write: whether there is room for what the run would make, and which drains cannot succeed.

Promises: a run is refused only where it could do nothing useful: not one more machine fits and none leaves first, or a pool
that has no machine yet would not fit as a whole. Less room than the surge is told, and the roll goes slower. What could not be
read is told and never refuses: no evidence is not a lack of room. Pods that no time will let go are told, and do not refuse: the
rest of the pool can be rolled.
Why so: a refused run heals nothing either, and a pool that lost machines is better off with one of two than with none.
Rejected: refusing whenever the surge does not fit; a roll comes to its end with any room from one machine up.
Sources: semantics sections 3 and 4; FM1, FM3, FM27, FM32, FM42.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.decide import drain
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import (
    Action,
    Blocker,
    Choose,
    Create,
    Decision,
    Delete,
    LookAt,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Exhausted
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Limits, Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_count
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import ANY
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot

if TYPE_CHECKING:  # only a run that makes machines needs it
    from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Resource, Room

AGAIN = "then run the same playbook again"
NOTHING_DONE = "nothing to take back: nothing was changed"
NODES_SHOWN = 3  # names in a message; the rest is counted


def wants_room(decision: Decision) -> bool:
    """Whether a machine is about to be made: only then is the cloud asked what it has left."""
    return any(isinstance(action, Create) for action in decision.actions)


def refusal(room: Room, pool: Pool, limits: Limits, snapshot: Snapshot, decision: Decision) -> Exhausted | None:
    """Why the run must not begin, where there is no room for what `decision`, its first one that creates, wants."""
    here, fits = _machines_here(snapshot), room.fits
    if fits is None or (fits > 0 and here > 0) or fits >= limits.replicas or _frees_room(decision):
        return None
    if here > 0:
        what, wanted = "no room for one more machine", 1
    else:
        what, wanted = f"no room for {say_count(limits.replicas, 'machine')}, {fits} fit{'s' if fits == 1 else ''}", limits.replicas
    short = room.short_of(wanted)
    slower = "; or set strategy.max_unavailable to 1, so that a machine leaves first" if here > 0 and not limits.unavailable else ""
    return Exhausted(
        what=f"{what}: {_numbers(short, wanted)}",
        where=", ".join(dict.fromkeys((f"pool {pool.name}", *(resource.where for resource in short)))),
        forward=f"{_remedies(room, _wanted_most(limits, snapshot, decision))}, {AGAIN}{slower}",
        back=NOTHING_DONE,
    )


def tight_room(room: Room, limits: Limits, snapshot: Snapshot, decision: Decision) -> tuple[Blocker, ...]:
    """What the run may meet though it begins: less room than it would use at its height, and what could not be read."""
    found = [
        Blocker(code="room_unknown", what=what, forward="nothing has to be done: a create that is refused says what is short")
        for what in room.unknown
    ]
    here, fits = _machines_here(snapshot), room.fits
    most = _wanted_most(limits, snapshot, decision)
    if fits is not None and fits < most:
        creates = sum(1 for action in decision.actions if isinstance(action, Create))
        short = room.short_of(most)
        found.insert(
            0,
            Blocker(
                code="room",
                what=f"room for {fits} of {say_count(most, 'more machine')}, {_consequence(fits, creates, here, limits)}: "
                f"{_numbers(short, most)}",
                where=", ".join(dict.fromkeys(resource.where for resource in short)),
                forward=_remedies(room, most),
            ),
        )
    return tuple(found)


def most_machines(room: Room, snapshot: Snapshot) -> int | None:
    """How many machines of the pool the cloud has room for, those of now included; None: nothing known limits them."""
    return None if room.fits is None else _machines_here(snapshot) + room.fits


def within(most: int, snapshot: Snapshot, decision: Decision) -> Decision:
    """`decision` without the creates that there is no room for: they are decided again when a machine has left.

    Creates that must fail would have the run give up, though it could go on with a smaller surge. Where nothing else moves one is
    let through: by then there may be room, and if not the cloud's own words say so.
    """
    creates = [action for action in decision.actions if isinstance(action, Create)]
    left = max(0, most - _machines_here(snapshot))
    if len(creates) <= left:
        return decision
    others = len(decision.actions) - len(creates)
    is_moving = bool(left or others or snapshot.creating or decision.tally.going or decision.tally.booting)
    dropped = creates[left if is_moving else 1 :]
    return replace(
        decision,
        actions=tuple(action for action in decision.actions if action not in dropped),
        tally=replace(decision.tally, existing=decision.tally.existing - len(dropped)),
    )


def hindrances(pool: Pool, snapshot: Snapshot) -> tuple[Blocker, ...]:
    """Drains of outdated machines that cannot succeed, one blocker for each cause.

    O(pods). The same causes are found again, node by node, when a machine's turn comes.
    """
    causes: dict[str, list[Blocker]] = {}
    for machine in _outdated(pool, snapshot.machines.values()):
        if machine.node is None:
            continue
        for blocker in drain.blockers_of(machine.node, snapshot.budgets, pool.drain):
            causes.setdefault(blocker.forward, []).append(blocker)
    return tuple(_joined(alike) for alike in causes.values())


def own_node(pool: Pool, snapshot: Snapshot) -> tuple[Blocker, ...]:
    """That the run is to drain the node it lives on, which no other turn of it would find again."""
    own = [m for m in _outdated(pool, snapshot.machines.values()) if m.node is not None and m.node.name == snapshot.own_node]
    return tuple(_own_node(machine) for machine in own)


def _wanted_most(limits: Limits, snapshot: Snapshot, decision: Decision) -> int:
    """How many machines more than now may exist at the height of the run: ceiling, quarantine and those kept for a look all full."""
    creates = sum(1 for action in decision.actions if isinstance(action, Create))
    return max(creates, limits.ceiling + limits.blocked + limits.preserved - _machines_here(snapshot))


def _machines_here(snapshot: Snapshot) -> int:
    """All that uses up room already, whatever its class."""
    return len(snapshot.machines) + len(snapshot.half_owned) + len(snapshot.creating)


def _frees_room(decision: Decision) -> bool:
    """Whether a machine of the pool is leaving, or is about to, before any new one."""
    return decision.tally.going > 0 or any(_takes_away(action) for action in decision.actions)


def _takes_away(action: Action) -> bool:
    """A machine's first step out; for one that never joined that is the look before its delete."""
    return isinstance(action, Choose | Delete) or (isinstance(action, LookAt) and isinstance(action.subject, Machine))


def _consequence(fits: int, creates: int, here: int, limits: Limits) -> str:
    if here + fits < limits.replicas:
        return f"so the pool ends with {here + fits} of {limits.replicas}"
    if fits < creates or here + fits < limits.ceiling:
        return f"so it goes slower than max_surge {limits.surge} allows"
    if here + fits < limits.ceiling + limits.blocked:
        return f"so it may stand still once machines are quarantined (max_blocked {limits.blocked})"
    return f"so it may stand still once failed machines are kept (health.preserve_on_fail {limits.preserved})"


def _numbers(short: Iterable[Resource], machines: int) -> str:
    return "; ".join(resource.short_of(machines) for resource in short)


def _remedies(room: Room, machines: int) -> str:
    """What makes room for so many more, for each resource that has too little."""
    remedies = [resource.remedy_for(machines) for resource in room.short_of(machines)]
    return " and ".join(dict.fromkeys(filter(None, remedies))) or "have the limits raised"


def _outdated(pool: Pool, machines: Iterable[Machine]) -> list[Machine]:
    return [m for m in machines if m.vm.revision not in (pool.revision.id, ANY.id) and not m.is_going]


def _own_node(machine: Machine) -> Blocker:
    return Blocker(
        code="own_node",
        what="this run lives on a node that it is to drain: it goes last, and takes the run with it",
        where=machine.where,
        forward="run the same playbook again afterwards, it goes on; or run it from outside of the cluster",
    )


def _joined(alike: list[Blocker]) -> Blocker:
    """One blocker for all of the same cause: what the first one says, and where the others are."""
    nodes = [blocker.where.removeprefix("node ") for blocker in alike]
    more = f" and {len(nodes) - NODES_SHOWN} more" if len(nodes) > NODES_SHOWN else ""
    where = f"node{'s' if len(nodes) > 1 else ''} {', '.join(nodes[:NODES_SHOWN])}{more}"
    return replace(alike[0], where=where)
