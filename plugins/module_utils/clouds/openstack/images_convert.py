# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions and promotions as Glance's images, both ways. Pure.

A version is an image with its manifest in a property. A promotion is an image without bytes: Glance keeps it `queued` for ever,
so nobody can boot from it, and lists it by its properties like any other.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.channel import Promotion, load_promotion
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import parse_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import (
    BROKEN,
    PUBLISHED,
    UPLOADING,
    Manifest,
    Revocation,
    Version,
    load_manifest,
    load_revocation,
)

Found = Mapping[str, Any]
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, marks.PREFIX)
PATCH = "application/openstack-images-v2.1-json-patch"
ACTIVE, QUEUED, SAVING, KILLED = "active", "queued", "saving", "killed"
SHOWN_TO_OTHERS = frozenset({"community", "public", "shared"})
OURS_TO_HANDLE = frozenset({ACTIVE, QUEUED, SAVING, KILLED})  # what a publish makes of an image; any other status is a person's doing


def version_id(project: str, ref: str, attempt: int) -> str:
    """The id of the n-th image that is made for a version: Glance gives each id once, also after the image was deleted."""
    return str(uuid.uuid5(_NAMESPACE, f"{project} version {ref} {attempt}"))


def promotion_id(project: str, promotion: Promotion) -> str:
    """The id of a channel's n-th promotion: of two that add it at once, Glance takes one."""
    return str(uuid.uuid5(_NAMESPACE, f"{project} promotion {promotion.image}/{promotion.channel} {promotion.number}"))


def version_request(
    image_id: str, manifest: Manifest, text: str, signature: str, visibility: str, more: Mapping[str, str]
) -> dict[str, Any]:
    """The body that makes a version's image, still without bytes. `more` are the user's own properties."""
    return {
        **more,
        "id": image_id,
        "name": manifest.ref,
        "visibility": visibility,
        "disk_format": manifest.format,
        "container_format": "bare",
        marks.IMAGE_KIND: marks.VERSION_IMAGE,
        marks.IMAGE_VERSION: manifest.version,
        marks.IMAGE_DIGEST: manifest.digest,
        marks.IMAGE_MANIFEST: text,
        **({marks.IMAGE_SIGNATURE: signature} if signature else {}),
    }


def promotion_request(image_id: str, promotion: Promotion, visibility: str) -> dict[str, Any]:
    """The body that adds a promotion. Protected, for it is part of a history."""
    return {
        "id": image_id,
        "name": f"{promotion.image}/{promotion.channel} {promotion.number}",
        "visibility": visibility,
        "protected": True,
        marks.IMAGE_KIND: marks.PROMOTION_IMAGE,
        marks.IMAGE_PROMOTION: promotion.dump(),
    }


def revocation_request(revocation: Revocation) -> list[dict[str, Any]]:
    """The JSON patch that revokes: mark and hiding in one."""
    return [
        {"op": "add", "path": f"/{marks.IMAGE_REVOKED}", "value": revocation.dump()},
        {"op": "replace", "path": "/os_hidden", "value": True},
    ]


def protection_request(*, protected: bool) -> list[dict[str, Any]]:
    """The JSON patch that lets nobody delete the image, or lets us."""
    return [{"op": "replace", "path": "/protected", "value": protected}]


def version_of(image: Found) -> Version | None:
    """The version in an image; None where its manifest cannot be read."""
    text = image.get(marks.IMAGE_MANIFEST) or ""
    try:
        manifest = load_manifest(text)
    except Invalid:
        return None
    return Version(
        manifest=manifest,
        id=image["id"],
        state=state_of(image, manifest),
        text=text,
        signature=image.get(marks.IMAGE_SIGNATURE) or "",
        revoked=load_revocation(image.get(marks.IMAGE_REVOKED)),
        begun_at=parse_instant(image["created_at"]),
    )


def state_of(image: Found, manifest: Manifest) -> str:
    """How far a version's image is. Published means: Glance's own digest of the bytes is the manifest's."""
    if image.get("status") != ACTIVE:
        return UPLOADING
    return PUBLISHED if has_bytes_of(image, manifest) else BROKEN


def has_bytes_of(image: Found, manifest: Manifest) -> bool:
    """Whether Glance's digest, by whatever algorithm it uses, is that of the manifest."""
    return bool(image.get("os_hash_value")) and image["os_hash_value"] == hashes_of(manifest).get(image.get("os_hash_algo") or "")


def hashes_of(manifest: Manifest) -> dict[str, str]:
    """`{algorithm: hex}` of all digests that a manifest has."""
    algorithm, _colon, value = manifest.digest.partition(":")
    return {**manifest.hashes, algorithm: value}


def versions_of(images: Iterable[Found]) -> dict[str, Version]:
    """Versions by ref. Of several images of one the published one counts, else the newest attempt."""
    found: dict[str, Version] = {}
    for version in sorted(filter(None, map(version_of, images)), key=lambda each: (each.begun_at, each.id)):
        if version.ref not in found or found[version.ref].state != PUBLISHED:
            found[version.ref] = version
    return found


def counting(images: Iterable[Found], project: str) -> list[Found]:
    """The images that count for a project: its own, and those that others show it where it has none of that version or channel.

    An administrator's list has the private images of every project.
    """
    ours, others = [], []
    for image in images:
        if is_of(image, project):
            ours.append(image)
        elif image.get("visibility") in SHOWN_TO_OTHERS:
            others.append(image)
    known = {_about(image) for image in ours}
    return [*ours, *(image for image in others if _about(image) not in known)]


def is_of(image: Found, project: str) -> bool:
    """Whether the image is the project's own."""
    return bool(image.get("owner") == project)


def _about(image: Found) -> tuple[str, ...]:
    """The version, or the channel, that an image says something of."""
    promotion = load_promotion(image.get(marks.IMAGE_PROMOTION) or "")
    if promotion is not None:
        return ("channel", promotion.image, promotion.channel)
    version = version_of(image)
    return ("version", version.ref if version is not None else image["id"])


def promotions_of(images: Iterable[Found]) -> tuple[Promotion, ...]:
    """The promotions in these images."""
    return tuple(each for image in images if (each := load_promotion(image.get(marks.IMAGE_PROMOTION) or "")))


def is_abandoned(image: Found, now: datetime, patience: timedelta) -> bool:
    """Whether an upload that Glance still waits for ended long ago: its API process was killed, else it would have said so."""
    return image.get("status") == SAVING and now - parse_instant(image["updated_at"]) > patience


def users_of(servers: Iterable[Found], versions: Iterable[Version]) -> dict[str, tuple[str, ...]]:
    """`{version id: (server name, ...)}`: by the image that Nova names, or by our mark where it boots from a volume."""
    by_digest = {f"{name}:{value}": each.id for each in versions for name, value in hashes_of(each.manifest).items()}
    known = {each.id for each in versions}
    found: dict[str, list[str]] = {}
    for server in servers:
        marked = by_digest.get((server.get("metadata") or {}).get(f"{marks.FIELD}image", ""), "")
        image_id = (server.get("image") or {}).get("id", "")
        used = image_id if image_id in known else marked
        if used:
            found.setdefault(used, []).append(server["name"])
    return {image_id: tuple(sorted(names)) for image_id, names in found.items()}
