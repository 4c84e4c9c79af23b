# SPDX-License-Identifier: GPL-3.0-or-later
"""The `vsphere:` options as values: how to connect, and what machines are made from and where.

Promises: what can be seen to be wrong without a call is refused here, as `Invalid` whose `where` is the option's path. What only
a declared pool needs (template, a place) is asked for by `resolve`, so that a pool can be observed and removed without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.addresses import Addresses, parse_addresses
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import duration

VM_NAME_LENGTH_MAX = 80  # of a VM's name in vCenter
GUESTINFO = "guestinfo."
PORT_MAX = 65535
PORT, PROXY_PORT = 443, 8080
SHUTDOWN_TIMEOUT = "60s"
MEMORY_STEP_MIB = 4  # vSphere takes multiples of it
_KEY = re.compile(r"[A-Za-z0-9._:/-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach vCenter; a password is in it."""

    hostname: str
    username: str
    password: str = field(repr=False)
    port: int = PORT
    validate_certs: bool = True
    ca_cert: str = ""
    proxy_host: str = ""
    proxy_port: int = PROXY_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One interface. `name` "" keeps the template's network; `addresses` None means DHCP; `guest_device` is its name in the guest."""

    name: str = ""
    addresses: Addresses | None = None
    guest_device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraDisk:
    """A disk beside the template's. `is_kept`: it outlives its machine."""

    size_gib: int
    is_kept: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where machines of a failure domain go, as asked for. `networks` are names by interface; () takes the template's own."""

    cluster: str = ""
    resource_pool: str = ""
    datastore: str = ""
    datastore_cluster: str = ""
    host_group: str = ""
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What machines are made from, as asked for: names, paths or ids. 0 and () take what the template has."""

    template: str = ""
    content_library: str = ""  # that `template` is an item of
    linked_clone: bool = False
    snapshot: str = ""
    datacenter: str = ""
    folder: str = ""
    place: Place = field(default_factory=Place)
    failure_domains: Mapping[str, Place] = field(default_factory=dict)
    cpus: int = 0
    cores_per_socket: int = 0
    memory_mib: int = 0
    disks_gib: tuple[int, ...] = ()
    extra_disks: tuple[ExtraDisk, ...] = ()
    networks: tuple[Network, ...] | None = None
    anti_affinity: bool = False  # rules of DRS keep its machines on different hosts
    stable_addresses: bool = False  # a slot has its own address, and never another
    advanced_settings: Mapping[str, str] = field(default_factory=dict)
    user_data: str = ""

    def place_of(self, failure_domain: str) -> Place:
        """Where its machines go. A domain that is not described is the cluster of its name; "" is the pool's only place."""
        if failure_domain in self.failure_domains:
            return self.failure_domains[failure_domain]
        place = self.place
        if not failure_domain:
            return place
        return Place(
            cluster=failure_domain,
            resource_pool=place.resource_pool,
            datastore=place.datastore,
            datastore_cluster=place.datastore_cluster,
            host_group=place.host_group,
            networks=place.networks,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All of `vsphere:`. A machine is shut down by its guest for `shutdown_timeout`, and then powered off; 0 asks no guest."""

    connection: Connection
    template: Template = field(default_factory=Template)
    shutdown_timeout: timedelta = timedelta(0)


def parse_options(given: Mapping[str, Any], user_data: str = "") -> Options:
    """The options of the `vsphere` dictionary, which may lack keys or have None for what was not given. Raises `Invalid`."""
    networks = given.get("networks")
    hardware = given.get("hardware") or {}
    place = _place(given, (), "vsphere")
    timeout = given.get("shutdown_timeout")
    template = Template(
        template=given.get("template") or "",
        content_library=given.get("content_library") or "",
        linked_clone=bool(given.get("linked_clone")),
        snapshot=given.get("snapshot") or "",
        datacenter=given.get("datacenter") or "",
        folder=given.get("folder") or "",
        place=place,
        failure_domains=_failure_domains(given.get("failure_domains") or (), given),
        cpus=_count(hardware, "num_cpus"),
        cores_per_socket=_count(hardware, "num_cpu_cores_per_socket"),
        memory_mib=_count(hardware, "memory_mb"),
        disks_gib=tuple(_size(disk, f"vsphere.disks[{index}]") for index, disk in enumerate(given.get("disks") or ())),
        extra_disks=tuple(_extra_disk(disk, index) for index, disk in enumerate(given.get("extra_disks") or ())),
        networks=None if networks is None else tuple(_network(entry, index) for index, entry in enumerate(networks)),
        anti_affinity=bool(given.get("anti_affinity")),
        stable_addresses=bool(given.get("stable_addresses")),
        advanced_settings=_settings(given.get("advanced_settings") or {}),
        user_data=user_data,
    )
    _check(template)
    return Options(
        connection=parse_connection(given),
        template=template,
        shutdown_timeout=duration(SHUTDOWN_TIMEOUT if timeout is None else timeout, "vsphere.shutdown_timeout"),
    )


def check_pool_name(pool: str) -> None:
    """Raise `Invalid` when no name of a machine would fit vCenter."""
    room = VM_NAME_LENGTH_MAX - len(marks.machine_name("", 9999, "x" * marks.NAME_SUFFIX_LENGTH))
    if len(pool) > room:
        raise Invalid(
            what=f"{pool!r} has {len(pool)} characters; expected {room} at most, so that machines can be named by it", where="name"
        )


def parse_connection(given: Mapping[str, Any]) -> Connection:
    """How to reach vCenter, by the options of a `vsphere` dictionary. Raises `Invalid`."""
    for name, variable in (("hostname", "VMWARE_HOST"), ("username", "VMWARE_USER"), ("password", "VMWARE_PASSWORD")):
        if not given.get(name):
            raise Invalid(what=f"missing; expected a text, here or in the environment as {variable}", where=f"vsphere.{name}")
    validates = given.get("validate_certs")
    return Connection(
        hostname=given["hostname"],
        username=given["username"],
        password=given["password"],
        port=_port(given, "port", PORT),
        validate_certs=validates is not False,
        ca_cert=given.get("ca_cert") or "",
        proxy_host=given.get("proxy_host") or "",
        proxy_port=_port(given, "proxy_port", PROXY_PORT),
    )


def _port(given: Mapping[str, Any], name: str, default: int) -> int:
    port = given.get(name)
    if port is None:
        return default
    if not isinstance(port, int) or not 0 < port <= PORT_MAX:
        raise Invalid(what=f"{port!r} is no port; expected 1 to {PORT_MAX}", where=f"vsphere.{name}")
    return port


def _place(given: Mapping[str, Any], networks: Sequence[str], where: str) -> Place:
    if given.get("datastore") and given.get("datastore_cluster"):
        raise Invalid(what="expected one of them at most", where=f"{where}.datastore, {where}.datastore_cluster")
    return Place(
        cluster=given.get("cluster") or "",
        resource_pool=given.get("resource_pool") or "",
        datastore=given.get("datastore") or "",
        datastore_cluster=given.get("datastore_cluster") or "",
        host_group=given.get("host_group") or "",
        networks=tuple(networks),
    )


def _failure_domains(given: Sequence[Mapping[str, Any]], common: Mapping[str, Any]) -> dict[str, Place]:
    """What a domain does not say is said for all of them."""
    found: dict[str, Place] = {}
    for index, domain in enumerate(given):
        where = f"vsphere.failure_domains[{index}]"
        name, networks = domain.get("name") or "", tuple(domain.get("networks") or ())
        if not name or name in found:
            raise Invalid(what=f"{name!r} is {'given twice' if name else 'no name'}; expected a name of its own", where=f"{where}.name")
        if networks and len(networks) != len(common.get("networks") or ()):
            what = f"{len(networks)} networks for {len(common.get('networks') or ())} interfaces; expected one for each of vsphere.networks"
            raise Invalid(what=what, where=f"{where}.networks")
        merged = {
            key: domain.get(key) or common.get(key) for key in ("cluster", "resource_pool", "datastore", "datastore_cluster", "host_group")
        }
        if domain.get("datastore") or domain.get("datastore_cluster"):
            merged["datastore"], merged["datastore_cluster"] = domain.get("datastore"), domain.get("datastore_cluster")
        found[name] = _place(merged, networks, where)
    return found


def _count(given: Mapping[str, Any], name: str) -> int:
    count = given.get(name)
    if count is None:
        return 0
    where = f"vsphere.hardware.{name}"
    if not isinstance(count, int) or count < 1:
        raise Invalid(what=f"{count!r} is no number of them; expected 1 or more", where=where)
    if name == "memory_mb" and count % MEMORY_STEP_MIB:
        raise Invalid(what=f"{count} is no multiple of {MEMORY_STEP_MIB}; vSphere takes none other", where=where)
    return count


def _size(given: Mapping[str, Any], where: str) -> int:
    size = given.get("size_gb")
    if not isinstance(size, int) or size < 1:
        raise Invalid(what=f"{size!r} is no size; expected 1 or more GiB", where=f"{where}.size_gb")
    return size


def _extra_disk(given: Mapping[str, Any], index: int) -> ExtraDisk:
    return ExtraDisk(size_gib=_size(given, f"vsphere.extra_disks[{index}]"), is_kept=bool(given.get("keep")))


def _network(given: Mapping[str, Any], index: int) -> Network:
    where = f"vsphere.networks[{index}]"
    return Network(name=given.get("name") or "", addresses=parse_addresses(given, where), guest_device=given.get("guest_device") or "")


def _settings(given: Mapping[str, Any]) -> dict[str, str]:
    """Texts as vCenter writes them: `TRUE`, not Python's `True`."""
    settings = {str(key): str(value).upper() if isinstance(value, bool) else str(value) for key, value in given.items()}
    for key in settings:
        where = f"vsphere.advanced_settings.{key}"
        if key.startswith((marks.PREFIX, f"{GUESTINFO}metadata", f"{GUESTINFO}userdata")):
            raise Invalid(what=f"{key!r} is the collection's own; expected another key", where=where)
        if not _KEY.fullmatch(key):
            raise Invalid(what=f"{key!r} is no key; expected letters, digits and . _ : / -", where=where)
    return settings


def _check(template: Template) -> None:
    """What fits each by itself and not together."""
    if template.snapshot and not template.linked_clone:
        raise Invalid(what="a full copy is made of no snapshot; expected linked_clone with it", where="vsphere.snapshot")
    if template.linked_clone and template.disks_gib:
        raise Invalid(what="the disk of a linked clone cannot grow; expected no disks", where="vsphere.disks")
    if template.cpus and template.cores_per_socket and template.cpus % template.cores_per_socket:
        what = f"{template.cpus} CPUs make no whole sockets of {template.cores_per_socket}"
        raise Invalid(what=f"{what}; expected a divisor of num_cpus", where="vsphere.hardware.num_cpu_cores_per_socket")
    given = template.networks or ()
    if template.stable_addresses and not any(network.addresses for network in given):
        what = "no interface has addresses to be kept; expected vsphere.networks[].addresses with it"
        raise Invalid(what=what, where="vsphere.stable_addresses")
    for index, network in enumerate(given):
        if len(given) > 1 and network.addresses and not network.guest_device:
            what = "missing; expected the interface's name in the guest (ens192), as there is more than one"
            raise Invalid(what=what, where=f"vsphere.networks[{index}].guest_device")
