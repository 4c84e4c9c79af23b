# SPDX-License-Identifier: GPL-3.0-or-later
"""Harness of the image store on Glance, over the lab: a golden image of a name that no one else uses."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import IMAGE
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.images import GlanceImages
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.images_convert import PATCH
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import FleetError, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.ports import ImageStore
from ansible_collections.immutable.fleet.tests.system.openstack_lab import Recording, client, now, use_or_skip

Found = TypeVar("Found")


class Uploading(Recording):
    """The real transport; an upload may be cut off after its first bytes, or its answer lost."""

    def __init__(self) -> None:
        super().__init__("small")
        self.cuts_upload = False

    def upload(self, path: str, source: BinaryIO) -> None:
        if self.cuts_upload:
            super().upload(path, _Dying(source))
        super().upload(path, source)
        if self.loses_reply_to == "PUT image":
            self.loses_reply_to = ""
            raise Transient(what="the test lost the reply")


class _Dying:
    """A file whose reader is killed after the first byte. Without a length, so that it is sent in chunks."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source

    def __iter__(self) -> Any:
        yield self._source.read(1)
        raise Transient(what="the test cut the upload off")


CALLS = {"publish": "PUT image", "promote": "POST image /images"}


class OnGlance:
    """The project `small` of the lab."""

    format = "raw"

    def __init__(self, _folder: Path) -> None:
        self._environment = pytest.MonkeyPatch()
        use_or_skip(self._environment)
        self._image = f"web{secrets.token_hex(3)}"
        self._transports: list[Uploading] = []
        self._cuts = False

    def store(self) -> ImageStore:
        transport = Uploading()
        transport.cuts_upload, self._cuts = self._cuts, False
        self._transports.append(transport)
        return GlanceImages(transport, now=now)

    def image(self) -> str:
        return self._image

    def write(self, path: Path, content: str) -> None:
        path.write_text(content, encoding="utf-8")

    def lose_reply(self, verb: str) -> None:
        for transport in self._transports:
            transport.loses_reply_to = CALLS[verb]

    def cut_upload(self) -> None:
        self._cuts = True

    def until(self, look: Callable[[], Found | None], what: str) -> Found:
        found = look()
        if not found:
            raise AssertionError(what)
        return found

    def clean_up(self) -> None:
        delete_images(self._image)
        self._environment.undo()


def delete_images(name: str, cloud: str = "small") -> None:
    """Everything of one golden image, protected or not."""
    raw = client(cloud)
    for kind, hidden in ((marks.VERSION_IMAGE, "false"), (marks.VERSION_IMAGE, "true"), (marks.PROMOTION_IMAGE, "false")):
        query = ((marks.IMAGE_KIND, kind), ("os_hidden", hidden), ("limit", "1000"))
        for image in raw.request("GET", IMAGE, "/images", query=query)["images"]:
            if image["name"].partition("@")[0].partition("/")[0] != name:
                continue
            unprotect = [{"op": "replace", "path": "/protected", "value": False}]
            try:
                raw.request("PATCH", IMAGE, f"/images/{image['id']}", body=unprotect, headers={"Content-Type": PATCH})
                raw.request("DELETE", IMAGE, f"/images/{image['id']}")
            except FleetError as error:
                raise AssertionError(f"left behind: {image['name']}: {error}") from error
