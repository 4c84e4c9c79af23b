# SPDX-License-Identifier: GPL-3.0-or-later
"""When to list the cloud: one shared list per pool, as often as something is in flight, seldom when nothing is."""

from __future__ import annotations

from datetime import datetime, timedelta

QUIET = timedelta(seconds=60)
BUSY = timedelta(seconds=2)
BUSY_FACTOR = 3  # a list that takes long is asked for less often: at most a third of the time is spent listing
FULL_EVERY = timedelta(seconds=60)  # deltas between; a full one brings leftovers and whatever a delta missed
RETRY = timedelta(seconds=2)


class Polling:
    """Keeps the rhythm. `pushes` True: the cloud says when to look at what is in flight, and the clock sees to the rest."""

    def __init__(self, *, pushes: bool) -> None:
        self._pushes = self._tells = pushes
        self._told = True
        self._asked_full = True
        self._begun_at: datetime | None = None
        self._all_at: datetime | None = None  # when the last list of everything began
        self._all_due: datetime | None = None  # and the next one will
        self._full_at: datetime | None = None
        self._took = timedelta(0)
        self._not_before: datetime | None = None
        self.is_listing = False
        self.asks_all = True  # whether the list that was begun last asks for everything, not only for what was told

    def told(self) -> None:
        """The cloud said that something changed."""
        self._told = True

    def ask_full(self) -> None:
        """The next list has to be a full one, soon. Asked again while one is under way, it means the one after."""
        self._asked_full = True

    def due(self, now: datetime, *, is_busy: bool, is_unsure: bool = False) -> datetime | None:
        """When the next list should begin; None while one is under way.

        `is_busy`: something is in flight. `is_unsure`: only a list of everything can tell, and a cloud that pushes need not: a call
        got no answer, or something is wrong with a machine that was well.
        """
        if self.is_listing:
            return None
        if self._begun_at is None or self._asked_full:
            return max(now, self._not_before or now)
        rhythm = max(BUSY, BUSY_FACTOR * self._took) if (is_busy and not self._tells) or is_unsure else QUIET
        self._all_due = (self._all_at or self._begun_at) + rhythm
        if self._tells and self._told:
            return max(now, self._not_before or now)
        return max(self._all_due, self._not_before or self._all_due)

    def begin(self, now: datetime) -> bool:
        """A list begins; whether it must be full, leftovers included."""
        is_full = self._asked_full or self._full_at is None or now - self._full_at >= FULL_EVERY
        is_rhythm = self._all_due is None or now >= self._all_due or not self._tells
        self.asks_all = is_full or (self._pushes and is_rhythm)
        self.is_listing, self._told, self._asked_full, self._begun_at = True, False, False, now
        if is_full:
            self._full_at = now
        if is_full or is_rhythm:
            self._all_at = now
        return is_full

    def ended(self, now: datetime, *, failed: bool, tells: bool = True) -> None:
        """The list has answered; `tells` as the listing says it."""
        self.is_listing = False
        if self._begun_at is not None and self._all_at == self._begun_at:
            self._took = now - self._begun_at
        self._not_before = now + RETRY if failed else None
        if failed:
            self._told = self._asked_full = True
        else:
            self._tells = self._pushes and tells
