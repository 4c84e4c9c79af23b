# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bytes of an image file come to: size, and digests by the algorithms that image stores use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

CHUNK = 1 << 20
# Ours is sha256; sha512 is what Glance computes unless its operator chose another one of hashlib's.
ALGORITHMS = ("sha256", "sha512")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """`hashes` is `{"sha256": hex, "sha512": hex}`."""

    size: int
    hashes: dict[str, str]

    @property
    def digest(self) -> str:
        """As a manifest has it."""
        return f"sha256:{self.hashes['sha256']}"

    @property
    def others(self) -> dict[str, str]:
        """The hashes beside the digest, as a manifest has them."""
        return {name: value for name, value in self.hashes.items() if name != "sha256"}


def measure(path: str) -> Measure:
    """Read the file once. Raises `Invalid` where there is none that can be read."""
    sums = [hashlib.new(name) for name in ALGORITHMS]
    size = 0
    try:
        with Path(path).open("rb") as file:
            while chunk := file.read(CHUNK):
                size += len(chunk)
                for each in sums:
                    each.update(chunk)
    except OSError as exc:
        raise Invalid(what=f"the file cannot be read: {exc.strerror or exc}", where="path") from exc
    return Measure(size=size, hashes={each.name: each.hexdigest() for each in sums})
