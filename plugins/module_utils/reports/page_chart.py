# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's pictures: bars of machines, capacity over time, the strip of the critical path. SVG texts, made of numbers only.

Pictures stretch to the width there is (`preserveAspectRatio="none"`), so they hold no letters: labels are HTML beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_duration
from ansible_collections.immutable.fleet.plugins.module_utils.reports.timeline import SERVE, STEPS, Row, Timeline

WIDE = 10_000  # units of a picture's width: a pixel of a large screen is two of them
NARROWEST = 14  # a step of a second in a run of hours is still seen
TICKS_MAX = 9
TICK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
HIGH = 180  # of the capacity's picture
LEVELS_MAX = 5  # lines of its grid
CLASSES = dict(zip(STEPS, "cbjsrdvxtqh", strict=True)) | {"wait": "w"}  # short: there are thousands

Interval = tuple[float, float]


class Scale:
    """Seconds of the run to units of the picture."""

    def __init__(self, seconds: float) -> None:
        self.seconds = max(seconds, 1.0)

    def x(self, at: float) -> int:
        """Where an instant lies."""
        return round(at / self.seconds * WIDE)

    def stripe(self, kind: str, begin: float, end: float, top: int, height: int) -> str:
        """One bar."""
        left, right = self.x(begin), self.x(end)
        width = max(right - left, NARROWEST)
        return f'<path class="{kind}" d="M{min(left, WIDE - width)} {top}h{width}v{height}h-{width}z"/>'

    @property
    def tick_seconds(self) -> int:
        """A round distance of the lines of the grid."""
        return next((step for step in TICK_SECONDS if self.seconds / step <= TICKS_MAX), TICK_SECONDS[-1])

    @property
    def tick_percent(self) -> float:
        """The same as a part of the width."""
        return self.tick_seconds / self.seconds * 100

    def axis(self) -> str:
        """Labels of the grid's lines; one that would stand over the right edge is left out."""
        step, labels = self.tick_seconds, []
        for number in range(int(self.seconds / step) + 1):
            left = number * step / self.seconds * 100
            if left <= 100 - self.tick_percent / 4 or not number:
                labels.append(f'<span style="left:{left:.2f}%">{say_duration(timedelta(seconds=number * step)) if number else "0"}</span>')
        return "".join(labels)


def machine_bar(row: Row, scale: Scale, critical: Iterable[Interval], blocked: Iterable[Interval]) -> str:
    """A machine's steps; above them what lies on the critical path, below them while something stood in its way."""
    bars = [
        scale.stripe(CLASSES[segment.step], segment.begin, segment.end, *((6, 2) if segment.step == SERVE else (2, 10)))
        for segment in row.segments
    ]
    bars += [scale.stripe("k", begin, end, 0, 1) for begin, end in critical]
    bars += [scale.stripe("o", begin, end, 13, 1) for begin, end in blocked]
    return "".join(bars)


def strip(spent: Mapping[str, float]) -> str:
    """The parts of the critical path beside one another."""
    scale, at, bars = Scale(sum(spent.values())), 0.0, []
    for step, seconds in spent.items():
        bars.append(scale.stripe(CLASSES[step], at, at + seconds, 0, 10))
        at += seconds
    return f'<svg class="strip" viewBox="0 0 {WIDE} 10" preserveAspectRatio="none" aria-hidden="true">{"".join(bars)}</svg>'


def sample(kind: str) -> str:
    """A piece of a colour, for the key beside a picture."""
    thin = {"r": (4, 2), "k": (4, 2), "o": (4, 2)}
    top, height = thin.get(kind, (0, 10))
    return (
        f'<svg viewBox="0 0 18 10" preserveAspectRatio="none" aria-hidden="true"><path class="{kind}" d="M0 {top}h18v{height}h-18z"/></svg>'
    )


def line_sample(style: str) -> str:
    """A piece of a line, for the key."""
    return f'<svg viewBox="0 0 18 10" aria-hidden="true"><path d="M0 5h18" fill="none" {style}/></svg>'


LINES = {
    "ceiling": 'stroke="var(--soft)" stroke-width="1.5" stroke-dasharray="2 4"',
    "existing": 'stroke="var(--drain)" stroke-width="1.5"',
    "floor": 'stroke="var(--bad)" stroke-width="1.5" stroke-dasharray="7 4"',
    "available": 'stroke="var(--boot)" stroke-width="2"',
}


class Capacity:
    """Available and existing machines over time, against floor and ceiling."""

    def __init__(self, timeline: Timeline, scale: Scale) -> None:
        self._scale = scale
        self._end = scale.seconds  # a run of no length is drawn as one of a second
        self._rows = {
            "available": [(at, available) for at, available, _existing in timeline.capacity],
            "existing": [(at, existing) for at, _available, existing in timeline.capacity],
            "floor": [(at, floor) for at, _replicas, floor, _ceiling in timeline.bounds],
            "ceiling": [(at, ceiling) for at, _replicas, _floor, ceiling in timeline.bounds],
        }
        numbers = [number for rows in self._rows.values() for _at, number in rows]
        self._low, self._high, self._step = _range(min(numbers), max(numbers))

    def picture(self) -> str:
        """Lines over a grid; what is available is an area."""
        grid = "".join(f"M0 {self._y(number)}h{WIDE}" for number in self._ticks())
        area = self._path(self._rows["available"]) + f"V{HIGH}H0z"
        lines = "".join(
            f'<path d="{self._path(self._rows[name])}" fill="none" {style} vector-effect="non-scaling-stroke"/>'
            for name, style in LINES.items()
        )
        return (
            f'<svg viewBox="0 0 {WIDE} {HIGH}" preserveAspectRatio="none" aria-hidden="true">'
            f'<path d="{grid}" fill="none" stroke="var(--grid)" vector-effect="non-scaling-stroke"/>'
            f'<path d="{area}" fill="var(--fill)"/>{lines}</svg>'
        )

    def labels(self) -> str:
        """Of the vertical axis."""
        return "".join(f'<span style="top:{self._y(number) / HIGH * 100:.1f}%">{number}</span>' for number in self._ticks())

    def _ticks(self) -> range:
        return range(self._low, self._high + 1, self._step)

    def _y(self, number: float) -> float:
        return round(HIGH - (number - self._low) / (self._high - self._low) * HIGH, 1)

    def _path(self, rows: Sequence[tuple[float, int]]) -> str:
        """Steps: a number holds until the next one. The first one is drawn from the left edge."""
        parts = [f"M0 {self._y(rows[0][1]):g}"]
        parts += [f"H{self._scale.x(at)}V{self._y(number):g}" for at, number in rows[1:]]
        return "".join(parts) + f"H{self._scale.x(self._end)}"


def _range(low: int, high: int) -> tuple[int, int, int]:
    """From where to where the vertical axis goes, and in which steps: from zero, unless all happens far above it."""
    bottom = 0 if high - low > high / 4 else max(0, low - max(1, (high - low) // 2))
    step = next(size for size in _nice() if (high - bottom) / size <= LEVELS_MAX)
    bottom -= bottom % step
    return bottom, max(bottom + step, high + -high % step), step


def _nice() -> Iterable[int]:
    unit = 1
    while True:
        yield from (unit, 2 * unit, 5 * unit)
        unit *= 10
