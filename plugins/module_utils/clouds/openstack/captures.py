# SPDX-License-Identifier: GPL-3.0-or-later
"""The port `Captures` on Nova's snapshots, which are images of Glance.

Nova makes the image's record within the call, with the properties that it is given, and copies the bytes later. A snapshot inherits the
properties of the image that its server was made of, a golden version's manifest too; ours are written over them in the same call, so
that it is no version at any moment.
Sources: nova/compute/api.py (snapshot, _initialize_instance_snapshot_metadata); Glance's image statuses.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import CHUNK, COMPUTE, IMAGE, Transport, every
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.images_convert import is_of
from ansible_collections.immutable.fleet.plugins.module_utils.model import capture as captures
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import Capture
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid, NotFound, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import parse_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, Vm

# https://docs.openstack.org/glance/latest/user/statuses.html; what is not here is being made
_STATUS = {"active": captures.WHOLE, "killed": captures.FAILED, "deactivated": captures.FAILED}
_GONE = ("deleted", "pending_delete")


class CaptureTransport(Transport, Protocol):
    """What is needed of `Client` here."""

    def download(self, path: str, target: BinaryIO) -> None:
        """GET the bytes. Raises as `request` does."""


class NovaCaptures:
    """Snapshots of the builders with one mark."""

    def __init__(self, transport: CaptureTransport, builders: str) -> None:
        self._transport, self._builders = transport, builders

    def list(self) -> tuple[Capture, ...]:
        """As `Captures.list`. One call. Of this project alone: an administrator's list has the private images of every project."""
        project = self._transport.project_id()
        query = ((marks.IMAGE_KIND, marks.CAPTURE_IMAGE), (marks.POOL, self._builders), ("owner", project))
        listed = [image for image in every(self._transport, IMAGE, "/images", "images", query) if is_of(image, project)]
        return tuple(capture_of(image, self._transport.skew) for image in listed if image["status"] not in _GONE)

    def begin(self, vm: Vm) -> None:
        """As `Captures.begin`. One call."""
        properties = {marks.IMAGE_KIND: marks.CAPTURE_IMAGE, marks.POOL: self._builders, marks.IMAGE_BUILDER: vm.name}
        body = {"createImage": {"name": vm.name, "metadata": properties}}
        self._transport.request("POST", COMPUTE, f"/servers/{vm.id}/action", body=body)

    def fetch(self, capture: Capture, file: Path) -> None:
        """As `Captures.fetch`. One call. Raises `Transient` where the bytes are not those that Glance has, `Invalid` without room."""
        part = file.with_name(f"{file.name}.part")
        try:
            with part.open("wb") as target:
                self._transport.download(f"/images/{capture.id}/file", target)
            if capture.digest and _digest_of(part, capture.digest.partition(":")[0]) != capture.digest:
                raise Transient(what="the bytes that came are not those that Glance has", where=f"image {capture.id}")
            part.replace(file)
        except OSError as exc:
            raise Invalid(what=f"cannot be written: {exc.strerror or exc}", where="path") from exc
        finally:
            part.unlink(missing_ok=True)

    def clear(self, leftover: Leftover) -> None:
        """As `Captures.clear`. One call."""
        with contextlib.suppress(NotFound):
            self._transport.request("DELETE", IMAGE, f"/images/{leftover.id}")


def capture_of(image: Mapping[str, Any], skew: timedelta) -> Capture:
    """Glance's image as a Capture. `skew` is the servers' clock minus ours."""
    digest = f"{image['os_hash_algo']}:{image['os_hash_value']}" if image.get("os_hash_value") else ""
    return Capture(
        id=image["id"],
        builder=image.get(marks.IMAGE_BUILDER, ""),
        status=_STATUS.get(image["status"], captures.MAKING),
        created_at=parse_instant(image["created_at"]) - skew,
        digest=digest,
    )


def _digest_of(file: Path, algorithm: str) -> str:
    computed = hashlib.new(algorithm)
    with file.open("rb") as source:
        while chunk := source.read(CHUNK):
            computed.update(chunk)
    return f"{algorithm}:{computed.hexdigest()}"
