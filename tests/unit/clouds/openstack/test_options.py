# SPDX-License-Identifier: GPL-3.0-or-later
"""The `openstack:` options as values."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import (
    BootVolume,
    Network,
    Options,
    Template,
    check_pool_name,
    parse_options,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid


def test_what_was_not_given_is_left_to_clouds_yaml_and_the_environment() -> None:
    """Ansible hands over None for it; the SDK must not see that."""
    given = {"cloud": None, "auth": None, "interface": None, "image": None, "networks": None, "boot_volume": None, "tags": None}
    assert parse_options(given) == Options(connection={}, template=Template())


def test_everything_that_can_be_given() -> None:
    """Names as users of openstack.cloud know them; the SDK's own names in the connection."""
    options = parse_options(
        {
            "cloud": "prod",
            "auth": {"username": "u", "password": "p", "token": None},
            "validate_certs": False,
            "ca_cert": "/etc/ca.pem",
            "client_cert": "/etc/c.pem",
            "client_key": "/etc/k.pem",
            "image_properties": {"role": "golden", "hw_qemu_guest_agent": True},
            "flavor": "m1",
            "networks": [{"network": "a", "subnet": None, "fixed_ips": ["10.0.0.1"], "security_groups": [], "port_security": None}],
            "security_groups": ["web"],
            "key_name": "ops",
            "server_group": "spread",
            "server_group_policy": "anti-affinity",
            "config_drive": True,
            "boot_volume": {"size": 20, "type": "fast", "delete_on_termination": False},
            "metadata": {"n": 1},
            "tags": ["blue"],
        },
        "#cloud-config",
    )
    assert options == Options(
        connection={
            "cloud": "prod",
            "auth": {"username": "u", "password": "p"},
            "verify": False,
            "cacert": "/etc/ca.pem",
            "cert": "/etc/c.pem",
            "key": "/etc/k.pem",
        },
        template=Template(
            image_properties={"role": "golden", "hw_qemu_guest_agent": "true"},
            flavor="m1",
            networks=(Network(network="a", fixed_ips=("10.0.0.1",), security_groups=()),),
            security_groups=("web",),
            key_name="ops",
            server_group="spread",
            server_group_policy="anti-affinity",
            config_drive=True,
            boot_volume=BootVolume(size_gib=20, type="fast", delete_on_termination=False),
            metadata={"n": "1"},
            tags=("blue",),
            user_data="#cloud-config",
        ),
    )
    assert options.template.image_asked == "hw_qemu_guest_agent=true,role=golden"
    assert "'p'" not in repr(options)


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"image": "a", "image_properties": {"b": "c"}}, "openstack.image, openstack.image_properties"),
        ({"networks": [{"network": "a"}, {}]}, "openstack.networks[1]"),
        ({"networks": [{"network": "a", "port_security": False, "security_groups": ["b"]}]}, "openstack.networks[0].security_groups"),
        ({"boot_volume": {"size": 0}}, "openstack.boot_volume.size"),
        ({"metadata": {"immutable.fleet.pool": "other"}}, "openstack.metadata.immutable.fleet.pool"),
        ({"metadata": {"a": "x" * 256}}, "openstack.metadata.a"),
        ({"tags": ["immutable.fleet.pool=other"]}, "openstack.tags"),
        ({"tags": ["a,b"]}, "openstack.tags"),
    ],
)
def test_a_refusal_names_the_option(given: dict[str, Any], where: str) -> None:
    """Before any call."""
    with pytest.raises(Invalid) as refused:
        parse_options(given)
    assert refused.value.where == where


@pytest.mark.parametrize("pool", ["x" * 40, "web.*", ""])
def test_a_pools_name_fits_a_tag_and_a_filter(pool: str) -> None:
    """Nova's tags have 60 characters, and its name filter is a regular expression."""
    check_pool_name("x" * 39)
    with pytest.raises(Invalid) as refused:
        check_pool_name(pool)
    assert refused.value.where == "name"
