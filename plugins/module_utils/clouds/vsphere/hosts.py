# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of hosts as failure domains: a rack, a room. Pure.

The clone names a host of the group, since a VM is in no group before it exists; the rule that keeps it there comes after (rules.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import Place
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import TYPE, Data, Found, Ref, Wanted
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import NewMachine

HOST = "vim.HostSystem"
HOST_PATHS = ("runtime.connectionState", "runtime.inMaintenanceMode")


def hosts_wanted(details: Mapping[Ref, Found], places: Iterable[Place]) -> list[Wanted]:
    """What has to be read of the hosts of all groups that places name."""
    names = {place.host_group for place in places} - {""}
    groups = [group for found in details.values() for group in groups_of(found) if group["name"] in names]
    hosts = tuple(sorted({host for group in groups for host in group.get("host") or ()}))
    return [Wanted(kind=HOST, paths=HOST_PATHS, objects=hosts)] if hosts else []


def hosts_of(cluster: Found, read: Mapping[Ref, Found], asked: str, where: str) -> tuple[Ref, ...]:
    """The hosts of a group that are in service; () where none is asked for. Raises `Invalid` where nothing could be made there."""
    if not asked:
        return ()
    groups = {str(group["name"]): group for group in groups_of(cluster)}
    if asked not in groups:
        there = ", ".join(sorted(groups)) or "none"
        raise Invalid(what=f"there is no host group {asked!r} in the cluster; there are {there}", where=where)
    found = []
    for host in groups[asked].get("host") or ():
        facts = read.get(host, {})
        if facts.get("runtime.connectionState") == "connected" and not facts.get("runtime.inMaintenanceMode"):
            found.append(host)
    if not found:
        raise Invalid(what=f"no host of the group {asked} can be used now: disconnected, or in maintenance", where=where)
    return tuple(found)


def groups_of(cluster: Found) -> list[Data]:
    """The groups of hosts of a cluster that was read with `configurationEx`."""
    config: Mapping[str, Any] = cluster.get("configurationEx") or {}
    return [group for group in config.get("group") or () if str(group.get(TYPE, "")).endswith(".HostGroup")]


def host_for(machine: NewMachine, hosts: Sequence[Ref], domains: int) -> Ref | None:
    """The hosts in turn, by the slots of one of so many domains; the next one after each failed try. None leaves it to DRS."""
    return hosts[(machine.slot // max(1, domains) + machine.attempt - 1) % len(hosts)] if hosts else None
