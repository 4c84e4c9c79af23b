# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenStack's JSON to our values and back. Pure.

Ownership on a server: its name, metadata `immutable.fleet.pool`, tag `immutable.fleet.pool=web`; two of three make it ours
(FM25). On a port there are two, name and description, and both are needed: Neutron takes tags with a port's creation only
where the operator enabled an extension driver for it, drops them without a word elsewhere, and another call per port would be
the price of a third.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import NOVA_USER_DATA_MAX, Template
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.resolve import Resolved
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks, vm
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import parse_instant, say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, NewMachine, Vm

Json = Mapping[str, Any]

# https://docs.openstack.org/api-guide/compute/server_concepts.html
# STOPPED is half of a proof of death, so it is said only of servers that come back no other way than by a boot. All others are RUNNING,
# which is no evidence of harm: one that is paused or suspended goes on with what it was writing, one that is reset, resized, moved or
# rescued has power and its volumes.
_STATUS = {
    "BUILD": vm.BUILDING,
    "REBUILD": vm.BUILDING,
    "ERROR": vm.ERROR,
    "SHELVED": vm.STOPPED,
    "SHELVED_OFFLOADED": vm.STOPPED,
    "SHUTOFF": vm.STOPPED,
}
_GONE = {"DELETED", "SOFT_DELETED"}  # soft-deleted servers are off, and come back by a person's hand only
_DELETING_TASKS = {"deleting", "soft-deleting"}


def pool_tag(pool: str) -> str:
    """The tag, and the ports' description, of everything that is the pool's."""
    return marks.tag(marks.POOL, pool)


def names_of(pool: str) -> str:
    """A regular expression for Nova's database that finds the names this pool gives, and no other pool's."""
    return f"^{pool}-[0-9]+-[a-z0-9]{{{marks.NAME_SUFFIX_LENGTH}}}$"


def is_gone(server: Json) -> bool:
    """Whether a list with `changes-since` tells of its end."""
    return server.get("status") in _GONE


def vm_of(server: Json, pool: str, skew: timedelta) -> Vm | None:
    """The server as a Vm, or None where neither name, metadata nor tag say that it is the pool's.

    With the metadata stripped the name still tells the slot and a tag the revision; only fields and attempt are lost.
    """
    name, metadata = server.get("name", ""), server.get("metadata") or {}
    tags = _tags(server.get("tags") or ())
    slot = marks.slot_of(pool, name)
    proofs = sum((slot is not None, metadata.get(marks.POOL) == pool, tags.get(marks.POOL) == pool))
    if not proofs or is_gone(server):
        return None
    launched = server.get("OS-SRV-USG:launched_at")
    noted_slot, attempt = metadata.get(marks.SLOT, ""), metadata.get(marks.ATTEMPT, "")
    return Vm(
        id=server["id"],
        name=name,
        status=_status(server),
        created_at=parse_instant(server["created"]) - skew,
        proofs=proofs,
        slot=int(noted_slot) if slot is None and noted_slot.isdigit() else slot,
        revision=metadata.get(marks.REVISION) or tags.get(marks.REVISION, ""),
        fields={key.removeprefix(marks.FIELD): value for key, value in metadata.items() if key.startswith(marks.FIELD)},
        failure_domain=server.get("OS-EXT-AZ:availability_zone") or "",
        provider_id=f"openstack:///{server['id']}",
        system_uuid=server["id"],
        addresses=_addresses(server.get("addresses") or {}),
        fault=_fault(server.get("fault")),
        attempt=int(attempt) if attempt.isdigit() else 1,
        running_since=parse_instant(launched) - skew if launched else None,
    )


def leftover_of(port: Json, pool: str, alive: Mapping[str, str], skew: timedelta) -> Leftover | None:
    """The port as a leftover: both our marks, and neither its server nor its machine is in `alive`, `{server id: name}`.

    The port of a server in ERROR is unbound and yet not left over: it was made for a machine that exists.
    """
    machine, _dash, index = port.get("name", "").rpartition("-")
    if not index.isdigit() or marks.slot_of(pool, machine) is None or port.get("description") != pool_tag(pool):
        return None
    if port.get("device_id") in alive or machine in alive.values():
        return None
    return Leftover(
        kind="port",
        id=port["id"],
        name=port["name"],
        machine=machine,
        created_at=parse_instant(port["created_at"]) - skew,
    )


def ports_request(machine: NewMachine, pool: str, resolved: Resolved) -> dict[str, Any]:
    """The body of one POST for all ports of a machine, named `web-3-x7k2p-0`, `-1` ... in the order of its interfaces."""
    ports = []
    for index, nic in enumerate(resolved.nics or ()):
        port: dict[str, Any] = {
            "network_id": nic.network_id,
            "name": f"{machine.name}-{index}",
            "description": pool_tag(pool),
            "admin_state_up": True,
        }
        address = nic.fixed_ips[machine.slot] if machine.slot < len(nic.fixed_ips) else ""
        if nic.subnet_id or address:
            fixed = {"subnet_id": nic.subnet_id, "ip_address": address}
            port["fixed_ips"] = [{key: value for key, value in fixed.items() if value}]
        if nic.port_security is not None:
            port["port_security_enabled"] = nic.port_security
        if nic.port_security is False:
            port["security_groups"] = []
        elif nic.security_group_ids:
            port["security_groups"] = list(nic.security_group_ids)
        ports.append(port)
    return {"ports": ports}


def is_as_wanted(port: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a port that is there is what `ports_request` would make."""
    same = all(port[key] == wanted[key] for key in ("network_id", "port_security_enabled") if key in wanted)
    groups = "security_groups" not in wanted or set(wanted["security_groups"]) == set(port["security_groups"])
    addresses = all(any(asked.items() <= fixed.items() for fixed in port["fixed_ips"]) for asked in wanted.get("fixed_ips", ()))
    return same and groups and addresses


def server_request(
    machine: NewMachine,
    pool: str,
    template: Template,
    resolved: Resolved,
    *,
    port_ids: Sequence[str],
    group_id: str,
    user_data: str,
) -> dict[str, Any]:
    """The body of POST /servers. Raises `Invalid` when the user data is longer than Nova takes."""
    server: dict[str, Any] = {
        "name": machine.name,
        "flavorRef": resolved.flavor_id,
        "metadata": _metadata(machine, pool, template),
        "tags": _unique([pool_tag(pool), marks.tag(marks.REVISION, machine.revision), *template.tags]),
        "description": f"Machine {machine.slot} of pool {pool}, made by immutable.fleet",
        "networks": [{"port": port_id} for port_id in port_ids] or ("auto" if resolved.nics is None else "none"),
    }
    if resolved.nics is None and resolved.security_group_ids:
        server["security_groups"] = [{"name": group} for group in resolved.security_group_ids]
    if template.boot_volume:
        server["block_device_mapping_v2"] = [_boot_volume(template, resolved)]
    else:
        server["imageRef"] = resolved.image_id
    if machine.failure_domain:
        server["availability_zone"] = machine.failure_domain
    if template.key_name:
        server["key_name"] = template.key_name
    if template.config_drive:
        server["config_drive"] = True
    if user_data:
        server["user_data"] = _encoded(user_data)
    request: dict[str, Any] = {"server": server}
    if group_id:
        request["os:scheduler_hints"] = {"group": group_id}
    return request


def _metadata(machine: NewMachine, pool: str, template: Template) -> dict[str, str]:
    return {
        **template.metadata,
        **{marks.FIELD + name: value for name, value in machine.fields.items()},
        marks.POOL: pool,
        marks.SLOT: str(machine.slot),
        marks.REVISION: machine.revision,
        marks.CREATED_AT: say_instant(machine.created_at),
        marks.ATTEMPT: str(machine.attempt),
    }


def _boot_volume(template: Template, resolved: Resolved) -> dict[str, Any]:
    volume = template.boot_volume
    device: dict[str, Any] = {
        "boot_index": 0,
        "uuid": resolved.image_id,
        "source_type": "image",
        "destination_type": "volume",
        "volume_size": volume.size_gib if volume else 0,
        "delete_on_termination": volume.delete_on_termination if volume else True,
    }
    if volume and volume.type:
        device["volume_type"] = volume.type
    return device


def _encoded(user_data: str) -> str:
    text = base64.b64encode(user_data.encode()).decode()
    if len(text) > NOVA_USER_DATA_MAX:
        raise Invalid(what=f"{len(text)} characters after base64; Nova takes {NOVA_USER_DATA_MAX}, about 48 KiB of text", where="user_data")
    return text


def _status(server: Json) -> str:
    if server.get("OS-EXT-STS:task_state") in _DELETING_TASKS:
        return vm.DELETING
    return _STATUS.get(server.get("status", ""), vm.RUNNING)


def _addresses(networks: Mapping[str, Sequence[Json]]) -> tuple[str, ...]:
    """Fixed addresses first, then floating ones, in the order of networks and interfaces."""
    every = [entry for entries in networks.values() for entry in entries]
    every.sort(key=lambda entry: entry.get("OS-EXT-IPS:type") == "floating")
    return tuple(entry["addr"] for entry in every)


def _fault(fault: Json | None) -> str:
    return " ".join(str(fault.get("message", "")).split()) if fault else ""


def _tags(tags: Iterable[str]) -> dict[str, str]:
    pairs = (text.partition("=") for text in tags if text.startswith(marks.PREFIX))
    return {key: value for key, _equals, value in pairs}


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def server_time(instant: datetime, skew: timedelta) -> str:
    """An instant of ours as Nova's `changes-since` takes it."""
    return say_instant(instant + skew)
