# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows an event file while it grows, and hands each complete line on.

Promises: a line is handed on at most `POLL_SECONDS` after it was written, once, in order; half a line waits for its rest. What is
left when the writer has ended is handed on before `stop` returns. A file that is not there, or may not be read, shows nothing.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.2  # a person sees a line "at once"; a poll costs a few microseconds


class Follower:
    """A thread that reads `path`. `on_event` is called in that thread; `on_tick` at each poll."""

    def __init__(self, path: Path, on_event: Callable[[dict[str, Any]], None], on_tick: Callable[[], None], offset: int = 0) -> None:
        self._path = path
        self._on_event = on_event
        self._on_tick = on_tick
        self._offset = offset  # a file that the user named may hold earlier runs
        self._rest = b""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="events", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Read what is left, and end."""
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            self._on_tick()
            self._read()
        self._read()

    def _read(self) -> None:
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            file.seek(self._offset)
            self._hand_on(file)
            self._offset = file.tell()

    def _hand_on(self, file: BufferedReader) -> None:
        *lines, self._rest = (self._rest + file.read()).split(b"\n")
        for event in events_in(lines):
            self._on_event(event)


def events_in(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The events in `lines`; a line that is not ours is left out."""
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event
