# SPDX-License-Identifier: GPL-3.0-or-later
"""The `vsphere:` options of golden images as values: the folder that they lie in, and what a template is made with and where.

Promises: what can be seen to be wrong without a call is refused here. Where a template goes is asked for only by what makes one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import Connection, parse_connection
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

FOLDER = "golden-images"
GUEST_ID = "otherLinux64Guest"
FIRMWARE = "bios"
_GUEST_ID = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOptions:
    """Names, as asked for; "" where they were not. A template has no hardware to speak of: pools say theirs."""

    connection: Connection
    datacenter: str = ""
    folder: str = FOLDER
    cluster: str = ""
    resource_pool: str = ""
    datastore: str = ""
    guest_id: str = GUEST_ID
    firmware: str = FIRMWARE


def parse_image_options(given: Mapping[str, Any]) -> ImageOptions:
    """The options of the `vsphere` dictionary of a golden image module, or of a pool. Raises `Invalid`."""
    guest_id = given.get("guest_id") or GUEST_ID
    if not _GUEST_ID.fullmatch(guest_id):
        raise Invalid(what=f"{guest_id!r} is no name of a guest; expected one such as debian12_64Guest", where="vsphere.guest_id")
    return ImageOptions(
        connection=parse_connection(given),
        datacenter=given.get("datacenter") or "",
        folder=given.get("image_folder") or FOLDER,
        cluster=given.get("cluster") or "",
        resource_pool=given.get("resource_pool") or "",
        datastore=given.get("datastore") or "",
        guest_id=guest_id,
        firmware=given.get("firmware") or FIRMWARE,
    )
