# SPDX-License-Identifier: GPL-3.0-or-later
"""What the head of a disk file says: vCenter takes a disk over the network in one form only, the stream-optimized VMDK. Pure.

Source: "Virtual Disk Format 5.0", VMware, Hosted Sparse Extents and Stream-Optimized Compressed Sparse Extents.
"""

from __future__ import annotations

import struct

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

HEAD_BYTES = 512
SECTOR_BYTES = 512
KIB = 1024
_MAGIC = 0x564D444B  # "KDMV", little-endian
_HEAD = struct.Struct("<IIIQ")  # magic, version, flags, capacity in sectors
_STREAMED = 1 << 16 | 1 << 17  # grains are compressed, and markers stand between them


def capacity_kib(head: bytes) -> int:
    """How large the disk is for its guest, by the first `HEAD_BYTES` of its file. Raises `Invalid`."""
    if len(head) < HEAD_BYTES:
        raise Invalid(what=f"the file has {len(head)} bytes, and is no disk; {_EXPECTED}", where="path")
    magic, _version, flags, sectors = _HEAD.unpack_from(head)
    if magic != _MAGIC:
        raise Invalid(what=f"the file is no VMDK; {_EXPECTED}", where="path")
    if flags & _STREAMED != _STREAMED:
        raise Invalid(what=f"the file is a VMDK, and not stream-optimized; {_EXPECTED}", where="path")
    if not sectors:
        raise Invalid(what=f"its head says that the disk is empty; {_EXPECTED}", where="path")
    return -(-int(sectors) * SECTOR_BYTES // KIB)


_EXPECTED = "expected a stream-optimized VMDK: qemu-img convert -O vmdk -o subformat=streamOptimized disk.qcow2 disk.vmdk"
