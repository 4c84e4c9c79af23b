# SPDX-License-Identifier: GPL-3.0-or-later
"""The OpenStack adapter against a real Keystone, Nova, Neutron, Glance and Cinder."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import COMPUTE, IMAGE, VOLUME, Client
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.cloud import OpenStackCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Conflict,
    Denied,
    Exhausted,
    FleetError,
    Invalid,
    Transient,
)
from ansible_collections.immutable.fleet.tests.labs.openstack.site import PASSWORD, Site
from ansible_collections.immutable.fleet.tests.system.openstack_lab import (
    CALL_TIMEOUT,
    MARKS,
    NO_NETWORK,
    TEMPLATE,
    client,
    now,
    pool,
    use_or_skip,
)

pytestmark = MARKS


@pytest.fixture(scope="module", autouse=True)
def _lab() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        use_or_skip(environment)
        yield


def test_a_machines_life_costs_four_writes() -> None:
    """Ports, server, delete, port; every fact is in the list, and nothing is left."""
    with pool(user_data="join ${token}") as web:
        machine = web.machine(3, "az2", token="abc")
        web.cloud.create(machine)
        (vm,) = web.until_all("running", 1)
        alike = {"id": "", "created_at": machine.created_at, "running_since": None, "addresses": (), "provider_id": "", "system_uuid": ""}
        assert replace(vm, **alike) == type(vm)(
            id="",
            name=machine.name,
            status="running",
            created_at=machine.created_at,
            slot=3,
            revision=web.revision.id,
            fields=web.revision.fields,
            failure_domain="az2",
        )
        assert abs(vm.created_at - machine.created_at) < CALL_TIMEOUT
        assert vm.running_since is not None
        assert (vm.provider_id, vm.system_uuid, len(vm.addresses)) == (f"openstack:///{vm.id}", vm.id, 1)

        deleted_at = now()
        web.cloud.delete(vm)
        listing = web.until("its end in a delta", lambda seen: vm.id in seen.gone and seen.leftovers, since=deleted_at)
        assert [(left.kind, left.name, left.machine) for left in listing.leftovers or ()] == [("port", f"{machine.name}-0", machine.name)]
        for leftover in listing.leftovers or ():
            web.cloud.clear(leftover)
            web.cloud.clear(leftover)
        web.cloud.delete(vm)
        assert (web.list().vms, web.list().leftovers, web.ports()) == ((), (), [])
        assert web.transport.writes() == [
            "POST network /ports",
            "POST compute /servers",
            "DELETE compute /servers",
            "DELETE network /ports",
            "DELETE network /ports",  # once more, on purpose
            "DELETE compute /servers",
        ]


def test_FM26_a_machine_whose_reply_was_lost_is_found_by_its_name() -> None:
    """With its port: nothing was sent after the loss, and the list has it within the call timeout."""
    with pool() as web:
        web.transport.loses_reply_to = "POST compute /servers"
        machine = web.machine(0)
        with pytest.raises(Transient):
            web.cloud.create(machine)
        listing = web.until("it is listed", lambda seen: bool(seen.vms))
        assert [vm.name for vm in listing.vms] == [machine.name]
        assert web.ports() == [f"{machine.name}-0"]


def test_FM26_ports_whose_reply_was_lost_are_leftovers() -> None:
    """No server was asked for, and the next list finds the ports."""
    with pool() as web:
        web.transport.loses_reply_to = "POST network /ports"
        machine = web.machine(0)
        with pytest.raises(Transient):
            web.cloud.create(machine)
        listing = web.list()
        assert (listing.vms, [left.machine for left in listing.leftovers or ()]) == ((), [machine.name])


def test_FM22_refused_creates_leave_no_port() -> None:
    """A full quota, an unknown zone: the number of ports does not grow."""
    with pool(cloud="small", networks=[{"network": "small-net"}]) as web:
        for slot in range(2):
            web.cloud.create(web.machine(slot))
        web.until_all("running", 2)  # Nova's quota does not see servers that are not yet in a cell
        for slot in range(2, 5):
            with pytest.raises(Exhausted, match="Quota exceeded for instances: Requested 1, but already used 2 of 2"):
                web.cloud.create(web.machine(slot))
        assert len(web.ports()) == 2
        assert web.list().leftovers == ()
    with pool() as web:
        with pytest.raises(Invalid, match="availability zone is not available"):
            web.cloud.create(web.machine(0, "az9"))
        assert web.ports() == []


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"metadata": {"lab_fail": "abort"}}, "aborted: lab_fail=abort"),
        ({"flavor": "m1.impossible"}, "No valid host was found."),
    ],
    ids=["build failure", "no valid host"],
)
def test_FM24_a_failed_build_tells_why_and_leaves_no_port(options: dict[str, Any], fault: str) -> None:
    """ERROR with the cloud's words; its port is idle while it stands there, and goes after it (FM22)."""
    with pool(**options) as web:
        web.cloud.create(web.machine(0))
        (vm,) = web.until_all("error", 1)
        assert fault in vm.fault
        assert web.list().leftovers == ()
        web.cloud.delete(vm)
        for leftover in web.until("gone", lambda seen: not seen.vms).leftovers or ():
            web.cloud.clear(leftover)
        assert web.ports() == []


def test_FM23_boot_volumes_go_with_their_machine() -> None:
    """Nova makes and removes them: none of Cinder's replies can be lost by us. In a project whose volumes nobody else counts."""
    with pool(**NO_NETWORK, cloud="small", boot_volume={"size": 1, "type": "fast"}) as web:
        web.cloud.create(web.machine(0))
        (vm,) = web.until_all("running", 1)
        server = web.raw("GET", f"/servers/{vm.id}")["server"]
        (volume,) = server["os-extended-volumes:volumes_attached"]
        assert client("small").request("GET", VOLUME, f"/volumes/{volume['id']}")["volume"]["volume_type"] == "fast"
        web.cloud.delete(vm)
        web.until("gone", lambda seen: not seen.vms)
        volumes = client("small").request("GET", VOLUME, "/volumes")["volumes"]
        assert volume["id"] not in {left["id"] for left in volumes}


def test_FM25_two_marks_of_three_suffice() -> None:
    """A legacy playbook strips metadata; a person renames, or takes the tag away."""
    with pool(**NO_NETWORK) as web:
        web.cloud.create(web.machine(7))
        (vm,) = web.until_all("running", 1)
        path, tag = f"/servers/{vm.id}", f"/tags/immutable.fleet.pool={web.name}"

        def seen() -> list[tuple[int, int | None, str]]:
            return [(found.proofs, found.slot, found.revision) for found in web.list().vms]

        web.raw("PUT", f"{path}/metadata", {"metadata": {"app": "legacy"}})
        assert seen() == [(2, 7, vm.revision)]
        web.raw("PUT", f"{path}/metadata", {"metadata": {"immutable.fleet.pool": web.name, "immutable.fleet.slot": "7"}})
        web.raw("PUT", path, {"server": {"name": "renamed"}})
        assert seen() == [(2, 7, vm.revision)]
        web.raw("PUT", path, {"server": {"name": vm.name}})
        web.raw("DELETE", f"{path}{tag}")
        assert seen() == [(2, 7, vm.revision)]
        web.raw("PUT", f"{path}/metadata", {"metadata": {}})
        assert [(found.proofs, found.is_ours) for found in web.list().vms] == [(1, False)]


def test_a_leftover_that_somebody_bound_is_not_deleted() -> None:
    """Neutron would delete it under a running server."""
    with pool() as web:
        web.transport.loses_reply_to = "POST network /ports"
        with pytest.raises(Transient):
            web.cloud.create(web.machine(0))
        (leftover,) = web.list().leftovers or ()
        client().request("PUT", "network", f"/ports/{leftover.id}", body={"port": {"device_id": "somebody"}})
        with pytest.raises(Conflict):
            web.cloud.clear(leftover)
        client().request("PUT", "network", f"/ports/{leftover.id}", body={"port": {"device_id": ""}})


def test_one_server_group_however_many_creates_at_once() -> None:
    """Made when it is missing, then found by every later run."""
    group = f"spread-{secrets.token_hex(3)}"
    with pool(**NO_NETWORK, server_group=group) as web:
        machines = [web.machine(slot) for slot in range(3)]
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(web.cloud.create, machines))
        assert web.transport.writes().count("POST compute /os-server-groups") == 1
        groups = [found for found in web.raw("GET", "/os-server-groups")["server_groups"] if found["name"] == group]
        assert [(found["policy"], len(found["members"])) for found in groups] == [("soft-anti-affinity", 3)]
        web.until_all("running", 3)
        assert web.cloud.resolve() == web.revision
    web.raw("DELETE", f"/os-server-groups/{groups[0]['id']}")


def make_image(name: str, content: bytes) -> str:
    """The id of a new image with these bytes."""
    raw = client()
    body = {"name": name, "disk_format": "raw", "container_format": "bare"}
    image_id = str(raw.request("POST", IMAGE, "/images", body=body)["id"])
    url = f"{raw._endpoint(IMAGE)}/images/{image_id}/file"
    raw._session.put(url, data=content, headers={"Content-Type": "application/octet-stream"})
    return image_id


def rename_image(image_id: str, name: str) -> None:
    raw = client()
    patch = [{"op": "replace", "path": "/name", "value": name}]
    headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    raw._open()
    raw._session.patch(f"{raw._endpoint(IMAGE)}/images/{image_id}", data=json.dumps(patch), headers=headers)


def test_FM37_an_image_is_resolved_once() -> None:
    """A name that means two images is refused with both ids; a pinned one stays when its name moves on."""
    name = f"moving-{secrets.token_hex(3)}"
    first = make_image(name, b"one")
    options = parse_options({**TEMPLATE, **NO_NETWORK, "image": name})
    cloud = OpenStackCloud("sys-images", options, call_timeout=CALL_TIMEOUT, now=now)
    before = cloud.resolve()
    second = make_image(name, b"two")
    try:
        with pytest.raises(Invalid, match=f"means 2 images: {', '.join(sorted([first, second]))}"):
            cloud.resolve()
        rename_image(first, f"{name}-old")
        after = cloud.resolve()
        assert (before.image["id"], after.image["id"]) == (first, second)
        assert before.id != after.id
        assert cloud.resolve(before.image) == before
    finally:
        for image_id in (first, second):
            client().request("DELETE", IMAGE, f"/images/{image_id}")
    with pytest.raises(Invalid, match="which this rollout pinned"):
        cloud.resolve(before.image)


@pytest.mark.parametrize(
    ("connection", "kind", "where"),
    [
        ({"cloud": "nowhere"}, Invalid, "openstack.cloud"),
        ({"cloud": "user-password", "auth": {"password": "s3cret"}}, Denied, "openstack.auth"),
        (
            {"cloud": "user-password", "auth": {"auth_url": "http://127.0.0.1:9/v3", "password": "s3cret"}},
            Transient,
            "openstack.auth.auth_url",
        ),
        ({"cloud": "user-password", "auth": {"password": ""}}, Invalid, "openstack.auth"),
    ],
    ids=["unknown cloud", "wrong password", "nobody there", "no password"],
)
def test_connecting_fails_as_our_errors(connection: dict[str, Any], kind: type[FleetError], where: str) -> None:
    """Each says who acts; none shows the password."""
    with pytest.raises(kind) as raised:
        Client(connection, CALL_TIMEOUT, now).request("GET", COMPUTE, "/servers")
    assert raised.value.where == where
    assert "s3cret" not in str(raised.value)


def test_the_environment_is_a_login_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """OS_* as of an openrc file, beside a clouds.yaml; the same project as by that."""
    login = {"AUTH_URL": Site.from_environment().keystone, "USERNAME": "lab", "PASSWORD": PASSWORD, "PROJECT_NAME": "lab"}
    for name, value in {**login, "USER_DOMAIN_NAME": "Default", "PROJECT_DOMAIN_NAME": "Default"}.items():
        monkeypatch.setenv(f"OS_{name}", value)
    assert Client({}, CALL_TIMEOUT, now).project_id() == client().project_id()


def test_a_call_that_takes_too_long_is_transient() -> None:
    """Nothing is known about it."""
    with pytest.raises(Transient):
        Client({"cloud": "user"}, timedelta(milliseconds=1), now).request("GET", COMPUTE, "/servers")
