# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a long task runs: this process, its clock, who listens, and why it should stop."""

from __future__ import annotations

import threading
from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.entry.faces import Face
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_duration


class Host:
    """What the loops of `bakery` ask of it. `limit` None: it may take as long as it takes."""

    def __init__(self, face: Face, limit: timedelta | None) -> None:
        self._face, self._woken = face, threading.Event()
        self._began_at, self._limit = face.now(), limit
        face.stops.wake_with(self._woken.set)
        self.now, self.tell = face.now, face.reporter.tell

    def stop_reason(self) -> str:
        """Why to stop, or ""."""
        if self._limit is not None and self.now() - self._began_at > self._limit:
            return f"timeout of {say_duration(self._limit)}"
        return self._face.stops()

    def wait(self, seconds: float) -> None:
        """Until then, or until there is a reason to stop."""
        self._woken.wait(seconds)
