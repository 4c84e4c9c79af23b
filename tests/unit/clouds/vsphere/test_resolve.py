# SPDX-License-Identifier: GPL-3.0-or-later
"""Names to ids, and the refusals on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.hosts import host_for
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.inventory import find_template, read_inventory
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.resolve import Resolved, machine_gib, resolve, revision
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.templates import DIGEST_PATH
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import Ref, data
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.tests.unit.clouds.vsphere.fakes import (
    CLUSTER_A,
    DS_A,
    DS_B,
    FLEET,
    GIVEN,
    GOLDEN,
    MACHINE,
    PG,
    POOL_A,
    POOL_B,
    SUB_A,
    TEMPLATE,
    VM_ROOT,
    WORLD,
    FakeTransport,
)

TWIN = Ref("vim.VirtualMachine", "vm-21")


def resolved(
    given: dict[str, Any] | None = None,
    domains: tuple[str, ...] = (),
    pinned: dict[str, str] | None = None,
    world: dict[Ref, dict[str, Any]] | None = None,
    **answers: Any,
) -> Resolved:
    transport = FakeTransport({**WORLD, **(world or {})}, **answers)
    return resolve(transport, read_inventory(transport), parse_options({**GIVEN, **(given or {})}).template, domains, pinned or {})


def test_a_template_in_ids() -> None:
    found = resolved()
    assert (found.source.template, found.digest, found.version, found.folder) == (GOLDEN, "sha256:ab", "7", FLEET)
    assert (found.sites[""].pool, [store.ref for store in found.sites[""].stores]) == (POOL_A, [DS_A])


def test_domains_are_clusters_by_their_names_or_as_they_are_described() -> None:
    domains = [{"name": "west", "cluster": "fd-b", "datastore_cluster": "pod", "networks": ["pg-nodes"]}]
    found = resolved({"failure_domains": domains, "networks": [{"name": "VM Network"}]}, ("fd-a", "west"))
    assert {name: site.pool for name, site in found.sites.items()} == {"fd-a": POOL_A, "west": POOL_B}
    assert [store.ref for store in found.sites["west"].stores] == [DS_B]
    assert [nic.network for nic in found.sites["west"].nics] == [PG]


@pytest.mark.parametrize("asked", ["fleet", "fd-a/fleet", "fd-a/Resources/fleet", "/dc1/host/fd-a/Resources/fleet"])
def test_a_resource_pool_by_name_or_path(asked: str) -> None:
    """With and without the invisible one that each cluster has."""
    assert resolved({"resource_pool": asked}).sites[""].pool == SUB_A


@pytest.mark.parametrize(
    ("asked", "answers", "expected"),
    [
        ("vm-20", {}, GOLDEN),
        ("/dc1/vm/golden", {"FindByInventoryPath": GOLDEN}, GOLDEN),
        ("4230aaaa-0000-0000-0000-000000000001", {"FindAllByUuid": [GOLDEN]}, GOLDEN),
    ],
)
def test_a_template_by_id_path_or_uuid(asked: str, answers: dict[str, Any], expected: Ref) -> None:
    answers = {name: [answer] if isinstance(answer, list) else answer for name, answer in answers.items()}
    assert resolved({"template": asked}, **answers).source.template == expected


def test_FM37_a_pinned_template_is_taken_by_its_id() -> None:
    """Whatever the name means by now; a pin of something else is passed over."""
    world = {TWIN: {**TEMPLATE, "name": "older"}}
    pin = {"asked": "golden", "id": "vm-21", "digest": "x"}
    assert resolved(pinned=pin, world=world).source.template == TWIN
    assert resolved(pinned={**pin, "asked": "other"}, world=world).source.template == GOLDEN
    assert resolved(pinned={"asked": "golden", "name": "older"}, world=world).source.template == TWIN


OTHER = {**TEMPLATE, "parent": FLEET}  # in another folder: names are unique in one


@pytest.mark.parametrize("folders", [0, 16])
@pytest.mark.parametrize("is_template", [True, False])
def test_a_name_is_asked_for_in_each_folder_unless_there_are_many(folders: int, is_template: bool) -> None:
    """A VM of the same name elsewhere is no second template."""
    more = {Ref("vim.Folder", f"group-v{index}"): {"name": f"team-{index}", "parent": VM_ROOT} for index in range(100, 100 + folders)}
    transport = FakeTransport({**WORLD, **more, TWIN: {**OTHER, "config.template": is_template}})
    found = find_template(transport, read_inventory(transport), "", "golden")
    assert found == ([GOLDEN, TWIN] if is_template else [GOLDEN])
    assert transport.calls[1:] == (["read"] if folders else ["FindChild searchIndex"] * 2 + ["read"])


@pytest.mark.parametrize(
    ("given", "world", "where", "what"),
    [
        pytest.param({"template": ""}, {}, "vsphere.template", "missing", id="no template"),
        pytest.param({"template": "never"}, {}, "vsphere.template", "there is no template 'never'", id="an unknown one"),
        pytest.param({}, {TWIN: OTHER}, "vsphere.template", "means 2 templates: vm-20, vm-21", id="two of one name"),
        pytest.param({"template": "vm-99"}, {}, "vsphere.template", "vm-99, does not exist", id="one that is gone"),
        pytest.param({"template": "vm-20"}, {GOLDEN: {**TEMPLATE, "config.template": False}}, "vsphere.template", "is a VM", id="a VM"),
        pytest.param({"folder": "never"}, {}, "vsphere.folder", "there are fleet, vm", id="no such folder"),
        pytest.param({"folder": "network"}, {}, "vsphere.folder", "there is no folder", id="a folder of networks"),
        pytest.param({"datacenter": "dc2"}, {}, "vsphere.datacenter", "there are dc1", id="no such datacenter"),
        pytest.param({"cluster": ""}, {}, "vsphere.cluster", "or a resource pool", id="no place"),
        pytest.param({"cluster": "fd-z"}, {}, "vsphere.cluster", "there are fd-a, fd-b", id="no such cluster"),
        pytest.param(
            {"cluster": "fd-b", "resource_pool": "fleet"}, {}, "vsphere.resource_pool", "there are Resources", id="another's pool"
        ),
        pytest.param({"datastore": "ds-b"}, {}, "vsphere.datastore", "no host of the cluster fd-a", id="a datastore out of reach"),
        pytest.param({"networks": [{"name": "x"}]}, {}, "vsphere.networks", "there is no network 'x'", id="no such network"),
        pytest.param({"linked_clone": True, "snapshot": "x"}, {}, "vsphere.snapshot", "there are base", id="no such snapshot"),
        pytest.param(
            {"linked_clone": True},
            {GOLDEN: {**TEMPLATE, "snapshot.rootSnapshotList": []}},
            "vsphere.snapshot",
            "0 snapshots to choose from",
            id="no snapshot at all is no full copy",
        ),
        pytest.param({"disks": [{"size_gb": 3}]}, {}, "vsphere.disks[0].size_gb", "cannot shrink", id="a disk that would shrink"),
        pytest.param({"extra_disks": [{"size_gb": 1}] * 14}, {}, "vsphere.extra_disks", "13 units left", id="more disks than fit"),
        pytest.param({"disks": [{"size_gb": 9}] * 2}, {}, "vsphere.disks", "1 disks", id="more sizes than disks"),
    ],
)
def test_what_means_nothing_or_two_things_is_refused(given: dict[str, Any], world: dict[Ref, Any], where: str, what: str) -> None:
    with pytest.raises(Invalid) as refusal:
        resolved(given, world=world)
    assert refusal.value.where == where
    assert what in refusal.value.what


def test_a_pool_that_is_only_looked_at_needs_no_place() -> None:
    """Who looks does not know its failure domains; what machines are made of is the same."""
    given = {**GIVEN, "resource_pool": "fleet", "cluster": "", "networks": [{"name": "pg-nodes"}]}
    given["failure_domains"] = [{"name": "fd-b", "networks": ["VM Network"]}]
    template, transport = parse_options(given).template, FakeTransport()
    seen = resolve(transport, read_inventory(transport), template, None, {})
    made = resolve(transport, read_inventory(transport), template, ("fd-a",), {})
    assert (seen.sites, revision(template, seen)) == ({}, revision(template, made))


def test_a_pinned_template_that_is_gone_is_named_so() -> None:
    with pytest.raises(Invalid, match="vm-77, which this rollout pinned for golden, is gone"):
        resolved(pinned={"asked": "golden", "id": "vm-77"})


def test_an_unknown_domain_is_refused_at_the_pools_option() -> None:
    with pytest.raises(Invalid) as refusal:
        resolved(domains=("fd-a", "fd-z"))
    assert refusal.value.where == "failure_domains"


def fields(**given: Any) -> dict[str, str]:
    template = parse_options({**GIVEN, **given}, given.pop("user_data", "")).template
    transport = FakeTransport()
    return dict(revision(template, resolve(transport, read_inventory(transport), template, (), {})).fields)


def test_defaults_are_no_fields() -> None:
    """A release with one more option rolls nothing."""
    assert fields() == {"image": "sha256:ab"}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"hardware": {"num_cpus": 4}}, "hardware"),
        ({"disks": [{"size_gb": 9}]}, "disks"),
        ({"extra_disks": [{"size_gb": 9}]}, "extra_disks"),
        ({"networks": [{"name": "pg-nodes"}]}, "networks"),
        ({"linked_clone": True}, "linked_clone"),
        ({"advanced_settings": {"a": 1}}, "advanced_settings"),
        ({"user_data": "x"}, "user_data"),
    ],
)
def test_what_a_machine_is_made_of_replaces_it(given: dict[str, Any], field: str) -> None:
    assert set(fields(**given)) == {"image", field}


@pytest.mark.parametrize(
    "given", [{"folder": "vm"}, {"cluster": "fd-b"}, {"resource_pool": "fleet"}, {"datastore": ""}, {"shutdown_timeout": "5m"}]
)
def test_where_a_machine_is_does_not(given: dict[str, Any]) -> None:
    assert fields(**given) == fields()


def test_addresses_are_a_slots_and_their_network_the_machines() -> None:
    net = {"name": "pg-nodes", "addresses": ["10.0.0.10"], "prefix_length": 24}
    assert fields(networks=[net]) == fields(networks=[{**net, "addresses": ["10.0.0.77"]}])
    assert fields(networks=[net]) != fields(networks=[{**net, "gateway": "10.0.0.1"}])


FIELDS = [
    data("vim.CustomFieldsManager.FieldDef", key=101, name=marks.IMAGE_DIGEST),
    data("vim.CustomFieldsManager.FieldDef", key=102, name="owner"),
]
ATTRIBUTES = [
    data("vim.CustomFieldsManager.StringValue", key=101, value="sha256:cd"),
    data("vim.CustomFieldsManager.StringValue", key=102, value="ana"),
]


@pytest.mark.parametrize(
    ("annotation", "extra", "digest"),
    [
        ("", [], "sha256:cd"),
        ("immutable.fleet.image.digest=sha256:ab", [], "sha256:ab"),
        ("immutable.fleet.image.digest=sha256:ab", [{"key": marks.IMAGE_DIGEST, "value": "sha256:ef"}], "sha256:ef"),
    ],
)
def test_a_digest_is_in_extra_config_or_the_annotation_or_a_custom_attribute(annotation: str, extra: list[Any], digest: str) -> None:
    """In this order: what the call that made the template wrote, and what people did."""
    written = {"customValue": ATTRIBUTES, "availableField": FIELDS, "config.annotation": annotation, "config.extraConfig": extra}
    assert resolved(world={GOLDEN: {**TEMPLATE, **written}}).digest == digest


def test_a_template_without_a_digest_counts_by_its_uuid() -> None:
    found = resolved(world={GOLDEN: {**TEMPLATE, "config.annotation": ""}})
    assert found.digest == "uuid:4230aaaa-0000-0000-0000-000000000001"


@pytest.mark.parametrize(
    ("given", "gib"),
    [({}, 4), ({"disks": [{"size_gb": 9}]}, 9), ({"linked_clone": True}, 0), ({"linked_clone": True, "extra_disks": [{"size_gb": 5}]}, 5)],
)
def test_what_a_machines_disks_may_take(given: dict[str, Any], gib: int) -> None:
    assert machine_gib(parse_options({**GIVEN, **given}).template, resolved(given)) == gib


HOME, ELSEWHERE = Ref("vim.Folder", "group-v30"), Ref("vim.Folder", "group-v31")
HOST = Ref("vim.HostSystem", "host-40")
LAID = {**TEMPLATE, "parent": HOME, "datastore": [DS_A]}
COPY = {**LAID, "name": "golden-b", "datastore": [DS_B], "runtime.host": HOST}


@pytest.mark.parametrize(
    ("given", "original", "copy", "expected"),
    [
        pytest.param({}, LAID, COPY, ["golden-b"], id="the same digest, in the template's folder"),
        pytest.param(
            {}, LAID, {**COPY, "config.annotation": "", DIGEST_PATH: {"value": "sha256:ab"}}, ["golden-b"], id="in its extraConfig"
        ),
        pytest.param({}, LAID, {**COPY, "config.annotation": ""}, [], id="no digest"),
        pytest.param({}, LAID, {**COPY, "config.template": False}, [], id="a VM"),
        pytest.param({}, LAID, {**COPY, "parent": ELSEWHERE}, [], id="in another folder"),
        pytest.param({}, {**LAID, "config.annotation": ""}, {**COPY, "config.annotation": ""}, [], id="without a digest nothing is alike"),
        pytest.param({"linked_clone": True}, LAID, COPY, ["golden-b"], id="with the snapshot of linked clones"),
        pytest.param({"linked_clone": True}, LAID, {**COPY, "snapshot.rootSnapshotList": []}, [], id="without it"),
    ],
)
def test_replicas_of_a_template(given: dict[str, Any], original: dict[str, Any], copy: dict[str, Any], expected: list[str]) -> None:
    folders = {HOME: {"name": "templates", "parent": VM_ROOT}, ELSEWHERE: {"name": "others", "parent": VM_ROOT}}
    found = resolved(given, world={**folders, GOLDEN: original, TWIN: copy})
    assert [source.name for source in found.replicas] == expected
    assert [source.host for source in found.replicas] == [HOST for _name in expected]


RACK = data("vim.cluster.HostGroup", name="rack-1", host=[HOST, Ref("vim.HostSystem", "host-41")])
IN_SERVICE = {"runtime.connectionState": "connected", "runtime.inMaintenanceMode": False}


def racked(**facts: Any) -> dict[Ref, dict[str, Any]]:
    """A cluster with a group of two hosts, of which the first is so."""
    first, second = RACK["host"]
    cluster = {**WORLD[CLUSTER_A], "configurationEx": {"group": [RACK]}}
    return {CLUSTER_A: cluster, first: {**IN_SERVICE, **facts}, second: dict(IN_SERVICE)}


def test_hosts_of_a_group_are_those_in_service() -> None:
    """Each is taken in turn, by slots; after a failed try the next one."""
    assert resolved({"host_group": "rack-1"}, world=racked()).sites[""].hosts == tuple(RACK["host"])
    for facts in ({"runtime.connectionState": "disconnected"}, {"runtime.inMaintenanceMode": True}):
        (only,) = resolved({"host_group": "rack-1"}, world=racked(**facts)).sites[""].hosts
        assert only == RACK["host"][1]
    turns = [
        (replace(MACHINE, slot=slot, attempt=attempt), domains) for slot, attempt, domains in ((0, 1, 1), (1, 1, 1), (2, 1, 2), (0, 2, 1))
    ]
    assert [RACK["host"].index(host_for(machine, RACK["host"], domains)) for machine, domains in turns] == [0, 1, 1, 1]
    assert host_for(MACHINE, (), 1) is None


def test_a_host_group_that_is_not_there_or_not_in_service_is_refused() -> None:
    with pytest.raises(Invalid, match="there is no host group 'rack-9' in the cluster; there are rack-1") as refusal:
        resolved({"failure_domains": [{"name": "a", "cluster": "fd-a", "host_group": "rack-9"}]}, ("a",), world=racked())
    assert refusal.value.where == "vsphere.failure_domains[0].host_group"
    dark = {host: {} for host in RACK["host"]}
    with pytest.raises(Invalid, match="no host of the group rack-1 can be used now"):
        resolved({"host_group": "rack-1"}, world={**racked(), **dark})
