# SPDX-License-Identifier: GPL-3.0-or-later
"""What things were before they changed: for lists of changes only, and for views that lag behind."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Generic, TypeVar

Value = TypeVar("Value")

CHANGES_MAX = 8192  # remembered; who asks for older ones gets everything


class History(Generic[Value]):
    """The last changes of a dictionary of values. `complete_since`: nothing that changed after it was forgotten."""

    def __init__(self, now: datetime) -> None:
        self.complete_since = now
        self._changes: deque[tuple[datetime, str, Value | None]] = deque()

    def forget(self, now: datetime) -> None:
        """Begin anew: the changes were not seen."""
        self._changes.clear()
        self.complete_since = now

    def record(self, now: datetime, key: str, before: Value | None) -> None:
        """`key` changes at `now`; `before` is None when it is new."""
        if len(self._changes) >= CHANGES_MAX:
            self.complete_since = self._changes.popleft()[0]
        self._changes.append((now, key, before))

    def changed_since(self, instant: datetime) -> dict[str, None] | None:
        """Keys that changed at `instant` or later, latest first; None when that was too long ago to say."""
        if instant <= self.complete_since:
            return None
        found: dict[str, None] = {}
        for when, key, _before in reversed(self._changes):
            if when < instant:
                break
            found[key] = None
        return found

    def as_of(self, instant: datetime, current: dict[str, Value]) -> tuple[datetime, dict[str, Value]]:
        """What `current` was at `instant`, or at the earliest instant that is still known, which is returned with it."""
        instant = max(instant, self.complete_since)
        then = dict(current)
        for when, key, before in reversed(self._changes):
            if when <= instant:
                break
            if before is None:
                then.pop(key, None)
            else:
                then[key] = before
        return instant, then
