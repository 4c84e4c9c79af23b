# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages a bill of materials lists: CycloneDX and SPDX, both as JSON, from a file or a URL."""

from __future__ import annotations

import hashlib
import json
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import build_opener

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

SECONDS_MAX = 20
BYTES_MAX = 64 << 20  # a distribution with all its files listed takes a tenth


def packages_of(reference: str, digest: str = "") -> tuple[tuple[str, str], ...]:
    """`((name, version), ...)`, sorted. Raises `Invalid` where it cannot be read, or is another than `digest` ("sha256:...") says."""
    content = _read(reference)
    found = "sha256:" + hashlib.sha256(content).hexdigest()
    if digest and found != digest:
        raise Invalid(what=f"the bill of materials {reference} has the digest {found}; the manifest says {digest}", where="sbom")
    try:
        raw: Any = json.loads(content)
        listed = [(each["name"], each.get("version", "")) for each in raw.get("components", ())]  # CycloneDX
        listed += [(each["name"], each.get("versionInfo", "")) for each in raw.get("packages", ())]  # SPDX
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise Invalid(what=f"{reference} is no bill of materials; expected CycloneDX or SPDX as JSON", where="sbom") from exc
    return tuple(sorted({(str(name), str(version)) for name, version in listed}))


def _read(reference: str) -> bytes:
    try:
        if reference.startswith(("http://", "https://")):
            with build_opener().open(reference, timeout=SECONDS_MAX) as answer:
                content: bytes = answer.read(BYTES_MAX)
                return content
        return Path(reference).read_bytes()
    except (OSError, ValueError, HTTPException) as exc:
        raise Invalid(what=f"the bill of materials {reference} cannot be read: {exc}", where="sbom") from exc
