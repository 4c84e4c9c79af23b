# SPDX-License-Identifier: GPL-3.0-or-later
"""How long things took in earlier runs, where no fact that still exists can tell it.

A machine that was drained and deleted takes its history with it. Seconds, the newest last; small enough for the pool record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEPT = 50  # of each kind: more teaches nothing, and a record should stay small


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """`empty`: from a node's last eviction to the delete of its VM (termination, detach, direct look). `delete`: until the VM is gone."""

    empty: tuple[float, ...] = ()
    delete: tuple[float, ...] = ()

    def then(self, later: Past) -> Past:
        """With a later run's durations added; the oldest are forgotten."""
        return Past(empty=(*self.empty, *later.empty)[-KEPT:], delete=(*self.delete, *later.delete)[-KEPT:])

    def dump(self) -> dict[str, list[float]]:
        """For a JSON text; keys are never renamed."""
        return {"empty": [round(seconds, 1) for seconds in self.empty], "delete": [round(seconds, 1) for seconds in self.delete]}


def load_past(raw: Any) -> Past:
    """The past in `raw`; what somebody else wrote there is left out, since everything in it can be learned anew."""
    if not isinstance(raw, Mapping):
        return Past()
    return Past(empty=_seconds(raw.get("empty")), delete=_seconds(raw.get("delete")))


def _seconds(raw: Any) -> tuple[float, ...]:
    if not isinstance(raw, list):
        return ()
    return tuple(float(value) for value in raw if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0)[-KEPT:]
