# SPDX-License-Identifier: GPL-3.0-or-later
"""The template with every name resolved to an id, and the revision that follows.

Promises: reads only; names, the template, and the details of what was found, a call or two each; a name that means nothing, or two
things, is `Invalid` with the option's path, what was expected and what was found. A name that moves later changes nothing here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.client import Transport
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.inventory import Inventory, find_folder, find_template
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import Place, Template
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import (
    CLUSTER,
    DATASTORE,
    NETWORK,
    POOL,
    PORT_GROUP,
    STORAGE_POD,
    SWITCH,
    TYPE,
    VM,
    Data,
    Found,
    Ref,
    Wanted,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision, revision_of

GIB = 1 << 30
KIB = 1 << 10
TEMPLATE_PATHS = (
    "name",
    "config.template",
    "config.uuid",
    "config.annotation",
    "config.hardware",
    "config.extraConfig",
    "snapshot.rootSnapshotList",
    "parent",
)
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
    pool_name: str = ""
    cluster_name: str = ""
    stores: tuple[Store, ...] = ()
    nics: tuple[Nic, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Ids of all that a clone names. `devices` are the template's disks and network cards, as vCenter describes them.

    `network_ids` are by interface, under "" those of all domains but the ones that have others.
    """

    template: Ref
    template_name: str
    digest: str
    version: str
    cpus: int
    memory_mib: int
    devices: tuple[Data, ...]
    snapshot: Ref | None
    folder: Ref
    folder_path: str
    sites: Mapping[str, Site] = field(default_factory=dict)
    network_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def disks(self) -> tuple[Data, ...]:
        """The template's disks, in the order of their controllers and units."""
        found = [device for device in self.devices if device[TYPE].endswith(".VirtualDisk")]
        return tuple(sorted(found, key=lambda disk: (disk.get("controllerKey", 0), disk.get("unitNumber", 0))))

    @property
    def cards(self) -> tuple[Data, ...]:
        """The template's network cards, in the order in which guests number them."""
        found = [device for device in self.devices if "macAddress" in device or "addressType" in device]
        return tuple(sorted(found, key=lambda card: card.get("unitNumber", card["key"])))


def resolve(
    transport: Transport, inventory: Inventory, template: Template, domains: Sequence[str] | None, pinned: Mapping[str, str]
) -> Resolved:
    """Look everything up. Where `pinned` is the template that is asked for, the pinned one is taken (FM37).

    `domains` are the pool's; None where nothing will be made, and only what machines are made of is of interest.
    """
    folder = find_folder(inventory, template.datacenter, template.folder)
    ref = _template(transport, inventory, template, pinned)
    places = {domain: template.place_of(domain) for domain in domains or ("",)} if domains is not None else {}
    home = inventory.datacenter(template.datacenter)
    wanted = _Lookup(inventory, home, template)
    asked = {domain: wanted.refs_of(place, domain) for domain, place in places.items()}
    details = transport.read(*_details(ref, asked))
    switches = {each["config.distributedVirtualSwitch"] for each in details.values() if "config.distributedVirtualSwitch" in each}
    uuids = transport.read(Wanted(kind=SWITCH, paths=("uuid",), objects=tuple(sorted(switches)))) if switches else {}
    found = details.get(ref, {})
    _check_template(found, ref, template, pinned)
    digest, version = digest_of(found)
    hardware: Mapping[str, Any] = found.get("config.hardware") or {}
    resolved = Resolved(
        template=ref,
        template_name=str(found.get("name", ref.id)),
        digest=digest,
        version=version,
        cpus=template.cpus or hardware.get("numCPU", 1),
        memory_mib=template.memory_mib or hardware.get("memoryMB", 1),
        devices=tuple(hardware.get("device") or ()),
        snapshot=_snapshot(found, template),
        folder=folder,
        folder_path=inventory.path(folder),
        sites={domain: _site(inventory, refs, details, uuids) for domain, refs in asked.items()},
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
        "linked_clone": (template.snapshot or "true") if resolved.snapshot else None,  # what is in it, the digest says
        "hardware": _compact({name: value for name, value in hardware.items() if value}),
        "disks": _compact(list(template.disks_gib)),
        "networks": _say_networks(template, resolved),
        "advanced_settings": _compact(dict(sorted(template.advanced_settings.items()))),
        "user_data": "sha256:" + hashlib.sha256(template.user_data.encode()).hexdigest() if template.user_data else None,
    }
    image = {"asked": template.template, "id": resolved.template.id, "digest": resolved.digest}
    return revision_of(fields, image)


def digest_of(found: Found) -> tuple[str, str]:
    """`(digest, version)` of a template: its marks in extraConfig, else in its annotation; without a digest its UUID stands for it."""
    texts = {each["key"]: str(each.get("value", "")) for each in found.get("config.extraConfig") or () if "key" in each}
    noted = marks.noted(str(found.get("config.annotation") or ""))
    digest = texts.get(marks.IMAGE_DIGEST) or noted.get(marks.IMAGE_DIGEST) or f"uuid:{found.get('config.uuid', '')}"
    return digest, texts.get(marks.IMAGE_VERSION) or noted.get(marks.IMAGE_VERSION, "")


def machine_gib(template: Template, resolved: Resolved) -> int:
    """What a machine's disks may grow to. A linked clone's is not counted: it holds what it changes, which nobody knows."""
    if resolved.snapshot is not None:
        return 0
    sizes = [-(-disk.get("capacityInKB", 0) * KIB // GIB) for disk in resolved.disks]
    sizes[: len(template.disks_gib)] = template.disks_gib
    return sum(sizes)


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

    def _only(self, kind: str, asked: str, where: str) -> Ref:
        return self._inventory.only(self._inventory.of_kind(kind, self._home), kind, asked, where)

    def _where(self, domain: str) -> dict[str, str]:
        """`{option: its path}`: a domain that is not described stands in failure_domains with its cluster's name."""
        names = list(self._template.failure_domains)
        options = ("cluster", "resource_pool", "datastore", "datastore_cluster", "networks")
        at = f"vsphere.failure_domains[{names.index(domain)}]" if domain in names else "vsphere"
        where = {option: f"{at}.{option}" for option in options}
        if domain and domain not in names:
            where["cluster"] = "failure_domains"
        return where


def _details(template: Ref, asked: Mapping[str, _Refs]) -> list[Wanted]:
    clusters = {refs.cluster for refs in asked.values() if refs.cluster is not None}
    stores = {store for refs in asked.values() for store in refs.stores}
    groups = {ref for refs in asked.values() for ref in refs.networks if ref.kind == PORT_GROUP}
    return [
        Wanted(kind=VM, paths=TEMPLATE_PATHS, objects=(template,)),
        Wanted(kind=CLUSTER, paths=CLUSTER_PATHS, objects=tuple(sorted(clusters))),
        Wanted(kind=DATASTORE, paths=DATASTORE_PATHS, objects=tuple(sorted(stores))),
        Wanted(kind=PORT_GROUP, paths=PORT_GROUP_PATHS, objects=tuple(sorted(groups))),
    ]


def _template(transport: Transport, inventory: Inventory, template: Template, pinned: Mapping[str, str]) -> Ref:
    where, asked = "vsphere.template", template.template
    if not asked:
        raise Invalid(what="missing; expected the name, path or UUID of a template", where=where)
    instead = pinned if pinned.get("asked") == asked else {}
    if instead.get("id"):
        return Ref(VM, instead["id"])
    named = instead.get("name") or asked
    found = find_template(transport, inventory, template.datacenter, named)
    if not found:
        raise Invalid(what=f"there is no template {named!r}", where=where)
    if len(found) > 1:
        ids = ", ".join(sorted(ref.id for ref in found))
        raise Invalid(what=f"{named!r} means {len(found)} templates: {ids}; expected one, its path or its UUID", where=where)
    return found[0]


def _check_template(found: Found, ref: Ref, template: Template, pinned: Mapping[str, str]) -> None:
    asked = template.template
    if not found:
        is_pinned = pinned.get("asked") == asked and pinned.get("id") == ref.id
        why = f"which this rollout pinned for {asked}, is gone" if is_pinned else "does not exist"
        raise Invalid(what=f"the template {ref.id}, {why}", where="vsphere.template")
    if not found.get("config.template"):
        what = f"{found.get('name', asked)} is a VM; expected a template, which nobody can start and change"
        raise Invalid(what=what, where="vsphere.template")


def _snapshot(found: Found, template: Template) -> Ref | None:
    """The snapshot that linked clones are made from; one that is missing is refused: without it vCenter would copy the disk."""
    if not template.linked_clone:
        return None
    every = _snapshots(found.get("snapshot.rootSnapshotList") or ())
    alike = [each for each in every if template.snapshot in ("", each.get("name"))]
    if len(alike) != 1:
        names = ", ".join(sorted(str(each.get("name")) for each in every)) or "none"
        asked = f"{len(alike)} snapshots {template.snapshot!r}" if template.snapshot else f"{len(alike)} snapshots to choose from"
        raise Invalid(what=f"the template has {asked}; expected one for a linked clone of it; there are {names}", where="vsphere.snapshot")
    snapshot: Ref = alike[0]["snapshot"]
    return snapshot


def _snapshots(trees: Sequence[Data]) -> list[Data]:
    return [each for tree in trees for each in (tree, *_snapshots(tree.get("childSnapshotList") or ()))]


def _site(inventory: Inventory, refs: _Refs, details: Mapping[Ref, Found], uuids: Mapping[Ref, Found]) -> Site:
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
        pool_name=inventory.name(pool),
        cluster_name=inventory.name(refs.cluster) if refs.cluster else "",
        stores=tuple(stores),
        nics=tuple(nics),
    )


def _check_disks(resolved: Resolved, template: Template) -> None:
    """Raise `Invalid` where no machine could ever be made: a disk can grow, and there is none to grow beyond the template's."""
    disks = resolved.disks
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
