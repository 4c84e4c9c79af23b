# SPDX-License-Identifier: GPL-3.0-or-later
"""The Balancer port over a simulated world: in memory or in a file, in virtual or in real time."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import MemberChange
from ansible_collections.immutable.fleet.plugins.module_utils.ports import MemberListing
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.faults import BALANCER
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import Session


class SimulatedBalancer:
    """One backend, for one pool."""

    def __init__(self, session: Session, pool: str, backend: str) -> None:
        self._session = session
        self._pool = pool
        self._backend = backend

    def find_backend(self) -> None:
        """See ports.Balancer."""
        with self._session.world() as world, world.calls.around(BALANCER, "find_backend"):
            world.balancers.backend(self._backend)

    def list_members(self) -> MemberListing:
        """See ports.Balancer."""
        with self._session.world() as world, world.calls.around(BALANCER, "list_members"):
            members = world.balancers.members(self._backend, self._pool)
            return MemberListing(as_of=world.now, members=members, is_busy=bool(world.balancers.backend(self._backend).pending))

    def change_members(self, changes: Sequence[MemberChange]) -> None:
        """See ports.Balancer."""
        with self._session.world() as world, world.calls.around(BALANCER, "change_members"):
            world.balancers.change(self._backend, self._pool, changes)
