# SPDX-License-Identifier: GPL-3.0-or-later
"""Events as lines for a person: one per change of a machine, a summary now and then. docs/events.md has the events.

Promises: a line fits 80 columns (a long name may break that, a reason never does); colour carries no meaning; pods are counted in
summaries and never listed; what was said is not said again. Events of kinds that are not known here are left out, so that a newer
engine does no harm.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import parse_instant, say_duration
from ansible_collections.immutable.fleet.plugins.module_utils.reports.subject import subject_of

WIDTH = 80
SUMMARY_EVERY_SECONDS = 30.0  # of the reader's time, however fast the world's clock runs
NAME_WIDTH = 20
VERB_WIDTH = 9
TEXT_INDENT = 7 + 2 + 2  # below the name

# kind of event -> the word on the line. What is missing here is not shown: pods, labels, direct looks, clearing up.
WORDS = {
    "create": "create",
    "choose": "drain",
    "join": "join",
    "drain": "drain",
    "remove": "remove",
    "quarantine": "SET ASIDE",
    "delete": "delete",
    "gone": "gone",
    "cordon": "cordon",
    "uncordon": "uncordon",
    "release": "release",
    "steering": "asked",
    "retarget": "target",
    "scale": "target",
    "remove pod": "FORCE",
    "plan": "plan",
    "refused": "refused",
    "blocked": "BLOCKED",
    "waits": "waits",
    "stage": "stage",
    "boot": "boot",
    "power off": "power off",
    "reboot": "reboot",
    "capture": "capture",
    "fetch": "fetch",
    "finding": "FOUND",
    "end": "end",
}
# phase -> the word; phases that our own actions lead to at once are told by the action's line.
PHASE_WORDS = {
    "booting": "booting",
    "joining": "joining",
    "ready": "ready",
    "not ready": "NOT READY",
    "stopped": "STOPPED",
    "error": "ERROR",
    "cordoned": "cordoned",
    "detaching": "detaching",
    "drained": "drained",
}

WRAPPED = ("blocked", "waits", "refused", "finding")
# what ends a machine's coming or going -> words behind how long it took; and the kinds that begin each
TIMED = {"ready": "after its create", "gone": "after its drain began"}
BEGINNINGS = {"create": "ready", "choose": "gone", "drain": "gone"}
# our own action -> the phase that it leads to
EXPECTED = {"cordon": "cordoned", "uncordon": "ready", "power off": "stopped"}


class Lines:
    """Turns the events of one run into lines, in order."""

    def __init__(self, width: int = WIDTH) -> None:
        self._width = width
        self._began: datetime | None = None
        self._summary_at: float | None = None
        self._since: dict[tuple[str, str], datetime] = {}  # (what it is to end with, machine) -> when it began
        self._known: set[tuple[str, str, str]] = set()

    def line(self, event: Mapping[str, Any], seconds: float) -> str | None:
        """The line of an event as docs/events.md has it, or None for one that is not shown. `seconds` is the reader's clock."""
        kind, text = str(event.get("kind", "")), str(event.get("text", ""))
        instant = self._instant(str(event.get("at", "")))
        elapsed = say_duration(instant - self._began) if instant is not None and self._began is not None else ""
        if kind == "summary":
            return self._summary(text, elapsed, seconds)
        name = subject_of(str(event.get("machine", ""))) or str(event.get("machine", ""))
        word = WORDS.get(kind)
        took = self._took(text if kind == "phase" else kind, name, instant)
        if kind == "phase" and event.get("before"):  # without one it is how the run found the machine: no change
            word, text = PHASE_WORDS.get(text), f"was {event['before']}"
        if word is None or self._is_known(kind, name, str(event.get("text", ""))):
            return None
        head = f"{elapsed:>7}  {name:<{NAME_WIDTH}} {word:<{VERB_WIDTH}}" if name else f"{elapsed:>7}  {word}:"
        return self._wrap(head, text) if kind in WRAPPED else self._fit(f"{head} {took or text}".rstrip())

    def _summary(self, text: str, elapsed: str, seconds: float) -> str | None:
        is_early = self._summary_at is not None and seconds < self._summary_at + SUMMARY_EVERY_SECONDS
        if is_early:
            return None
        self._summary_at = seconds
        return self._wrap(f"{elapsed:>7}  ==", text)

    def _is_known(self, kind: str, name: str, text: str) -> bool:
        """Told already: a blocker comes and goes with each attempt, and our own cordon is seen as a phase a moment later."""
        if kind in EXPECTED:
            self._known.add(("phase", name, EXPECTED[kind]))
        is_known = (kind, name, text) in self._known
        if kind in ("blocked", "waits"):
            self._known.add((kind, name, text))
        elif is_known:
            self._known.discard((kind, name, text))
        return is_known

    def _took(self, what: str, name: str, instant: datetime | None) -> str:
        """How long it took a machine to come or to go, where this run has seen its beginning."""
        if instant is None:
            return ""
        if what in BEGINNINGS:
            self._since[BEGINNINGS[what], name] = instant
        since = self._since.pop((what, name), None)
        return f"{say_duration(instant - since)} {TIMED[what]}" if since is not None else ""

    def _instant(self, at: str) -> datetime | None:
        try:
            instant = parse_instant(at)
        except ValueError:
            return None
        self._began = self._began or instant
        return instant

    def _wrap(self, head: str, text: str) -> str:
        """A line that a person has to act on is shown whole, below itself."""
        indent = " " * TEXT_INDENT
        return textwrap.fill(f"{head} {text}", self._width, subsequent_indent=indent, break_on_hyphens=False)

    def _fit(self, line: str) -> str:
        return line if len(line) <= self._width else line[: self._width - 3].rstrip() + "..."
