# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machines are to be replaced for their age alone.

Promises: none is due before 80 % of `max_age`, all are at `max_age`; a machine's instant is the same in every run, on every
controller; at most a tenth of the pool (at least one) is outdated by age at a time, the one that is due longest first.
Why so: machines made together would go together. The spread comes from the name, since a name is chosen freshly for every
machine and nothing has to be remembered. Rejected: chance, which a run killed in between would throw again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from heapq import nsmallest

from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine

SPREAD = 0.2  # the last part of max_age over which machines become due
AT_ONCE_PERCENT = 10


@dataclass(frozen=True, slots=True)
class Aged:
    """`names` count as outdated now. None more is due before `next_at` (None: by time alone never): ask again then."""

    names: frozenset[str]
    next_at: datetime | None


def outdated_by_age(
    machines: Iterable[Machine], max_age: timedelta, replicas: int, now: datetime, left_out: AbstractSet[str] = frozenset()
) -> Aged:
    """Of `machines` of the wanted revision, those going included: who is to be replaced for its age. O(n).

    One that is going keeps its place until it is gone, so that the next one follows only then. `left_out` are those that
    cannot go now (protected, cordoned by a person): they would hold a place and a new machine for nothing.
    """
    due: list[tuple[bool, datetime, str]] = []
    next_at: datetime | None = None
    without_spread = max_age * (1 - SPREAD)
    in_reach = now - without_spread
    youngsters_from: datetime | None = None
    for machine in machines:
        created_at = machine.vm.created_at
        if created_at > in_reach:  # nearly all, nearly always: no hash for these
            youngsters_from = created_at if youngsters_from is None else min(youngsters_from, created_at)
        elif machine.name not in left_out and not _is_set_aside(machine):
            instant = due_at(machine, max_age)
            if instant <= now:
                due.append((not machine.is_going, instant, machine.name))
            elif next_at is None or instant < next_at:
                next_at = instant
    if youngsters_from is not None:
        reached = youngsters_from + without_spread
        next_at = reached if next_at is None else min(next_at, reached)
    at_once = max(1, replicas * AT_ONCE_PERCENT // 100)
    return Aged(frozenset(name for _stays, _instant, name in nsmallest(at_once, due)), next_at)


def due_at(machine: Machine, max_age: timedelta) -> datetime:
    """When `machine` is too old."""
    return machine.vm.created_at + _lifetime(machine.name, max_age)


def _is_set_aside(machine: Machine) -> bool:
    """A quarantined machine has given its place back."""
    return machine.node is not None and machine.node.quarantined is not None


@lru_cache(maxsize=16384)  # asked in every turn, and the hash costs more than the rest of it
def _lifetime(name: str, max_age: timedelta) -> timedelta:
    """From 80 % of `max_age` to all of it; always the same for this name."""
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / (1 << 48)
    return max_age * (1 - SPREAD * share)
