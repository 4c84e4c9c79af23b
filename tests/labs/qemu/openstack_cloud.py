# SPDX-License-Identifier: GPL-3.0-or-later
"""The OpenStack lab as the hypervisor sees it, and what it holds for machines that boot. Needs openstacksdk.

Golden images `tiny-v1` and `tiny-v2` whose kernel and initrd are images too, as Nova has it since its beginnings, and `loopback-net`
in project lab: its addresses are of 127.0.0.0/8, of which each is this machine's without being set up. So a fixed address is where the
guest answers, for any client on this machine and without root. (Neutron takes such a subnet when it has no DHCP.)
"""

import hashlib
from pathlib import Path
from typing import Any

from ..kubernetes.openstack_servers import OpenStackServers
from ..openstack.site import Site as OpenStackSite
from .machines import Disk
from .site import VERSIONS, Site

NETWORK, PROJECT = "loopback-net", "lab"
FIRST_NUMBER = 88  # of 127.x.0.0/24; the next lab has the next one


class OpenStackCloud:
    """Asks for servers as often as it is asked; fetches an image once."""

    def __init__(self, cloud: str, site: Site) -> None:
        self._site = site
        self._servers = OpenStackServers(cloud, all_projects=True)
        self._cloud: Any = self._servers.cloud

    def servers(self) -> list[Any]:
        return self._servers.servers()

    def disk(self, image: str) -> Disk | None:
        """What a server of this image boots from; None: it names no kernel."""
        about = self._servers.image(image)
        if not about.get("kernel_id"):
            return None
        return Disk(image=self._fetched(image), kernel=self._fetched(about["kernel_id"]), initrd=self._fetched(about["ramdisk_id"]))

    def stop(self, server: str) -> None:
        """Refused while the server's state changes; then it is told again."""
        self._cloud.compute.post(f"/servers/{server}/action", json={"os-stop": None})

    def _fetched(self, image: str) -> Path:
        file = self._site.glance / image
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            answer = self._cloud.image.get(f"/images/{image}/file")
            answer.raise_for_status()
            new = file.with_suffix(".new")
            new.write_bytes(answer.content)
            new.rename(file)
        return file

    # What it holds ---------------------------------------------------------------------------------------------------
    def seed(self) -> None:
        """Images and network, where they are missing. An image of an older build is replaced."""
        boot = {
            "kernel_id": self._image("tiny-kernel", self._site.kernel, "aki"),
            "ramdisk_id": self._image("tiny-initrd", self._site.initrd, "ari"),
        }
        for version in VERSIONS:
            self._image(f"tiny-{version}", self._site.image(version), "qcow2", **boot, image_version=version)
        project = self._cloud.identity.find_project(PROJECT, ignore_missing=False).id
        if not list(self._cloud.network.networks(name=NETWORK, project_id=project)):
            self._network(project)

    def _image(self, name: str, file: Path, kind: str, **properties: str) -> str:
        """Its id."""
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        for found in self._cloud.image.images(name=name):
            if (found.properties or {}).get("lab_digest") == digest:
                return str(found.id)
            self._cloud.image.delete_image(found.id)
        made = self._cloud.image.create_image(
            name=name,
            filename=str(file),
            disk_format=kind,
            container_format=kind if kind in ("aki", "ari") else "bare",
            visibility="public",
            wait=True,
            lab_digest=digest,
            **properties,
        )
        return str(made.id)

    def _network(self, project: str) -> None:
        made = self._cloud.network.create_network(name=NETWORK, project_id=project)
        self._cloud.network.create_subnet(
            network_id=made.id,
            project_id=project,
            name=NETWORK,
            ip_version=4,
            cidr=f"127.{FIRST_NUMBER + OpenStackSite.from_environment().address_shift}.0.0/24",
            gateway_ip=None,
            enable_dhcp=False,
        )
