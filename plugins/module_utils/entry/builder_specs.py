# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of `golden_image_builder`."""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.module_utils.entry.cloud_specs import OPENSTACK
from ansible_collections.immutable.fleet.plugins.module_utils.entry.spec import Spec, text

_BUILDER = Spec(
    {
        "name": text(required=True),
        "state": text(choices=["opened", "captured", "absent"], default="opened"),
        "builder": text(),
        "public_key": text(no_log=False),
        "path": {"type": "path"},
        "max_age": text(default="4h"),
        "timeout": text(default="30m"),
        "events_file": {"type": "path"},
        "stop_file": {"type": "path"},
    },
    required_if=[("state", "opened", ["public_key"]), ("state", "captured", ["builder", "path"])],
)

GOLDEN_IMAGE_BUILDER = _BUILDER + OPENSTACK
