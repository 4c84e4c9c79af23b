# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to the pool and to no single machine, and outlives runs: kept on the lock object.

Two texts with one writer each, so that neither overwrites the other: the record is the lock holder's, the steering is the
operators' (model/steering.py). Keys are never renamed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note, parse_note
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import parse_instant, say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Steering

# A resolved image, as `Revision.image` says it: {"asked", "name", "id", "digest"}.
Image = Mapping[str, str]
REVISIONS_KEPT = 20  # refused ones; the oldest are forgotten, an annotation has no room for all


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A new machine of a revision that ran and never became ready."""

    machine: str
    at: datetime
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A revision that broke its budget: no run makes a machine of it again until an operator resumes.

    `resumed` is when operators had last resumed by then, as their own clock had it: another instant means that they did so again. By
    time it could not be told, since that clock is another one (FM40). `machines` are those that it cost, by name.
    """

    at: datetime
    what: str
    image: str  # as asked for
    machines: tuple[str, ...] = ()
    resumed: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRecord:
    """What a run leaves to the next.

    `pinned` is the image of a rollout under way, empty between rollouts; `given_up` that of one whose revision was refused.
    `current` is the image of the last rollout that was completed, `previous` the one before it. `lost` and `refused` go by
    revision id. `replicas` is what the variables asked of the last run that wrote. `passed` is how many steps of the ladder
    the revision `climbing` has behind it. `vacated` are places that `recreate` fills again, by name of the machine: its failure
    domain. `leaving` are marks of plain machines, which have no node to carry them. `preserved` failed, and are
    kept for a look.
    """

    pinned: Image = field(default_factory=dict)
    given_up: Image = field(default_factory=dict)
    current: Image = field(default_factory=dict)
    previous: Image = field(default_factory=dict)
    replicas: int = 0
    lost: Mapping[str, tuple[Lost, ...]] = field(default_factory=dict)
    refused: Mapping[str, Refusal] = field(default_factory=dict)
    climbing: str = ""
    passed: int = 0
    vacated: Mapping[str, str] = field(default_factory=dict)
    leaving: Mapping[str, Note] = field(default_factory=dict)
    preserved: Mapping[str, Note] = field(default_factory=dict)
    past: Mapping[str, list[float]] = field(default_factory=dict)  # durations, as model/durations.py reads them
    health: Mapping[str, Any] = field(default_factory=dict)  # of remediation, as model/remedies.py reads it

    def dump(self) -> str:
        """JSON text for an annotation, without what is empty."""
        raw: dict[str, Any] = {
            "pinned": dict(self.pinned),
            "given_up": dict(self.given_up),
            "current": dict(self.current),
            "previous": dict(self.previous),
            "replicas": self.replicas,
            "lost": {revision: [_say_lost(one) for one in lost] for revision, lost in self.lost.items()},
            "refused": {revision: _say_refusal(one) for revision, one in self.refused.items()},
            "climbing": self.climbing,
            "passed": self.passed,
            "vacated": dict(self.vacated),
            "leaving": {name: str(note) for name, note in self.leaving.items()},
            "preserved": {name: str(note) for name, note in self.preserved.items()},
            "past": {kind: list(seconds) for kind, seconds in self.past.items() if seconds},
            "health": dict(self.health),
        }
        return json.dumps({key: value for key, value in raw.items() if value}, sort_keys=True, separators=(",", ":"))

    def refusing(self, revision: str, refusal: Refusal) -> PoolRecord:
        """The record with one more refused revision; its lost machines are told by the refusal."""
        kept = {**self.refused, revision: refusal}
        newest = sorted(kept, key=lambda name: kept[name].at)[-REVISIONS_KEPT:]
        lost = {name: machines for name, machines in self.lost.items() if name != revision}
        given_up = self.pinned or {"asked": refusal.image}
        # The name is asked for its meaning anew by the next run, else a rebuilt image would never be tried.
        return replace(self, refused={name: kept[name] for name in newest}, lost=lost, pinned={}, given_up=given_up)

    def completed(self, image: Image) -> PoolRecord:
        """The record after a rollout to `image` was completed: nothing is under way."""
        previous = self.previous if self.current.get("digest") in (image.get("digest"), None) else self.current
        kept = dict(image) if image else self.current
        return replace(
            self, pinned={}, given_up={}, current=kept, previous=previous, lost={}, climbing="", passed=0, vacated={}, leaving={}
        )


def load_record(text: str | None) -> PoolRecord:
    """The record in `text`. What is empty or foreign counts as absent, since everything in it can be decided anew."""
    raw = load_object(text)
    return PoolRecord(
        pinned=_texts(raw.get("pinned")),
        given_up=_texts(raw.get("given_up")),
        current=_texts(raw.get("current")),
        previous=_texts(raw.get("previous")),
        replicas=raw["replicas"] if isinstance(raw.get("replicas"), int) else 0,
        lost={name: lost for name, found in _items(raw.get("lost")) if (lost := _lost(found))},
        refused={name: refusal for name, found in _items(raw.get("refused")) if (refusal := _refusal(found))},
        climbing=str(raw.get("climbing") or ""),
        passed=raw["passed"] if isinstance(raw.get("passed"), int) else 0,
        vacated=_texts(raw.get("vacated")),
        leaving=_notes(raw.get("leaving")),
        preserved=_notes(raw.get("preserved")),
        past={kind: seconds for kind, seconds in _items(raw.get("past")) if isinstance(seconds, list)},
        health=dict(_items(raw.get("health"))),
    )


def load_object(text: str | None) -> dict[str, Any]:
    """The JSON object in `text`, empty where there is none."""
    try:
        raw: Any = json.loads(text or "{}")
    except ValueError:
        return {}
    return raw if isinstance(raw, dict) else {}


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
    steering: Steering = field(default_factory=Steering)


def _say_lost(one: Lost) -> dict[str, str]:
    return {"machine": one.machine, "at": say_instant(one.at), "what": one.what}


def _say_refusal(one: Refusal) -> dict[str, Any]:
    said: dict[str, Any] = {"at": say_instant(one.at), "what": one.what, "image": one.image}
    if one.machines:
        said["machines"] = list(one.machines)
    if one.resumed is not None:
        said["resumed"] = say_instant(one.resumed)
    return said


def _texts(raw: Any) -> dict[str, str]:
    return {str(key): str(value) for key, value in _items(raw)}


def _items(raw: Any) -> list[tuple[str, Any]]:
    return [(str(key), value) for key, value in raw.items()] if isinstance(raw, dict) else []


def _notes(raw: Any) -> dict[str, Note]:
    return {name: note for name, text in _texts(raw).items() if (note := parse_note(text)) is not None}


def _lost(raw: Any) -> tuple[Lost, ...]:
    try:
        return tuple(Lost(machine=str(one["machine"]), at=parse_instant(one["at"]), what=str(one["what"])) for one in raw)
    except (KeyError, TypeError, ValueError):
        return ()


def _refusal(raw: Any) -> Refusal | None:
    try:
        resumed = parse_instant(raw["resumed"]) if "resumed" in raw else None
        machines = tuple(str(name) for name in raw.get("machines", ()))
        return Refusal(at=parse_instant(raw["at"]), what=str(raw["what"]), image=str(raw["image"]), machines=machines, resumed=resumed)
    except (KeyError, TypeError, ValueError):
        return None
