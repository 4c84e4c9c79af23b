# SPDX-License-Identifier: GPL-3.0-or-later
"""A backend as observed, put into a world that was made from facts: what check mode drains and fills.

A member that the balancer finds ill stays so, as a node that is not ready. Sessions that are not counted by member are none, and the
replay waits for the end of the drain's time as a run does.
"""

from __future__ import annotations

from statistics import median

from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import SERVING, Member
from ansible_collections.immutable.fleet.plugins.module_utils.ports import MemberListing
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.balancers import SESSIONS_OVER
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Backend, BackendMember, Host
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World

BACKEND = "backend"  # of a world made from facts: it has one


def add_backend(world: World, listing: MemberListing) -> None:
    """All members, those of others too. Machines behind members that serve have come up."""
    serving = [member for member in listing.members if member.state == SERVING]
    counted = [member.sessions for member in serving if member.sessions is not None]
    world.state.backends.put(
        BACKEND,
        Backend(
            name=BACKEND,
            port=next((member.port for member in listing.members), 80),
            sessions=round(median(counted)) if counted else 0,
            counts_sessions=bool(counted) or not serving,
            checks=any(member.healthy is not None for member in listing.members),
        ),
    )
    host_of = {address: host for host in world.state.hosts.values() for address in host.vm.addresses}
    for member in listing.members:
        _add(world, member, host_of.get(member.address))


def _add(world: World, member: Member, host: Host | None) -> None:
    state = world.state
    row = BackendMember(
        id=member.id,
        backend=BACKEND,
        name=member.name or (host.vm.name if host is not None and member.is_ours else ""),
        address=member.address,
        host=host.vm.id if host is not None else "",
        state=member.state,
        healthy=member.healthy,
        is_sick=member.healthy is False,
    )
    if member.state != SERVING:
        row.ends = tuple(sorted(state.now + state.profile.session.draw(state.chance) for _session in range(member.sessions or 0)))
        if row.ends:
            state.plan(row.ends[-1] - state.now, SESSIONS_OVER, row.id)
    elif host is not None and host.runs:
        host.answers_from = state.now
    state.backend_members.put(row.id, row)
