# SPDX-License-Identifier: GPL-3.0-or-later
"""vCenter's values to ours and back."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere import convert
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.inventory import read_inventory
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.resolve import resolve
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import TYPE, Ref, data
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.ways import Way
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.tests.unit.clouds.vsphere.fakes import DS_A, GIVEN, MACHINE, NOW, PG, FakeTransport

VM = Ref("vim.VirtualMachine", "vm-30")
UUID = "4230AAAA-0000-0000-0000-000000000009"
MARKS = {"value": json.dumps(convert.marks_for(MACHINE, "web", ("10.0.0.10", "")))}
NOTE = convert.annotation(MACHINE, "web")
SEEN = {
    "name": "web-0-aaaaa",
    "config.uuid": UUID,
    "config.annotation": NOTE,
    convert.MARKS_PATH: MARKS,
    "runtime.powerState": "poweredOn",
    "runtime.connectionState": "connected",
    "guest.ipAddress": "10.0.0.99",
}


def cloned(machine: Any = MACHINE, user_data: str = "", addresses: tuple[str, ...] = (), **given: Any) -> dict[str, Any]:
    """The specification of a clone."""
    transport, template = FakeTransport(), parse_options({**GIVEN, **given}, user_data).template
    resolved = resolve(transport, read_inventory(transport), template, (), {})
    way = Way(source=resolved.source, store=resolved.sites[""].stores[0])
    arguments = convert.clone_arguments(machine, "web", template, resolved, way=way, addresses=addresses, user_data=user_data)
    spec: dict[str, Any] = arguments["spec"]
    return spec


def extra(spec: dict[str, Any]) -> dict[str, str]:
    return {option["key"]: option["value"] for option in spec["config"]["extraConfig"]}


def test_what_a_clone_writes_is_what_a_list_reads() -> None:
    """Everything that was chosen before the call comes back."""
    found = convert.vm_of(VM, SEEN, "web", timedelta(0))
    assert found == vm.Vm(
        id="vm-30",
        name="web-0-aaaaa",
        status=vm.RUNNING,
        created_at=NOW,
        slot=0,
        revision="r",
        fields={"image": "sha256:ab"},
        provider_id=f"vsphere://{UUID.lower()}",
        system_uuid=UUID.lower(),
        addresses=("10.0.0.99", "10.0.0.10"),
    )


@pytest.mark.parametrize(
    ("missing", "proofs", "revision"),
    [
        pytest.param({convert.MARKS_PATH: None}, 2, "r", id="FM25 marks stripped: name and annotation are enough, and tell the revision"),
        pytest.param({"config.annotation": None}, 2, "r", id="FM25 annotation rewritten"),
        pytest.param({"name": "renamed"}, 2, "r", id="FM25 renamed"),
        pytest.param({convert.MARKS_PATH: None, "config.annotation": None}, 1, "", id="the name alone"),
        pytest.param({convert.MARKS_PATH: {"value": "no json"}}, 2, "r", id="somebody else's text in our key"),
    ],
)
def test_FM25_two_of_three_marks_make_it_ours(missing: dict[str, Any], proofs: int, revision: str) -> None:
    found = convert.vm_of(VM, {**SEEN, **missing}, "web", timedelta(0))
    assert found is not None
    assert (found.proofs, found.is_ours, found.revision, found.slot) == (proofs, proofs >= 2, revision, 0 if proofs > 1 else found.slot)


@pytest.mark.parametrize(
    "other", [{"name": "db-0-aaaaa", convert.MARKS_PATH: None, "config.annotation": ""}, {"config.template": True}, {}]
)
def test_what_is_not_the_pools_is_not_listed(other: dict[str, Any]) -> None:
    found = {**SEEN, **other} if other else {}
    assert convert.vm_of(VM, found, "web", timedelta(0)) is None


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({}, vm.RUNNING),
        ({"runtime.powerState": "poweredOff"}, vm.STOPPED),
        ({"runtime.powerState": "suspended"}, vm.RUNNING),
        ({"runtime.powerState": "poweredOff", "runtime.connectionState": "disconnected"}, vm.RUNNING),
        ({"runtime.connectionState": "inaccessible"}, vm.RUNNING),
        ({"runtime.connectionState": "orphaned"}, vm.ERROR),
        ({"runtime.connectionState": "invalid"}, vm.ERROR),
    ],
)
def test_a_state_is_a_status(facts: dict[str, str], status: str) -> None:
    """What its host does not speak of is taken to run, and what is suspended will go on: no evidence of harm."""
    found = convert.vm_of(VM, {**SEEN, **facts}, "web", timedelta(0))
    assert found is not None
    assert found.status == status


def test_a_vm_without_a_configuration_is_being_made() -> None:
    """A clone is listed by its name at first: it exists, and whose it is says only the name."""
    found = convert.vm_of(VM, {"name": "web-3-bbbbb"}, "web", timedelta(0))
    assert found is not None
    assert (found.status, found.proofs, found.slot, found.provider_id) == (vm.BUILDING, 1, 3, "")


def test_one_call_has_everything_inline() -> None:
    """Place, marks, name, power: nothing is reconfigured after it."""
    spec = cloned(hardware={"num_cpus": 4, "memory_mb": 4096}, advanced_settings={"disk.EnableUUID": True})
    config = spec["config"]
    assert (spec["powerOn"], spec["template"], spec["location"]["datastore"]) == (True, False, DS_A)
    assert (config["numCPUs"], config["memoryMB"], config["instanceUuid"]) == (4, 4096, convert.instance_uuid("web-0-aaaaa"))
    assert config["annotation"].splitlines()[1:] == ["immutable.fleet.pool=web", "immutable.fleet.revision=r"]
    assert extra(spec)["disk.EnableUUID"] == "TRUE"
    assert json.loads(extra(spec)["immutable.fleet.marks"])["immutable.fleet.field.image"] == "sha256:ab"
    assert "deviceChange" not in config


def test_a_linked_clone_names_its_snapshot() -> None:
    spec = cloned(linked_clone=True)
    assert (spec["snapshot"].id, spec["location"]["diskMoveType"]) == ("snapshot-21", "createNewChildDiskBacking")


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        pytest.param(None, [], id="the template's own"),
        pytest.param([{"name": "pg-nodes"}], [("edit", 4000)], id="the card is put on another network"),
        pytest.param([{"name": "pg-nodes"}, {"name": "VM Network"}], [("edit", 4000), ("add", -2)], id="one card more"),
        pytest.param([], [("remove", 4000)], id="none"),
    ],
)
def test_cards_are_put_on_the_networks(networks: Any, expected: list[tuple[str, int]]) -> None:
    changes = cloned(networks=networks)["config"].get("deviceChange") or []
    assert [(change["operation"], change["device"]["key"]) for change in changes] == expected
    assert all("macAddress" not in change["device"] for change in changes if change["operation"] == "edit")


def test_a_port_group_is_named_by_its_switch_and_a_network_by_its_name() -> None:
    changes = cloned(networks=[{"name": "pg-nodes"}, {"name": "VM Network"}])["config"]["deviceChange"]
    group, plain = (change["device"]["backing"] for change in changes)
    assert group["port"] == data("vim.dvs.PortConnection", portgroupKey=PG.id, switchUuid="50 1e")
    assert (plain[TYPE].rpartition(".")[2], plain["deviceName"]) == ("NetworkBackingInfo", "VM Network")


def test_cloud_init_gets_a_name_and_its_user_data() -> None:
    settings = extra(cloned(user_data="#cloud-config\n"))
    assert json.loads(base64.b64decode(settings["guestinfo.metadata"])) == {"instance-id": "web-0-aaaaa", "local-hostname": "web-0-aaaaa"}
    assert settings["guestinfo.userdata.encoding"] == "gzip+base64"
    assert gzip.decompress(base64.b64decode(settings["guestinfo.userdata"])) == b"#cloud-config\n"
    assert "guestinfo.userdata" not in extra(cloned())


def test_cloud_init_gets_static_addresses() -> None:
    """Netplan's version 2; an interface that has none is asked to use DHCP."""
    static = {"addresses": ["10.0.0.10"], "prefix_length": 24, "gateway": "10.0.0.1", "dns_servers": ["10.0.0.2"], "dns_search": ["lab"]}
    networks = [{"name": "pg-nodes", "guest_device": "ens192", **static}, {"name": "pg-nodes", "guest_device": "ens224"}]
    settings = extra(cloned(networks=networks, addresses=("10.0.0.10", "")))
    assert json.loads(base64.b64decode(settings["guestinfo.metadata"]))["network"] == {
        "version": 2,
        "ethernets": {
            "nic0": {
                "match": {"name": "ens192"},
                "dhcp4": False,
                "addresses": ["10.0.0.10/24"],
                "routes": [{"to": "0.0.0.0/0", "via": "10.0.0.1"}],
                "nameservers": {"addresses": ["10.0.0.2"], "search": ["lab"]},
            },
            "nic1": {"match": {"name": "ens224"}, "dhcp4": True},
        },
    }


def test_user_data_that_guestinfo_does_not_take_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "GUESTINFO_MAX", 8)
    with pytest.raises(Invalid, match="guestinfo takes 8"):
        cloned(user_data="long")


def test_a_machines_marks_do_not_change_with_its_slot() -> None:
    """Only what was chosen for it is in them; an empty value is left out."""
    marks = convert.marks_for(replace(MACHINE, slot=3, failure_domain="fd-a"), "web", ())
    assert (marks["immutable.fleet.slot"], marks["immutable.fleet.failure_domain"]) == ("3", "fd-a")
    assert "immutable.fleet.addresses" not in marks
