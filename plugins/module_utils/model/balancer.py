# SPDX-License-Identifier: GPL-3.0-or-later
"""A load balancer as pools see it: one backend with members, and what is wished of them.

Ownership goes by name: a member that is called as this pool calls machines (`marks.slot_of`) is the pool's. There is no
second place to write a mark to: HAProxy keeps nothing but names, and Octavia's tags are lost with each batched update that
does not repeat them. A balancer whose members cannot be called so (HAProxy's server-template slots) says itself whose they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Invalid, ensure

SERVING = "serving"  # takes new sessions, as far as its health check passes
DRAINING = "draining"  # takes no new sessions, those it has go on
OUT = "out"  # somebody took it out: neither new sessions nor a health check
REMOVED = "removed"  # only wished: it is no member any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member of a backend. `id` is the balancer's own handle.

    `name` is the machine's; "" where the balancer cannot hold it: the address tells then. `healthy` is what the balancer's
    check found, None: it has not looked, or does not tell. `sessions` are open ones, None: the balancer does not count them
    by member, so that nobody can know when the last one ended.
    """

    id: str
    name: str
    address: str
    port: int
    weight: int = 1
    state: str = SERVING
    healthy: bool | None = None
    sessions: int | None = None
    is_ours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberChange:
    """What should be of one member: `to` is SERVING, DRAINING or REMOVED, never a step. So it may be said twice.

    `id` is that of a listed member. "" asks for a new one, which only SERVING can mean, at `address`.
    """

    name: str
    to: str
    id: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A backend as decisions see it, beside the members of machines. `strays` are members of ours that no VM stands behind.

    `is_busy` and `fault` as in ports.MemberListing.
    """

    as_of: datetime = field(compare=False)  # one that shows the same later is the same
    is_busy: bool = False
    fault: str = ""
    strays: tuple[Member, ...] = ()


Step = tuple[MemberChange, "Member | None"]


def steps_of(changes: Iterable[MemberChange], members: Sequence[Member], port: int) -> list[Step]:
    """Each change with the member it means, None for a new one; what is gone or so already is left out.

    Refuses all of them where one must not be: `Invalid` for a member, or an address, that is not ours; `Conflict` while an older
    member of ours has the address, or the name (of a machine that was recreated), and has to go first. `port` is that of new members.
    """
    by_id = {member.id: member for member in members}
    by_address = {(member.address, member.port): member for member in members}
    names = {member.name for member in members if member.name}
    steps: list[Step] = []
    for change in changes:
        member = by_id.get(change.id) if change.id else by_address.get((change.address, port))
        if change.id and member is None:
            continue
        ensure(bool(change.id) or (change.to == SERVING and bool(change.address)), f"{change} says neither which member nor where")
        if member is not None and not member.is_ours:
            raise Invalid(
                what=f"{member.address}:{member.port} is member {member.name or member.id}, which is not this pool's and stays as it is",
                where=f"machine {change.name}",
            )
        if member is not None and not change.id and member.name not in ("", change.name):
            raise Conflict(what=f"{change.address} is still that of member {member.name}", where=f"machine {change.name}")
        if member is None and change.name in names:
            raise Conflict(what=f"there is still a member of this name, not at {change.address}", where=f"machine {change.name}")
        if member is None or member.state != change.to:
            steps.append((change, member))
    return steps
