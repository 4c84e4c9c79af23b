# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test finds in a fresh cloud: projects, zones, flavors, golden images, networks, clouds.yaml."""

import json
from typing import Any

from .base import REGION, connect
from .site import PASSWORD, Site

APPLICATION_SECRET = "labsecret-application-credential"
FLAVORS = (  # name, vCPUs, MiB of memory, GiB of disk
    ("m1.tiny", 1, 512, 1),
    ("m1.small", 1, 2048, 20),
    ("m1.medium", 2, 4096, 40),
    ("m1.large", 4, 8192, 80),
    ("m1.impossible", 100_000, 1024, 1),  # for "No valid host"
)
IMAGE_BYTES = 1 << 20
# The joiner reads kubelet_version and lab_*: guests of v1 and v2 differ in their kubelet, those of "broken" never join.
IMAGES: dict[str, dict[str, str]] = {
    "golden-v1": {"image_version": "v1", "kubelet_version": "v1.35.4"},
    "golden-v2": {"image_version": "v2", "kubelet_version": "v1.36.3"},
    "golden-broken": {"image_version": "broken", "kubelet_version": "v1.36.3", "lab_join": "never"},
}


def projects(identity: Any) -> None:
    """The projects `lab` and `small` with a member of the same name."""
    roles = {role.name: role.id for role in identity.roles()}
    for name in ("lab", "small"):
        project = identity.create_project(name=name, domain_id="default")
        account = identity.create_user(name=name, password=PASSWORD, domain_id="default", default_project_id=project.id)
        identity.assign_project_role_to_user(project.id, account.id, roles["member"])


def cloud(site: Site) -> None:
    """All the rest. The project `small` is there to run into its quota."""
    admin = connect(site)
    zones(site, admin)
    for name, cpus, memory, disk in FLAVORS:
        admin.compute.create_flavor(name=name, vcpus=cpus, ram=memory, disk=disk)
    images(site, admin)
    public = admin.network.create_network(
        name="public", is_router_external=True, provider_network_type="flat", provider_physical_network="ext"
    )
    admin.network.create_subnet(network_id=public.id, ip_version=4, name="public", cidr="203.0.112.0/22", enable_dhcp=False)
    lab = connect(site, "lab", "lab")
    subnet = network(lab, "lab-net", "10.20.0.0/16")
    router = lab.network.create_router(name="lab-router", external_gateway_info={"network_id": public.id})
    lab.network.add_interface_to_router(router.id, subnet_id=subnet.id)
    small = connect(site, "small", "small")
    network(small, "small-net", "10.30.0.0/24")
    admin.compute.update_quota_set(small.current_project_id, instances=2, cores=4, ram=8192)
    credential = lab.identity.create_application_credential(
        user=lab.current_user_id, name="lab", secret=APPLICATION_SECRET, unrestricted=True
    )
    write_clouds(site, credential.id)


def zones(site: Site, admin: Any) -> None:
    """An aggregate per availability zone with its hypervisors."""
    for host, zone in site.hosts:
        aggregate = admin.compute.find_aggregate(zone) or admin.compute.create_aggregate(name=zone, availability_zone=zone)
        admin.compute.add_host_to_aggregate(aggregate.id, host)


def images(site: Site, admin: Any) -> None:
    """Public raw images of 1 MiB. (Glance refuses content that does not fit the format: random bytes are no qcow2.)"""
    file = site.data / "image"
    for name, properties in IMAGES.items():
        file.write_bytes(f"{name}\n".encode().ljust(IMAGE_BYTES, b"\0"))
        admin.image.create_image(
            name=name,
            filename=str(file),
            disk_format="raw",
            container_format="bare",
            visibility="public",
            wait=True,
            os_distro="debian",
            os_version="12",
            role="golden",
            **properties,
        )
    file.unlink()


def network(project: Any, name: str, cidr: str) -> Any:
    """A network with one subnet, which is returned."""
    made = project.network.create_network(name=name)
    return project.network.create_subnet(network_id=made.id, ip_version=4, name=name, cidr=cidr)


def write_clouds(site: Site, credential_id: str) -> None:
    """clouds.yaml with `admin`, `user` (application credential of project lab), `user-password`, `small`.

    Written as JSON, which is YAML too.
    """

    def by_password(user: str) -> dict[str, object]:
        return {
            "region_name": REGION,
            "auth": {
                "auth_url": site.keystone,
                "username": user,
                "password": PASSWORD,
                "project_name": user,
                "user_domain_name": "Default",
                "project_domain_name": "Default",
            },
        }

    by_credential = {
        "region_name": REGION,
        "auth_type": "v3applicationcredential",
        "auth": {
            "auth_url": site.keystone,
            "application_credential_id": credential_id,
            "application_credential_secret": APPLICATION_SECRET,
        },
    }
    clouds = {
        "admin": by_password("admin"),
        "user": by_credential,
        "user-password": by_password("lab"),
        "small": by_password("small"),
    }
    (site.data / "clouds.yaml").write_text(json.dumps({"clouds": clouds}, indent=1) + "\n")
