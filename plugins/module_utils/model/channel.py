# SPDX-License-Identifier: GPL-3.0-or-later
"""A channel: the promotions that an image store keeps for it, one after the other, none of them ever changed.

What a channel points to is read off them (decide/channels.py); nowhere does it say so by itself. A new promotion has the
number after the newest, and a store takes each number once: so of two that promote at once one is told that it came second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import parse_instant, say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import NAME, Version

PROMOTE = "promote"
ROLLBACK = "rollback"

_CHANNEL = re.compile(r"[a-z0-9]([-a-z0-9_]{0,30}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """That a channel points to `version` from now on. `by` is who asked for it, for a person to read.

    `token` is chance: who got no answer finds out by it whether the promotion of this number is his own.
    """

    image: str
    channel: str
    number: int
    version: str  # as Version.ref
    kind: str  # PROMOTE | ROLLBACK
    at: datetime
    by: str
    token: str = ""
    why: str = ""

    def dump(self) -> str:
        """JSON text for a property, without what is empty; keys are never renamed."""
        raw = {each.name: getattr(self, each.name) for each in fields(self)} | {"at": say_instant(self.at)}
        return json.dumps({key: value for key, value in raw.items() if value}, sort_keys=True, separators=(",", ":"))

    def __str__(self) -> str:
        word = "rolled back to" if self.kind == ROLLBACK else "promoted"
        return f"{word} {self.version} by {self.by}, {say_instant(self.at)}" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All that an image store has, at one look: versions by ref, promotions in any order."""

    versions: Mapping[str, Version] = field(default_factory=dict)
    promotions: tuple[Promotion, ...] = ()

    def of(self, image: str, channel: str) -> tuple[Promotion, ...]:
        """The promotions of one channel, oldest first."""
        found = (each for each in self.promotions if (each.image, each.channel) == (image, channel))
        return tuple(sorted(found, key=lambda each: each.number))

    def channels(self) -> dict[str, tuple[Promotion, ...]]:
        """The promotions of every channel, by "image/channel"."""
        names = sorted({(each.image, each.channel) for each in self.promotions})
        return {f"{image}/{channel}": self.of(image, channel) for image, channel in names}


def parse_channel(text: str, where: str) -> tuple[str, str]:
    """`(image, channel)` of "ubuntu-24.04/stable". Raises `Invalid`, naming the option `where`."""
    image, _slash, channel = text.partition("/")
    if not NAME.fullmatch(image) or not _CHANNEL.fullmatch(channel):
        raise Invalid(what=f"{text!r} is no channel; expected a form such as ubuntu-24.04/stable", where=where)
    return image, channel


def load_promotion(text: str) -> Promotion | None:
    """The promotion in a text that `dump` made; None for anything else, which points a channel nowhere."""
    try:
        raw: Any = json.loads(text)
        texts = {each: str(raw.get(each, "")) for each in ("image", "channel", "version", "kind", "by", "token", "why")}
        promotion = Promotion(**texts, number=int(raw["number"]), at=parse_instant(raw["at"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return promotion if promotion.image and promotion.channel and promotion.version and promotion.number > 0 else None
