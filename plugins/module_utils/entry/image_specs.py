# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the golden image modules, apart from those of pools: what a rollout needs is compiled without them."""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.module_utils.entry.cloud_specs import (
    IMAGE_FOLDER,
    OPENSTACK_CONNECTION,
    VSPHERE_CONNECTION,
)
from ansible_collections.immutable.fleet.plugins.module_utils.entry.spec import Spec, text

STORES = ("openstack", "vsphere", "simulated")

IMAGE_STORE = Spec(
    {
        "openstack": {"type": "dict", "options": OPENSTACK_CONNECTION},
        "vsphere": {
            "type": "dict",
            "options": {
                **VSPHERE_CONNECTION,
                "datacenter": text(),
                "image_folder": IMAGE_FOLDER,
                "cluster": text(),
                "resource_pool": text(),
                "datastore": text(),
                "guest_id": text(default="otherLinux64Guest"),
                "firmware": text(choices=["bios", "efi"], default="bios"),
            },
        },
        "simulated": {"type": "dict", "options": {"world": {"type": "path", "required": True}}},
    },
    mutually_exclusive=[STORES],
    required_one_of=[STORES],
)

_CHANNEL = Spec(
    {
        "channel": text(required=True),
        "state": text(choices=["promoted", "rolled_back"], default="promoted"),
        "version": text(),
        "reason": text(default=""),
    },
    required_if=[("state", "promoted", ["version"])],
)

_IMAGE = Spec(
    {
        "name": text(required=True),
        "state": text(choices=["published", "revoked", "retained"], default="published"),
        "version": text(),
        "path": {"type": "path"},
        "manifest": {"type": "path"},
        "format": text(choices=["qcow2", "raw", "vmdk", "vhd", "vhdx", "vdi", "iso"], default="qcow2"),
        "parent": text(default=""),
        "git_commit": text(default=""),
        "inputs": {"type": "dict", "default": {}},
        "sbom": text(default=""),
        "sign_with": {"type": "path"},
        "visibility": text(choices=["private", "shared", "public"], default="private"),
        "properties": {"type": "dict", "default": {}},
        "reason": text(default=""),
        "keep": {"type": "int", "default": 3},
        "min_age": text(default="7d"),
        "in_use": {"type": "list", "elements": "str", "default": []},
    },
    required_if=[("state", "published", ["path"]), ("state", "revoked", ["version", "reason"])],
)

GOLDEN_IMAGE = _IMAGE + IMAGE_STORE
GOLDEN_IMAGE_CHANNEL = _CHANNEL + IMAGE_STORE
GOLDEN_IMAGE_INFO = Spec({"name": text(), "package": text(), "package_version": text()}) + IMAGE_STORE
