# SPDX-License-Identifier: GPL-3.0-or-later
"""Time in beats: a world whose events fall on few instants, for replays of pools so large that each instant costs much.

Promises: an instant is moved to the beat before it or after it, on average by nothing; what comes later is never moved before
what comes earlier. What ends before the next beat is left where it is: it can be moved nowhere, and a chain of short things would
else take as many beats as it has links.
Why by chance: rounded to the nearest beat, what always takes 12 s would always take 10. Why not for each event by itself: of thirty
pods that end together one would always be moved to the later beat, and a node waits for its last.
Rejected: to let the events be, and the loop look at them seldom. It is late for each of them then, and never early.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Chance


class Beats:
    """An instant each `step`, beginning at `origin`. Between two of them chance says which part of the way belongs to the first."""

    def __init__(self, origin: datetime, step: timedelta, seed: int) -> None:
        self._origin, self._step = origin, step
        self._chance = Chance(seed)
        self._part: dict[int, timedelta] = {}  # by the number of the beat before

    def moved(self, due: datetime, now: datetime) -> datetime:
        """The beat that stands for `due`, or `due` itself where no beat lies between `now` and it."""
        number, rest = divmod(due - self._origin, self._step)
        if not rest or number <= (now - self._origin) // self._step:
            return due
        part = self._part.get(number)
        if part is None:
            part = self._part[number] = self._step * self._chance.unit()
        return self._origin + self._step * (number if rest <= part else number + 1)

    def after(self, instant: datetime) -> datetime:
        """The next beat."""
        return self._origin + self._step * ((instant - self._origin) // self._step + 1)
