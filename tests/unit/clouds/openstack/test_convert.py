# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers and ports to values and back. recorded/*.json were taken from the OpenStack lab (release 2026.1)."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack import convert
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import BootVolume, Template
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.resolve import Nic, Resolved
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import BUILDING, ERROR, RUNNING, STOPPED, Leftover, NewMachine, Vm

RECORDED = Path(__file__).parent / "recorded"
SERVERS: dict[str, dict[str, Any]] = json.loads((RECORDED / "servers.json").read_text())
PORTS: dict[str, dict[str, Any]] = json.loads((RECORDED / "ports.json").read_text())
NO_SKEW = timedelta(0)
MACHINE = NewMachine(
    name="web-3-x7k2p",
    slot=3,
    failure_domain="az2",
    revision="0123456789ab",
    fields={"image": "sha512:ab", "flavor": "f1"},
    attempt=2,
    created_at=datetime(2026, 11, 21, 8, 0, tzinfo=UTC),
)
RESOLVED = Resolved(image_id="i1", image_digest="sha512:ab", flavor_id="f1", nics=())
PLAIN = Template()


def vm(recorded: str, /, pool: str = "rec", skew: timedelta = NO_SKEW, **changes: Any) -> Vm | None:
    return convert.vm_of({**SERVERS[recorded], **changes}, pool, skew)


def server(template: Template = PLAIN, resolved: Resolved = RESOLVED, **given: Any) -> dict[str, Any]:
    given = {"port_ids": [], "group_id": "", "user_data": "", **given}
    return convert.server_request(MACHINE, "web", template, resolved, **given)


def test_a_server_that_runs() -> None:
    """Every fact and mark of a real server, in the loop's clock."""
    assert vm("active", skew=timedelta(seconds=30)) == Vm(
        id="d3c0e92e-ad1b-4d5d-ba38-67fe992fc68a",
        name="rec-0-aaaaa",
        status="running",
        created_at=datetime(2026, 11, 21, 8, 34, 20, tzinfo=UTC),
        proofs=3,
        slot=0,
        revision="fffdb295a23f",
        fields={
            "flavor": "336b25d0-798d-4bf4-a8f2-769f0894a151",
            "image": "sha512:538b3ad0774a1b9ed03867bcb6ab5e77cd1a4744cc846318d56fffa46c0efe13"
            "0adf3ccdf5bf880ae6385dc630ffe8489e2efd8c33c05a8152c6352c12923c40",
            "networks": '[["fc5251a9-ce14-4596-921c-74d6447faa7e","",[],null]]',
        },
        failure_domain="az1",
        provider_id="openstack:///d3c0e92e-ad1b-4d5d-ba38-67fe992fc68a",
        system_uuid="d3c0e92e-ad1b-4d5d-ba38-67fe992fc68a",
        addresses=("10.20.0.96",),
        attempt=1,
        running_since=datetime(2026, 11, 21, 8, 34, 23, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("name", "status", "fault"),
    [
        ("building", "building", ""),
        ("active", "running", ""),
        ("no_valid_host", "error", "No valid host was found."),
        ("aborted", "error", "Build of instance b4a3bbff-8ac6-4925-ac6b-d31cc9956c97 aborted: lab_fail=abort"),
        ("deleting", "deleting", ""),
    ],
)
def test_status_and_fault(name: str, status: str, fault: str) -> None:
    """A task of deleting counts before the status, which stays ACTIVE until the server is gone."""
    seen = vm(name)
    assert seen is not None
    assert (seen.status, seen.fault) == (status, fault)


@pytest.mark.parametrize(
    ("says", "status"),
    [
        pytest.param("ACTIVE", RUNNING, id="ACTIVE"),
        pytest.param("BUILD", BUILDING, id="BUILD"),
        pytest.param("ERROR", ERROR, id="ERROR"),
        pytest.param("HARD_REBOOT", RUNNING, id="HARD_REBOOT: its power is pulled and comes back"),
        pytest.param("MIGRATING", RUNNING, id="MIGRATING"),
        pytest.param("PASSWORD", RUNNING, id="PASSWORD"),
        pytest.param("PAUSED", RUNNING, id="PAUSED: in memory, and goes on in the middle of a write"),
        pytest.param("REBOOT", RUNNING, id="REBOOT: its guest was asked, and may take its time"),
        pytest.param("REBUILD", BUILDING, id="REBUILD: from its image anew"),
        pytest.param("RESCUE", RUNNING, id="RESCUE: another system runs on its disks"),
        pytest.param("RESIZE", RUNNING, id="RESIZE: it is down, and started elsewhere in a moment"),
        pytest.param("REVERT_RESIZE", RUNNING, id="REVERT_RESIZE: the same"),
        pytest.param("SHELVED", STOPPED, id="SHELVED: off"),
        pytest.param("SHELVED_OFFLOADED", STOPPED, id="SHELVED_OFFLOADED: off, and on no hypervisor"),
        pytest.param("SHUTOFF", STOPPED, id="SHUTOFF"),
        pytest.param("SUSPENDED", RUNNING, id="SUSPENDED: as paused, its memory on disk"),
        pytest.param("UNKNOWN", RUNNING, id="UNKNOWN: nobody knows"),
        pytest.param("VERIFY_RESIZE", RUNNING, id="VERIFY_RESIZE: it runs, and waits for a person's word"),
    ],
)
def test_STOPPED_is_said_only_of_servers_that_come_back_by_a_boot(says: str, status: str) -> None:
    """With a silent kubelet it is the proof that no pod runs: by it pods and volumes are let go."""
    seen = convert.vm_of({**SERVERS["active"], "status": says}, "rec", NO_SKEW)
    assert seen is not None
    assert seen.status == status


@pytest.mark.parametrize("status", ["DELETED", "SOFT_DELETED"])
def test_a_deleted_server_is_gone(status: str) -> None:
    """Also one that an operator could still restore: it is off, and no delete of ours brings it further."""
    gone = {**SERVERS["active"], "status": status}
    assert (convert.is_gone(gone), convert.vm_of(gone, "rec", NO_SKEW)) == (True, None)
    assert convert.is_gone(SERVERS["deleted"])


def test_FM25_stripped_metadata_leaves_name_and_tag_which_suffice() -> None:
    """A playbook that rewrites metadata changes neither ownership, slot nor revision."""
    before, after = vm("active"), vm("active", metadata={"app": "legacy"})
    assert before is not None
    assert after == replace(before, proofs=2, fields={})
    assert after.is_ours


@pytest.mark.parametrize(
    ("changes", "proofs", "slot", "is_ours"),
    [
        ({"tags": []}, 2, 0, True),
        ({"name": "renamed"}, 2, 0, True),
        ({"name": "renamed", "metadata": {}}, 1, None, False),
        ({"tags": [], "metadata": {}}, 1, 0, False),
        ({"tags": [], "name": "renamed"}, 1, 0, False),
    ],
    ids=["tag stripped", "renamed", "only a tag", "only a name", "only metadata"],
)
def test_FM25_two_proofs_of_three(changes: dict[str, Any], proofs: int, slot: int | None, *, is_ours: bool) -> None:
    """One proof is counted and never touched."""
    seen = vm("active", **changes)
    assert seen is not None
    assert (seen.proofs, seen.slot, seen.is_ours) == (proofs, slot, is_ours)


def test_a_server_without_any_mark_is_nobodys() -> None:
    """Also when another pool's name begins with this one's."""
    assert vm("active", name="other", metadata={}, tags=[]) is None
    assert vm("active", pool="re") is None


def test_a_port_is_left_over_when_its_server_and_its_machine_are_gone() -> None:
    """Unbound or bound to a server that is no more; the port of a server in ERROR is unbound, and not left over."""
    left, bound = PORTS["left"], PORTS["bound"]
    assert convert.leftover_of(left, "rec", {"s1": "rec-0-aaaaa"}, NO_SKEW) == Leftover(
        kind="port",
        id="46a091c1-61a0-4a5b-9b4e-052e9a72e7fe",
        name="rec-1-bbbbb-0",
        machine="rec-1-bbbbb",
        created_at=datetime(2026, 11, 21, 8, 34, 51, tzinfo=UTC),
    )
    assert convert.leftover_of(left, "rec", {"s1": "rec-1-bbbbb"}, NO_SKEW) is None
    assert convert.leftover_of(bound, "rec", {bound["device_id"]: "renamed"}, NO_SKEW) is None
    assert convert.leftover_of(bound, "rec", {"s1": "rec-1-bbbbb"}, NO_SKEW) is not None


@pytest.mark.parametrize("changes", [{"name": "rec-1-bbbbb"}, {"name": "vip"}, {"description": ""}], ids=str)
def test_a_port_with_one_proof_is_not_ours_to_delete(changes: dict[str, str]) -> None:
    """Ports have two, name and description, and need both."""
    assert convert.leftover_of({**PORTS["left"], **changes}, "rec", {}, NO_SKEW) is None


def test_ports_of_a_machine() -> None:
    """One body for all interfaces; what is not asked for is Neutron's to choose."""
    nics = (
        Nic(network_id="n1", security_group_ids=("g1", "g2")),
        Nic(network_id="n2", subnet_id="s2", fixed_ips=("", "", "", "10.0.0.9"), port_security=False),
    )
    common = {"description": "immutable.fleet.pool=web", "admin_state_up": True}
    assert convert.ports_request(MACHINE, "web", replace(RESOLVED, nics=nics)) == {
        "ports": [
            {"network_id": "n1", "name": "web-3-x7k2p-0", "security_groups": ["g1", "g2"], **common},
            {
                "network_id": "n2",
                "name": "web-3-x7k2p-1",
                "fixed_ips": [{"subnet_id": "s2", "ip_address": "10.0.0.9"}],
                "port_security_enabled": False,
                "security_groups": [],
                **common,
            },
        ]
    }


def test_the_smallest_server() -> None:
    """Marks in name, metadata and tags; no key for what was not asked for."""
    assert convert.server_request(
        replace(MACHINE, failure_domain=""), "web", Template(), RESOLVED, port_ids=["p0"], group_id="", user_data=""
    ) == {
        "server": {
            "name": "web-3-x7k2p",
            "flavorRef": "f1",
            "imageRef": "i1",
            "metadata": {
                "immutable.fleet.field.image": "sha512:ab",
                "immutable.fleet.field.flavor": "f1",
                "immutable.fleet.pool": "web",
                "immutable.fleet.slot": "3",
                "immutable.fleet.revision": "0123456789ab",
                "immutable.fleet.created_at": "2026-11-21T08:00:00Z",
                "immutable.fleet.attempt": "2",
            },
            "tags": ["immutable.fleet.pool=web", "immutable.fleet.revision=0123456789ab"],
            "description": "Machine 3 of pool web, made by immutable.fleet",
            "networks": [{"port": "p0"}],
        }
    }


def test_a_server_with_everything() -> None:
    """Zone, group, volume, key, drive, user data; the user's metadata cannot hide our marks."""
    template = Template(
        key_name="ops",
        config_drive=True,
        boot_volume=BootVolume(size_gib=20, type="fast"),
        metadata={"team": "shop"},
        tags=("blue",),
    )
    request = server(template, port_ids=["p0", "p1"], group_id="sg1", user_data="#cloud-config é")
    made = request["server"]
    assert request["os:scheduler_hints"] == {"group": "sg1"}
    assert base64.b64decode(made["user_data"]).decode() == "#cloud-config é"
    assert (made["metadata"]["team"], made["tags"][-1]) == ("shop", "blue")
    assert {key: made[key] for key in ("availability_zone", "key_name", "config_drive", "networks")} == {
        "availability_zone": "az2",
        "key_name": "ops",
        "config_drive": True,
        "networks": [{"port": "p0"}, {"port": "p1"}],
    }
    assert "imageRef" not in made
    assert made["block_device_mapping_v2"] == [
        {
            "boot_index": 0,
            "uuid": "i1",
            "source_type": "image",
            "destination_type": "volume",
            "volume_size": 20,
            "volume_type": "fast",
            "delete_on_termination": True,
        }
    ]


def test_no_networks_and_networks_not_asked_for_differ() -> None:
    """An empty list means none; where nothing is said Nova chooses, and makes and removes the port itself."""
    chosen = server(resolved=replace(RESOLVED, nics=None, security_group_ids=("g1",)))["server"]
    assert (server()["server"]["networks"], chosen["networks"], chosen["security_groups"]) == ("none", "auto", [{"name": "g1"}])


def test_user_data_that_nova_would_refuse_is_refused_by_its_size() -> None:
    """With both numbers, and without the text."""
    with pytest.raises(Invalid) as refused:
        server(user_data="x" * 50_000)
    assert str(refused.value) == "66668 characters after base64; Nova takes 65535, about 48 KiB of text (user_data)"
