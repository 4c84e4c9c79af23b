# SPDX-License-Identifier: GPL-3.0-or-later
"""A load balancer's backends: members are checked, take sessions, lose them when they drain, and are cut off with their machine.

A member that serves and is well has as many sessions as its backend says. Draining, each of them ends by itself after a drawn
time. `cut` counts those that ended otherwise: what a rollout must not do to anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import (
    DRAINING,
    REMOVED,
    SERVING,
    Member,
    MemberChange,
    steps_of,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid, Throttled
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import slot_of
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Backend, BackendMember, Host
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import State

CHANGED = "balancer changed"
UP = "member up"
DOWN = "member down"
SESSIONS_OVER = "sessions over"
WELL = "member well"


class Balancers:
    """All backends, by name. Members are kept by `backend/number`, which is their id."""

    def __init__(self, state: State) -> None:
        self._state = state

    # The balancer's API.

    def backend(self, name: str) -> Backend:
        """The backend. Raises `Invalid`."""
        found = self._state.backends.get(name)
        if found is None:
            known = ", ".join(sorted(self._state.backends)) or "none"
            raise Invalid(what=f"the simulated balancer has no backend {name!r}; it has: {known}", where="balancer.simulated.backend")
        return found

    def members(self, backend: str, pool: str) -> tuple[Member, ...]:
        """All of them, as `pool` sees them."""
        shown = self.backend(backend)
        return tuple(
            Member(
                id=row.id,
                name=row.name,
                address=row.address,
                port=shown.port,
                weight=1,
                state=row.state,
                healthy=row.healthy if shown.checks else None,
                sessions=self._sessions(row) if shown.counts_sessions else None,
                is_ours=slot_of(pool, row.name) is not None,
            )
            for row in self._state.backend_members.values()
            if row.backend == backend
        )

    def change(self, backend: str, pool: str, changes: Sequence[MemberChange]) -> None:
        """Begin one update of several members. Raises `Invalid`, `Conflict`, and `Throttled` while an earlier one goes on."""
        changed = self.backend(backend)
        if changed.pending:
            raise Throttled(what=f"backend {backend} still carries out an earlier change", where=f"backend {backend}")
        steps = steps_of(changes, self.members(backend, pool), changed.port)
        if not steps:
            return
        changed.pending = tuple(replace(change, id=member.id if member is not None else "") for change, member in steps)
        self._state.backends.touch(backend)
        takes = self._state.profile.balancer_change.draw(self._state.chance)
        if takes:
            self._state.plan(takes, CHANGED, backend)
        else:
            self.changed(backend)

    def add(self, backend: str, name: str, address: str) -> None:
        """Put a member in, as the API does or a person by hand. It is checked, and then has sessions."""
        host = next((host.vm.id for host in self._state.hosts.values() if address in host.vm.addresses), "")
        row = BackendMember(id=f"{backend}/{self._state.next_serial():x}", backend=backend, name=name, address=address, host=host)
        self._state.backend_members.put(row.id, row)
        self._look_after(row)
        self._state.balancer_changed(backend)

    # Events.

    def changed(self, backend: str) -> None:
        """Event: the update is in effect."""
        row = self._state.backends.get(backend)
        if row is None:
            return
        pending, row.pending = row.pending, ()
        self._state.backends.touch(backend)
        for change in pending:
            if not change.id:
                self.add(backend, change.name, change.address)
                continue
            member = self._state.backend_members.get(change.id)
            if member is not None:
                self._to(member, change.to)
        self._state.balancer_changed(backend)

    def up(self, key: str) -> None:
        """Event: enough checks have passed."""
        self._found(key, healthy=True)

    def down(self, key: str) -> None:
        """Event: enough checks have failed."""
        self._found(key, healthy=False)

    def sessions_over(self, key: str) -> None:
        """Event: the last session of a draining member has ended."""
        row = self._state.backend_members.get(key)
        if row is not None and row.state == DRAINING and not self._sessions(row):
            self._state.balancer_changed(row.backend)

    def well(self, key: str) -> None:
        """Event: what failed a member's checks has passed."""
        row = self._state.backend_members.get(key)
        if row is not None:
            row.is_sick = False
            self._look_after(row)

    # The machine's side, and misfortunes.

    def boot(self, host: Host) -> None:
        """A machine runs (again): its members will be found to be well."""
        for row in self._of(host):
            self._look_after(row)

    def halt(self, host: Host) -> None:
        """A machine no longer runs: its sessions are cut at once, which its checks find out later."""
        for row in self._of(host):
            self._cut(row, self._open(row))
            self._state.plan(self._state.profile.member_down.draw(self._state.chance), DOWN, row.id)

    def sicken(self, key: str, lasts: timedelta | None) -> None:
        """The checks of a member fail although its machine runs."""
        row = self._state.backend_members[key]
        row.is_sick = True
        self._found(key, healthy=False)
        if lasts is not None:
            self._state.plan(lasts, WELL, key)

    def _to(self, row: BackendMember, wish: str) -> None:
        state = self._state
        if wish == REMOVED:
            self._cut(row, self._sessions(row))
            state.backend_members.drop(row.id)
            return
        if wish == DRAINING and row.state == SERVING:
            spread, chance = state.profile.session, state.chance
            row.ends = tuple(sorted(state.due_after(spread.draw(chance)) for _session in range(self._sessions(row))))
            if row.ends:
                state.plan(row.ends[-1] - state.now, SESSIONS_OVER, row.id)
        elif wish == SERVING:
            row.ends = None
        row.state = wish
        state.backend_members.touch(row.id)

    def _look_after(self, row: BackendMember) -> None:
        self._state.backend_members.touch(row.id)
        self._state.plan(self._state.profile.member_up.draw(self._state.chance), UP, row.id)

    def _found(self, key: str, *, healthy: bool) -> None:
        row = self._state.backend_members.get(key)
        if row is None or row.healthy is healthy or healthy != self._answers(row):
            return
        row.healthy = healthy
        self._state.backend_members.touch(key)
        self._state.balancer_changed(row.backend)

    def _cut(self, row: BackendMember, count: int) -> None:
        """So many sessions end before their time."""
        backend = self._state.backends[row.backend]
        backend.cut += count
        self._state.backends.touch(row.backend)

    def _sessions(self, row: BackendMember) -> int:
        return self._open(row) if self._runs(row) else 0

    def _open(self, row: BackendMember) -> int:
        """Sessions, as long as the machine behind them runs."""
        if row.ends is not None:
            return sum(1 for end in row.ends if end > self._state.now)
        backend = self._state.backends[row.backend]
        takes = row.state == SERVING and (row.healthy is True or not backend.checks)
        return backend.sessions if takes else 0

    def _answers(self, row: BackendMember) -> bool:
        return not row.is_sick and self._runs(row)

    def _runs(self, row: BackendMember) -> bool:
        """A member that no simulated machine stands behind is somebody's own, and always there."""
        host = self._state.hosts.get(row.host)
        return not row.host or (host is not None and host.runs)

    def _of(self, host: Host) -> list[BackendMember]:
        if not self._state.backends:
            return []
        return [row for row in self._state.backend_members.values() if row.host == host.vm.id]
