# SPDX-License-Identifier: GPL-3.0-or-later
"""Harness of the image store on vSphere, over the lab: a golden image of a name that no one else uses, in the seed's folder."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere import vmdk
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.image_options import parse_image_options
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.images import VsphereImages
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import Ref
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Transient
from ansible_collections.immutable.fleet.plugins.module_utils.ports import ImageStore
from ansible_collections.immutable.fleet.tests.labs.vsphere.simulator import Simulator
from ansible_collections.immutable.fleet.tests.system.vsphere_lab import Recording, connection, now, up_or_skip

Found = TypeVar("Found")

STORE = {"image_folder": "templates", "cluster": "fd-a", "datastore": "ds-shared"}
SECTORS = 2048  # of a guest's disk of a MiB


class Uploading(Recording):
    """The real transport; an upload may be cut off as by a kill, or an answer lost."""

    def __init__(self) -> None:
        super().__init__(parse_image_options({**connection(), **STORE}).connection)
        self.cuts_upload = self._is_dead = False
        self.loses_reply_to = ""

    def upload(self, url: str, chunks: Iterable[bytes], size: int) -> None:
        if self.cuts_upload:
            next(iter(chunks))
            self._is_dead = True  # nobody is left to tidy up
        self._die()
        super().upload(url, chunks, size)

    def call(self, this: Ref, method: str, **arguments: Any) -> Any:
        self._die()
        answer = super().call(this, method, **arguments)
        self._lose(method)
        return answer

    def settled(self, this: Ref, paths: Sequence[str], running: Collection[str]) -> dict[str, Any]:
        found = super().settled(this, paths, running)
        self._lose(this.kind)
        return found

    def _die(self) -> None:
        if self._is_dead:
            raise Transient(what="the test cut the upload off")

    def _lose(self, call: str) -> None:
        if self.loses_reply_to == call:
            self.loses_reply_to = ""
            raise Transient(what="the test lost the reply")


CALLS = {"publish": "MarkAsTemplate", "promote": "vim.Task"}


class OnVsphere:
    """Templates of the lab's vCenter, which takes any bytes for a disk."""

    format = "vmdk"

    def __init__(self, _folder: Path) -> None:
        self._lab = up_or_skip()
        self._image = f"img{secrets.token_hex(3)}"
        self._transports: list[Uploading] = []
        self._cuts = False

    def store(self) -> ImageStore:
        transport = Uploading()
        transport.cuts_upload, self._cuts = self._cuts, False
        self._transports.append(transport)
        return VsphereImages(transport, parse_image_options({**connection(), **STORE}), now=now)

    def image(self) -> str:
        return self._image

    def write(self, path: Path, content: str) -> None:
        write_disk(path, content)

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
        for transport in self._transports:
            transport.close()
        destroy_images(self._lab, self._image)


def write_disk(path: Path, content: str) -> None:
    """The head of a stream-optimized VMDK, and the content in the place of its grains."""
    head = struct.pack("<IIIQ", 0x564D444B, 3, 3 << 16, SECTORS)
    path.write_bytes(head.ljust(vmdk.HEAD_BYTES, b"\0") + content.encode())


def destroy_images(lab: Simulator, name: str) -> None:
    """Everything of one golden image: its name begins those of all templates."""
    if any(vm.startswith(name) for vm in lab.vms()):
        lab.destroy(f"{name}*")
