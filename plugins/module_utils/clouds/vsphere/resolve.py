# SPDX-License-Identifier: GPL-3.0-or-later
"""The template with every name resolved to an id, and the revision that follows.

Promises: reads only; names, the template, and the details of what was found, a call or three each; a name that means nothing, or two
things, is `Invalid` with the option's path, what was expected and what was found. A name that moves later changes nothing here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.disks import GIB, KIB, free_places
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.hosts import hosts_of, hosts_wanted
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.inventory import Inventory, find_folder
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import Place, Template
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.templates import (
    TEMPLATE_PATHS,
    Source,
    check_template,
    copies_wanted,
    digest_of,
    find_source,
    read_replicas,
    source_of,
)
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.transport import Transport
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import (
    CLUSTER,
    DATASTORE,
    NETWORK,
    POOL,
    PORT_GROUP,
    STORAGE_POD,
    SWITCH,
    VM,
    Found,
    Ref,
    Wanted,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision, revision_of

DATASTORE_PATHS = ("name", "summary.freeSpace", "summary.capacity", "summary.accessible", "summary.maintenanceMode")
PORT_GROUP_PATHS = ("key", "config.distributedVirtualSwitch")
CLUSTER_PATHS = ("resourcePool", "datastore", "network")


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic:
    """A network as an interface is put on it: a port group of a distributed switch, or a standard network by its name."""

    network: Ref
    name: str
    port_group: str = ""
    switch_uuid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A datastore, with what was free of it, in bytes, when the template was resolved."""

    ref: Ref
    name: str
    capacity: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where machines of one failure domain go. `stores` are what may be taken; () leaves it to the template's. `nics` as `networks`."""

    pool: Ref
    cluster: Ref | None = None
    pool_name: str = ""
    cluster_name: str = ""
    stores: tuple[Store, ...] = ()
    nics: tuple[Nic, ...] = ()
    hosts: tuple[Ref, ...] = ()  # of its host group, those in service when it was resolved; () leaves the host to DRS
    visible: tuple[Ref, ...] = ()  # datastores that the cluster's hosts see, where a cluster is named


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Ids of all that a clone names. `network_ids` are by interface, under "" those of all domains but the ones that have others."""

    source: Source
    replicas: tuple[Source, ...] = ()
    digest: str
    version: str
    cpus: int
    memory_mib: int
    folder: Ref
    folder_path: str
    sites: Mapping[str, Site] = field(default_factory=dict)
    network_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[Source, ...]:
        """What a machine may be cloned from, the template that was asked for first."""
        return (self.source, *self.replicas)


def resolve(
    transport: Transport, inventory: Inventory, template: Template, domains: Sequence[str] | None, pinned: Mapping[str, str]
) -> Resolved:
    """Look everything up. Where `pinned` is the template that is asked for, the pinned one is taken (FM37).

    `domains` are the pool's; None where nothing will be made, and only what machines are made of is of interest.
    """
    folder = find_folder(inventory, template.datacenter, template.folder)
    ref = find_source(transport, inventory, template, pinned)
    places = {domain: template.place_of(domain) for domain in domains or ("",)} if domains is not None else {}
    home = inventory.datacenter(template.datacenter)
    wanted = _Lookup(inventory, home, template)
    asked = {domain: wanted.refs_of(place, domain) for domain, place in places.items()}
    details = transport.read(*_details(ref, asked, places))
    found = details.get(ref, {})
    check_template(found, ref, template, pinned)
    source, (digest, version) = source_of(ref, found, template), digest_of(found)
    switches = {each["config.distributedVirtualSwitch"] for each in details.values() if "config.distributedVirtualSwitch" in each}
    more = [Wanted(kind=SWITCH, paths=("uuid",), objects=tuple(sorted(switches)))] if switches else []
    more += copies_wanted(found) if domains is not None else []
    more += hosts_wanted(details, places.values())
    read = transport.read(*more) if more else {}
    hardware: Mapping[str, Any] = found.get("config.hardware") or {}
    resolved = Resolved(
        source=source,
        replicas=read_replicas(transport, read, ref, digest, template),
        digest=digest,
        version=version,
        cpus=template.cpus or hardware.get("numCPU", 1),
        memory_mib=template.memory_mib or hardware.get("memoryMB", 1),
        folder=folder,
        folder_path=inventory.path(folder),
        sites={domain: _site(inventory, refs, details, read, wanted.group_of(domain)) for domain, refs in asked.items()},
        network_ids=wanted.network_ids(),
    )
    _check_disks(resolved, template)
    return resolved


def revision(template: Template, resolved: Resolved) -> Revision:
    """What a machine of this template is made of.

    User data counts before substitution and only as a digest, for it may hold a secret and fields are written on machines. Where
    machines go (folder, cluster, pool, datastore) and their addresses never replace them.
    """
    hardware = {"cpus": template.cpus, "cores_per_socket": template.cores_per_socket, "memory": template.memory_mib}
    fields = {
        "image": resolved.digest,
        "linked_clone": (template.snapshot or "true") if resolved.source.snapshot else None,  # what is in it, the digest says
        "hardware": _compact({name: value for name, value in hardware.items() if value}),
        "disks": _compact(list(template.disks_gib)),
        "extra_disks": _compact([[disk.size_gib, "kept" if disk.is_kept else "deleted"] for disk in template.extra_disks]),
        "networks": _say_networks(template, resolved),
        "advanced_settings": _compact(dict(sorted(template.advanced_settings.items()))),
        "user_data": "sha256:" + hashlib.sha256(template.user_data.encode()).hexdigest() if template.user_data else None,
    }
    image = {"asked": template.template, "id": resolved.source.template.id, "digest": resolved.digest}
    return revision_of(fields, image)


def machine_gib(template: Template, resolved: Resolved) -> int:
    """What a machine's disks may grow to. A linked clone's is not counted: it holds what it changes, which nobody knows."""
    extra = sum(disk.size_gib for disk in template.extra_disks)
    if resolved.source.snapshot is not None:
        return extra
    sizes: list[int] = [-(-disk.get("capacityInKB", 0) * KIB // GIB) for disk in resolved.source.disks]
    sizes[: len(template.disks_gib)] = template.disks_gib
    return sum(sizes) + extra


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refs:
    """A place's names as objects."""

    cluster: Ref | None
    pool: Ref | None
    stores: tuple[Ref, ...]
    networks: tuple[Ref, ...]


class _Lookup:
    """Names of places to objects of one datacenter."""

    def __init__(self, inventory: Inventory, home: Ref | None, template: Template) -> None:
        self._inventory, self._home, self._template = inventory, home, template

    def refs_of(self, place: Place, domain: str) -> _Refs:
        """Raises `Invalid` that names the failure domain's option."""
        of, inventory = self._where(domain), self._inventory
        cluster = self._only(CLUSTER, place.cluster, of["cluster"]) if place.cluster else None
        if cluster is None and not place.resource_pool:
            raise Invalid(what="missing; expected the name of a cluster, or a resource pool", where=of["cluster"])
        pool = None
        if place.resource_pool:
            pool = inventory.only(inventory.of_kind(POOL, cluster or self._home), POOL, place.resource_pool, of["resource_pool"])
        if place.host_group and cluster is None:
            cluster = inventory.cluster_of(pool)
        stores: tuple[Ref, ...] = ()
        if place.datastore:
            stores = (self._only(DATASTORE, place.datastore, of["datastore"]),)
        elif place.datastore_cluster:
            pods = inventory.of_kind(STORAGE_POD, self._home)
            pod = inventory.only(pods, STORAGE_POD, place.datastore_cluster, of["datastore_cluster"])
            stores = tuple(inventory.of_kind(DATASTORE, pod))
        names = place.networks or tuple(network.name for network in self._template.networks or ())
        networks = tuple(self._only(NETWORK, name, of["networks"]) for name in names if name)
        if networks and len(networks) < len(names):
            raise Invalid(what="a name is missing; expected one for each interface, or none at all", where=of["networks"])
        return _Refs(cluster=cluster, pool=pool, stores=stores, networks=networks)

    def network_ids(self) -> dict[str, tuple[str, ...]]:
        """Of the pool, and of the described domains that have others."""
        names = {"": tuple(network.name for network in self._template.networks or ())}
        names |= {domain: place.networks for domain, place in self._template.failure_domains.items() if place.networks}
        return {
            domain: tuple(self._only(NETWORK, name, self._where(domain)["networks"]).id for name in each if name)
            for domain, each in names.items()
        }

    def group_of(self, domain: str) -> tuple[str, str]:
        """`(name of its host group, its option)`."""
        return self._template.place_of(domain).host_group, self._where(domain)["host_group"]

    def _only(self, kind: str, asked: str, where: str) -> Ref:
        return self._inventory.only(self._inventory.of_kind(kind, self._home), kind, asked, where)

    def _where(self, domain: str) -> dict[str, str]:
        """`{option: its path}`: a domain that is not described stands in failure_domains with its cluster's name."""
        names = list(self._template.failure_domains)
        options = ("cluster", "resource_pool", "datastore", "datastore_cluster", "host_group", "networks")
        at = f"vsphere.failure_domains[{names.index(domain)}]" if domain in names else "vsphere"
        where = {option: f"{at}.{option}" for option in options}
        if domain and domain not in names:
            where["cluster"] = "failure_domains"
        return where


def _details(template: Ref, asked: Mapping[str, _Refs], places: Mapping[str, Place]) -> list[Wanted]:
    clusters = {refs.cluster for refs in asked.values() if refs.cluster is not None}
    grouped = {refs.cluster for domain, refs in asked.items() if refs.cluster is not None and places[domain].host_group}
    stores = {store for refs in asked.values() for store in refs.stores}
    groups = {ref for refs in asked.values() for ref in refs.networks if ref.kind == PORT_GROUP}
    return [
        Wanted(kind=VM, paths=TEMPLATE_PATHS, objects=(template,)),
        Wanted(kind=CLUSTER, paths=CLUSTER_PATHS, objects=tuple(sorted(clusters))),
        Wanted(kind=CLUSTER, paths=("configurationEx",), objects=tuple(sorted(grouped))),
        Wanted(kind=DATASTORE, paths=DATASTORE_PATHS, objects=tuple(sorted(stores))),
        Wanted(kind=PORT_GROUP, paths=PORT_GROUP_PATHS, objects=tuple(sorted(groups))),
    ]


def _site(inventory: Inventory, refs: _Refs, details: Mapping[Ref, Found], uuids: Mapping[Ref, Found], host_group: tuple[str, str]) -> Site:
    cluster = details.get(refs.cluster, {}) if refs.cluster else {}
    pool = refs.pool or cluster.get("resourcePool")
    if pool is None:
        raise Invalid(
            what=f"the cluster {inventory.name(refs.cluster) if refs.cluster else ''} has no resource pool", where="vsphere.cluster"
        )
    stores = []
    for ref in refs.stores:
        found, name = details.get(ref, {}), inventory.name(ref)
        if refs.cluster and ref not in cluster.get("datastore", (ref,)):
            what = f"no host of the cluster {inventory.name(refs.cluster)} sees the datastore {name}"
            if len(refs.stores) == 1:
                raise Invalid(what=f"{what}; expected one that they share", where="vsphere.datastore")
            continue
        if found.get("summary.accessible") is False or found.get("summary.maintenanceMode", "normal") != "normal":
            continue
        stores.append(Store(ref=ref, name=name, capacity=found.get("summary.capacity", 0), free=found.get("summary.freeSpace", 0)))
    if refs.stores and not stores:
        raise Invalid(what="no datastore of these can be used now: inaccessible, or in maintenance", where="vsphere.datastore")
    nics = []
    for ref in refs.networks:
        name = inventory.name(ref)
        if refs.cluster and ref not in cluster.get("network", (ref,)):
            what = f"no host of the cluster {inventory.name(refs.cluster)} has the network {name}; expected one that they share"
            raise Invalid(what=what, where="vsphere.networks")
        group = details.get(ref, {})
        switch = uuids.get(group.get("config.distributedVirtualSwitch", ref), {})
        nics.append(Nic(network=ref, name=name, port_group=group.get("key", ""), switch_uuid=switch.get("uuid", "")))
    return Site(
        pool=pool,
        cluster=refs.cluster or inventory.cluster_of(pool),
        pool_name=inventory.name(pool),
        cluster_name=inventory.name(refs.cluster) if refs.cluster else "",
        stores=tuple(stores),
        nics=tuple(nics),
        hosts=hosts_of(cluster, uuids, *host_group),
        visible=tuple(cluster.get("datastore") or ()),
    )


def _check_disks(resolved: Resolved, template: Template) -> None:
    """Raise `Invalid` where no machine could ever be made: a disk can grow, and there is none to grow beyond the template's."""
    disks = resolved.source.disks
    places = len(list(free_places(resolved.source)))
    if len(template.extra_disks) > places:
        what = f"{len(template.extra_disks)} disks, and the controller of the template's first disk has {places} units left"
        raise Invalid(what=f"{what}; expected no more of them", where="vsphere.extra_disks")
    if len(template.disks_gib) > len(disks):
        what = f"{len(template.disks_gib)} sizes, and the template has {len(disks)} disks; expected no more sizes than disks"
        raise Invalid(what=what, where="vsphere.disks")
    for index, (size, disk) in enumerate(zip(template.disks_gib, disks, strict=False)):
        has = -(-disk.get("capacityInKB", 0) * KIB // GIB)
        if size < has:
            what = f"the template's disk has {has} GiB; expected {has} or more, a disk cannot shrink"
            raise Invalid(what=what, where=f"vsphere.disks[{index}].size_gb")


def _say_networks(template: Template, resolved: Resolved) -> str | None:
    """Interfaces as a compact text: networks by domain, and what the guest is told of them beside its address."""
    if template.networks is None:
        return None
    told = [
        [
            net.guest_device,
            net.addresses.prefix_length,
            net.addresses.gateway,
            list(net.addresses.dns_servers),
            list(net.addresses.dns_search),
        ]
        if net.addresses
        else [net.guest_device]
        for net in template.networks
    ]
    return _compact([dict(sorted(resolved.network_ids.items())), told])


def _compact(value: Any) -> str | None:
    return json.dumps(value, separators=(",", ":")) if value else None
