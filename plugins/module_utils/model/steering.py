# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators asked of a pool while no variable of theirs changed: pause, abort, another image, single machines.

Statements, not commands: each holds until it is taken back or has come true, so a run that is killed, and the one after it,
find them as they were. Written by `node_pool_control` only, on the lock object, on condition of its version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import parse_instant, say_instant

RETARGET = "retarget"
ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked, and when."""

    by: str
    at: datetime

    def __str__(self) -> str:
        return f"by {self.by}, since {say_instant(self.at)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Another image instead of the one that the variables ask for.

    `image` is `{"asked", "name", "id", "digest"}` of a known image, or `{"asked", "name"}` of one that the cloud is to look up. It
    holds while the variables ask for `image["asked"]`: changed variables supersede it.
    """

    kind: str  # RETARGET | ROLLBACK
    image: Mapping[str, str]
    asked: Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Another number of machines. It holds while the variables ask for `instead_of`: changed variables supersede it."""

    replicas: int
    instead_of: int
    asked: Asked


@dataclass(frozen=True, slots=True)
class Protection:
    """A machine that is not to be taken away before `until`."""

    until: datetime
    asked: Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """All that is asked of one pool now. Mappings go by machine name.

    `resumed` takes back what was refused before it: a revision that broke its budget is tried again.
    """

    pause: Asked | None = None
    abort: Asked | None = None
    resumed: Asked | None = None
    override: Override | None = None
    scale: Scale | None = None
    replace: Mapping[str, Asked] = field(default_factory=dict)
    release: Mapping[str, Asked] = field(default_factory=dict)
    protect: Mapping[str, Protection] = field(default_factory=dict)

    def dump(self) -> str:
        """JSON text for an annotation, without what is empty; keys are never renamed."""
        raw = {name: _say(getattr(self, name)) for name in (one.name for one in fields(self))}
        return json.dumps({key: value for key, value in raw.items() if value}, sort_keys=True, separators=(",", ":"))


def changes(before: Steering, after: Steering) -> list[str]:
    """What was asked, or taken back, between the two: a line each."""
    said = []
    for name, word in (("pause", "pause"), ("abort", "abort"), ("resumed", "resume")):
        was, now = getattr(before, name), getattr(after, name)
        if was != now:
            said.append(f"{word} {now}" if now is not None else f"{word} taken back")
    if before.override != after.override:
        override = after.override
        image = (override.image.get("name") or override.image.get("digest", "")) if override is not None else ""
        said.append(f"{override.kind} to {image} {override.asked}" if override is not None else "the override is taken back")
    if before.scale != after.scale:
        scale = after.scale
        said.append(f"scale to {scale.replicas} {scale.asked}" if scale is not None else "the scaling is taken back")
    for name in ("replace", "release", "protect"):
        was, now = getattr(before, name), getattr(after, name)
        said += [f"{name} {machine} {getattr(now[machine], 'asked', now[machine])}" for machine in now if was.get(machine) != now[machine]]
        said += [f"{name} {machine} taken back" for machine in was if machine not in now]
    return said


def load_steering(raw: Mapping[str, Any]) -> Steering:
    """The steering in a JSON object. What is foreign in it counts as not asked."""
    return Steering(
        pause=_asked(raw.get("pause")),
        abort=_asked(raw.get("abort")),
        resumed=_asked(raw.get("resumed")),
        override=_override(raw.get("override")),
        scale=_scale(raw.get("scale")),
        replace=_by_machine(raw.get("replace"), _asked),
        release=_by_machine(raw.get("release"), _asked),
        protect=_by_machine(raw.get("protect"), _protection),
    )


def _say(value: Any) -> Any:
    if isinstance(value, Asked):
        return {"by": value.by, "at": say_instant(value.at)}
    if isinstance(value, Protection):
        return {**_say(value.asked), "until": say_instant(value.until)}
    if isinstance(value, Scale):
        return {**_say(value.asked), "replicas": value.replicas, "instead_of": value.instead_of}
    if isinstance(value, Override):
        return {**_say(value.asked), "kind": value.kind, "image": dict(value.image)}
    return {name: _say(one) for name, one in value.items()} if value else None


def _asked(raw: Any) -> Asked | None:
    try:
        return Asked(str(raw["by"]), parse_instant(raw["at"]))
    except (KeyError, TypeError, ValueError):
        return None


def _protection(raw: Any) -> Protection | None:
    asked = _asked(raw)
    try:
        return Protection(parse_instant(raw["until"]), asked) if asked is not None else None
    except (KeyError, TypeError, ValueError):
        return None


def _override(raw: Any) -> Override | None:
    asked = _asked(raw)
    if asked is None or raw.get("kind") not in (RETARGET, ROLLBACK) or not isinstance(raw.get("image"), dict):
        return None
    return Override(kind=raw["kind"], image={str(key): str(value) for key, value in raw["image"].items()}, asked=asked)


def _scale(raw: Any) -> Scale | None:
    asked = _asked(raw)
    try:
        return Scale(replicas=int(raw["replicas"]), instead_of=int(raw["instead_of"]), asked=asked) if asked is not None else None
    except (KeyError, TypeError, ValueError):
        return None


def _by_machine(raw: Any, load: Any) -> dict[str, Any]:
    found = raw.items() if isinstance(raw, dict) else ()
    return {str(name): one for name, value in found if (one := load(value)) is not None}
