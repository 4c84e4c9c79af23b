# SPDX-License-Identifier: GPL-3.0-or-later
"""What it costs to show a run: the report of 1,000 machines, and live lines beside the run they tell of."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.engine import loop
from ansible_collections.immutable.fleet.plugins.module_utils.engine.telling import Teller
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.reports.event_file import EventFile
from ansible_collections.immutable.fleet.plugins.module_utils.reports.lines import Lines
from ansible_collections.immutable.fleet.plugins.module_utils.reports.page import page
from ansible_collections.immutable.fleet.plugins.module_utils.reports.redact import Redactor
from ansible_collections.immutable.fleet.plugins.module_utils.reports.timeline import read
from ansible_collections.immutable.fleet.plugins.module_utils.reports.written import REPORT_MODE, write
from ansible_collections.immutable.fleet.plugins.plugin_utils.follow import POLL_SECONDS, Follower
from ansible_collections.immutable.fleet.tests.benchmarks.figures import Figure
from ansible_collections.immutable.fleet.tests.benchmarks.virtual_fleet import Roll, roll

MACHINES, SURGE, PODS, SEED = 1000, 50, 30, 0
ROUNDS = 5
POLLS = 2000
REPORT_GOAL_SECONDS, REPORT_GOAL_MB, LINES_GOAL_PERCENT = 2.0, 2.0, 2.0


class Told:
    """Keeps the events, and for how long the engine was busy with telling them."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.seconds = 0.0

    def tell(self, event: Event) -> None:
        self.events.append(event)


def measure() -> Iterator[Figure]:
    """Both from one roll of 1,000 machines in virtual time."""
    rolled, told = _told_roll()
    yield from _report([json.loads(json.dumps(event.as_json())) for event in told.events])
    yield from _lines(rolled, told)


def _told_roll() -> tuple[Roll, Told]:
    """The roll, with a clock around the engine's Teller: what decides is left out, what tells is measured where it happens."""
    told = Told()

    class Timed(Teller):
        pass

    def timed(method: Callable[..., None]) -> Callable[..., None]:
        def call(self: Timed, *given: Any) -> None:
            began = time.thread_time()
            method(self, *given)
            told.seconds += time.thread_time() - began

        return call

    for name in ("turn", "acted", "refused", "ended"):
        setattr(Timed, name, timed(getattr(Teller, name)))
    plain, loop.Teller = loop.Teller, Timed  # type: ignore[misc, attr-defined]
    try:
        return roll(MACHINES, SURGE, SEED, pods=PODS, reporter=told), told
    finally:
        loop.Teller = plain  # type: ignore[misc, attr-defined]


def _report(events: list[dict[str, Any]]) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="immutable-fleet-bench-") as name:
        path = Path(name) / "report.html"
        seconds = []
        for _round in range(ROUNDS):
            began = time.perf_counter()
            write(path, page(read(events)), REPORT_MODE)
            seconds.append(time.perf_counter() - began)
        size = path.stat().st_size / 1_000_000
    what = f"report of {MACHINES:,} machines replaced, {len(events):,} events"
    yield Figure(name=what, value=statistics.median(seconds), unit="s", goal=REPORT_GOAL_SECONDS)
    yield Figure(name="its size", value=size, unit="MB", goal=REPORT_GOAL_MB)


def _lines(rolled: Roll, told: Told) -> Iterator[Figure]:
    """CPU of telling, of writing the event file, and of reading it and making lines, over the time that the run took."""
    duration = rolled.result.duration.total_seconds()
    with tempfile.TemporaryDirectory(prefix="immutable-fleet-bench-") as name:
        path = Path(name) / "events.jsonl"
        began = time.thread_time()
        file = EventFile(str(path), Redactor(["a password", "a token"]))
        for event in told.events:
            file.tell(event)
        file.close()
        lines = Lines()
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines()):
            lines.line(json.loads(text), float(number))
        shown = time.thread_time() - began
        polling = _poll_seconds(path) * duration / POLL_SECONDS
    cost = told.seconds + shown + polling
    yield Figure(name="live lines of that roll, CPU over its duration", value=cost / duration * 100, unit="%", goal=LINES_GOAL_PERCENT)
    yield Figure(name="telling, CPU", value=told.seconds, unit="s")
    yield Figure(name="event file and lines, CPU", value=shown, unit="s")
    yield Figure(name="following an event file that does not grow, CPU an hour", value=_an_hour(polling, duration), unit="s")


def _an_hour(seconds: float, duration: float) -> float:
    return seconds / duration * 3600


def _poll_seconds(path: Path) -> float:
    """One look at a file that has not grown."""
    follower = Follower(path, lambda _event: None, lambda: None, offset=path.stat().st_size)
    began = time.thread_time()
    for _poll in range(POLLS):
        follower._read()  # the thread's own step, without its waiting
    return (time.thread_time() - began) / POLLS
