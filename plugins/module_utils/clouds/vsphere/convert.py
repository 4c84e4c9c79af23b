# SPDX-License-Identifier: GPL-3.0-or-later
"""vCenter's values to ours and back. Pure.

Ownership on a VM: its name, our marks in extraConfig (`immutable.fleet.marks`, a JSON text: one key costs a list less than ten), and
lines in its annotation ("immutable.fleet.pool=web"); two of three make it ours (FM25). All of them are written by the call that
makes the VM. Custom attributes and tags would cost a call each per VM, and are left to their owners.
"""

from __future__ import annotations

import base64
import gzip
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere import disks
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.hosts import host_for
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import Network, Template
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.resolve import Nic, Resolved, Site
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.templates import Source
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import Data, Found, Ref, data
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.ways import Way
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks, vm
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import parse_instant, say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import NewMachine, Vm

MARKS_PATH = f'config.extraConfig["{marks.ALL}"]'
VM_PATHS = (
    "name",
    "config.template",
    "config.uuid",
    "config.annotation",
    "config.createDate",
    MARKS_PATH,
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.bootTime",
    "guest.toolsRunningStatus",
    "guest.ipAddress",
)

ON, OFF = "poweredOn", "poweredOff"
TOOLS_RUN = "guestToolsRunning"
# https://developer.broadcom.com/xapis/vsphere-web-services-api/latest/vim.VirtualMachine.ConnectionState.html: what is
# disconnected or inaccessible may run; these two nobody can use again.
_LOST = {"orphaned": "vCenter lost the VM from its host (orphaned)", "invalid": "the VM's configuration cannot be read (invalid)"}
GUESTINFO_MAX = 1 << 20  # characters; the guest reads guestinfo through the hypervisor's 1 MiB window
_NAMESPACE = uuid.UUID("7e0b7a2e-7d44-5b6a-9f0e-3c1c5b8a4d10")


def vm_of(ref: Ref, found: Found, pool: str, skew: timedelta) -> Vm | None:
    """The VM, or None where neither name, marks nor annotation say that it is the pool's, and for templates.

    A VM without a configuration is being cloned: vCenter lists it by its name at first, and with everything else later. With the
    marks stripped the name still tells the slot and the annotation the revision.
    """
    name = str(found.get("name", ""))
    noted = marks.noted(str(found.get("config.annotation") or ""))
    given = marks_of(found)
    slot = marks.slot_of(pool, name)
    proofs = sum((slot is not None, given.get(marks.POOL) == pool, noted.get(marks.POOL) == pool))
    if not proofs or found.get("config.template"):
        return None
    created = given.get(marks.CREATED_AT)
    made = found.get("config.createDate")
    bios_uuid = str(found.get("config.uuid", "")).lower()
    noted_slot, attempt = given.get(marks.SLOT, ""), given.get(marks.ATTEMPT, "")
    booted = found.get("runtime.bootTime")
    status, fault = _status(found)
    return Vm(
        id=ref.id,
        name=name,
        status=status,
        created_at=parse_instant(created) if created else made - skew if made else datetime.fromtimestamp(0).astimezone(),
        proofs=proofs,
        slot=int(noted_slot) if slot is None and noted_slot.isdigit() else slot,
        revision=given.get(marks.REVISION) or noted.get(marks.REVISION, ""),
        fields={key.removeprefix(marks.FIELD): value for key, value in given.items() if key.startswith(marks.FIELD)},
        failure_domain=given.get(marks.FAILURE_DOMAIN, ""),
        provider_id=f"vsphere://{bios_uuid}" if bios_uuid else "",
        system_uuid=bios_uuid,
        addresses=_addresses(found, given),
        fault=fault,
        attempt=int(attempt) if attempt.isdigit() else 1,
        running_since=booted - skew if booted else None,
    )


def vm_under_way(machine: NewMachine, task_id: str, status: str, fault: str = "") -> Vm:
    """A machine whose clone this run asked for, as long as no list shows it whole."""
    return Vm(
        id=task_id,
        name=machine.name,
        status=status,
        created_at=machine.created_at,
        slot=machine.slot,
        revision=machine.revision,
        fields=machine.fields,
        failure_domain=machine.failure_domain,
        fault=fault,
        attempt=machine.attempt,
    )


def marks_of(found: Found) -> dict[str, str]:
    """What we wrote into extraConfig; nothing where it is not there, or somebody else wrote there."""
    option = found.get(MARKS_PATH)
    text = option.get("value") if isinstance(option, Mapping) else option
    try:
        given = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in given.items()} if isinstance(given, dict) else {}


def clone_arguments(
    machine: NewMachine, pool: str, template: Template, resolved: Resolved, *, way: Way, addresses: Sequence[str], user_data: str
) -> dict[str, Any]:
    """The arguments of CloneVM_Task, everything inline. Raises `Invalid` when the user data is too long for guestinfo."""
    site, source, store = resolved.sites[machine.failure_domain], way.source, way.store
    location = data(
        "vim.vm.RelocateSpec",
        pool=site.pool,
        host=host_for(machine, site.hosts, len(resolved.sites)),
        datastore=store.ref if store else None,
        diskMoveType="createNewChildDiskBacking" if source.snapshot else None,
    )
    changes, kept = [*disks.grown(template, source), *disks.added(template, source)], disks.kept_places(template, source)
    extra = {
        **template.advanced_settings,
        marks.ALL: json.dumps(marks_for(machine, pool, addresses, kept), sort_keys=True, separators=(",", ":")),
        **_guestinfo(machine, template, addresses, user_data),
    }
    config = data(
        "vim.vm.ConfigSpec",
        annotation=annotation(machine, pool),
        instanceUuid=instance_uuid(machine.name),
        numCPUs=template.cpus or None,
        numCoresPerSocket=template.cores_per_socket or None,
        memoryMB=template.memory_mib or None,
        extraConfig=[data("vim.option.OptionValue", key=key, value=value) for key, value in extra.items()],
        deviceChange=[*changes, *_cards(template, source, site)] or None,
    )
    spec = data("vim.vm.CloneSpec", location=location, powerOn=True, template=False, snapshot=source.snapshot, config=config)
    return {"folder": resolved.folder, "name": machine.name, "spec": spec}


def instance_uuid(name: str) -> str:
    """Chosen before the call, so that others may find the VM by it. A hint: where it is taken, vCenter gives another one."""
    return str(uuid.uuid5(_NAMESPACE, name))


def annotation(machine: NewMachine, pool: str) -> str:
    """What vCenter shows people beside the VM, with the marks that prove whose it is and what it was made of."""
    lines = (marks.tag(marks.POOL, pool), marks.tag(marks.REVISION, machine.revision))
    return "\n".join((f"Machine {machine.slot} of pool {pool}, made by immutable.fleet", *lines))


def marks_for(machine: NewMachine, pool: str, addresses: Sequence[str], kept_disks: Sequence[str] = ()) -> dict[str, str]:
    """All marks of a new machine."""
    found = {
        marks.POOL: pool,
        marks.SLOT: str(machine.slot),
        marks.REVISION: machine.revision,
        marks.CREATED_AT: say_instant(machine.created_at),
        marks.ATTEMPT: str(machine.attempt),
        marks.FAILURE_DOMAIN: machine.failure_domain,
        marks.ADDRESSES: ",".join(addresses),
        marks.KEPT_DISKS: ",".join(kept_disks),
        **{marks.FIELD + name: value for name, value in machine.fields.items()},
    }
    return {key: value for key, value in found.items() if value}


def _status(found: Found) -> tuple[str, str]:
    """`(status, fault)`. A VM that its host does not speak of is taken to run, and so is a suspended one: no evidence of harm."""
    state = str(found.get("runtime.connectionState", ""))
    if state in _LOST:
        return vm.ERROR, _LOST[state]
    if "config.uuid" not in found:
        return vm.BUILDING, ""
    if state == "connected" and found.get("runtime.powerState") == OFF:
        return vm.STOPPED, ""
    return vm.RUNNING, ""


def _addresses(found: Found, given: Mapping[str, str]) -> tuple[str, ...]:
    """What the guest says, then what was given to it."""
    known = [str(found.get("guest.ipAddress") or ""), *given.get(marks.ADDRESSES, "").split(",")]
    return tuple(dict.fromkeys(address for address in known if address))


def _cards(template: Template, source: Source, site: Site) -> list[Data]:
    """The template's cards put on the networks asked for; one more for each further network, none for those beyond."""
    if template.networks is None:
        return []
    changes: list[Data] = []
    cards = source.cards
    for index, _network in enumerate(template.networks):
        nic = site.nics[index] if site.nics else None
        if index < len(cards):
            if nic is not None:
                edited = {key: value for key, value in cards[index].items() if key != "macAddress"}
                changes.append(_change("edit", {**edited, "addressType": "generated", "backing": _backing(nic)}))
        else:
            connect = data("vim.vm.device.VirtualDevice.ConnectInfo", startConnected=True, allowGuestControl=True, connected=True)
            backing = _backing(nic) if nic is not None else (cards[0].get("backing") if cards else None)
            changes.append(_change("add", data("vim.vm.device.VirtualVmxnet3", key=-1 - index, backing=backing, connectable=connect)))
    return [*changes, *(_change("remove", card) for card in cards[len(template.networks) :])]


def _change(operation: str, device: Data) -> Data:
    return data("vim.vm.device.VirtualDeviceSpec", operation=operation, device=device)


def _backing(nic: Nic) -> Data:
    if nic.port_group:
        port = data("vim.dvs.PortConnection", portgroupKey=nic.port_group, switchUuid=nic.switch_uuid)
        return data("vim.vm.device.VirtualEthernetCard.DistributedVirtualPortBackingInfo", port=port)
    return data("vim.vm.device.VirtualEthernetCard.NetworkBackingInfo", deviceName=nic.name, network=nic.network)


def _guestinfo(machine: NewMachine, template: Template, addresses: Sequence[str], user_data: str) -> dict[str, str]:
    """What cloud-init's DataSourceVMware reads (docs.cloud-init.io, reference/datasources/vmware): a name, networks, user data."""
    metadata: dict[str, Any] = {"instance-id": machine.name, "local-hostname": machine.name}
    networks = template.networks or ()
    if any(network.addresses for network in networks):
        metadata["network"] = network_config(networks, addresses)
    found = {"guestinfo.metadata": _encoded(json.dumps(metadata).encode()), "guestinfo.metadata.encoding": "base64"}
    if user_data:
        text = _encoded(gzip.compress(user_data.encode(), mtime=0))
        if len(text) > GUESTINFO_MAX:
            raise Invalid(what=f"{len(text)} characters, compressed; guestinfo takes {GUESTINFO_MAX}", where="user_data")
        found |= {"guestinfo.userdata": text, "guestinfo.userdata.encoding": "gzip+base64"}
    return found


def network_config(networks: Sequence[Network], addresses: Sequence[str]) -> dict[str, Any]:
    """Netplan's form, version 2. A single interface is found by being the only one; of several, each by its name in the guest."""
    ethernets: dict[str, Any] = {}
    for index, network in enumerate(networks):
        device = network.guest_device
        entry: dict[str, Any] = {"match": {"name": device or "e*"}}
        given = network.addresses
        if given is None:
            entry["dhcp4"] = True
        else:
            entry |= {"dhcp4": False, "addresses": [f"{addresses[index]}/{given.prefix_length}"]}
            if given.gateway:
                entry["routes"] = [{"to": "::/0" if ":" in given.gateway else "0.0.0.0/0", "via": given.gateway}]
            if given.dns_servers or given.dns_search:
                entry["nameservers"] = {"addresses": list(given.dns_servers), "search": list(given.dns_search)}
        ethernets[f"nic{index}"] = entry
    return {"version": 2, "ethernets": ethernets}


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
