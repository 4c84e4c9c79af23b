# SPDX-License-Identifier: GPL-3.0-or-later
"""One build of a golden image: what its manifest says, and how a store has it.

A version never changes: another digest is another version. The manifest's text is what is signed, so a store keeps it as it
was written, and it is written in one form: JSON without what is empty, keys sorted, no blanks. Keys are never renamed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import parse_instant, say_instant

NAME = re.compile(r"[a-z0-9]([-a-z0-9._]{0,61}[a-z0-9])?")
VERSION = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9._]{0,61}[A-Za-z0-9])?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TEXTS = ("name", "version", "digest", "format", "parent", "git_commit", "sbom", "sbom_digest")

UPLOADING = "uploading"  # begun by somebody; whether he lives nobody knows
BROKEN = "broken"  # its bytes are not those of its manifest
PUBLISHED = "published"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What one version is and comes from. `digest` is "sha256:<hex>" of the file's bytes, `size` their number.

    `hashes` are others of the same bytes, `{"sha512": hex}`: a store computes one of its own, which is compared with these
    without reading the image. `format` is as qemu-img calls it. `parent` is the version it was built upon, as `ref` says it.
    `inputs` is all that went into the build, each with a digest or a version. `sbom` says where the bill of materials lies.
    """

    name: str
    version: str
    digest: str
    created_at: datetime
    size: int = 0
    format: str = "qcow2"
    hashes: Mapping[str, str] = field(default_factory=dict)
    parent: str = ""
    git_commit: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    sbom: str = ""
    sbom_digest: str = ""

    @property
    def ref(self) -> str:
        """How people and parents name it: "ubuntu-24.04@20261121.1"."""
        return ref_of(self.name, self.version)

    @property
    def inputs_digest(self) -> str:
        """Equal for two builds from the same inputs and parent, "" where nothing is known of them."""
        if not self.inputs and not self.parent:
            return ""
        text = json.dumps([dict(self.inputs), self.parent], sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    def dump(self) -> str:
        """The text that is signed and stored."""
        raw: dict[str, Any] = {name: getattr(self, name) for name in _TEXTS}
        raw |= {"size": self.size, "hashes": dict(self.hashes), "inputs": dict(self.inputs), "created_at": say_instant(self.created_at)}
        return json.dumps({key: value for key, value in raw.items() if value}, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """Why no machine may be made of a version any more, who said so, and when."""

    at: datetime
    by: str
    why: str

    def __str__(self) -> str:
        return f"by {self.by}, since {say_instant(self.at)}" + (f": {self.why}" if self.why else "")

    def dump(self) -> str:
        """JSON text for a property."""
        return json.dumps({"at": say_instant(self.at), "by": self.by, "why": self.why}, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A manifest as a store has it. `text` is the manifest's own, byte by byte, and `signature` is of that.

    `id` is the store's word for the image, `begun_at` when its upload began. A revocation of an ancestor is not in `revoked`.
    """

    manifest: Manifest
    id: str
    state: str = PUBLISHED  # UPLOADING | BROKEN | PUBLISHED
    text: str = ""
    signature: str = ""
    revoked: Revocation | None = None
    begun_at: datetime | None = None

    @property
    def ref(self) -> str:
        """The manifest's."""
        return self.manifest.ref


def ref_of(name: str, version: str) -> str:
    """How a version is named in one word."""
    return f"{name}@{version}"


def parse_ref(text: str, where: str = "") -> tuple[str, str]:
    """`(name, version)`. Raises `Invalid`, naming the option `where`."""
    name, _at, version = text.partition("@")
    if not NAME.fullmatch(name) or not VERSION.fullmatch(version):
        raise Invalid(what=f"{text!r} names no version; expected a form such as ubuntu-24.04@20261121.1", where=where)
    return name, version


def check_manifest(manifest: Manifest) -> Manifest:
    """`manifest`, when it can be published. Raises `Invalid` whose `where` is the manifest's key."""
    if not NAME.fullmatch(manifest.name):
        raise Invalid(what=f"{manifest.name!r} is no name of an image; expected up to 63 of a-z 0-9 - . _", where="name")
    if not VERSION.fullmatch(manifest.version):
        raise Invalid(what=f"{manifest.version!r} is no version; expected up to 63 of A-Z a-z 0-9 - . _", where="version")
    if not _DIGEST.fullmatch(manifest.digest):
        raise Invalid(what=f"{manifest.digest!r} is no digest; expected sha256: and 64 hexadecimal digits", where="digest")
    if manifest.parent:
        parse_ref(manifest.parent, "parent")
    if manifest.parent == manifest.ref:
        raise Invalid(what=f"{manifest.ref} cannot be its own parent", where="parent")
    return manifest


def load_manifest(text: str) -> Manifest:
    """The manifest in a text that `dump` made; keys of a later release are passed over. Raises `Invalid`."""
    try:
        raw: Any = json.loads(text)
        manifest = Manifest(
            **{name: str(raw[name]) for name in _TEXTS if name in raw},
            created_at=parse_instant(raw["created_at"]),
            size=int(raw.get("size", 0)),
            hashes={str(key): str(value) for key, value in raw.get("hashes", {}).items()},
            inputs={str(key): str(value) for key, value in raw.get("inputs", {}).items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise Invalid(what="this is no manifest of a golden image", where="manifest") from exc
    return check_manifest(manifest)


def load_revocation(text: str | None) -> Revocation | None:
    """The revocation in a property; a text that somebody else wrote there revokes too, for a reason in his words."""
    if not text:
        return None
    try:
        raw: Any = json.loads(text)
        return Revocation(at=parse_instant(raw["at"]), by=str(raw["by"]), why=str(raw["why"]))
    except (KeyError, TypeError, ValueError):
        return Revocation(at=parse_instant("1970-01-01T00:00:00Z"), by="somebody", why=text)
