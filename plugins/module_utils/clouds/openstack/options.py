# SPDX-License-Identifier: GPL-3.0-or-later
"""The `openstack:` options as values: how to connect, and the template that machines are made from.

Promises: what can be seen to be wrong without a call is refused here, as `Invalid` whose `where` is the option's path. What
only a declared pool needs (image, flavor) is asked for by `resolve`, so that a pool can be observed and removed without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

NOVA_TAG_LENGTH_MAX = 60
NOVA_VALUE_LENGTH_MAX = 255  # of metadata keys and values
NOVA_USER_DATA_MAX = 65535  # characters, after base64

# our option -> argument of openstack.config's get_one, which has the defaults of clouds.yaml and OS_*
_CONNECTION = {
    "cloud": "cloud",
    "auth": "auth",
    "auth_type": "auth_type",
    "region_name": "region_name",
    "interface": "interface",
    "validate_certs": "verify",
    "ca_cert": "cacert",
    "client_cert": "cert",
    "client_key": "key",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One interface. `fixed_ips` are by slot; `security_groups` None takes the template's; `port_security` None the network's."""

    network: str = ""
    subnet: str = ""
    fixed_ips: tuple[str, ...] = ()
    security_groups: tuple[str, ...] | None = None
    port_security: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BootVolume:
    """A volume that Nova makes from the image. `type` "" is the project's default."""

    size_gib: int
    type: str = ""
    delete_on_termination: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What machines are made from, as asked for: names or ids. `networks` None lets Nova choose, () means none at all."""

    image: str = ""
    image_properties: Mapping[str, str] = field(default_factory=dict)
    flavor: str = ""
    networks: tuple[Network, ...] | None = None
    security_groups: tuple[str, ...] = ()
    key_name: str = ""
    server_group: str = ""
    server_group_policy: str = "soft-anti-affinity"
    config_drive: bool = False
    boot_volume: BootVolume | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    user_data: str = ""

    @property
    def image_asked(self) -> str:
        """The image as asked for, in one text that the pool record can keep and compare."""
        return self.image or ",".join(f"{key}={value}" for key, value in sorted(self.image_properties.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`connection` holds arguments of `openstack.config`'s `get_one`; passwords are in it."""

    connection: Mapping[str, Any] = field(default_factory=dict, repr=False)
    template: Template = field(default_factory=Template)


def parse_options(given: Mapping[str, Any], user_data: str = "") -> Options:
    """The options of the `openstack` dictionary, which may lack keys or have None for what was not given. Raises `Invalid`."""
    connection = {argument: given[option] for option, argument in _CONNECTION.items() if given.get(option) is not None}
    if "auth" in connection:
        connection["auth"] = {key: value for key, value in connection["auth"].items() if value is not None}
    if given.get("image") and given.get("image_properties"):
        raise Invalid(what="expected exactly one of them", where="openstack.image, openstack.image_properties")
    networks = given.get("networks")
    template = Template(
        image=given.get("image") or "",
        image_properties={str(key): _property(value) for key, value in (given.get("image_properties") or {}).items()},
        flavor=str(given.get("flavor") or ""),
        networks=None if networks is None else tuple(_network(entry, index) for index, entry in enumerate(networks)),
        security_groups=tuple(given.get("security_groups") or ()),
        key_name=given.get("key_name") or "",
        server_group=given.get("server_group") or "",
        server_group_policy=given.get("server_group_policy") or "soft-anti-affinity",
        config_drive=bool(given.get("config_drive")),
        boot_volume=_boot_volume(given.get("boot_volume")),
        metadata=_metadata(given.get("metadata") or {}),
        tags=tuple(_tag(str(tag)) for tag in given.get("tags") or ()),
        user_data=user_data,
    )
    return Options(connection=connection, template=template)


def check_pool_name(pool: str) -> None:
    """Raise `Invalid` when the pool's mark does not fit a tag of Nova's, or the name a regular expression as it stands."""
    if not re.fullmatch(r"[a-z0-9-]+", pool):
        raise Invalid(what=f"{pool!r} is no name of a pool; expected a-z, 0-9 and -", where="name")
    room = NOVA_TAG_LENGTH_MAX - len(marks.tag(marks.POOL, ""))
    if len(pool) > room:
        raise Invalid(what=f"{pool!r} has {len(pool)} characters; expected {room} at most, so that it fits a tag", where="name")


def _network(given: Mapping[str, Any], index: int) -> Network:
    where = f"openstack.networks[{index}]"
    groups = given.get("security_groups")
    network = Network(
        network=given.get("network") or "",
        subnet=given.get("subnet") or "",
        fixed_ips=tuple(given.get("fixed_ips") or ()),
        security_groups=None if groups is None else tuple(groups),
        port_security=given.get("port_security"),
    )
    if not network.network and not network.subnet:
        raise Invalid(what="expected network, subnet or both", where=where)
    if network.port_security is False and network.security_groups:
        raise Invalid(what="a port without port security can have no security group", where=f"{where}.security_groups")
    return network


def _boot_volume(given: Mapping[str, Any] | None) -> BootVolume | None:
    if given is None:
        return None
    size = given.get("size")
    if not isinstance(size, int) or size < 1:
        raise Invalid(what=f"{size!r} is no size; expected 1 or more GiB", where="openstack.boot_volume.size")
    delete = given.get("delete_on_termination")
    return BootVolume(size_gib=size, type=given.get("type") or "", delete_on_termination=delete is not False)


def _metadata(given: Mapping[str, Any]) -> dict[str, str]:
    metadata = {str(key): _property(value) for key, value in given.items()}
    for key, value in metadata.items():
        where = f"openstack.metadata.{key}"
        if key.startswith(marks.PREFIX):
            raise Invalid(what=f"{key!r} is the collection's own; expected another key", where=where)
        if len(key) > NOVA_VALUE_LENGTH_MAX or len(value) > NOVA_VALUE_LENGTH_MAX:
            raise Invalid(what=f"expected up to {NOVA_VALUE_LENGTH_MAX} characters in key and value", where=where)
    return metadata


def _tag(tag: str) -> str:
    if tag.startswith(marks.PREFIX):
        raise Invalid(what=f"{tag!r} is the collection's own; expected another tag", where="openstack.tags")
    if not 0 < len(tag) <= NOVA_TAG_LENGTH_MAX or "/" in tag or "," in tag:
        raise Invalid(what=f"{tag!r} is no tag; expected up to {NOVA_TAG_LENGTH_MAX} characters without / and ,", where="openstack.tags")
    return tag


def _property(value: object) -> str:
    """A value as OpenStack writes it: `true`, not Python's `True`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
