# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused without a call, and with which path; what the rest becomes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import Place, check_pool_name, parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.tests.unit.clouds.vsphere.fakes import CONNECTION, GIVEN

STATIC = {"name": "pg", "addresses": ["10.0.0.10-10.0.0.12", "10.0.0.20"], "prefix_length": 24}


@pytest.mark.parametrize(
    ("given", "where", "what"),
    [
        ({"hostname": None}, "vsphere.hostname", "VMWARE_HOST"),
        ({"password": ""}, "vsphere.password", "VMWARE_PASSWORD"),
        ({"port": 0}, "vsphere.port", "1 to 65535"),
        ({"shutdown_timeout": "soon"}, "vsphere.shutdown_timeout", "90s"),
        ({"datastore_cluster": "pod"}, "vsphere.datastore, vsphere.datastore_cluster", "one of them"),
        ({"snapshot": "base"}, "vsphere.snapshot", "linked_clone"),
        ({"linked_clone": True, "disks": [{"size_gb": 9}]}, "vsphere.disks", "cannot grow"),
        ({"disks": [{"size_gb": 0}]}, "vsphere.disks[0].size_gb", "1 or more"),
        ({"extra_disks": [{"size_gb": 9}, {"size_gb": 0}]}, "vsphere.extra_disks[1].size_gb", "1 or more"),
        ({"hardware": {"num_cpus": 0}}, "vsphere.hardware.num_cpus", "1 or more"),
        ({"hardware": {"memory_mb": 1023}}, "vsphere.hardware.memory_mb", "multiple of 4"),
        ({"hardware": {"num_cpus": 3, "num_cpu_cores_per_socket": 2}}, "vsphere.hardware.num_cpu_cores_per_socket", "divisor"),
        ({"failure_domains": [{"name": "a"}, {"name": "a"}]}, "vsphere.failure_domains[1].name", "given twice"),
        ({"failure_domains": [{"name": "a", "networks": ["n"]}]}, "vsphere.failure_domains[0].networks", "1 networks for 0"),
        ({"advanced_settings": {"immutable.fleet.pool": "x"}}, "vsphere.advanced_settings.immutable.fleet.pool", "another key"),
        ({"advanced_settings": {"guestinfo.userdata.encoding": "x"}}, "vsphere.advanced_settings.guestinfo.userdata.encoding", "another"),
        ({"advanced_settings": {"a b": 1}}, "vsphere.advanced_settings.a b", "no key"),
        ({"networks": [STATIC, {"name": "b"}]}, "vsphere.networks[0].guest_device", "ens192"),
        ({"networks": [{**STATIC, "addresses": ["10.0.0.9-10.0.0.1"]}]}, "vsphere.networks[0].addresses[0]", "lower one first"),
        ({"networks": [{**STATIC, "addresses": ["ten"]}]}, "vsphere.networks[0].addresses[0]", "10.0.0.10"),
        ({"networks": [{**STATIC, "addresses": ["10.0.0.10", "10.0.0.10"]}]}, "vsphere.networks[0].addresses", "each once"),
        ({"networks": [{**STATIC, "addresses": ["10.0.0.10", "10.0.1.10"]}]}, "vsphere.networks[0].addresses", "one network"),
        ({"networks": [{**STATIC, "prefix_length": None}]}, "vsphere.networks[0].prefix_length", "24"),
        ({"networks": [{**STATIC, "prefix_length": 99}]}, "vsphere.networks[0].prefix_length", "1 to 32"),
        ({"networks": [{**STATIC, "gateway": "10.0.1.1"}]}, "vsphere.networks[0].gateway", "same network"),
        ({"networks": [{**STATIC, "gateway": "10.0.0.20"}]}, "vsphere.networks[0].gateway", "left out"),
        ({"networks": [{"name": "pg", "gateway": "10.0.0.1"}]}, "vsphere.networks[0].addresses", "without addresses"),
        ({"networks": [{"name": "pg"}], "stable_addresses": True}, "vsphere.stable_addresses", "no interface has addresses"),
    ],
)
def test_what_can_be_seen_to_be_wrong_is_refused_with_its_path(given: dict[str, Any], where: str, what: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_options({**GIVEN, **given})
    assert refusal.value.where == where
    assert what in refusal.value.what


def test_a_password_is_in_no_text() -> None:
    """An option value is printed in a debugger, a test, a failed comparison."""
    assert "s3cret" not in repr(parse_options(GIVEN))


def test_a_pool_can_be_observed_with_a_connection_alone() -> None:
    options = parse_options(CONNECTION)
    assert (options.template.template, options.template.networks, options.shutdown_timeout) == ("", None, timedelta(seconds=60))


def test_a_range_is_every_address_in_it() -> None:
    (network,) = parse_options({**GIVEN, "networks": [STATIC]}).template.networks or ()
    assert network.addresses is not None
    assert network.addresses.given == ("10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.20")


def test_settings_are_written_as_vcenter_writes_them() -> None:
    given = parse_options({**GIVEN, "advanced_settings": {"disk.EnableUUID": True, "sched.cpu.latencySensitivity": "high", "n": 1}})
    assert given.template.advanced_settings == {"disk.EnableUUID": "TRUE", "sched.cpu.latencySensitivity": "high", "n": "1"}


@pytest.mark.parametrize(
    ("domain", "place"),
    [
        ("", Place(cluster="fd-a", datastore="ds-a")),
        ("fd-b", Place(cluster="fd-b", datastore="ds-a")),
        ("east", Place(cluster="fd-a", resource_pool="p", datastore="ds-a")),
        ("west", Place(cluster="fd-c", datastore_cluster="pod", networks=("n",))),
    ],
)
def test_what_a_domain_does_not_say_is_taken_from_the_pool(domain: str, place: Place) -> None:
    """And one that is not described is the cluster of its name."""
    domains = [{"name": "east", "resource_pool": "p"}, {"name": "west", "cluster": "fd-c", "datastore_cluster": "pod", "networks": ["n"]}]
    template = parse_options({**GIVEN, "failure_domains": domains, "networks": [{"name": "pg"}]}).template
    assert template.place_of(domain) == place


def test_a_pool_whose_machines_could_not_be_named_is_refused() -> None:
    check_pool_name("w" * 69)
    with pytest.raises(Invalid, match="69 at most"):
        check_pool_name("w" * 70)
