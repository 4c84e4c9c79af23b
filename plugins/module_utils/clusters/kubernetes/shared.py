# SPDX-License-Identifier: GPL-3.0-or-later
"""One read for all who need it at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class SharedRead(Generic[Answer]):
    """`get` gives the answer of the first read that begins after it was called.

    One read runs at a time. It is too old for those who come meanwhile, and the next one serves all of them: n callers at
    once cost two reads instead of n. Thread-safe; a caller waits for two reads at most.
    """

    def __init__(self, read: Callable[[], Answer]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._running: Future[Answer] | None = None  # or the last one that ran
        self._next: Future[Answer] | None = None

    def get(self) -> Answer:
        """Raises what the read raised."""
        with self._lock:
            others, before = self._next, self._running
            if others is None:
                mine = self._next = Future()
        if others is not None:
            return others.result()
        if before is not None:
            wait([before])
        with self._lock:  # from here on, whoever comes needs the one after this
            self._running, self._next = mine, None
        try:
            mine.set_result(self._read())
        except BaseException as error:  # a bug's, too: the others must not wait for ever
            mine.set_exception(error)
            raise
        return mine.result()
