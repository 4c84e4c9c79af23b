# SPDX-License-Identifier: GPL-3.0-or-later
"""The port `ImageStore` on Glance.

What is atomic in Glance, and what is not (read in glance/db/sqlalchemy/api.py, glance/api/v2): to make an image with all its
properties is one transaction, and an id is given once, deleted ones never again; that arbitrates. An update is not: it reads the image
and writes all of its properties back, so of two at once one is lost without a word, and there is no If-Match. Hence
promotions are made and never changed, and a revocation is read back after it was written.
Rejected: one record with a property that is changed (lost updates), tags (the same), a lock (more to be left behind).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack import images_convert as convert
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import COMPUTE, IMAGE, Transport, every
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.channel import Catalogue, Promotion
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Invalid, NotFound, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import PUBLISHED, Manifest, Revocation, Version

ATTEMPTS_MAX = 20  # images of one version, or numbers of one channel, that somebody deleted by hand
WRITES_MAX = 3  # of a revocation, until it is read back
UPLOAD_PATIENCE = timedelta(hours=1)  # without a change of a `saving` image, its upload counts as dead


class ImageTransport(Transport, Protocol):
    """What is needed of `Client` here."""

    def upload(self, path: str, source: BinaryIO) -> None:
        """PUT the bytes to Glance. Raises as `request` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """How images of versions are made: who sees them, and properties of the user's that Nova or people read."""

    visibility: str = "private"
    properties: Mapping[str, str] = field(default_factory=dict)


class GlanceImages:
    """The images of one project. Connects at the first call."""

    def __init__(
        self,
        transport: ImageTransport,
        *,
        now: Callable[[], datetime],
        placing: Placing | None = None,
        upload_patience: timedelta = UPLOAD_PATIENCE,
    ) -> None:
        self._transport = transport
        self._now = now
        self._placing = placing or Placing()
        self._upload_patience = upload_patience

    def catalogue(self) -> Catalogue:
        """As `ImageStore.catalogue`. Three lists at once: Glance shows hidden images only to who asks for them alone."""
        version, promotion = (marks.IMAGE_KIND, marks.VERSION_IMAGE), (marks.IMAGE_KIND, marks.PROMOTION_IMAGE)
        queries = ((version,), (version, ("os_hidden", "true")), (promotion,))
        project = self._transport.project_id()  # asked first, so that the threads share one token
        with ThreadPoolExecutor(len(queries)) as threads:
            shown, hidden, promotions = threads.map(self._list, queries)
        by_id = {image["id"]: image for image in (*shown, *hidden)}  # one that is hidden just now is in both
        versions = convert.versions_of(convert.counting(by_id.values(), project))
        return Catalogue(versions=versions, promotions=convert.promotions_of(convert.counting(promotions, project)))

    def publish(self, manifest: Manifest, path: str, *, text: str, signature: str = "") -> Version:
        """As `ImageStore.publish`. Four calls and the upload; three where it is published already."""
        project = self._transport.project_id()
        for attempt in range(ATTEMPTS_MAX):
            image_id = convert.version_id(project, manifest.ref, attempt)
            image = self._get(image_id) or self._make(image_id, manifest, text, signature)
            if image is None or self._is_cleared_away(image, manifest):
                continue  # deleted for good: the next id
            if image["status"] == convert.QUEUED:
                with Path(path).open("rb") as source:
                    self._upload(image_id, source)
                image = self._get(image_id)
            version = convert.version_of(image) if image else None
            if image is None or version is None or version.state != PUBLISHED:
                raise Transient(what=f"Glance does not have the bytes that were sent: {_hash(image)}", where=f"image {manifest.ref}")
            if not image.get("protected"):
                self._patch(image_id, convert.protection_request(protected=True))
            return version
        raise Invalid(what=f"{ATTEMPTS_MAX} images of {manifest.ref} were deleted; expected another version", where="version")

    def promote(self, promotion: Promotion) -> Promotion:
        """As `ImageStore.promote`. Two calls; two more for each number whose promotion was deleted by hand."""
        project = self._transport.project_id()
        visibility = self._visibility_of(promotion.version, project)
        for number in range(promotion.number, promotion.number + ATTEMPTS_MAX):
            wanted = replace(promotion, number=number)
            image_id = convert.promotion_id(project, wanted)
            try:
                body = convert.promotion_request(image_id, wanted, visibility)
                self._transport.request("POST", IMAGE, "/images", body=body)
            except Conflict:
                found = convert.promotions_of(filter(None, [self._get(image_id)]))
                if found and found[0].token != promotion.token:
                    raise
                if not found:
                    continue
            return wanted
        raise Conflict(what=f"{ATTEMPTS_MAX} promotions were deleted", where=f"channel {promotion.image}/{promotion.channel}")

    def revoke(self, version: Version, revocation: Revocation) -> None:
        """As `ImageStore.revoke`. Two or three calls."""
        for _attempt in range(WRITES_MAX):
            image = self._get(version.id)
            if image is None or (image.get(marks.IMAGE_REVOKED) and image.get("os_hidden")):
                return
            self._refuse_anothers(image, version)
            self._patch(version.id, convert.revocation_request(version.revoked or revocation))
        image = self._get(version.id)
        if image is not None and not image.get(marks.IMAGE_REVOKED):
            raise Conflict(what="somebody changes the image all the time", where=f"image {version.ref}")

    def retire(self, version: Version) -> None:
        """As `ImageStore.retire`. Three calls; a fourth, which protects it again, where the store still needs it."""
        image = self._get(version.id)
        if image is None:
            return
        self._refuse_anothers(image, version)
        with contextlib.suppress(NotFound):
            self._patch(version.id, convert.protection_request(protected=False))
            try:
                self._transport.request("DELETE", IMAGE, f"/images/{version.id}")
            except Conflict:
                if image.get("protected"):
                    self._patch(version.id, convert.protection_request(protected=True))
                raise

    def users(self) -> Mapping[str, tuple[str, ...]]:
        """As `ImageStore.users`. The project's servers, in pages."""
        servers = every(self._transport, COMPUTE, "/servers/detail", "servers")
        return convert.users_of(servers, self.catalogue().versions.values())

    def _visibility_of(self, ref: str, project: str) -> str:
        """Who sees a version of ours, and so may follow its channels; a promotion of another project's version is ours alone."""
        images = self._list(((marks.IMAGE_KIND, marks.VERSION_IMAGE), ("name", ref)))
        own = {image["id"]: image for image in images if convert.is_of(image, project)}
        version = convert.versions_of(own.values()).get(ref)
        return str(own[version.id]["visibility"]) if version is not None else "private"

    def _refuse_anothers(self, image: Any, version: Version) -> None:
        """An administrator could change it, and others' machines are made of it. Raises `Conflict`."""
        if not convert.is_of(image, self._transport.project_id()):
            what = f"the image {image['id']} belongs to another project, {image.get('owner')}"
            raise Conflict(what=what, where=f"image {version.ref}", forward="run the same task with that project's account")

    def _list(self, query: tuple[tuple[str, str], ...]) -> list[Any]:
        return list(every(self._transport, IMAGE, "/images", "images", query))

    def _get(self, image_id: str) -> Any:
        try:
            return self._transport.request("GET", IMAGE, f"/images/{image_id}")
        except NotFound:
            return None

    def _make(self, image_id: str, manifest: Manifest, text: str, signature: str) -> Any:
        """The new image without bytes; that of somebody who was faster; None where the id was given and deleted before."""
        body = convert.version_request(image_id, manifest, text, signature, self._placing.visibility, self._placing.properties)
        try:
            return self._transport.request("POST", IMAGE, "/images", body=body)
        except Conflict:
            return self._get(image_id)

    def _is_cleared_away(self, image: Any, manifest: Manifest) -> bool:
        """Whether the image was none to go on with, and is deleted now.

        Raises `Invalid` where it is published with other bytes, `Conflict` while somebody uploads it or where somebody put it into a
        status of which a publish makes nothing, as `deactivated`.
        """
        if image["status"] not in convert.OURS_TO_HANDLE:
            what = f"its image {image['id']} has the status {image['status']}, which no publish makes"
            forward = (
                f"look at it: openstack image show {image['id']}; one that is deactivated: openstack image set --activate {image['id']}"
            )
            raise Conflict(what=what, where=f"image {manifest.ref}", forward=forward)
        there = convert.version_of(image)
        if there is not None and there.state == PUBLISHED:
            if there.manifest.digest != manifest.digest:
                what = f"{manifest.ref} is published with the digest {there.manifest.digest}, and a version never changes"
                raise Invalid(what=f"{what}; expected another version for {manifest.digest}", where="version")
            return False
        if image["status"] == convert.QUEUED and there is not None and there.manifest == manifest:
            return False
        if image["status"] == convert.SAVING and not convert.is_abandoned(image, self._now(), self._upload_patience):
            forward = f"wait for it; one that was killed is replaced {say_duration(self._upload_patience)} after it began"
            what = f"somebody is uploading it since {image['updated_at']} (image {image['id']})"
            raise Conflict(what=what, where=f"image {manifest.ref}", forward=forward)
        if image.get("protected"):
            self._patch(image["id"], convert.protection_request(protected=False))
        self._transport.request("DELETE", IMAGE, f"/images/{image['id']}")
        return True

    def _upload(self, image_id: str, source: BinaryIO) -> None:
        try:
            self._transport.upload(f"/images/{image_id}/file", source)
        except (Conflict, NotFound) as exc:  # Glance says 409 or 410 to who came second
            raise Conflict(what=f"somebody else began to upload it at the same time: {exc.what}", where=f"image {image_id}") from exc

    def _patch(self, image_id: str, operations: list[dict[str, Any]]) -> None:
        headers = {"Content-Type": convert.PATCH}
        self._transport.request("PATCH", IMAGE, f"/images/{image_id}", body=operations, headers=headers)


def _hash(image: Any) -> str:
    return f"it says {image.get('status')}, {image.get('os_hash_algo')} {image.get('os_hash_value')}" if image else "the image is gone"
