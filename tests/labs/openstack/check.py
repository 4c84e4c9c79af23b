# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the cloud do what the tests rely on? A server, a volume, a load balancer come and go, as a user makes them."""

import json
from typing import Any

from ..processes import LabError, Progress
from .site import Site


def check(site: Site, say: Progress) -> None:
    """Some 10 s, and 10 more with Octavia. Leaves nothing behind when all is well."""
    import openstack

    user = openstack.connect(load_envvars=False, **user_cloud(site))
    server(user)
    say("a server came and went")
    if "cinder" in site.services:
        volume(user)
        say("a volume came and went")
    if "octavia" in site.services:
        balancer(user)
        say("a load balancer came and went")


def user_cloud(site: Site) -> dict[str, Any]:
    cloud: dict[str, Any] = json.loads(site.clouds_file.read_text())["clouds"]["user"]
    return {"load_yaml_config": False, "auth_type": cloud["auth_type"], **cloud["auth"], "region_name": cloud["region_name"]}


def server(user: Any) -> None:
    made = user.compute.create_server(
        name="lab-check",
        image_id=user.image.find_image("golden-v1").id,
        flavor_id=user.compute.find_flavor("m1.tiny").id,
        networks=[{"uuid": user.network.find_network("lab-net").id}],
        availability_zone="az2",
    )
    try:
        made = user.compute.wait_for_server(made, wait=60)
        ensure(made.availability_zone == "az2", f"server is in {made.availability_zone}, not in az2")
    finally:
        user.compute.delete_server(made)
    user.compute.wait_for_delete(made, wait=60)


def volume(user: Any) -> None:
    made = user.block_storage.create_volume(name="lab-check", size=1)
    try:
        user.block_storage.wait_for_status(made, "available", wait=60)
    finally:
        user.block_storage.delete_volume(made)
    user.block_storage.wait_for_delete(made, wait=60)


def balancer(user: Any) -> None:
    subnet = user.network.find_subnet("lab-net")
    made = user.load_balancer.create_load_balancer(name="lab-check", vip_subnet_id=subnet.id)
    user.load_balancer.wait_for_load_balancer(made.id, wait=60)
    user.load_balancer.delete_load_balancer(made, cascade=True)
    user.load_balancer.wait_for_delete(made, wait=60)


def ensure(condition: bool, what: str) -> None:
    if not condition:
        raise LabError(what)
