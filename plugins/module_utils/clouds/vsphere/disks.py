# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine's disks: the template's, which may grow, those that are added, and those that are somebody else's. Pure.

A disk that is declared to outlive its machine (`keep`) is independent, as CSI's are, and its place is in the machine's marks. So it is
detached before the machine is destroyed; and where somebody stripped the marks, it is nobody's that we know, and the machine is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import Template
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.templates import Source
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import TYPE, Data, Found, data

DEVICES = "config.hardware.device"
GIB = 1 << 30
KIB = 1 << 10
UNITS = range(15)  # of one controller, of whatever kind; vSphere's maximums have no smaller one
CONTROLLERS_OWN = 7  # the unit at which a SCSI controller itself is
INDEPENDENT = "independent_persistent"  # no snapshot takes it along


def grown(template: Template, source: Source) -> list[Data]:
    """Edits of the template's disks that are to be larger, in the order of its disks."""
    found: list[Data] = []
    for size, disk in zip(template.disks_gib, source.disks, strict=False):
        if size * GIB > disk.get("capacityInKB", 0) * KIB:
            larger = {key: value for key, value in disk.items() if key != "capacityInBytes"} | {"capacityInKB": size * GIB // KIB}
            found.append(data("vim.vm.device.VirtualDeviceSpec", operation="edit", device=larger))
    return found


def added(template: Template, source: Source) -> list[Data]:
    """The extra disks, thin, at the first free units of the first disk's controller."""
    changes: list[Data] = []
    for index, (extra, (controller, unit)) in enumerate(zip(template.extra_disks, free_places(source), strict=False)):
        mode = INDEPENDENT if extra.is_kept else "persistent"
        backing = data("vim.vm.device.VirtualDisk.FlatVer2BackingInfo", diskMode=mode, thinProvisioned=True, fileName="")
        disk = data(
            "vim.vm.device.VirtualDisk",
            key=-100 - index,
            controllerKey=controller,
            unitNumber=unit,
            capacityInKB=extra.size_gib * GIB // KIB,
            backing=backing,
        )
        changes.append(data("vim.vm.device.VirtualDeviceSpec", operation="add", fileOperation="create", device=disk))
    return changes


def kept_places(template: Template, source: Source) -> list[str]:
    """Where the disks are that outlive the machine, as its marks have it: "1000:1"."""
    places = zip(template.extra_disks, free_places(source), strict=False)
    return [f"{controller}:{unit}" for extra, (controller, unit) in places if extra.is_kept]


def free_places(source: Source) -> Iterator[tuple[int, int]]:
    """`(controller, unit)` where a disk may be added. None for a template without a disk, whose controllers nobody can tell."""
    if not source.disks:
        return
    controller = source.disks[0].get("controllerKey", 0)
    taken = {device.get("unitNumber") for device in source.devices if device.get("controllerKey") == controller}
    yield from ((controller, unit) for unit in UNITS if unit not in {*taken, CONTROLLERS_OWN})


def kept_disks(found: Found, places: str) -> list[Data]:
    """The devices of a VM at those places of its marks: what has to be detached before it is destroyed."""
    wanted = set(places.split(",")) - {""}
    return [device for device in _disks(found) if _place(device) in wanted]


def foreign_disks(found: Found, places: str) -> list[str]:
    """Disks that are not the machine's own and must outlive it: independent ones, and first-class disks as CSI attaches them."""
    own, strangers = set(places.split(",")), []
    for device in _disks(found):
        backing: Mapping[str, Any] = device.get("backing") or {}
        is_independent = str(backing.get("diskMode", "")).startswith("independent")
        if "vDiskId" in device or (is_independent and _place(device) not in own):
            label = (device.get("deviceInfo") or {}).get("label", f"disk {device.get('key')}")
            strangers.append(f"{label} {backing.get('fileName', '')}".strip())
    return strangers


def detached(devices: Sequence[Data]) -> Data:
    """The change of a VM that takes disks off it, and leaves their files."""
    changes = [data("vim.vm.device.VirtualDeviceSpec", operation="remove", device=device) for device in devices]
    return data("vim.vm.ConfigSpec", deviceChange=changes)


def _disks(found: Found) -> list[Data]:
    return [device for device in found.get(DEVICES) or () if str(device.get(TYPE, "")).endswith(".VirtualDisk")]


def _place(device: Data) -> str:
    return f"{device.get('controllerKey')}:{device.get('unitNumber')}"
