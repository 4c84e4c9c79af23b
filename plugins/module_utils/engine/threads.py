# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime that does the job: a real clock, and a bounded pool of threads for calls.

A thread carries one short call and never waits for a condition, so the pool's size bounds calls in flight, not machines.
"""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

CALLS_AT_ONCE = 32
GATHER_SECONDS = 0.05  # changes that come together are decided on together
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"

Done = Callable[[object, "Exception | None"], None]


class ThreadsRuntime:
    """`clock` replaces the wall clock, for a simulated world whose time runs `speed` times faster than ours."""

    def __init__(self, clock: Callable[[], datetime] | None = None, speed: float = 1.0) -> None:
        self._speed = speed
        self._began_at = datetime.now(UTC)
        self._began = time.monotonic()
        self._clock = clock or self._monotonic_clock
        self._pool = ThreadPoolExecutor(max_workers=CALLS_AT_ONCE, thread_name_prefix="call")
        self._answers: queue.SimpleQueue[tuple[Done, object, Exception | None]] = queue.SimpleQueue()
        self._woken = threading.Event()
        self._flying = 0  # calls whose answer was not handed on yet

    def now(self) -> datetime:
        """UTC by the monotonic clock: a step of the wall clock changes nothing (FM40)."""
        return self._clock()

    def submit(self, call: Callable[[], object], done: Done, guard: Callable[[], None] | None = None) -> None:
        """Run `call` in the pool; `done` is called in the thread that waits."""
        self._flying += 1
        self._pool.submit(self._run, call, done, guard)

    def wake(self) -> None:
        """End the wait. From any thread, and from a signal handler."""
        self._woken.set()

    def wait(self, until: datetime | None) -> None:
        """Sleep until woken, answered, or `until`; then gather what comes within a moment, unless all is answered that was asked."""
        seconds = None if until is None else max(0.0, (until - self.now()).total_seconds() / self._speed)
        is_woken = self._woken.wait(seconds)
        is_all_answered = 0 < self._flying == self._answers.qsize()
        if is_woken and not is_all_answered and (seconds is None or seconds > GATHER_SECONDS):
            time.sleep(GATHER_SECONDS)
        self._woken.clear()
        while not self._answers.empty():
            done, result, error = self._answers.get()
            self._flying -= 1
            done(result, error)

    def fresh_suffix(self, length: int) -> str:
        """Unguessable, so two controllers never choose the same."""
        return "".join(secrets.choice(LETTERS) for unused in range(length))

    def close(self) -> None:
        """Let calls in flight go; their answers are nobody's any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, call: Callable[[], object], done: Done, guard: Callable[[], None] | None) -> None:
        try:
            if guard is not None:
                guard()
            result, error = call(), None
        except Exception as exc:  # noqa: BLE001  # whatever it is, the loop's thread must hear of it
            result, error = None, exc
        self._answers.put((done, result, error))
        self._woken.set()

    def _monotonic_clock(self) -> datetime:
        return self._began_at + timedelta(seconds=time.monotonic() - self._began)
