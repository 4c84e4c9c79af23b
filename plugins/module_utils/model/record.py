# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to the pool and to no single machine, and outlives runs: kept on the lock object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRecord:
    """`pinned` is the resolved image of a rollout under way: `{"asked", "id", "digest", "since"}`; empty between rollouts."""

    pinned: Mapping[str, str] = field(default_factory=dict)

    def dump(self) -> str:
        """JSON text for an annotation; keys are never renamed."""
        return json.dumps({"pinned": dict(self.pinned)}, sort_keys=True, separators=(",", ":"))


def load_record(text: str | None) -> PoolRecord:
    """The record in `text`; an empty or foreign text is an empty record, since everything in it can be decided anew."""
    try:
        raw: Any = json.loads(text or "{}")
    except ValueError:
        raw = {}
    pinned = raw.get("pinned") if isinstance(raw, dict) else None
    return PoolRecord(pinned={str(k): str(v) for k, v in pinned.items()} if isinstance(pinned, dict) else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFact:
    """The lock object as read. `holder` is "" when it is free; `renewals` changes with every renewal and says nothing else.

    `token` is the fencing token: it grows with every change of holder. `version` makes the next write conditional.
    """

    holder: str = ""
    since: str = ""
    renewals: str = ""
    token: int = 0
    ttl: timedelta = timedelta(seconds=60)
    version: str = ""
    record: PoolRecord = field(default_factory=PoolRecord)
    stop_asked: str = ""  # who asked the holder to stop
