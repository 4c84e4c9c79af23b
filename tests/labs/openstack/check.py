# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the cloud do what the tests rely on? A server, a volume, a load balancer come and go, as a user makes them."""

import functools
import json
from typing import Any

from ..processes import LabError, Progress
from .site import Site

ACCEPTED, IMMUTABLE = 202, 409
# (additive, members that are sent, members afterwards), as {address: weight}
BATCHES: list[tuple[bool, dict[str, int], dict[str, int]]] = [
    (False, {"10.20.9.1": 1, "10.20.9.2": 1}, {"10.20.9.1": 1, "10.20.9.2": 1}),
    (True, {"10.20.9.2": 0, "10.20.9.3": 1}, {"10.20.9.1": 1, "10.20.9.2": 0, "10.20.9.3": 1}),
    (False, {"10.20.9.1": 1, "10.20.9.3": 1}, {"10.20.9.1": 1, "10.20.9.3": 1}),
]


def check(site: Site, say: Progress) -> None:
    """Some 10 s, and 20 more for the load balancer. Leaves nothing behind when all is well."""
    import openstack

    user = openstack.connect(load_envvars=False, **user_cloud(site))
    server(user)
    say("a server came and went")
    if "cinder" in site.services:
        volume(user)
        say("a volume came and went")
    if "octavia" in site.services:
        balancer(user)
        say("a load balancer came, changed its members in batches, and went")


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
    """With all that an adapter asks of it: a batch of members, another one that adds and changes, one that takes away."""
    service = user.load_balancer
    made = service.create_load_balancer(name="lab-check", vip_subnet_id=user.network.find_subnet("lab-net").id)
    try:
        service.wait_for_load_balancer(made.id, wait=60)
        settle = functools.partial(service.wait_for_load_balancer, made.id, wait=60)
        service.create_listener(name="lab-check", load_balancer_id=made.id, protocol="HTTP", protocol_port=8080)
        settle()
        listener = next(iter(service.listeners(load_balancer_id=made.id)))
        pool = service.create_pool(name="lab-check", listener_id=listener.id, protocol="HTTP", lb_algorithm="ROUND_ROBIN")
        settle()
        path = f"/v2.0/lbaas/pools/{pool.id}/members"
        for additive, weights, kept in BATCHES:
            batch = [{"name": name, "address": name, "protocol_port": 80, "weight": weight} for name, weight in weights.items()]
            answer = service.put(f"{path}?additive_only={additive}", json={"members": batch})
            ensure(answer.status_code == ACCEPTED, f"a batch of members was answered {answer.status_code}: {answer.text}")
            refused = service.put(f"{path}?additive_only={additive}", json={"members": batch})
            ensure(refused.status_code == IMMUTABLE, f"a second change at once was answered {refused.status_code}")
            settle()
            seen = {member.name: member.weight for member in service.members(pool.id)}
            ensure(seen == kept, f"the members are {seen}, not {kept}")
    finally:
        user.load_balancer.wait_for_load_balancer(made.id, wait=60, failures=[])
        user.load_balancer.delete_load_balancer(made, cascade=True)
    user.load_balancer.wait_for_delete(made, wait=60)


def ensure(condition: bool, what: str) -> None:
    if not condition:
        raise LabError(what)
