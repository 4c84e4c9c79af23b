# SPDX-License-Identifier: GPL-3.0-or-later
"""What a vCenter has left for one more machine of a template: space of datastores, addresses; and whether the account may.

Promises: reads only; a part that cannot be read is `unknown` and hides no other. A missing privilege is `Denied`, with its name and
the object: every create would be refused for it. Memory and CPU are none of it: vSphere lets hosts and pools be overcommitted, and
what DRS will accept nobody can tell beforehand. A thin disk takes less than it may grow to; the space counted is what it may.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.disks import GIB
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import Template
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.resolve import DATASTORE_PATHS, Resolved, machine_gib
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.transport import Transport
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import DATASTORE, Ref, Wanted, well_known
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, PortError
from ansible_collections.immutable.fleet.plugins.module_utils.model.room import ANSWER, Resource, Room

# What each of our calls needs, by the object that it must be granted on: docs/vsphere.md has the same as a role.
ON_TEMPLATE = ("VirtualMachine.Provisioning.DeployTemplate",)
ON_FOLDER = (
    "VirtualMachine.Inventory.CreateFromExisting",
    "VirtualMachine.Inventory.Delete",
    "VirtualMachine.Interact.PowerOn",
    "VirtualMachine.Interact.PowerOff",
    "VirtualMachine.Config.AdvancedConfig",
    "VirtualMachine.Config.Annotation",
)
ON_POOL = ("Resource.AssignVMToPool",)
ON_DATASTORE = ("Datastore.AllocateSpace",)
ON_CLUSTER = ("Host.Inventory.EditCluster",)
ON_NETWORK = ("Network.Assign",)
_HARDWARE = "VirtualMachine.Config"


def room_of(transport: Transport, template: Template, resolved: Resolved, taken: Collection[str]) -> Room:
    """Everything that has an end. Two calls; `taken` are the static addresses that machines hold."""
    unknown: list[str] = []
    try:
        _check_privileges(transport, template, resolved)
    except Denied:
        raise
    except PortError as error:
        unknown.append(f"whether the account has the privileges it needs is not known: {error.what}")
    found = [*_addresses(template, taken)]
    try:
        found += _space(transport, template, resolved)
    except PortError as error:
        unknown.append(f"the space of the datastores is not known: {error.what}")
    return Room(resources=tuple(found), unknown=tuple(unknown))


def needed_privileges(template: Template, resolved: Resolved) -> dict[Ref, tuple[str, ...]]:
    """`{object: privileges}` of all that a machine's life takes."""
    on_folder = [*ON_FOLDER]
    on_folder += [f"{_HARDWARE}.CPUCount"] if template.cpus or template.cores_per_socket else []
    on_folder += [f"{_HARDWARE}.Memory"] if template.memory_mib else []
    on_folder += [f"{_HARDWARE}.DiskExtend"] if template.disks_gib else []
    on_folder += [f"{_HARDWARE}.AddNewDisk"] if template.extra_disks else []
    on_folder += [f"{_HARDWARE}.RemoveDisk"] if any(disk.is_kept for disk in template.extra_disks) else []
    on_folder += [f"{_HARDWARE}.EditDevice", f"{_HARDWARE}.AddRemoveDevice"] if template.networks is not None else []
    found: dict[Ref, tuple[str, ...]] = {source.template: ON_TEMPLATE for source in resolved.sources}
    found[resolved.folder] = tuple(on_folder)
    for site in resolved.sites.values():
        found[site.pool] = ON_POOL
        found |= {store.ref: ON_DATASTORE for store in site.stores}
        found |= {nic.network: ON_NETWORK for nic in site.nics}
        if (template.anti_affinity or site.hosts) and site.cluster is not None:
            found[site.cluster] = ON_CLUSTER
    return found


def _check_privileges(transport: Transport, template: Template, resolved: Resolved) -> None:
    """One call asks for all privileges on all objects; of the answer only what is needed where counts. Raises `Denied`."""
    needed, user = needed_privileges(template, resolved), transport.user()
    privileges = sorted({privilege for each in needed.values() for privilege in each})
    answer = transport.call(
        well_known("authorizationManager"), "HasUserPrivilegeOnEntities", entities=sorted(needed), userName=user, privId=privileges
    )
    missing = [
        f"{each['privId']} on {_say(entity['entity'], resolved)}"
        for entity in answer or ()
        for each in entity.get("privAvailability") or ()
        if not each.get("isGranted") and each["privId"] in needed.get(entity["entity"], ())
    ]
    if missing:
        what = f"the account {user} lacks {', '.join(sorted(missing))}; a role with them is in the documentation of vSphere pools"
        raise Denied(what=what, where="vsphere.username")


def _say(ref: Ref, resolved: Resolved) -> str:
    """The object as people know it."""
    names = {source.template: f"the template {source.name}" for source in resolved.sources}
    names[resolved.folder] = f"the folder {resolved.folder_path}"
    for site in resolved.sites.values():
        names[site.pool] = f"the resource pool {site.pool_name}" + (f" of {site.cluster_name}" if site.cluster_name else "")
        names |= {store.ref: f"the datastore {store.name}" for store in site.stores}
        names |= {site.cluster: f"the cluster {site.cluster_name or site.cluster.id}"} if site.cluster is not None else {}
        names |= {nic.network: f"the network {nic.name}" for nic in site.nics}
    return names.get(ref, str(ref))


def _addresses(template: Template, taken: Collection[str]) -> Iterator[Resource]:
    for index, network in enumerate(template.networks or ()):
        if network.addresses is None:
            continue
        given = network.addresses.given
        yield Resource(
            name=f"addresses of {network.name or f'interface {index}'}",
            limit=len(given),
            used=len(set(given) & set(taken)),
            each=1,
            where=f"vsphere.networks[{index}].addresses",
            remedy=f"widen vsphere.networks[{index}].addresses",
        )


def _space(transport: Transport, template: Template, resolved: Resolved) -> Iterator[Resource]:
    """Of all datastores together: a machine goes to one of them, and which has most space is decided when it is made."""
    each = machine_gib(template, resolved)
    names = {store.ref: store.name for site in resolved.sites.values() for store in site.stores}
    if not each or not names:
        return
    read = transport.read(Wanted(kind=DATASTORE, paths=DATASTORE_PATHS, objects=tuple(sorted(names))))
    capacity = sum(int(found.get("summary.capacity", 0)) for found in read.values()) // GIB
    free = sum(int(found.get("summary.freeSpace", 0)) // GIB // each * each for found in read.values())
    said = ", ".join(sorted(names.values()))
    yield Resource(
        name=f"space of {said}",
        unit="GiB",
        limit=capacity,
        used=capacity - free,
        each=each,
        where=f"datastore {said}",
        remedy=f"free or add space of {said}, {ANSWER} GiB in all, or give vsphere.datastore another",
    )
