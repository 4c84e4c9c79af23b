# SPDX-License-Identifier: GPL-3.0-or-later
"""The events of a run as a timeline: what became of each machine and pod when, what blocked, how many were available.

Pure: events (docs/events.md) in, values out; all times are seconds since the run's first event. Unknown kinds are left out, and a run
that was cut off in the middle is drawn up to its last event.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import parse_instant
from ansible_collections.immutable.fleet.plugins.module_utils.reports.subject import subject_of

CREATE, BOOT, JOIN, SOAK, SERVE = "create", "boot", "join", "soak", "serve"
DRAIN, DETACH, DELETE = "drain", "detach", "delete"
TROUBLE, ASIDE, HELD = "trouble", "set aside", "cordoned"
STEPS = (CREATE, BOOT, JOIN, SOAK, SERVE, DRAIN, DETACH, DELETE, TROUBLE, ASIDE, HELD)
COMING, LEAVING = (CREATE, BOOT, JOIN, SOAK), (DRAIN, DETACH, DELETE)

# phase of an event -> the step it is drawn as; "drained" goes on with what the machine is at.
STEP_OF_PHASE = {
    "building": CREATE,
    "booting": BOOT,
    "joining": JOIN,
    "ready": SERVE,
    "not ready": TROUBLE,
    "error": TROUBLE,
    "stopped": TROUBLE,
    "cordoned": HELD,
    "draining": DRAIN,
    "detaching": DETACH,
    "deleting": DELETE,
    "quarantined": ASIDE,
}
STEP_OF_KIND = {
    "create": CREATE,
    "choose": DRAIN,
    "drain": DRAIN,
    "evict": DRAIN,
    "remove pod": DRAIN,
    "delete": DELETE,
    "quarantine": ASIDE,
    "cordon": HELD,
    "uncordon": SERVE,
    "release": SERVE,
}

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Segment:
    """A machine's step from `begin` to `end`."""

    step: str
    begin: float
    end: float


@dataclass(slots=True)
class Row:
    """One machine. `is_new`: this run made it. `segments` follow one another without a gap."""

    name: str
    is_new: bool = False
    was_seen: bool = False
    is_gone: bool = False
    domain: str = ""
    revision: str = ""
    segments: list[Segment] = field(default_factory=list)

    def spent(self, steps: Sequence[str]) -> float:
        """Seconds in these steps."""
        return sum(segment.end - segment.begin for segment in self.segments if segment.step in steps)

    @property
    def is_changed(self) -> bool:
        """Whether anything happened to it in this run."""
        return any(segment.step != SERVE for segment in self.segments)

    @property
    def changed_at(self) -> float:
        """When that began."""
        return next((segment.begin for segment in self.segments if segment.step != SERVE), float("inf"))


@dataclass(slots=True)
class Block:
    """What prevented something, from its first appearance to its last. `times`: how often it was met.

    `is_wait`: it was asked for, such as a soak.
    """

    code: str
    what: str
    where: str
    begin: float
    end: float | None = None
    times: int = 1
    is_wait: bool = False


@dataclass(slots=True)
class PodMove:
    """A pod that was to leave a machine. `end` is None while it has not."""

    pod: str
    machine: str
    begin: float
    end: float | None = None
    asked: int = 0
    refused: int = 0
    refusal: str = ""


@dataclass(slots=True, kw_only=True)
class Timeline:
    """A run. `capacity` is (since when, available, existing), `bounds` (since when, replicas, floor, ceiling)."""

    began_at: datetime
    seconds: float = 0.0
    begin: Event = field(default_factory=dict)
    end: Event = field(default_factory=dict)
    is_plan: bool = False
    sentences: list[str] = field(default_factory=list)  # what a plan comes to
    rows: list[Row] = field(default_factory=list)
    capacity: list[tuple[float, int, int]] = field(default_factory=list)
    bounds: list[tuple[float, int, int, int]] = field(default_factory=list)
    steering: list[tuple[float, str]] = field(default_factory=list)  # (when, what operators asked for)
    blocks: list[Block] = field(default_factory=list)
    pods: list[PodMove] = field(default_factory=list)
    refusals: dict[tuple[str, str, str], int] = field(default_factory=dict)  # (verb, code, text) -> how often
    counts: dict[str, int] = field(default_factory=dict)  # kind of event -> how often


def read(events: Iterable[Event]) -> Timeline:
    """The last run in `events`, in their order. Rows stand in the order in which they changed, the unchanged ones last."""
    run = _last_run(events)
    reader = _Reader(_instant(run[0]) if run else datetime.fromtimestamp(0, UTC))
    for event in run:
        reader.take(event)
    return reader.finish()


def _in_order(name: str) -> list[tuple[int, str]]:
    """web-2 stands before web-10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def _last_run(events: Iterable[Event]) -> list[Event]:
    run: list[Event] = []
    for event in events:
        kind = event.get("kind")
        is_plan = bool(run) and run[0].get("kind") == "plan" and run[-1].get("kind") != "end"  # it tells of "plan" at its end, too
        if kind in ("plan", "begin") and not is_plan:
            run = []
        run.append(event)
    return run


def _instant(event: Event) -> datetime:
    return parse_instant(str(event.get("at", "")))


class _Reader:
    def __init__(self, began_at: datetime) -> None:
        self._timeline = Timeline(began_at=began_at)
        self._rows: dict[str, Row] = {}
        self._open: dict[str, tuple[str, float]] = {}  # machine -> (step, since)
        self._pods: dict[tuple[str, str], PodMove] = {}
        self._blocks: dict[tuple[str, str, str], Block] = {}
        self._never_made: set[str] = set()
        self._soak = 0.0

    def take(self, event: Event) -> None:
        timeline, kind = self._timeline, str(event.get("kind", ""))
        at = (_instant(event) - timeline.began_at).total_seconds()
        timeline.seconds = max(timeline.seconds, at)
        timeline.counts[kind] = timeline.counts.get(kind, 0) + 1
        if kind in ("steering", "retarget", "scale"):
            timeline.steering.append((at, str(event.get("text", ""))))
        if kind in ("begin", "retarget", "scale"):
            self._aim(event, at)
        elif kind == "capacity":
            timeline.capacity.append((at, int(event["available"]), int(event["existing"])))
        elif kind in ("blocked", "unblocked", "waits", "waited"):
            self._block(event, at, is_over=kind in ("unblocked", "waited"), is_wait=kind == "waits")
        elif kind == "refused":
            self._refused(event)
        elif kind == "plan":
            if timeline.is_plan:
                timeline.sentences.append(str(event.get("text", "")))
            timeline.is_plan = True
        elif kind == "end":
            timeline.end = event
        else:
            self._machine(kind, event, at)

    def finish(self) -> Timeline:
        timeline = self._timeline
        for name in list(self._open):
            self._close(name, timeline.seconds)
        rows = [row for row in self._rows.values() if row.was_seen or row.name not in self._never_made]
        timeline.rows = sorted(rows, key=lambda row: (row.changed_at, _in_order(row.name)))
        timeline.blocks = sorted(self._blocks.values(), key=lambda block: block.begin)
        timeline.pods = list(self._pods.values())
        return timeline

    def _aim(self, event: Event, at: float) -> None:
        timeline = self._timeline
        timeline.begin = event
        self._soak = float(event.get("min_ready_seconds", 0))
        if event.get("pool"):
            timeline.bounds.append((at, int(event["replicas"]), int(event["floor"]), int(event["ceiling"])))

    def _machine(self, kind: str, event: Event, at: float) -> None:
        name = str(event.get("machine", ""))
        if kind in ("evict", "remove pod", "pod gone"):
            self._pod(kind, str(event.get("pod", "")), name, at)
        step = STEP_OF_PHASE.get(str(event.get("text", ""))) if kind == "phase" else STEP_OF_KIND.get(kind)
        if kind == "gone":
            self._close(name, at)
            if name in self._rows:
                self._rows[name].is_gone = True
        if kind not in ("phase", *STEP_OF_KIND) or not name:
            return
        row = self._rows.setdefault(name, Row(name))
        if kind == "phase":
            row.was_seen = True
            row.domain, row.revision = str(event.get("failure_domain", "")), str(event.get("revision", ""))
        elif kind == "create":
            row.is_new, row.domain = True, str(event.get("failure_domain", ""))
        if step is not None:
            self._step(row, step, 0.0 if kind == "phase" and not event.get("before") and not row.is_new else at)

    def _step(self, row: Row, step: str, at: float) -> None:
        """`row` is at `step` from now on."""
        now_at = self._open.get(row.name, ("", 0.0))[0]
        if step == SERVE and self._soak and now_at in COMING:
            step = SOAK  # its end is known: it is cut in two when it is closed
        if now_at == step or (now_at == SOAK and step == SERVE):
            return
        if now_at == DELETE and step in LEAVING:  # the cloud still shows what it showed before
            return
        self._close(row.name, at)
        self._open[row.name] = (step, at)

    def _close(self, name: str, at: float) -> None:
        step, since = self._open.pop(name, ("", 0.0))
        if not step:
            return
        segments = self._rows[name].segments
        soaked_at = since + self._soak
        if step == SOAK and soaked_at < at:
            segments += [Segment(SOAK, since, soaked_at), Segment(SERVE, soaked_at, at)]
        elif at > since or step in LEAVING:
            segments.append(Segment(step, since, at))

    def _pod(self, kind: str, pod: str, machine: str, at: float) -> None:
        move = self._pods.get((pod, machine))
        if move is None:
            move = self._pods[pod, machine] = PodMove(pod, machine, at)
        if kind == "pod gone":
            move.end = at
        else:
            move.asked += 1

    def _refused(self, event: Event) -> None:
        verb, code, text = str(event.get("verb", "")), str(event.get("code", "")), str(event.get("text", ""))
        move = self._pods.get((str(event.get("pod", "")), str(event.get("machine", ""))))
        if move is not None:
            move.refused += 1
            move.refusal = text
        else:
            if verb == "create":
                self._never_made.add(str(event.get("machine", "")))
            self._timeline.refusals[verb, code, text] = self._timeline.refusals.get((verb, code, text), 0) + 1

    def _block(self, event: Event, at: float, *, is_over: bool, is_wait: bool) -> None:
        code, what, where = (str(event.get(key, "")) for key in ("code", "text", "machine"))
        block = self._blocks.get((code, what, where))
        if is_over:
            if block is not None:
                block.end = at
        elif block is None:
            self._blocks[code, what, where] = Block(code, what, where, at, is_wait=is_wait)
        else:
            block.end = None
            block.times += 1


def blocked_machine(block: Block) -> str:
    """The machine or node that it stood in the way of; "" where it is about none."""
    return subject_of(block.where)
