# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pool's record keeps of remediation: which slots were replaced, since when a storm lasts, whether it is suspended.

All instants are the API server's, since runs on other controllers read them (FM40). What is foreign in the text counts as absent:
everything can be decided anew, later than it might have been and never sooner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import parse_instant, say_instant


@dataclass(frozen=True, slots=True)
class Remedy:
    """The machine of a slot that was last replaced for being unhealthy, and the how manieth in a row it was.

    `resumed` is when operators had last resumed by then, as their own clock had it: another instant means that they did so again. By
    time it could not be told, since that clock is another one.
    """

    machine: str
    at: datetime
    count: int = 1
    resumed: datetime | None = None


@dataclass(frozen=True, slots=True)
class Storm:
    """More were not well than may be. `over` is when that was first seen to have ended."""

    since: datetime
    over: datetime | None = None


@dataclass(frozen=True, slots=True)
class Suspension:
    """Replacing did not help: nothing more is replaced until an operator resumes. `resumed` as of a `Remedy`."""

    at: datetime
    what: str
    resumed: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedies:
    """`slots` by slot, `first_seen` by machine and kind of finding: since when it has what no server dates. `resets` by machine."""

    slots: Mapping[str, Remedy] = field(default_factory=dict)
    first_seen: Mapping[str, Mapping[str, datetime]] = field(default_factory=dict)
    resets: Mapping[str, datetime] = field(default_factory=dict)
    storm: Storm | None = None
    suspended: Suspension | None = None

    def dump(self) -> dict[str, Any]:
        """As JSON has it, without what is empty."""
        storm, suspended = self.storm, self.suspended
        raw: dict[str, Any] = {
            "slots": {slot: [one.machine, say_instant(one.at), one.count, *_said(one.resumed)] for slot, one in sorted(self.slots.items())},
            "first_seen": {
                name: {kind: say_instant(at) for kind, at in sorted(seen.items())} for name, seen in sorted(self.first_seen.items())
            },
            "resets": {name: say_instant(at) for name, at in sorted(self.resets.items())},
            "storm": [say_instant(at) for at in (storm.since, storm.over) if at is not None] if storm is not None else None,
            "suspended": [say_instant(suspended.at), suspended.what, *_said(suspended.resumed)] if suspended is not None else None,
        }
        return {key: value for key, value in raw.items() if value}


def load_remedies(raw: Mapping[str, Any]) -> Remedies:
    """What `Remedies.dump` wrote."""
    storm = [at for text in _list(raw.get("storm")) if (at := _instant(text)) is not None]
    return Remedies(
        slots={slot: one for slot, given in _items(raw.get("slots")) if (one := _remedy(given)) is not None},
        first_seen={name: seen for name, given in _items(raw.get("first_seen")) if (seen := _instants(given))},
        resets=_instants(raw.get("resets")),
        storm=Storm(storm[0], storm[1] if len(storm) > 1 else None) if storm else None,
        suspended=_suspension(_list(raw.get("suspended"))),
    )


def _instants(raw: Any) -> dict[str, datetime]:
    return {key: at for key, text in _items(raw) if (at := _instant(text)) is not None}


def _remedy(raw: Any) -> Remedy | None:
    try:
        machine, at, count, *resumed = raw
        return Remedy(str(machine), parse_instant(at), int(count), _instant(resumed[0]) if resumed else None)
    except (TypeError, ValueError):
        return None


def _suspension(raw: list[Any]) -> Suspension | None:
    try:
        at, what, *resumed = raw
        return Suspension(parse_instant(at), str(what), _instant(resumed[0]) if resumed else None)
    except (TypeError, ValueError):
        return None


def _said(resumed: datetime | None) -> list[str]:
    return [say_instant(resumed)] if resumed is not None else []


def _instant(text: Any) -> datetime | None:
    try:
        return parse_instant(text)
    except (TypeError, ValueError):
        return None


def _items(raw: Any) -> list[tuple[str, Any]]:
    return [(str(key), value) for key, value in raw.items()] if isinstance(raw, dict) else []


def _list(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else []
