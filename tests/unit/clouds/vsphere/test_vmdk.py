# SPDX-License-Identifier: GPL-3.0-or-later
"""What vCenter would take for a disk, by the head of its file."""

from __future__ import annotations

import struct

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.vmdk import HEAD_BYTES, capacity_kib
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid


def head(magic: bytes = b"KDMV", flags: int = 0x30001, sectors: int = 3) -> bytes:
    return (magic + struct.pack("<IIQ", 3, flags, sectors)).ljust(HEAD_BYTES, b"\0")


def test_a_streamed_disk_says_its_size() -> None:
    """In KiB, rounded up: three sectors are one and a half."""
    assert capacity_kib(head()) == 2
    assert capacity_kib(head(sectors=8 << 21)) == 8 << 20


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (b"", "is no disk"),
        (head(magic=b"QFI\xfb"), "is no VMDK"),
        (head(flags=3), "not stream-optimized"),
        (head(sectors=0), "is empty"),
    ],
)
def test_what_vcenter_does_not_take_is_refused_with_the_way_to_make_it(given: bytes, what: str) -> None:
    with pytest.raises(Invalid, match=what) as refused:
        capacity_kib(given)
    assert (refused.value.where, "subformat=streamOptimized" in refused.value.what) == ("path", True)
