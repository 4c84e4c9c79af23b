# SPDX-License-Identifier: GPL-3.0-or-later
"""Names to ids, and the refusals on the way."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.resolve import Nic, Resolved, resolve, revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid, NotFound
from ansible_collections.immutable.fleet.tests.unit.clouds.openstack.fakes import FakeTransport

ID = "0cb2f73e-ca0f-4fd6-8baa-999a6b51c56c"
IMAGE = {"id": "i1", "name": "golden", "status": "active", "os_hash_algo": "sha512", "os_hash_value": "ab", "checksum": "cd"}
WORLD: dict[str, Any] = {
    "GET image /images": {"images": [IMAGE]},
    f"GET image /images/{ID}": {**IMAGE, "id": ID},
    "GET compute /flavors/detail": {
        "flavors": [
            {"id": "f1", "name": "m1", "vcpus": 2, "ram": 4096, "disk": 20},
            {"id": "f2", "name": "m2", "vcpus": 4, "ram": 512, "disk": 0},
        ]
    },
    "GET compute /os-keypairs/ops": {"keypair": {"name": "ops"}},
    "GET compute /os-server-groups": {"server_groups": [{"id": "sg1", "name": "spread"}]},
    "GET network /networks": {"networks": [{"id": "n1", "name": "net", "project_id": "p1"}]},
    "GET network /subnets": {"subnets": [{"id": "s2", "name": "sub", "project_id": "p1", "network_id": "n2"}]},
    "GET network /security-groups": {
        "security_groups": [
            {"id": "g9", "name": "default", "project_id": "p1"},
            {"id": "g0", "name": "default", "project_id": "another"},
            {"id": "g1", "name": "web", "project_id": "p1"},
        ]
    },
    "GET block-storage /types": {"volume_types": [{"id": "t1", "name": "fast"}]},
}
BARE = {"image": "golden", "flavor": "m1"}
FULL = {
    **BARE,
    "networks": [{"network": "net"}, {"subnet": "sub", "security_groups": [], "fixed_ips": ["10.0.0.1"], "port_security": False}],
    "security_groups": ["web", "default"],
    "key_name": "ops",
    "server_group": "spread",
    "config_drive": True,
    "boot_volume": {"size": 20, "type": "fast"},
}


def resolved(given: dict[str, Any], pinned: dict[str, str] | None = None, **world: Any) -> tuple[Resolved, FakeTransport]:
    transport = FakeTransport({**WORLD, **world})
    return resolve(transport, parse_options(given).template, pinned or {}), transport


def refusal(given: dict[str, Any], pinned: dict[str, str] | None = None, **world: Any) -> tuple[str, str]:
    with pytest.raises(Invalid) as raised:
        resolved(given, pinned, **world)
    return raised.value.what, raised.value.where


def test_everything_by_name() -> None:
    """One call for each kind; of two groups `default` the project's own."""
    found, transport = resolved(FULL)
    assert found == Resolved(
        image_id="i1",
        image_digest="sha512:ab",
        flavor_id="f1",
        cores=2,
        memory_mib=4096,
        nics=(
            Nic(network_id="n1", security_group_ids=("g1", "g9")),
            Nic(network_id="n2", subnet_id="s2", fixed_ips=("10.0.0.1",), port_security=False),
        ),
        security_group_ids=("g1", "g9"),
        server_group_id="sg1",
        image_name="golden",
    )
    assert sorted(transport.calls) == sorted(call for call in WORLD if ID not in call)


@pytest.mark.parametrize(
    ("given", "call", "query", "image_id"),
    [
        ({"image": "golden"}, "GET image /images", [("name", "golden")], "i1"),
        ({"image": ID}, f"GET image /images/{ID}", [], ID),
        (
            {"image_properties": {"role": "golden", "os_distro": "debian"}},
            "GET image /images",
            [("os_distro", "debian"), ("role", "golden")],
            "i1",
        ),
    ],
    ids=["by name", "by ID", "by properties"],
)
def test_an_image_is_found_by_what_is_given(given: dict[str, Any], call: str, query: list[tuple[str, str]], image_id: str) -> None:
    """All the same image in the end, by its ID and digest."""
    found, transport = resolved({"flavor": "m1", **given})
    asked = transport.queries[transport.calls.index(call)]
    assert (found.image_id, found.image_digest) == (image_id, "sha512:ab")
    assert [pair for pair in asked if pair[0] != "limit"] == query


GIB = 1 << 30


@pytest.mark.parametrize(
    ("image", "given", "expected"),
    [
        pytest.param({"min_ram": 4096, "min_disk": 20, "size": 20 * GIB}, {}, None, id="just enough"),
        pytest.param(
            {"min_ram": 8192},
            {},
            ("the image golden needs 8192 MiB of RAM, the flavor m1 has 4096; expected a flavor with that much", "openstack.flavor"),
            id="min_ram above the flavor's",
        ),
        pytest.param(
            {"min_disk": 40},
            {},
            (
                "the image golden needs 40 GiB of disk, the flavor m1 has 20; expected a larger flavor, or openstack.boot_volume",
                "openstack.flavor",
            ),
            id="min_disk above the flavor's",
        ),
        pytest.param(
            {"size": GIB, "virtual_size": 20 * GIB + 1},
            {},
            (
                "the image golden needs 21 GiB of disk, the flavor m1 has 20; expected a larger flavor, or openstack.boot_volume",
                "openstack.flavor",
            ),
            id="what it unpacks to is larger: Nova would find out when it builds",
        ),
        pytest.param({"min_disk": 40}, {"flavor": "m2"}, None, id="a flavor of 0 GiB takes any image"),
        pytest.param({"min_disk": 40}, {"boot_volume": {"size": 40}}, None, id="with a boot volume the flavor's disk says nothing"),
        pytest.param(
            {"min_disk": 40},
            {"boot_volume": {"size": 30}},
            ("the image golden needs 40 GiB, the boot volume has 30; expected 40 or more", "openstack.boot_volume.size"),
            id="a boot volume that is too small",
        ),
    ],
)
def test_FM27_an_image_that_does_not_fit_is_refused(image: dict[str, Any], given: dict[str, Any], expected: tuple[str, str] | None) -> None:
    """What Nova would refuse with each create, or end in ERROR: before anything is touched, with the numbers that were compared."""
    world = {"GET image /images": {"images": [{**IMAGE, **image}]}}
    if expected is None:
        assert resolved({**BARE, **given}, **world)[0].image_id == "i1"
    else:
        assert refusal({**BARE, **given}, **world) == expected


def test_the_least_is_two_calls() -> None:
    """Image and flavor."""
    assert sorted(resolved(BARE)[1].calls) == ["GET compute /flavors/detail", "GET image /images"]


def test_the_revision_holds_ids_and_digests_and_no_text_of_the_user_data() -> None:
    """Defaults are left out; user data may hold a secret and is written on machines as a digest only."""
    template = parse_options(FULL, "password: s3cret").template
    made = revision(template, resolved(FULL)[0])
    assert made.fields == {
        "image": "sha512:ab",
        "flavor": "f1",
        "networks": '[["n1","",["g1","g9"],null],["n2","s2",[],false]]',
        "key_name": "ops",
        "server_group": "spread",
        "config_drive": "true",
        "boot_volume": "20GiB fast",
        "user_data": "sha256:" + hashlib.sha256(b"password: s3cret").hexdigest(),
    }
    assert made.image == {"asked": "golden", "name": "golden", "id": "i1", "digest": "sha512:ab"}
    bare = revision(parse_options(BARE).template, resolved(BARE)[0])
    assert bare.fields == {"image": "sha512:ab", "flavor": "f1"}


def test_FM37_a_pinned_image_stays_whatever_its_name_means_by_now() -> None:
    """Until the variables ask for another one."""
    pinned = {"asked": "golden", "id": ID, "digest": "sha512:ab"}
    assert resolved(BARE, pinned)[0].image_id == ID
    assert resolved({**BARE, "image": "other"}, pinned)[0].image_id == "i1"


def test_FM37_a_pinned_image_that_is_gone_is_told() -> None:
    """It is not silently replaced by what the name means now."""
    gone = {f"GET image /images/{ID}": NotFound(what="")}
    assert refusal(BARE, {"asked": "golden", "id": ID}, **gone) == (
        f"the image {ID}, which this rollout pinned for golden, is gone",
        "openstack.image",
    )


@pytest.mark.parametrize(
    ("image", "digest"),
    [({"os_hash_value": None}, "md5:cd"), ({"os_hash_value": None, "checksum": None}, "id:i1")],
    ids=["no modern hash", "a volume's snapshot"],
)
def test_an_image_without_a_hash_has_the_next_best_identity(image: dict[str, Any], digest: str) -> None:
    """Backends and snapshots without data have none."""
    world = {"GET image /images": {"images": [{**IMAGE, **image}]}}
    assert resolved(BARE, **world)[0].image_digest == digest


@pytest.mark.parametrize(
    ("given", "world", "what", "where"),
    [
        ({"flavor": "m1"}, {}, "missing; expected the name or ID of an image, or image_properties", "openstack.image"),
        ({"image": "golden"}, {}, "missing; expected the name or ID of a flavor", "openstack.flavor"),
        (BARE, {"GET image /images": {"images": []}}, "there is no image 'golden'", "openstack.image"),
        (
            BARE,
            {"GET image /images": {"images": [IMAGE, {**IMAGE, "id": "i0"}]}},
            "'golden' means 2 images: i0, i1; expected one, or its ID",
            "openstack.image",
        ),
        (
            {"image_properties": {"role": "golden"}, "flavor": "m1"},
            {"GET image /images": {"images": [IMAGE, {**IMAGE, "id": "i0"}]}},
            "'role=golden' means 2 images: i0, i1; expected one, or its ID",
            "openstack.image_properties",
        ),
        (
            BARE,
            {"GET image /images": {"images": [{**IMAGE, "status": "queued"}]}},
            "the image golden is queued; expected active",
            "openstack.image",
        ),
        ({**BARE, "image": ID}, {f"GET image /images/{ID}": NotFound(what="")}, f"the image {ID} does not exist", "openstack.image"),
        ({**BARE, "flavor": "m9"}, {}, "there is no flavor 'm9'; there are m1, m2", "openstack.flavor"),
        (
            {**BARE, "networks": [{"network": "net"}, {"network": "nope"}]},
            {},
            "there is no network 'nope'",
            "openstack.networks[].network",
        ),
        (
            {**BARE, "networks": [{"network": "net", "subnet": "sub"}]},
            {},
            "the subnet 'sub' is not of the network 'net'",
            "openstack.networks[0]",
        ),
        ({**BARE, "security_groups": ["nope"]}, {}, "there is no security group 'nope'", "openstack.security_groups"),
        (
            {**BARE, "key_name": "ops"},
            {"GET compute /os-keypairs/ops": NotFound(what="")},
            "this user has no key pair 'ops'",
            "openstack.key_name",
        ),
        ({**BARE, "server_group": ID}, {}, f"there is no server group {ID}", "openstack.server_group"),
        (
            {**BARE, "boot_volume": {"size": 1, "type": "slow"}},
            {},
            "there is no volume type 'slow'; there are fast",
            "openstack.boot_volume.type",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_name_that_means_nothing_or_two_things(given: dict[str, Any], world: dict[str, Any], what: str, where: str) -> None:
    """What was expected, what was found, and which option."""
    assert refusal(given, **world) == (what, where)


def test_ids_and_names_of_one_kind_are_two_calls() -> None:
    """Neutron joins filters on different attributes by AND. Both may mean the same network."""
    network = {"id": ID, "name": "net", "project_id": "p1"}
    given = {**BARE, "networks": [{"network": ID}, {"network": "net"}]}
    found, transport = resolved(given, **{"GET network /networks": {"networks": [network]}})
    asked = [query[0] for call, query in zip(transport.calls, transport.queries, strict=True) if call == "GET network /networks"]
    assert (found.nics, asked) == ((Nic(network_id=ID), Nic(network_id=ID)), [("id", ID), ("name", "net")])
