# SPDX-License-Identifier: GPL-3.0-or-later
"""What a project has left for one more machine of a template: quotas, members of the server group, addresses.

Promises: reads only; Nova, Neutron and Cinder are asked side by side; a part that cannot be read is `unknown` and hides no other.
A limit below 0 is none at all. Used and reserved count together, for both are refused alike.

What a member of a project may read by default: `/limits` of Nova, `/quotas/{project}/details` of Neutron, `/os-quota-sets` of
Cinder. How many addresses are left is an administrator's: for anybody else the list is empty, not refused. The owner of a
network sees all its ports and may count them; on another project's network nobody can tell.
Sources: nova/api/openstack/compute/limits.py, neutron/extensions/quotasv2_detail.py and
conf/policies/network_ip_availability.py, cinder/api/contrib/quotas.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import COMPUTE, NETWORK, VOLUME, Transport, every
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import Template
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.resolve import Nic, Resolved
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, NotFound, PortError
from ansible_collections.immutable.fleet.plugins.module_utils.model.room import ANSWER, Resource, Room

Json = Mapping[str, Any]

PARTS = 4  # asked at once
IPV4 = 4  # addresses of version 6 do not run out
COUNTED_MAX = 4096  # addresses: ports of a wider network are not counted, for the list is long and the end far away
SUBNET_FIELDS = ("id", "name", "network_id", "project_id", "ip_version", "allocation_pools", "segment_id", "service_types")


@dataclass(frozen=True, slots=True)
class _Quotas:
    """Whose quotas they are, as people and `openstack quota set` say it."""

    service: str
    project: str

    def resource(self, name: str, options: str, limit: int, used: int, each: int, unit: str = "") -> Resource:
        remedy = f"openstack quota set --{options} {ANSWER} {self.project}"
        return Resource(
            name=name, unit=unit, limit=limit, used=used, each=each, where=f"{self.service} quota of project {self.project}", remedy=remedy
        )


def room_of(transport: Transport, template: Template, resolved: Resolved, group_id: str) -> Room:
    """Everything that has an end. Two to seven calls, where ports are counted some more; `group_id` "": none, or not made yet."""
    project = transport.project_id()
    parts: dict[str, Callable[[], Iterable[Resource]]] = {
        "the compute quota": lambda: _compute(transport, template, resolved, group_id, _Quotas("compute", project)),
    }
    if resolved.nics is None or resolved.nics:
        parts["the port quota"] = lambda: _ports(transport, resolved.nics, _Quotas("network", project))
    if template.boot_volume:
        parts["the volume quota"] = lambda: _volumes(transport, template, _Quotas("volume", project))
    unknown: list[str] = []
    if resolved.nics:
        parts["the number of free addresses"] = lambda: _addresses(transport, resolved.nics or (), project, unknown)
    with ThreadPoolExecutor(PARTS) as threads:
        futures = {name: threads.submit(_listed, part) for name, part in parts.items()}
    found = [resource for name, future in futures.items() for resource in _answer(name, future, unknown)]
    return Room(resources=tuple(found), unknown=tuple(unknown))


def _listed(part: Callable[[], Iterable[Resource]]) -> list[Resource]:
    return list(part())


def _answer(name: str, future: Future[list[Resource]], unknown: list[str]) -> list[Resource]:
    try:
        return [resource for resource in future.result() if resource.limit >= 0 and resource.each > 0]
    except PortError as error:
        unknown.append(f"{name} is not known: {error.what}")
        return []


def _compute(transport: Transport, template: Template, resolved: Resolved, group_id: str, quotas: _Quotas) -> Iterator[Resource]:
    limits: Json = transport.request("GET", COMPUTE, "/limits")["limits"]["absolute"]
    for name, option, limit, used, each, unit in (
        ("instances", "instances", "maxTotalInstances", "totalInstancesUsed", 1, ""),
        ("cores", "cores", "maxTotalCores", "totalCoresUsed", resolved.cores, ""),
        ("RAM", "ram", "maxTotalRAMSize", "totalRAMUsed", resolved.memory_mib, "MiB"),
    ):
        yield quotas.resource(name, option, limits.get(limit, -1), limits.get(used, 0), each, unit)
    if not template.server_group:
        return
    taken = 0
    if group_id:
        # Nova counts the members of one user only, unless Keystone keeps its limits: where several users share a group, this is more.
        taken = len(transport.request("GET", COMPUTE, f"/os-server-groups/{group_id}")["server_group"]["members"])
    elif 0 <= limits.get("maxServerGroups", -1) <= limits.get("totalServerGroupsUsed", 0):
        # One is made for all machines: an end only where there is no room for it.
        yield quotas.resource("server groups", "server-groups", limits["maxServerGroups"], limits["totalServerGroupsUsed"], 1)
    most = limits.get("maxServerGroupMembers", -1)
    yield quotas.resource(f"members of server group {template.server_group}", "server-group-members", most, taken, 1)


def _ports(transport: Transport, nics: Sequence[Nic] | None, quotas: _Quotas) -> Iterator[Resource]:
    port = transport.request("GET", NETWORK, f"/quotas/{quotas.project}/details.json")["quota"]["port"]
    each = 1 if nics is None else len(nics)  # where Nova chooses, it takes the one network there is
    yield quotas.resource("ports", "ports", port["limit"], port["used"] + port["reserved"], each)


def _volumes(transport: Transport, template: Template, quotas: _Quotas) -> Iterator[Resource]:
    volume = template.boot_volume
    size, kind = (volume.size_gib, volume.type) if volume else (0, "")
    usage = _volume_usage(transport, quotas.project)
    kinds = [("", "", "")] + ([(f"_{kind}", f" of type {kind}", f"volume-type {kind} --")] if kind else [])
    for suffix, of, option in kinds:
        limit, used = usage.get(f"volumes{suffix}", (-1, 0))
        yield quotas.resource(f"volumes{of}", f"{option}volumes", limit, used, 1)
        limit, used = usage.get(f"gigabytes{suffix}", (-1, 0))
        yield quotas.resource(f"volume space{of}", f"{option}gigabytes", limit, used, size, "GiB")
    limit, _used = usage.get("per_volume_gigabytes", (-1, 0))
    if 0 <= limit < size:
        yield quotas.resource("size of a volume", "per-volume-gigabytes", limit, 0, size, "GiB")


def _volume_usage(transport: Transport, project: str) -> dict[str, tuple[int, int]]:
    """`{resource: (limit, used)}`, by volume type too where policy shows it."""
    try:
        answer = transport.request("GET", VOLUME, f"/os-quota-sets/{project}", query=(("usage", "True"),))["quota_set"]
        return {name: (row["limit"], row["in_use"] + row["reserved"]) for name, row in answer.items() if isinstance(row, dict)}
    except (Denied, NotFound):
        limits = transport.request("GET", VOLUME, "/limits")["limits"]["absolute"]
        return {
            "volumes": (limits.get("maxTotalVolumes", -1), limits.get("totalVolumesUsed", 0)),
            "gigabytes": (limits.get("maxTotalVolumeGigabytes", -1), limits.get("totalGigabytesUsed", 0)),
        }


def _addresses(transport: Transport, nics: Sequence[Nic], project: str, unknown: list[str]) -> Iterator[Resource]:
    """IPv4 addresses in the allocation pools that the interfaces draw from; an interface with addresses of its own draws none."""
    drawing = [nic for nic in nics if not nic.fixed_ips]
    networks = sorted({nic.network_id for nic in drawing})
    if not networks:
        return
    query = [*(("network_id", network) for network in networks), *(("fields", name) for name in SUBNET_FIELDS)]
    listed = transport.request("GET", NETWORK, "/subnets", query=query)["subnets"]
    subnets = {subnet["id"]: subnet for subnet in listed if _serves(subnet)}
    drawn = Counter(tuple(sorted(_sources(nic, subnets.values()))) for nic in drawing)
    told = _used_by_subnet(transport, networks)
    for ids, each in drawn.items():
        if not ids:
            continue
        sources = [subnets[subnet_id] for subnet_id in ids]
        name = ", ".join(sorted(str(subnet["name"] or subnet["id"]) for subnet in sources))
        total = sum(end - start + 1 for subnet in sources for start, end in _pools(subnet))
        is_told = all(subnet["id"] in told for subnet in sources)
        if not is_told and any(subnet.get("project_id") != project for subnet in sources):
            unknown.append(f"the number of free addresses of {name} is not known: the network belongs to another project")
        elif total <= COUNTED_MAX:  # exact: what Neutron tells counts addresses outside of the pools too, as a router's
            yield _of_subnets(name, total, _counted(transport, sources), each)
        elif is_told:
            yield _of_subnets(name, total, sum(told[subnet["id"]] for subnet in sources), each)


def _sources(nic: Nic, subnets: Iterable[Json]) -> list[str]:
    """The subnets that may give this interface its address."""
    return [subnet["id"] for subnet in subnets if subnet["network_id"] == nic.network_id and nic.subnet_id in ("", subnet["id"])]


def _of_subnets(name: str, total: int, used: int, each: int) -> Resource:
    remedy = f"widen the allocation pool of {name} (openstack subnet set --allocation-pool), or give openstack.networks another"
    return Resource(name=f"addresses of {name}", limit=total, used=used, each=each, where=f"subnet {name}", remedy=remedy)


def _serves(subnet: Json) -> bool:
    """Whether machines draw IPv4 addresses from it, wherever they are: a routed network's segments serve some hosts each."""
    services = subnet.get("service_types") or ()
    is_for_servers = not services or any(service.startswith("compute:") for service in services)
    return subnet["ip_version"] == IPV4 and not subnet.get("segment_id") and is_for_servers


def _used_by_subnet(transport: Transport, networks: Sequence[str]) -> dict[str, int]:
    """`{subnet: addresses in use}` as Neutron tells an administrator; nothing for others."""
    try:
        answer = transport.request("GET", NETWORK, "/network-ip-availabilities", query=[("network_id", network) for network in networks])
    except (Denied, NotFound):
        return {}
    listed = [subnet for network in answer["network_ip_availabilities"] for subnet in network["subnet_ip_availability"]]
    return {subnet["subnet_id"]: subnet["used_ips"] for subnet in listed}


def _counted(transport: Transport, subnets: Sequence[Json]) -> int:
    """Addresses in use within the allocation pools of a network's subnets, from all its ports, which the owner sees."""
    pools = {subnet["id"]: _pools(subnet) for subnet in subnets}
    query = (("network_id", subnets[0]["network_id"]), ("fields", "id"), ("fields", "fixed_ips"))
    taken = {
        (fixed["subnet_id"], int(ip_address(fixed["ip_address"])))
        for port in every(transport, NETWORK, "/ports", "ports", query)
        for fixed in port["fixed_ips"]
        if fixed["subnet_id"] in pools
    }
    return sum(any(start <= address <= end for start, end in pools[subnet]) for subnet, address in taken)


def _pools(subnet: Json) -> list[tuple[int, int]]:
    """First and last address of each allocation pool, as numbers."""
    return [(int(IPv4Address(pool["start"])), int(IPv4Address(pool["end"]))) for pool in subnet["allocation_pools"]]
