# SPDX-License-Identifier: GPL-3.0-or-later
"""The event file: one JSON object per line, complete as soon as it is written. docs/events.md has the schema.

Promises: a line is on disk before `tell` returns, so that whoever follows the file is never behind; a reader that meets half
a line at the end waits for the rest. Telling never fails a run: a full disk costs the report, not the rollout.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.reports.redact import Redactor

FILE_MODE = 0o600  # texts of clouds and clusters may hold what the world should not read


class EventFile:
    """A `Reporter` that appends to a file. Threads may share it."""

    def __init__(self, path: str, redactor: Redactor) -> None:
        """Raises `Invalid` when the file cannot be opened: before anything is touched."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise Invalid(what=f"the event file cannot be written: {error.strerror}: {path}", where="events_file") from error
        self._file = os.fdopen(descriptor, "a", encoding="utf-8")
        self._redactor = redactor
        self._lock = threading.Lock()

    def tell(self, event: Event) -> None:
        """Write one line."""
        line = json.dumps(self._redactor.value(event.as_json()), default=_as_text, separators=(",", ":"))
        with self._lock, contextlib.suppress(OSError, ValueError):  # ValueError: closed, by a run that already ended
            self._file.write(line + "\n")
            self._file.flush()

    def close(self) -> None:
        """Called once, after the last event."""
        with self._lock, contextlib.suppress(OSError):
            self._file.close()


class Silence:
    """A `Reporter` for runs that nobody listens to."""

    def tell(self, event: Event) -> None:
        """Nothing."""


def _as_text(value: Any) -> str:
    return str(value)
