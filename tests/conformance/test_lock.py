# SPDX-License-Identifier: GPL-3.0-or-later
"""The Lock port, verb by verb (docs/provider-contract.md)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Asked, Steering
from ansible_collections.immutable.fleet.tests.conformance.harness import LockHarness

TTL = timedelta(seconds=60)
PAUSE = Steering(pause=Asked("ops@bastion", datetime(2026, 11, 21, 4, 10, 7, tzinfo=UTC)))


def test_a_lock_that_was_never_made_is_free(locks: LockHarness) -> None:
    fact = locks.lock().read()
    assert (fact.holder, fact.token, fact.record) == ("", 0, PoolRecord())


def test_taken_once(locks: LockHarness) -> None:
    """Of two that saw it free, one gets it; the other looks again and sees whose it is."""
    one, other = locks.lock(), locks.lock()
    seen = other.read()
    held = one.acquire(one.read(), "one", TTL)
    assert (held.holder, held.token, held.ttl, bool(held.since)) == ("one", 1, TTL, True)
    with pytest.raises(Conflict):
        other.acquire(seen, "other", TTL)
    assert (other.read().holder, other.read().token) == ("one", 1)


def test_a_renewal_is_seen(locks: LockHarness) -> None:
    """By a newcomer that compares two reads; it says nothing of clocks."""
    one, other = locks.lock(), locks.lock()
    held = one.acquire(one.read(), "one", TTL)
    before = other.read()
    held = one.renew(held)
    assert other.read().renewals != before.renewals
    assert (held.holder, held.token) == ("one", 1)
    one.renew(held)


def test_taken_over(locks: LockHarness) -> None:
    """The token grows; whoever lost it learns so at its next renewal, and its release does no harm."""
    one, other = locks.lock(), locks.lock()
    lost = one.acquire(one.read(), "one", TTL)
    held = other.acquire(other.read(), "other", TTL)
    assert held.token > lost.token
    with pytest.raises(Conflict):
        one.renew(lost)
    one.release(lost)
    assert other.read().holder == "other"
    other.renew(held)


def test_released_and_taken_again(locks: LockHarness) -> None:
    """The token goes on growing: an old one never comes back."""
    lock = locks.lock()
    lock.release(lock.acquire(lock.read(), "one", TTL))
    free = lock.read()
    assert (free.holder, free.token) == ("", 1)
    assert lock.acquire(free, "two", TTL).token == 2


def test_the_record_outlives_the_holder(locks: LockHarness) -> None:
    """Written with the lock and with its release, read by whoever comes next."""
    record = PoolRecord(pinned={"asked": "golden", "id": "x", "digest": "sha512:x", "since": "2026-11-21T04:10:07Z"})
    one = locks.lock()
    held = one.acquire(replace(one.read(), record=record), "one", TTL)
    assert (held.record, locks.lock().read().record) == (record, record)
    one.release(replace(held, record=PoolRecord()))
    assert locks.lock().read().record == PoolRecord()


def test_a_renewal_writes_the_record(locks: LockHarness) -> None:
    """What the next run has to know does not wait for the end of this one."""
    one = locks.lock()
    held = one.acquire(one.read(), "one", TTL)
    record = PoolRecord(climbing="r", passed=1)
    assert one.renew(replace(held, record=record)).record == record
    assert locks.lock().read().record == record


def test_steering_needs_no_holder(locks: LockHarness) -> None:
    """A pool may be steered before its first run; the lock stays free."""
    lock = locks.lock()
    fact = lock.steer(lock.read(), PAUSE)
    assert (fact.steering, fact.holder, fact.token) == (PAUSE, "", 0)
    held = lock.acquire(lock.read(), "one", TTL)
    assert (held.steering, held.token) == (PAUSE, 1)


def test_steering_takes_the_lock_from_nobody(locks: LockHarness) -> None:
    """The holder sees it at its next look, goes on, and its record stays its own."""
    one, other = locks.lock(), locks.lock()
    record = PoolRecord(climbing="r", passed=1)
    held = one.acquire(replace(one.read(), record=record), "one", TTL)
    other.steer(other.read(), PAUSE)
    renewed = one.renew(held)
    assert (renewed.holder, renewed.steering, renewed.record) == ("one", PAUSE, record)
    one.release(renewed)
    assert other.read().steering == PAUSE


def test_of_two_that_steer_one_looks_again(locks: LockHarness) -> None:
    """So that neither loses what the other asked."""
    lock = locks.lock()
    seen = lock.read()
    lock.steer(seen, PAUSE)
    with pytest.raises(Conflict):
        lock.steer(seen, Steering())


def test_pools_have_locks_of_their_own(locks: LockHarness) -> None:
    one, other = locks.lock("one"), locks.lock("another")
    one.acquire(one.read(), "one", TTL)
    assert other.acquire(other.read(), "other", TTL).token == 1


def test_a_lock_that_somebody_deleted_can_be_made_again(locks: LockHarness) -> None:
    """It and the wishes on it begin anew, however often it had been taken; of two, one still gets it.

    Where nobody can tell whether it was held it is held by nobody known first, whose time has to pass.
    """
    lock = locks.lock()
    for holder in ("first", "second"):
        lock.release(lock.acquire(lock.read(), holder, TTL))
    lock.steer(lock.read(), PAUSE)
    locks.delete_locks()
    one, other = locks.lock(), locks.lock()
    seen = other.read()
    assert (seen.holder, seen.token, seen.steering) == ("", 0, Steering())
    with suppress(Conflict):
        one.acquire(one.read(), "nobody", TTL)
    held = one.acquire(one.read(), "one", TTL)
    with pytest.raises(Conflict):
        other.acquire(seen, "other", TTL)
    assert one.steer(one.renew(held), PAUSE).steering == PAUSE
    one.release(held)
    assert other.acquire(other.read(), "other", TTL).token > held.token
