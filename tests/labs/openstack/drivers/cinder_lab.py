# SPDX-License-Identifier: GPL-3.0-or-later
# Installed by install.py into the lab's venv; cinder.conf names it.
"""A cinder volume driver that holds no data.

Every operation succeeds at once, but for knobs in the volume's metadata:

  lab_delay  seconds that create, extend and delete take (default: LAB_VOLUME_DELAY)
  lab_fail   create, delete, attach, detach or extend: that operation fails
  lab_bytes  size of an image made from the volume (default 1 MiB)

An image is not downloaded: a volume from an image is "cloned".
"""

import os
import time

from cinder import exception
from cinder import interface
from cinder.volume import driver


class Zeros:
    """What a volume holds, for an image made from it."""

    def __init__(self, head, size):
        self.head, self.left = head, size

    def read(self, n=65536):
        n = min(n if n and n > 0 else 65536, self.left)
        self.left -= n
        out, self.head = self.head[:n], self.head[n:]
        return out + b"\0" * (n - len(out))


def act(volume, what):
    meta = dict(volume.metadata or {})
    if what in ("create", "delete", "extend"):
        time.sleep(float(meta.get("lab_delay") or os.environ.get("LAB_VOLUME_DELAY") or 0))
    if meta.get("lab_fail") == what:
        raise exception.VolumeBackendAPIException(data="lab_fail=" + what)


@interface.volumedriver
class LabVolumeDriver(driver.VolumeDriver):
    VERSION = "1.0"
    CI_WIKI_NAME = "none"

    def check_for_setup_error(self):
        pass

    def _update_volume_stats(self):
        self._stats = {
            "volume_backend_name": self.configuration.volume_backend_name,
            "vendor_name": "lab",
            "driver_version": self.VERSION,
            "storage_protocol": "fake",
            "total_capacity_gb": 1000000,
            "free_capacity_gb": 1000000,
            "reserved_percentage": 0,
            "QoS_support": False,
            "multiattach": True,
            "online_extend_support": True,
        }

    def create_volume(self, volume):
        act(volume, "create")

    def create_volume_from_snapshot(self, volume, snapshot):
        act(volume, "create")

    def create_cloned_volume(self, volume, src_vref):
        act(volume, "create")

    def clone_image(self, context, volume, image_location, image_meta, image_service):
        act(volume, "create")
        return {}, True

    def copy_image_to_volume(self, context, volume, image_service, image_id, disable_sparse=False):
        act(volume, "create")  # a server rebuilt onto its volume

    def copy_volume_to_image(self, context, volume, image_service, image_meta):
        size = int(dict(volume.metadata or {}).get("lab_bytes", 1 << 20))
        image_service.update(context, image_meta["id"], {}, Zeros(b"lab volume %s\n" % volume.id.encode(), size))

    def delete_volume(self, volume):
        act(volume, "delete")

    def extend_volume(self, volume, new_size):
        act(volume, "extend")

    def retype(self, context, volume, new_type, diff, host):
        return True, None

    def initialize_connection(self, volume, connector, **kwargs):
        act(volume, "attach")
        return {"driver_volume_type": "fake", "data": {"volume_id": volume.id, "access_mode": "rw"}}

    def terminate_connection(self, volume, connector, **kwargs):
        act(volume, "detach")

    def nothing(self, *args, **kwargs):
        pass

    do_setup = ensure_export = create_export = remove_export = nothing
    create_snapshot = delete_snapshot = revert_to_snapshot = nothing
