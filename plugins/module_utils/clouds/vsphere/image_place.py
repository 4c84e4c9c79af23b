# SPDX-License-Identifier: GPL-3.0-or-later
"""Where golden images lie in a vCenter: their folder, and what a template is put on. Names are read once."""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.image_options import ImageOptions
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.inventory import Inventory, read_inventory
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.transport import Transport
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import CLUSTER, DATASTORE, FOLDER, POOL, Ref, Wanted
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid


class ImagePlace:
    """The options' names as objects. Every method raises `Invalid`, with the option's path and what there is."""

    def __init__(self, transport: Transport, options: ImageOptions) -> None:
        self._transport, self._options = transport, options
        self._inventory: Inventory | None = None

    def datacenter(self) -> Ref | None:
        """None: everywhere."""
        return self._names().datacenter(self._options.datacenter)

    def folder(self) -> Ref:
        """The folder of VMs that the images lie in. It is never made: who may write there is for people to say."""
        names = self._names()
        among = [ref for ref in names.of_kind(FOLDER, self.datacenter()) if names.branch(ref) == "vm"]
        return names.only(among, FOLDER, self._options.folder, "vsphere.image_folder")

    def pool(self) -> Ref:
        """The resource pool in which a template is a VM while it is uploaded."""
        names, options, home = self._names(), self._options, self.datacenter()
        if not options.cluster and not options.resource_pool:
            what = "missing; expected the name of a cluster, or a resource pool, that templates are made in"
            raise Invalid(what=what, where="vsphere.cluster")
        cluster = names.only(names.of_kind(CLUSTER, home), CLUSTER, options.cluster, "vsphere.cluster") if options.cluster else None
        if options.resource_pool:
            return names.only(names.of_kind(POOL, cluster or home), POOL, options.resource_pool, "vsphere.resource_pool")
        read = self._transport.read(Wanted(kind=CLUSTER, paths=("resourcePool",), objects=(cluster,))) if cluster is not None else {}
        pool = read.get(cluster, {}).get("resourcePool") if cluster is not None else None
        if not isinstance(pool, Ref):
            raise Invalid(what=f"the cluster {options.cluster} has no resource pool", where="vsphere.cluster")
        return pool

    def store_name(self) -> str:
        """The datastore that templates lie on."""
        if not self._options.datastore:
            raise Invalid(what="missing; expected the name of the datastore that templates lie on", where="vsphere.datastore")
        names = self._names()
        found = names.only(names.of_kind(DATASTORE, self.datacenter()), DATASTORE, self._options.datastore, "vsphere.datastore")
        return names.name(found)

    def _names(self) -> Inventory:
        if self._inventory is None:
            self._inventory = read_inventory(self._transport)
        return self._inventory
