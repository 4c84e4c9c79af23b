# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Node belongs to which VM: by providerID, then systemUUID, then by name with a Node younger than the VM.

The last is for clusters without a cloud provider; the age keeps a new VM from inheriting the Node of an old one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm

CLOCK_TOLERANCE = timedelta(seconds=5)  # between two servers' corrected clocks, whose stamps are whole seconds


def match(vms: Iterable[Vm], nodes: Mapping[str, Node]) -> dict[str, str]:
    """`{VM id: node name}` of the VMs that have joined. O(VMs + nodes)."""
    by_id: dict[str, str] = {}
    for node in nodes.values():
        if node.provider_id:
            by_id[_last_part(node.provider_id)] = node.name
        if node.system_uuid:
            by_id.setdefault(node.system_uuid.lower(), node.name)
    found = {}
    for vm in vms:
        name = by_id.get(_last_part(vm.provider_id)) or by_id.get(vm.system_uuid.lower()) or _namesake(vm, nodes)
        if name:
            found[vm.id] = name
    return found


def _namesake(vm: Vm, nodes: Mapping[str, Node]) -> str:
    node = nodes.get(vm.name)
    if node is None or node.provider_id or node.created_at + CLOCK_TOLERANCE < vm.created_at:
        return ""
    return node.name


def _last_part(provider_id: str) -> str:
    """The id in "openstack:///ID", "openstack://region/ID", "vsphere://UUID", in lower case."""
    return provider_id.rsplit("/", 1)[-1].lower()
