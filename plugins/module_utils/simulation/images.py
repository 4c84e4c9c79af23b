# SPDX-License-Identifier: GPL-3.0-or-later
"""The image store of a simulated world: versions that never change, promotions that are only added.

A published version is an image that machines can be made from, under its ref. Where the world's description has an image of that
name already, it says how machines made from it will fare.
"""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.immutable.fleet.plugins.module_utils.model.channel import Catalogue, Promotion, load_promotion
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import (
    PUBLISHED,
    UPLOADING,
    Manifest,
    Revocation,
    Version,
    load_manifest,
    load_revocation,
)
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Image, Promoted, Published
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import State


class Images:
    """One store for the whole world."""

    def __init__(self, state: State) -> None:
        self._state = state

    def catalogue(self) -> Catalogue:
        """All of it."""
        versions = {row.ref: _version(row) for row in self._state.published.values()}
        promotions = (load_promotion(row.text) for row in self._state.promoted.values())
        return Catalogue(versions=versions, promotions=tuple(each for each in promotions if each))

    def publish(self, manifest: Manifest, text: str, signature: str, *, dies_half_way: bool = False) -> Version:
        """The version, new or as it is there. `dies_half_way`: its upload begins and does not end.

        Raises `Invalid` where other bytes are published under it.
        """
        state = self._state
        row = state.published.get(manifest.ref)
        if row is not None and row.whole:
            there = load_manifest(row.manifest)
            if there.digest != manifest.digest:
                what = f"{manifest.ref} is published with the digest {there.digest}, and a version never changes"
                raise Invalid(what=f"{what}; expected another version for {manifest.digest}", where="version")
            return _version(row)
        image_id = f"image-{state.next_serial():x}"
        row = Published(image_id, manifest.ref, text, signature, begun_at=state.now, whole=not dies_half_way)
        state.published.put(manifest.ref, row)
        if row.whole:
            self._show(manifest)
        return _version(row)

    def promote(self, promotion: Promotion) -> Promotion:
        """Add it. Raises `Conflict` where the number is another's."""
        key = f"{promotion.image}/{promotion.channel}/{promotion.number}"
        row = self._state.promoted.get(key)
        there = load_promotion(row.text) if row is not None else None
        if there is not None and there.token != promotion.token:
            raise Conflict(
                what=f"the promotion {promotion.number} is another's: {there}", where=f"channel {promotion.image}/{promotion.channel}"
            )
        self._state.promoted.put(key, Promoted(promotion.dump()))
        return promotion

    def revoke(self, version: Version, revocation: Revocation) -> None:
        """Mark it; one that is revoked keeps its reason."""
        row = self._state.published.get(version.ref)
        if row is not None and not row.revoked:
            row.revoked = revocation.dump()
            self._state.published.touch(version.ref)

    def retire(self, version: Version) -> None:
        """Delete it. One that is gone already is success."""
        self._state.published.drop(version.ref)
        for digest, image in list(self._state.images.items()):
            if image.name == version.ref:
                self._state.images.drop(digest)

    def users(self) -> dict[str, tuple[str, ...]]:
        """`{version id: (machine, ...)}`."""
        found: dict[str, list[str]] = {}
        for host in self._state.hosts.values():
            row = self._state.published.get(host.image)
            if row is not None:
                found.setdefault(row.id, []).append(host.vm.name)
        return {image_id: tuple(sorted(names)) for image_id, names in found.items()}

    def refuse_revoked(self, ref: str) -> None:
        """Raises `Invalid` where this image is a version that was revoked."""
        row = self._state.published.get(ref)
        if row is not None and row.revoked:
            raise Invalid(what=f"{ref} is revoked {load_revocation(row.revoked)}; expected another version", where="simulated.image")

    def _show(self, manifest: Manifest) -> None:
        namesakes = [image for image in self._state.images.values() if image.name == manifest.ref]
        like = namesakes[-1] if namesakes else Image(manifest.ref, manifest.digest)
        for image in namesakes:
            self._state.images.drop(image.digest)
        order = self._state.next_serial()
        self._state.images.put(manifest.digest, replace(like, digest=manifest.digest, order=order))


def _version(row: Published) -> Version:
    return Version(
        manifest=load_manifest(row.manifest),
        id=row.id,
        state=PUBLISHED if row.whole else UPLOADING,
        text=row.manifest,
        signature=row.signature,
        revoked=load_revocation(row.revoked),
        begun_at=row.begun_at,
    )
