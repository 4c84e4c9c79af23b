# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever outside is asked before a run goes on: between two steps (a gate), or for one machine (a hook)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

BEFORE_DRAIN = "before_drain"
BEFORE_DELETE = "before_delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A command that ends with 0, or a URL that answers 2xx, lets the run go on. Exactly one of the two is given.

    Asked again until it does, also by the next run after one was killed: it has to bear being asked twice.
    """

    command: tuple[str, ...] = ()
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a gate is asked about. `machine` is "" between steps; `step` is "before_drain", "before_delete" or the step's number."""

    pool: str
    step: str
    machine: str = ""
    revision: str = ""  # what is being rolled out

    def values(self) -> dict[str, str]:
        """By the names that user data knows them by, too."""
        return {"pool": self.pool, "machine_name": self.machine, "step": self.step, "revision": self.revision}


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLook:
    """What a run remembers of a gate: the last answer, and how often it was asked since when. Losing it costs one more call."""

    at: datetime
    passed: bool
    what: str
    since: datetime
    tries: int = 1
