# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run leaves behind beside its events: the report when it has ended, the metrics while it works.

Promises: a reader never meets half a file, since each is written beside its place and moved there; a place that can't be written to is
refused before anything is touched, and a disk that is full later costs the file, never the run.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Reporter
from ansible_collections.immutable.fleet.plugins.module_utils.reports.metrics import Metrics
from ansible_collections.immutable.fleet.plugins.module_utils.reports.redact import Redactor

REPORT_MODE = 0o600  # texts of clouds and clusters may hold what the world should not read
METRICS_MODE = 0o644  # numbers and names, for a collector that is another user
METRICS_AT = ("begin", "summary", "end")


class Record:
    """A `Reporter` that passes events on and keeps what the files are made of."""

    def __init__(self, beside: Reporter, redactor: Redactor, *, pool: str = "", report_file: str = "", metrics_file: str = "") -> None:
        """`pool` is "" where there is none. Raises `Invalid` for a place that can't be written to."""
        self._beside, self._redactor = beside, redactor
        self._report, self._metrics_file = Path(report_file), Path(metrics_file)
        self._events: list[dict[str, Any]] | None = None
        self._metrics: Metrics | None = None
        if report_file:
            _require_place(self._report, "report_file")
            self._events = []
        if metrics_file:
            _require_place(self._metrics_file, "metrics_file")
            self._metrics = Metrics(pool, _text_of(self._metrics_file))

    def tell(self, event: Event) -> None:
        """As the event file gets it."""
        self._beside.tell(event)
        told = self._redactor.value(event.as_json())
        if self._events is not None:
            self._events.append(told)
        if self._metrics is not None:
            self._metrics.take(told)
            if event.kind in METRICS_AT:
                with suppress(OSError):  # the last one, in `finish`, says what is wrong
                    write(self._metrics_file, self._metrics.text(), METRICS_MODE)

    def draw(self, events: Iterable[Event]) -> None:
        """What the report is made of instead of what was told so far."""
        if self._events is not None:
            self._events = [self._redactor.value(event.as_json()) for event in events]

    def finish(self, end: Mapping[str, Any], other_surges: Sequence[tuple[int, timedelta]] = ()) -> list[str]:
        """Write both, and say what could not be written. `end` is the run's last event, in the words that the user is told.

        `other_surges` is what the run would have taken with another surge.
        """
        wrong: list[str] = []
        if self._events is not None:
            from ansible_collections.immutable.fleet.plugins.module_utils.reports.page import page
            from ansible_collections.immutable.fleet.plugins.module_utils.reports.timeline import read

            told = [event for event in self._events if event["kind"] != "end"]
            text = page(read([*told, self._redactor.value(dict(end))]), other_surges)
            wrong += _tried(self._report, text, REPORT_MODE, "report_file")
        if self._metrics is not None:
            self._metrics.take(end)
            wrong += _tried(self._metrics_file, self._metrics.text(), METRICS_MODE, "metrics_file")
        return wrong


def write(path: Path, text: str, mode: int) -> None:
    """The whole text or what was there before. Raises OSError."""
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(beside).chmod(mode)
        Path(beside).replace(path)
    except OSError:
        Path(beside).unlink(missing_ok=True)
        raise


def _tried(path: Path, text: str, mode: int, option: str) -> list[str]:
    try:
        write(path, text, mode)
    except OSError as error:
        return [f"{option}: not written: {error.strerror}: {path}"]
    return []


def _require_place(path: Path, option: str) -> None:
    if path.is_dir():
        raise Invalid(what=f"a folder; expected the name of a file: {path}", where=option)
    if not path.parent.is_dir():
        raise Invalid(what=f"cannot be written: there is no folder {path.parent}", where=option)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise Invalid(what=f"cannot be written: no right to write into {path.parent}", where=option)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
