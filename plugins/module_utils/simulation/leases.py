# SPDX-License-Identifier: GPL-3.0-or-later
"""Lock objects and bootstrap tokens: small things that the cluster's API keeps for a pool."""

from __future__ import annotations

from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact, load_object, load_record
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Steering, load_steering
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Lease, Token
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import CLUSTER, State

EXPIRED = "token expired"


class Leases:
    """One lock object per pool, written only on condition of its version."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._read: dict[str, LockFact] = {}  # the last one of each pool, true while the lock has this version

    def reload(self) -> None:
        """Rows came from a file: a version that was never written may have been given again."""
        self._read = {}

    def read(self, pool: str) -> LockFact:
        """The lock now; a lock that was never made is free and has token 0."""
        lease = self._state.leases.get(pool)
        if lease is None:
            return LockFact()
        known = self._read.get(pool)
        if known is None or known.version != str(lease.version):
            known = self._read[pool] = self._fact(lease)
        return known

    def _fact(self, lease: Lease) -> LockFact:
        return LockFact(
            holder=lease.holder,
            since=lease.since,
            renewals=str(lease.renewals) if lease.renewals else "",
            token=lease.token,
            ttl=lease.ttl,
            version=str(lease.version),
            record=load_record(lease.record),
            steering=load_steering(load_object(lease.steering)),
        )

    def acquire(self, pool: str, seen: LockFact, holder: str, ttl: timedelta) -> LockFact:
        """Take it, with `seen.record` on it. Raises `Conflict` when it is not as `seen`."""
        lease = self._as_seen(pool, seen)
        lease.holder, lease.since, lease.ttl = holder, say_instant(self._state.now), ttl
        lease.record = seen.record.dump()
        lease.token += 1
        lease.renewals += 1
        return self._written(pool, lease)

    def renew(self, pool: str, held: LockFact) -> LockFact:
        """Say that the holder lives, with `held.record` on it. Raises `Conflict` when it is another's."""
        lease = self._held(pool, held)
        lease.record = held.record.dump()
        lease.renewals += 1
        return self._written(pool, lease)

    def release(self, pool: str, held: LockFact) -> None:
        """Give it back, with `held.record` on it; another's is left alone."""
        lease = self._state.leases.get(pool)
        if lease is not None and (lease.holder, lease.token) == (held.holder, held.token):
            lease.holder = lease.since = ""
            lease.record = held.record.dump()
            self._written(pool, lease)

    def steer(self, pool: str, seen: LockFact, steering: Steering) -> LockFact:
        """Write what operators ask, whoever holds it. Raises `Conflict` when it is not as `seen`."""
        lease = self._as_seen(pool, seen)
        lease.steering = steering.dump()
        return self._written(pool, lease)

    def _as_seen(self, pool: str, seen: LockFact) -> Lease:
        lease = self._state.leases.get(pool)
        if (str(lease.version) if lease is not None else "") != seen.version:
            raise Conflict(what="the lock was written by another since it was read", where=f"lock of pool {pool}")
        if lease is None:
            lease = Lease()
            self._state.leases.put(pool, lease)
        return lease

    def _held(self, pool: str, held: LockFact) -> Lease:
        """By holder and token, not by version: a pool that was steered is no loss of the lock."""
        lease = self._state.leases.get(pool)
        if lease is None or (lease.holder, lease.token) != (held.holder, held.token):
            holder = lease.holder if lease is not None and lease.holder else "nobody"
            raise Conflict(what=f"the lock is held by {holder}", where=f"lock of pool {pool}")
        return lease

    def _written(self, pool: str, lease: Lease) -> LockFact:
        lease.version = self._state.next_serial()
        self._state.leases.touch(pool)
        return self.read(pool)


class Tokens:
    """Bootstrap tokens, one per machine, gone when their time is over."""

    def __init__(self, state: State) -> None:
        self._state = state

    def mint(self, pool: str, machine: str, ttl: timedelta) -> str:
        """A new token; its text, which is a secret elsewhere."""
        state = self._state
        token_id = f"{state.next_serial():06x}"
        leftover = Leftover(kind="token", id=token_id, name=f"bootstrap-token-{token_id}", machine=machine, created_at=state.now)
        state.tokens.put(token_id, Token(leftover, pool, state.now + ttl))
        state.plan(ttl, EXPIRED, token_id)
        state.tell(CLUSTER, machine)
        return f"{token_id}.{state.next_serial():016x}"

    def delete(self, token_id: str) -> None:
        """Delete one, or let it run out (event). One that is gone already is success."""
        token = self._state.tokens.drop(token_id)
        if token is not None:
            self._state.tell(CLUSTER, token.leftover.machine)

    def of(self, pool: str) -> tuple[Leftover, ...]:
        """All tokens of a pool."""
        return tuple(token.leftover for token in self._state.tokens.values() if token.pool == pool)
