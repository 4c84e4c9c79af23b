# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine is made of, as a value that can be compared across runs.

Fields are resolved ids and digests, never names that may move (FM37); defaults are left out, so that a new field in a later
release rolls nothing. The schema version is part of the hash and changes only with the meaning of a field.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

SCHEMA = 1
FIELD_LENGTH_MAX = 200  # a Nova metadata value holds 255 characters; longer fields are kept as a digest


@dataclass(frozen=True, slots=True)
class Revision:
    """`fields` is `{"image": "sha512:...", "flavor": "...", ...}`; `id` is the 12 hex digits that machines carry.

    `image` is what a rollout pins in the pool record (FM37): `{"asked", "name", "id", "digest"}`; "asked" is the template's word,
    "name" the image's own. It says where the bytes lie, not what they are, so it is no part of the comparison.
    """

    fields: Mapping[str, str]
    id: str
    image: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def image_name(self) -> str:
        """What people call the image that machines are made from; its digest where it has no name."""
        return self.image.get("name") or self.image.get("asked") or self.fields.get("image", "")


ANY = Revision({}, "*")  # every machine is up to date: what a removal asks for


def revision_of(fields: Mapping[str, str | None], image: Mapping[str, str] | None = None) -> Revision:
    """The revision of these fields. Empty fields are defaults and are left out; order does not matter."""
    kept = {name: _short(value) for name, value in sorted(fields.items()) if value}
    text = json.dumps([SCHEMA, kept], sort_keys=True, separators=(",", ":"))
    return Revision(kept, hashlib.sha256(text.encode()).hexdigest()[:12], image or {})


def changed_fields(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """`{field: (before, after)}` of the fields that differ; a field that is missing on one side is empty there."""
    names = sorted(set(before) | set(after))
    return {name: (before.get(name, ""), after.get(name, "")) for name in names if before.get(name, "") != after.get(name, "")}


def _short(value: str) -> str:
    if len(value) <= FIELD_LENGTH_MAX:
        return value
    return "sha256:" + hashlib.sha256(value.encode()).hexdigest()
