# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Node belongs to which VM: by providerID, then systemUUID, then by name with a Node younger than the VM.

The last is for clusters without a cloud provider; the age keeps a new VM from inheriting the Node of an old one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm

CLOCK_TOLERANCE = timedelta(seconds=5)  # between two servers' corrected clocks, whose stamps are whole seconds


class NodeMatcher:
    """Keeps who matches whom from turn to turn. O(nodes + VMs) a turn, cheap where nothing changed."""

    def __init__(self) -> None:
        self._nodes: Mapping[str, Node] = {}
        self._first_seen: dict[str, datetime] = {}  # node UID -> when this run saw it first
        self._by_id: dict[str, str] = {}  # providerID's last part, or systemUUID -> node name
        self._indexed: dict[str, Node] = {}
        self._node_names: dict[str, str] = {}  # VM id -> node name
        self._owners: dict[str, str] = {}  # node name -> name of the VM it matched, also of one that is gone by now

    def see(self, nodes: Mapping[str, Node], now: datetime) -> None:
        """Take the newest nodes, seen at `now`."""
        self._nodes = nodes
        for name, node in nodes.items():
            known = self._indexed.get(name)
            if known is None or known.uid != node.uid or known.provider_id != node.provider_id:
                self._first_seen.setdefault(node.uid, now)
                self._index(node)
            self._indexed[name] = node
        if len(self._indexed) > len(nodes):
            for name in self._indexed.keys() - nodes.keys():
                del self._indexed[name]
                self._owners.pop(name, None)

    def match(self, vms: Iterable[Vm]) -> None:
        """Find the node of each VM."""
        self._node_names = {}
        for vm in vms:
            matched = self._match(vm)
            if matched:
                self._node_names[vm.id] = matched
                self._owners[matched] = vm.name

    def node_of(self, vm: Vm) -> Node | None:
        """The VM's node, or None while it has not joined."""
        name = self._node_names.get(vm.id)
        return self._nodes.get(name) if name else None

    def owner_of(self, node: str) -> str:
        """The name of the machine a node belongs to, or belonged to."""
        return self._owners.get(node, node)

    def ownerless(self, listed_at: datetime | None) -> dict[str, Node]:
        """Nodes of ours (by label, or matched earlier) whose VM is in no list that was begun after the node was seen."""
        if listed_at is None:
            return {}
        taken = set(self._node_names.values())
        return {
            name: node
            for name, node in self._nodes.items()
            if name not in taken and (node.pool or name in self._owners) and self._first_seen[node.uid] <= listed_at
        }

    def _index(self, node: Node) -> None:
        if node.provider_id:
            self._by_id[_last_part(node.provider_id)] = node.name
        if node.system_uuid:
            self._by_id[node.system_uuid.lower()] = node.name

    def _match(self, vm: Vm) -> str:
        for key in (_last_part(vm.provider_id), vm.system_uuid.lower()):
            name = self._by_id.get(key, "") if key else ""
            if name in self._nodes:
                return name
        node = self._nodes.get(vm.name)
        if node is None or node.provider_id or node.created_at + CLOCK_TOLERANCE < vm.created_at:
            return ""
        return node.name


def _last_part(provider_id: str) -> str:
    """The id in "openstack:///ID", "openstack://region/ID", "vsphere://UUID", in lower case."""
    return provider_id.rsplit("/", 1)[-1].lower()
