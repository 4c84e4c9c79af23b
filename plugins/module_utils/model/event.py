# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells: one event per change of a machine, and summaries between them. One JSON object per line on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`kind` is what happened (create, ready, available, choose, evict, delete, gone, refused, lock, summary ...)."""

    at: datetime
    kind: str
    machine: str = ""
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """A flat dictionary: `{"at", "kind", "machine", "text", ...data}`."""
        return {"at": say_instant(self.at), "kind": self.kind, "machine": self.machine, "text": self.text, **self.data}
