# SPDX-License-Identifier: GPL-3.0-or-later
"""The ImageStore port over a simulated world: manifests are kept, and of the bytes only that they came."""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.immutable.fleet.plugins.module_utils.model.channel import Catalogue, Promotion
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import Manifest, Revocation, Version
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.faults import IMAGES
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import Session


class SimulatedImages:
    """The world's image store."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def catalogue(self) -> Catalogue:
        """See ports.ImageStore."""
        with self._session.world() as world, world.calls.around(IMAGES, "catalogue"):
            return world.images.catalogue()

    def publish(self, manifest: Manifest, path: str, *, text: str, signature: str = "") -> Version:
        """See ports.ImageStore. One transaction, of which a killed process leaves all or nothing."""
        del path
        with self._session.world() as world, world.calls.around(IMAGES, "publish"):
            half = world.calls.dies_half_way()
            version = world.images.publish(manifest, text, signature, dies_half_way=half)
            if half:
                raise Transient(what="the upload was cut off", where=f"image {manifest.ref}")
            return version

    def promote(self, promotion: Promotion) -> Promotion:
        """See ports.ImageStore."""
        with self._session.world() as world, world.calls.around(IMAGES, "promote"):
            return world.images.promote(promotion)

    def revoke(self, version: Version, revocation: Revocation) -> None:
        """See ports.ImageStore."""
        with self._session.world() as world, world.calls.around(IMAGES, "revoke"):
            world.images.revoke(version, revocation)

    def retire(self, version: Version) -> None:
        """See ports.ImageStore."""
        with self._session.world() as world, world.calls.around(IMAGES, "retire"):
            world.images.retire(version)

    def users(self) -> Mapping[str, tuple[str, ...]]:
        """See ports.ImageStore."""
        with self._session.world() as world, world.calls.around(IMAGES, "users"):
            return world.images.users()
