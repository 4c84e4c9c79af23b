# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a run should stop: a signal, or a caller that died. The loop asks each turn; nothing here ends anything by itself.

Promises: the reason is there as soon as the signal arrives or the caller's lock is free, and the waiting loop is woken. A second
signal ends the process at once; the next run goes on from what is seen.
Why a lock on a file: after a SIGKILL of ansible-playbook the module runs on, and its parent is a shell that lives as long as it
does, so looking at the parent never shows it. The lock goes with the process that held it, whatever killed that.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stops:
    """Watches from `watch` to the end of the process. `reason` is "" while nobody wants the run to stop."""

    def __init__(self) -> None:
        self.reason = ""
        self._wake: Callable[[], None] = _nothing
        self._is_over = False

    def __call__(self) -> str:
        """The reason, or "": what `loop.run` asks each turn."""
        return self.reason

    def watch(self, stop_file: str | None) -> None:
        """Raises `Invalid` when the stop file can't be opened."""
        for number in SIGNALS:
            signal.signal(number, self._on_signal)
        if stop_file:
            try:
                descriptor = os.open(stop_file, os.O_RDWR | os.O_CLOEXEC)
            except OSError as error:
                raise Invalid(what=f"cannot be opened: {error.strerror}: {stop_file}", where="stop_file") from error
            threading.Thread(target=self._wait_for_lock, args=(descriptor,), name="stop-file", daemon=True).start()

    def wake_with(self, wake: Callable[[], None]) -> None:
        """Who is told, from another thread, when there is a reason. One who comes late is told at once."""
        self._wake = wake
        if self.reason:
            wake()

    def stop(self, reason: str) -> None:
        """Ask the run to stop. The first reason stands."""
        self.reason = self.reason or reason
        self._wake()

    def end(self) -> None:
        """The run is over and its answer is being written: a signal has nothing left to stop."""
        self._is_over = True

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._is_over:
            return
        if self.reason:
            raise KeyboardInterrupt
        reason = f"signal {signal.Signals(number).name}"
        self.reason = reason
        # Not from here: the handler may have interrupted the very lock that waking takes.
        threading.Thread(target=self.stop, args=(reason,), name="stop-signal", daemon=True).start()

    def _wait_for_lock(self, descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self.stop("the process that started this run is gone")


def _nothing() -> None:
    pass
