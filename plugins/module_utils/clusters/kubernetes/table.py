# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of one resource as last heard of. An object is only ever replaced by a later version of itself.

Three sources write here: the watch, lists after a gap, and the answers of our own writes. They overlap, so each says which
version it knows, and the older one loses: views only move forward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Fact = TypeVar("Fact")


class Table(Generic[Fact]):
    """`{key: fact}` with versions (an object's resourceVersion as a number: the API server promises that they are ordered).

    `changed(key, before, after)` is told of every fact that came (before None), went (after None) or became another.
    Not thread-safe: its owner holds a lock.
    """

    def __init__(self, changed: Callable[[str, Fact | None, Fact | None], None]) -> None:
        self._changed = changed
        self._rows: dict[str, tuple[int, Fact | None]] = {}  # None: seen, but of no interest
        self._listed_at = 0

    def get(self, key: str) -> Fact | None:
        """The fact, if there is one."""
        return self._rows.get(key, (0, None))[1]

    def put(self, key: str, version: int, fact: Fact | None) -> bool:
        """Take a fact in; whether it was news. None is an object that exists and does not interest."""
        known, before = self._rows.get(key, (0, None))
        if version <= known:
            return False
        self._rows[key] = (version, fact)
        return self._tell(key, before, fact)

    def amend(self, key: str, version: int, fact: Fact) -> bool:
        """As `put`, for the answer of a write: it may arrive after the object was deleted, and must not bring it back."""
        return key in self._rows and self.put(key, version, fact)

    def drop(self, key: str, version: int) -> bool:
        """The object is gone since `version`; whether that was news."""
        if key not in self._rows or version < self._rows[key][0]:
            return False
        return self._tell(key, self._rows.pop(key)[1], None)

    def replace(self, rows: Iterable[tuple[str, int, Fact | None]], version: int) -> bool:
        """Everything there is, as of `version`; whether that was news. What is known to be newer stays.

        A store that was restored from a backup starts again with lower versions: then nothing known is newer.
        """
        started_again = version < self._listed_at
        self._listed_at = version
        if started_again:
            self._rows = {key: (0, fact) for key, (_version, fact) in self._rows.items()}
        rows = list(rows)
        listed, news = {key for key, _version, _fact in rows}, False
        # What is gone goes first: under its name there may be another object by now.
        for key in [key for key, (known, _fact) in self._rows.items() if key not in listed and known <= version]:
            news |= self.drop(key, version)
        for key, row_version, fact in rows:
            news |= self.put(key, row_version, fact)
        return news

    def _tell(self, key: str, before: Fact | None, after: Fact | None) -> bool:
        if before == after:
            return False
        self._changed(key, before, after)
        return True
