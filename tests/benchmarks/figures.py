# SPDX-License-Identifier: GPL-3.0-or-later
"""What a benchmark hands over."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number. `goal` is the most it may be; None: it is told for comparison only."""

    name: str
    value: float
    unit: str
    goal: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the goal is reached."""
        return None if self.goal is None else self.value <= self.goal

    def as_row(self) -> dict[str, object]:
        """As build/bench.json has it."""
        return {**asdict(self), "value": round(self.value, 4), "holds": self.holds}


class Skipped(Exception):
    """It can't be measured here; the text says why."""
