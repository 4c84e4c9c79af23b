# SPDX-License-Identifier: GPL-3.0-or-later
"""One holder a pool: free locks are taken, living holders are left alone at once, silent ones are replaced."""

from __future__ import annotations

from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.engine.lock import Keeper
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.engine.virtual import Steady
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import LockHeld, Stopped
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Fault
from ansible_collections.immutable.fleet.tests.simulation.estate import Estate
from ansible_collections.immutable.fleet.tests.unit.builders import pool

TTL = timedelta(seconds=60)
PIN = PoolRecord(pinned={"asked": "v1"})


def keeper(estate: Estate, holder: str) -> Keeper:
    """One process's keeper of the pool's lock."""
    return Keeper(estate.ports().lock, estate.runtime, RunSettings(holder=holder, lock_ttl=TTL, pinned=PIN.pinned), pool())


def drive(estate: Estate, seconds: float, *keepers: Keeper) -> float:
    """Let these take their turns for so long, or until one of them fails; the seconds that took."""
    began_at, runtime = estate.runtime.now(), estate.runtime
    end = began_at + timedelta(seconds=seconds)
    while runtime.now() < end and not any(each.failure for each in keepers):
        due = [each.turn(runtime.now()) for each in keepers]
        runtime.wait(min([end, *(instant for instant in due if instant is not None)]))
    return (runtime.now() - began_at).total_seconds()


def test_a_free_lock_is_taken_with_the_record_on_it() -> None:
    """Read, then taken: the record of the rollout is written with it, and writes may be sent."""
    estate = Estate()
    ours = keeper(estate, "us")
    drive(estate, 1, ours)
    fact = estate.ports().lock.read()
    assert (ours.may_write(estate.runtime.now()), ours.settles_at(), fact.holder, fact.record) == (True, None, "us", PIN)


def test_a_lock_that_lives_is_refused_at_once() -> None:
    """FM11: one renewal seen is proof enough; nobody waits for a TTL."""
    estate = Estate()
    theirs, ours = keeper(estate, "them"), keeper(estate, "us")
    drive(estate, 20, theirs)
    took = drive(estate, 100, theirs, ours)
    assert (type(ours.failure), ours.is_held, took < 20) == (LockHeld, False, True)


def test_FM11_a_silent_holder_is_replaced_after_a_ttl() -> None:
    """Silence for a TTL on our own clock; nothing is created until a dead holder's calls must have arrived."""
    estate = Estate()
    drive(estate, 1, keeper(estate, "them"))
    ours = keeper(estate, "us")
    drive(estate, 59, ours)
    waited = ours.is_held
    drive(estate, 5, ours)
    settling = ours.settles_at() - ours.acquired_at if ours.settles_at() and ours.acquired_at else None
    assert (waited, ours.is_held) == (False, True)
    assert settling is not None
    assert timedelta(seconds=49) < settling <= timedelta(seconds=50)


def test_a_lock_is_renewed_four_times_in_a_ttl() -> None:
    """Held for hours as long as it is renewed."""
    estate = Estate()
    ours = keeper(estate, "us")
    drive(estate, 3600, ours)
    assert (ours.may_write(estate.runtime.now()), estate.ports().lock.read().renewals) == (True, str(3600 // 15))


def test_nothing_is_written_while_the_lock_may_have_run_out() -> None:
    """Clouds check no token: writes freeze at TTL - call timeout after the last renewal, and go on if it is still ours."""
    estate = Estate()
    ours = keeper(estate, "us")
    drive(estate, 1, ours)
    estate.world.inject(Fault(kind="unreachable", target="lock", lasts=timedelta(seconds=50)))
    drive(estate, 38, ours)
    early = ours.may_write(estate.runtime.now())
    drive(estate, 6, ours)
    late = ours.may_write(estate.runtime.now())
    drive(estate, 20, ours)
    assert (early, late, ours.may_write(estate.runtime.now()), ours.failure) == (True, False, True, None)


def test_a_renewal_counts_from_when_it_was_sent() -> None:
    """An answer may have waited anywhere on its way: read at 0 s, taken by a call sent at 10 s, so writes end at 50 s."""
    estate = Estate(network=Steady(timedelta(seconds=5)))
    ours = keeper(estate, "us")
    drive(estate, 21, ours)
    estate.world.inject(Fault(kind="unreachable", target="lock"))
    drive(estate, 28, ours)
    early = ours.may_write(estate.runtime.now())
    drive(estate, 2, ours)
    assert (early, ours.may_write(estate.runtime.now())) == (True, False)


def test_a_lost_answer_of_our_own_renewal_is_no_loss() -> None:
    """The next conditional write fails, a read shows ourselves, and the lock is renewed again."""
    estate = Estate()
    ours = keeper(estate, "us")
    drive(estate, 1, ours)
    estate.world.inject(Fault(kind="fail", target="renew", after_effect=True))
    drive(estate, 30, ours)
    assert (ours.failure, ours.may_write(estate.runtime.now())) == (None, True)


def test_a_lock_found_to_be_ours_is_renewed_before_anything_is_written() -> None:
    """After a lost answer nobody knows how old the renewal is: the read that finds us does not count as one."""
    estate = Estate()
    ours = keeper(estate, "us")
    estate.world.inject(Fault(kind="fail", target="acquire", after_effect=True))
    estate.world.inject(Fault(kind="fail", target="renew", count=99))
    drive(estate, 10, ours)
    assert (ours.is_held, ours.may_write(estate.runtime.now())) == (True, False)


def test_a_lock_lost_to_another_ends_the_run() -> None:
    """Whoever was silent for too long finds the other one there, and stops."""
    estate = Estate()
    ours, theirs = keeper(estate, "us"), keeper(estate, "them")
    drive(estate, 1, ours)
    drive(estate, 70, theirs)
    drive(estate, 10, ours)
    assert (type(ours.failure), str(ours.failure), ours.is_held) == (
        Stopped,
        "the lock was taken over by them (lock of pool web)",
        False,
    )


def test_a_released_lock_is_free_and_keeps_the_record() -> None:
    """The next run need not wait; what the pool remembers stays on the lock."""
    estate = Estate()
    ours = keeper(estate, "us")
    drive(estate, 1, ours)
    ours.release()
    fact = estate.ports().lock.read()
    assert (ours.is_held, fact.holder, fact.record) == (False, "", PIN)


def test_a_release_that_fails_is_no_harm() -> None:
    """The lock runs out by itself."""
    estate = Estate()
    ours = keeper(estate, "us")
    drive(estate, 1, ours)
    estate.world.inject(Fault(kind="unreachable", target="lock"))
    ours.release()
    assert not ours.is_held
