# SPDX-License-Identifier: GPL-3.0-or-later
"""A builder's disk as an image of the cloud, on its way to a file: no version, and nothing makes machines of it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover

MAKING = "making"  # the cloud copies the disk
WHOLE = "whole"
FAILED = "failed"

_SLUG_LENGTH, _HASH_LENGTH = 27, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """One image. `builder` is the name of the machine whose disk it is; `digest` is "sha512:<hex>", "" while it is being made."""

    id: str
    builder: str
    status: str  # MAKING | WHOLE | FAILED
    created_at: datetime
    digest: str = ""

    @property
    def leftover(self) -> Leftover:
        """As what is to be cleared away."""
        return Leftover(kind="image", id=self.id, name=self.builder, machine=self.builder, created_at=self.created_at)


def builders_of(image: str) -> str:
    """What builders of an image carry where machines carry their pool: in a cloud's tag there is room for 39 letters, digits and dashes.

    With a part of a hash, so that no pool's name and no two images' come to the same.
    """
    slug = re.sub(r"[^a-z0-9-]", "-", image)[:_SLUG_LENGTH]
    return f"bake-{slug}-{hashlib.sha256(image.encode()).hexdigest()[:_HASH_LENGTH]}"
