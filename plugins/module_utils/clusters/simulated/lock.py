# SPDX-License-Identifier: GPL-3.0-or-later
"""The Lock port over a simulated world. Its outages are its own: target "lock"."""

from __future__ import annotations

from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Steering
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.faults import LOCK
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import Session


class SimulatedLock:
    """The lock of one pool."""

    def __init__(self, session: Session, pool: str) -> None:
        self._session = session
        self._pool = pool

    def read(self) -> LockFact:
        """See ports.Lock."""
        with self._session.world() as world, world.calls.around(LOCK, "read"):
            return world.leases.read(self._pool)

    def acquire(self, seen: LockFact, holder: str, ttl: timedelta) -> LockFact:
        """See ports.Lock."""
        with self._session.world() as world, world.calls.around(LOCK, "acquire"):
            return world.leases.acquire(self._pool, seen, holder, ttl)

    def renew(self, held: LockFact) -> LockFact:
        """See ports.Lock."""
        with self._session.world() as world, world.calls.around(LOCK, "renew"):
            return world.leases.renew(self._pool, held)

    def release(self, held: LockFact) -> None:
        """See ports.Lock."""
        with self._session.world() as world, world.calls.around(LOCK, "release"):
            world.leases.release(self._pool, held)

    def steer(self, seen: LockFact, steering: Steering) -> LockFact:
        """See ports.Lock."""
        with self._session.world() as world, world.calls.around(LOCK, "steer"):
            return world.leases.steer(self._pool, seen, steering)
