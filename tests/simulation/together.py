# SPDX-License-Identifier: GPL-3.0-or-later
"""Several runs at once on one world, in virtual time: one moves, the others wait; when all wait, the clock jumps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.engine.virtual import GATHER, Done, VirtualRuntime


class Seat:
    """The runtime of one of the runs. Its thread moves only when it is told to, so the order is the same each time."""

    def __init__(self, shared: VirtualRuntime, run: Callable[[Seat], object]) -> None:
        self.now, self.fresh_suffix = shared.now, shared.fresh_suffix
        self.until: datetime | None = None
        self.is_woken, self.is_over = True, False
        self.error: BaseException | None = None
        self._shared = shared
        self._go, self._rests = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._body, args=(run,), daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], object], done: Done, guard: Callable[[], None] | None = None) -> None:
        def answered(result: object, error: Exception | None) -> None:
            self.is_woken = True
            done(result, error)

        self._shared.submit(call, answered, guard)

    def wake(self) -> None:
        self.is_woken = True

    def wait(self, until: datetime | None) -> None:
        self.until = until
        self._rests.release()
        self._go.acquire()

    def move(self) -> None:
        """Let the run go on until it waits again, or is over."""
        self.is_woken, self.until = False, None
        self._go.release()
        self._rests.acquire()
        if self.error is not None:
            raise self.error

    def _body(self, run: Callable[[Seat], object]) -> None:
        self._go.acquire()
        try:
            run(self)
        except BaseException as exc:  # noqa: BLE001  # it is the test's, whose thread raises it again
            self.error = exc
        self.is_over = True
        self._rests.release()


def together(shared: VirtualRuntime, *runs: Callable[[Seat], object]) -> None:
    """Play these runs to their ends, each with a runtime of its own over the `shared` one."""
    seats = [Seat(shared, run) for run in runs]
    while seats:
        for seat in seats:
            if seat.is_woken or (seat.until is not None and seat.until <= shared.now()):
                seat.move()
        seats = [seat for seat in seats if not seat.is_over]
        if seats and not any(seat.is_woken for seat in seats):
            _live_on(shared, seats)


def _live_on(shared: VirtualRuntime, seats: list[Seat]) -> None:
    """To the next instant at which a run has something to do, changes within a moment gathered."""
    until = min(seat.until or datetime.max.replace(tzinfo=shared.now().tzinfo) for seat in seats)
    while not any(seat.is_woken for seat in seats):
        due = shared._next_due()
        if due is None or due >= until:
            shared.play_until(until)
            return
        shared.play_until(due)
    shared.play_until(min(shared.now() + GATHER, until))
