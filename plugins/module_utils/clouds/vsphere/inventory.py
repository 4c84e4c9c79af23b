# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of a vCenter's inventory, read in one call, and what a name or a path in them means. Pure but for the read.

A name is looked for in the datacenter that was given, if one was; a path ("fleet/web", "/dc1/vm/fleet") says where a thing lies,
from the right: each further part is the name of what it lies in. A name that means nothing, or two things, is `Invalid` with the
option's path and what was found. Percent-encoded characters, as vCenter writes "/" in names, stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.transport import Transport
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import (
    CLUSTER,
    DATACENTER,
    DATASTORE,
    FOLDER,
    NETWORK,
    POOL,
    ROOT,
    VM,
    Found,
    Ref,
    Wanted,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

NAMES = ("name", "parent")
_SAID = {CLUSTER: "cluster", DATACENTER: "datacenter", DATASTORE: "datastore", FOLDER: "folder", NETWORK: "network", POOL: "resource pool"}
SHOWN_MAX = 10  # names in a message
ROOT_POOL = "Resources"
UUID_LENGTH, UUID_DASHES = 36, 4
FOLDERS_ASKED_MAX = 16  # folders of VMs; so many short calls take about as long as the names of a thousand VMs
SEVERAL = 2


class Inventory:
    """All but VMs, by name. `names` is what was read of each object: its name and parent."""

    def __init__(self, names: Mapping[Ref, Found]) -> None:
        self._names = names

    def datacenter(self, asked: str) -> Ref | None:
        """The datacenter of this name; where none is asked for the only one, None if there are several."""
        found = [ref for ref in self._names if ref.kind == DATACENTER]
        if asked:
            return self.only(found, DATACENTER, asked, "vsphere.datacenter")
        return found[0] if len(found) == 1 else None

    def only(self, among: Iterable[Ref], kind: str, asked: str, where: str) -> Ref:
        """The one of `among` that `asked` means, a name or a path."""
        listed = list(among)
        found = [ref for ref in listed if self._is(ref, asked)]
        said = _SAID.get(kind, "object")
        if not found:
            there = ", ".join(sorted({self.name(ref) for ref in listed})[:SHOWN_MAX]) or "none"
            raise Invalid(what=f"there is no {said} {asked!r}; there are {there}", where=where)
        if len(found) > 1:
            paths = ", ".join(sorted(self.path(ref) for ref in found))
            raise Invalid(what=f"{asked!r} means {len(found)} {said}s: {paths}; expected one, or its path", where=where)
        return found[0]

    def of_kind(self, kind: str, within: Ref | None) -> list[Ref]:
        """All of a kind that lie in `within`, at any depth; everywhere, where that is None."""
        alike = _ALIKE.get(kind, (kind,))
        return [ref for ref in self._names if ref.kind in alike and (within is None or within in self._above(ref))]

    def cluster_of(self, ref: Ref | None) -> Ref | None:
        """The cluster that a resource pool lies in."""
        return next((each for each in self._above(ref) if each.kind in _ALIKE[CLUSTER]), None) if ref is not None else None

    def name(self, ref: Ref) -> str:
        """As vCenter shows it."""
        return str(self._names.get(ref, {}).get("name", ref.id))

    def path(self, ref: Ref) -> str:
        """Where it lies, as `govc` writes it: "/dc1/vm/fleet"."""
        return "/" + "/".join(self.name(each) for each in reversed([ref, *self._above(ref)]) if each in self._names)

    def branch(self, ref: Ref) -> str:
        """The datacenter's own folder that it lies in, or is: "vm", "host", "network", "datastore"; "" outside of one."""
        line = [ref, *self._above(ref)]
        home = next((index for index, each in enumerate(line) if each.kind == DATACENTER), 0)
        return self.name(line[home - 1]) if home else ""

    def _is(self, ref: Ref, asked: str) -> bool:
        parts = [part for part in asked.split("/") if part][::-1]
        if asked.startswith("/"):
            return self.path(ref) == "/" + "/".join(parts[::-1])
        line = [ref, *self._above(ref)]
        # A pool may be written below its cluster, without the invisible one between them.
        shown = [each for each in line if not (each.kind == POOL and each is not ref and self.name(each) == ROOT_POOL)]
        return bool(parts) and any([self.name(each) for each in way[: len(parts)]] == parts for way in (line, shown))

    def _above(self, ref: Ref) -> list[Ref]:
        """What it lies in, the nearest first."""
        found: list[Ref] = []
        parent: Any = self._names.get(ref, {}).get("parent")
        while isinstance(parent, Ref) and parent not in found:
            found.append(parent)
            parent = self._names.get(parent, {}).get("parent")
        return found


_ALIKE = {
    CLUSTER: (CLUSTER, "vim.ClusterComputeResource"),
    FOLDER: (FOLDER, "vim.StoragePod"),
    NETWORK: (NETWORK, "vim.dvs.DistributedVirtualPortgroup", "vim.OpaqueNetwork"),
    POOL: (POOL, "vim.VirtualApp"),
}


def read_inventory(transport: Transport) -> Inventory:
    """Two calls, the first of a session: one view of all that is no VM, and one read of names."""
    kinds = (DATACENTER, FOLDER, CLUSTER, POOL, DATASTORE, NETWORK)
    return Inventory(transport.read(*(Wanted(kind=kind, paths=NAMES, within=ROOT) for kind in kinds)))


def find_folder(inventory: Inventory, datacenter: str, asked: str) -> Ref:
    """The folder of VMs that is asked for; a datacenter's own where none is. Raises `Invalid`."""
    home = inventory.datacenter(datacenter)
    if not asked and home is None:
        raise Invalid(what="missing; expected the folder of the pool's machines, as there are several datacenters", where="vsphere.folder")
    folders = inventory.of_kind(FOLDER, home)
    return inventory.only([ref for ref in folders if inventory.branch(ref) == "vm"], FOLDER, asked or "vm", "vsphere.folder")


def find_template(transport: Transport, inventory: Inventory, datacenter: str, asked: str) -> list[Ref]:
    """VMs that `asked` may mean: a moref ("vm-98"), a UUID, a path ("/dc1/vm/templates/base"), or the name of templates.

    One call, or two for a UUID. A name is asked for in each folder, and where there are many of those all VMs' names are read: a
    path or a UUID is quicker.
    """
    search = Ref("content", "searchIndex")
    if asked.startswith("vm-") and asked[3:].isdigit():
        return [Ref(VM, asked)]
    if asked.startswith("/"):
        found = transport.call(search, "FindByInventoryPath", inventoryPath=asked.strip("/"))
        return [found] if isinstance(found, Ref) and found.kind == VM else []
    if len(asked) == UUID_LENGTH and asked.count("-") == UUID_DASHES:
        found = transport.call(search, "FindAllByUuid", uuid=asked, vmSearch=True, instanceUuid=False)
        found = found or transport.call(search, "FindAllByUuid", uuid=asked, vmSearch=True, instanceUuid=True)
        return [ref for ref in found or () if isinstance(ref, Ref)]
    home = inventory.datacenter(datacenter)
    folders = [ref for ref in inventory.of_kind(FOLDER, home) if inventory.branch(ref) == "vm"]
    if len(folders) > FOLDERS_ASKED_MAX:
        named = transport.read(Wanted(kind=VM, paths=("name", "config.template"), within=home or ROOT))
        return [ref for ref, found in named.items() if found.get("name") == asked and found.get("config.template")]
    children = [transport.call(search, "FindChild", entity=folder, name=asked) for folder in sorted(folders)]
    vms = tuple(ref for ref in children if isinstance(ref, Ref) and ref.kind == VM)
    if len(vms) < SEVERAL:
        return list(vms)
    return [
        ref
        for ref, found in transport.read(Wanted(kind=VM, paths=("config.template",), objects=vms)).items()
        if found.get("config.template")
    ]
