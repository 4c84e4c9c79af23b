# SPDX-License-Identifier: GPL-3.0-or-later
"""Holding the pool's lock: one call at a time, decided from what was read, never waiting (semantics section 1).

A lock held by another is watched on our own clock: a renewal seen means it lives (`LockHeld` at once), silence for a TTL
means it died and the lock is taken over. After a take-over its last calls may still arrive, so nothing is created until
they must have. Clouds check no token, so a write is sent only while the last renewal is younger than TTL - call timeout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.decide.brake import control
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Conflict,
    Denied,
    FleetError,
    Invalid,
    LockHeld,
    PortError,
    Stopped,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import parse_instant, say_duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact, PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Lock, Runtime

RENEWALS_PER_TTL = 4
LOOKS_PER_TTL = 20  # while watching another holder
SETTLE_PER_TTL = 0.5  # 30 s at the default TTL of 60 s: what a dead holder's last call may take on its way


class Keeper:
    """Reads, takes, renews and gives back one lock through the runtime. `failure` ends the run.

    What the settings pin goes into the record as soon as the lock is ours.
    """

    def __init__(self, lock: Lock, runtime: Runtime, settings: RunSettings, pool: Pool | None = None) -> None:
        self._lock, self._runtime = lock, runtime
        self._pinned, self._replicas = settings.pinned, settings.replicas
        self._pool, self._where = pool, f"lock of pool {pool.name}" if pool is not None else "lock"
        self._record, self._look_every = settings.seen.record, settings.steering_look
        self.steering = settings.seen.steering
        self._holder, self._ttl, self._call_timeout = settings.holder, settings.lock_ttl, settings.call_timeout
        self._held: LockFact | None = None
        self._renewed_at: datetime | None = None
        self._sent_at = runtime.now()
        self.acquired_at: datetime | None = None
        self._other: LockFact | None = None  # as first seen, with `_other_since`
        self._other_since: datetime | None = None
        self.is_calling = False
        self._due: datetime | None = None
        self._renew_at: datetime | None = None
        self._settled_at: datetime | None = None
        self.failure: FleetError | None = None

    @property
    def is_held(self) -> bool:
        """Whether the lock is ours by the last answer."""
        return self._held is not None

    def may_write(self, now: datetime) -> bool:
        """Whether a write sent now would arrive while the lock is surely ours."""
        return self._held is not None and self._renewed_at is not None and now - self._renewed_at < self._ttl - self._call_timeout

    @property
    def record(self) -> PoolRecord:
        """The pool's record as the lock has it."""
        return self._held.record if self._held is not None else self._record

    def write(self, record: PoolRecord) -> None:
        """Put `record` on the lock with the next call, which is due at once.

        While an earlier one is on its way it is left: it was decided without knowing that one, and is decided again afterwards.
        """
        held = self._held
        if held is not None and _is_said_by(self._record, held.record) and not _is_said_by(record, held.record):
            self._record, self._due = record, None

    def settles_at(self) -> datetime | None:
        """When creates are free again after a take-over."""
        return self._settled_at

    def turn(self, now: datetime) -> datetime | None:
        """Start the call that is due, if any; when to be asked again."""
        if self.is_calling or self.failure is not None:
            return None
        if self._due is not None and now < self._due:
            return self._due
        held = self._held
        if held is None:
            self._call(self._lock.read, self._was_read)
        elif not _is_said_by(self._record, held.record) or self._renew_at is None or now >= self._renew_at:
            wanted = replace(held, record=self._record)
            self._call(lambda: self._lock.renew(wanted), self._was_renewed)
        else:
            self._call(self._lock.read, self._was_looked_at)
        return None

    def release(self, teach: Callable[[PoolRecord], PoolRecord] | None = None) -> None:
        """Give the lock back with the record on it, and what `teach` adds, if it is ours.

        A failure is no harm: the lock runs out after its TTL.
        """
        held, self._held = self._held, None
        if held is None:
            return
        try:
            self._lock.release(replace(held, record=teach(self._record) if teach else self._record))
        except PortError:
            return

    def _call(self, call: Callable[[], LockFact], done: Callable[[LockFact], None]) -> None:
        sent_at = self._runtime.now()

        def answered(result: object, error: Exception | None) -> None:
            self.is_calling = False
            if error is None and isinstance(result, LockFact):
                self._sent_at = sent_at
                done(result)
            elif isinstance(error, Conflict):
                self._lost_or_raced()
            elif isinstance(error, Denied | Invalid):
                self.failure = error  # asking again changes nothing: the user acts
            elif isinstance(error, PortError):
                self._due = self._runtime.now() + self._ttl / LOOKS_PER_TTL
            elif error is not None:
                raise error

        self.is_calling = True
        self._runtime.submit(call, answered)

    def _was_read(self, fact: LockFact) -> None:
        now = self._runtime.now()
        self.steering = fact.steering
        if fact.holder == self._holder:
            self._is_ours(fact)
        elif not fact.holder:
            self._acquire(fact)
        elif self._other is None or self._other.holder != fact.holder:
            self._other, self._other_since = fact, now
            self._due = now + self._ttl / LOOKS_PER_TTL
        elif self._other.renewals != fact.renewals:
            self.failure = self._held_by(fact)
        elif self._other_since is not None and now - self._other_since >= max(fact.ttl, self._ttl):
            self._settled_at = now + self._call_timeout + SETTLE_PER_TTL * self._ttl
            self._acquire(fact)
        else:
            self._due = now + self._ttl / LOOKS_PER_TTL

    def _acquire(self, seen: LockFact) -> None:
        record = seen.record
        self._record = replace(record, pinned=self._pinned or record.pinned, replicas=self._replicas or record.replicas)
        wanted = replace(seen, record=self._record)
        self._call(lambda: self._lock.acquire(wanted, self._holder, self._ttl), self._take)

    def _take(self, fact: LockFact) -> None:
        if self.acquired_at is None:
            self.acquired_at = self._runtime.now()
        self._was_renewed(fact)

    def _is_ours(self, fact: LockFact) -> None:
        """An answer of ours was lost. How old that renewal is nobody knows, so nothing is written before the next one."""
        if self.acquired_at is None:
            self.acquired_at = self._runtime.now()
        self.steering = fact.steering
        self._held, self._due, self._renew_at = fact, self._runtime.now(), None

    def _was_renewed(self, fact: LockFact) -> None:
        # The renewal counts from when it was sent: it may have waited anywhere on its way.
        self._held, self._renewed_at, self.steering = fact, self._sent_at, fact.steering
        self._renew_at = self._sent_at + self._ttl / RENEWALS_PER_TTL
        self._due = self._next_look(self._renew_at)

    def _was_looked_at(self, fact: LockFact) -> None:
        held = self._held
        if held is None or (fact.holder, fact.token) != (held.holder, held.token):
            self._lost_or_raced()
            return
        self._held, self.steering = replace(held, version=fact.version), fact.steering
        self._due = self._next_look(self._renew_at or self._sent_at)

    def _next_look(self, renew_at: datetime) -> datetime:
        return renew_at if self._look_every is None else min(renew_at, self._sent_at + self._look_every)

    def _lost_or_raced(self) -> None:
        """A conditional write failed: read who holds it now. A lost answer of our own renewal looks the same."""
        if self._held is None:
            self._due = self._runtime.now()
            return

        def read(fact: LockFact) -> None:
            if fact.holder == self._holder:
                self._is_ours(fact)
                return
            self._held = None
            self.failure = Stopped(
                what=f"the lock was taken over by {fact.holder or 'nobody'}",
                where=self._where,
                since=_instant(fact.since),
                forward="wait for that run to end, then run the same playbook again",
                back="nothing is half done: the other run goes on from the facts",
            )

        self._call(self._lock.read, read)

    def _held_by(self, fact: LockFact) -> LockHeld:
        return LockHeld(
            what=f"another run holds the pool: {fact.holder}; it is alive",
            where=self._where,
            since=_instant(fact.since),
            forward=f"wait for it to end (a dead holder is replaced after {say_duration(self._ttl)} of silence){self._or_end_it()}",
            back="nothing to take back: nothing was changed",
        )

    def _or_end_it(self) -> str:
        if self._pool is None:
            return ""
        return f"; or end it: {control(self._pool, 'aborted', then='then state resumed, and run the same playbook again')}"


def _instant(text: str) -> datetime | None:
    """When a holder took the lock, by its own clock; None where another tool wrote something else there."""
    try:
        return parse_instant(text)
    except ValueError:
        return None


def _is_said_by(record: PoolRecord, read: PoolRecord) -> bool:
    """Whether the lock that was `read` says this already. Instants lose their fractions on it, so that only the texts can be equal."""
    return record == read or record.dump() == read.dump()
