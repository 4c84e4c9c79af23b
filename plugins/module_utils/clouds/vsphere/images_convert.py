# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions and promotions as vCenter's templates, both ways. Pure.

A version is a template whose manifest is in its extraConfig, by the call that makes it. It is a VM until all of its bytes are there
and compared: to be made a template is one call, and is what publishes it. A promotion is a template without a disk. What is said of a
version later, that it is revoked, stands in its annotation: of a template vCenter changes nothing else but the name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere import convert
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.disks import DEVICES
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import TYPE, VM, Data, Found, Ref, data
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.channel import Promotion, load_promotion
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import (
    PUBLISHED,
    UPLOADING,
    Manifest,
    Revocation,
    Version,
    load_manifest,
    load_revocation,
)

NAME_MAX = 80  # characters of a VM's name in vCenter
_MANIFEST, _SIGNATURE, _PROMOTION = (
    f'config.extraConfig["{key}"]' for key in (marks.IMAGE_MANIFEST, marks.IMAGE_SIGNATURE, marks.IMAGE_PROMOTION)
)
IMAGE_PATHS = ("name", "config.template", "config.annotation", "config.createDate", _MANIFEST, _SIGNATURE, _PROMOTION)
USER_PATHS = ("name", "config.template", convert.MARKS_PATH)
DISK_PATHS = ("name", DEVICES)
CPUS, MEMORY_MIB, LEAST_MEMORY_MIB = 1, 1024, 4


def vm_name(text: str, where: str) -> str:
    """`text`, when vCenter takes it as a name: the unique name is what keeps two from being made. Raises `Invalid`."""
    if len(text) > NAME_MAX:
        what = f"{text!r} has {len(text)} characters, and a template's name in vCenter has {NAME_MAX} at most"
        raise Invalid(what=f"{what}; expected shorter names", where=where)
    return text


def promotion_name(promotion: Promotion) -> str:
    """Of a channel's n-th promotion: of two that add it at once, vCenter takes one."""
    return vm_name(f"{promotion.image} {promotion.channel} {promotion.number}", "channel")


def version_config(manifest: Manifest, text: str, signature: str, *, disk_kib: int, store: str, guest_id: str, firmware: str) -> Data:
    """The VM that a disk is uploaded to: everything but the disk's bytes is said by the call that makes it."""
    extra = {
        marks.IMAGE_KIND: marks.VERSION_IMAGE,
        marks.IMAGE_VERSION: manifest.version,
        marks.IMAGE_DIGEST: manifest.digest,
        marks.IMAGE_MANIFEST: text,
        **({marks.IMAGE_SIGNATURE: signature} if signature else {}),
    }
    backing = data("vim.vm.device.VirtualDisk.FlatVer2BackingInfo", diskMode="persistent", thinProvisioned=True, fileName="")
    controller = data("vim.vm.device.ParaVirtualSCSIController", key=-1, busNumber=0, sharedBus="noSharing")
    disk = data("vim.vm.device.VirtualDisk", key=-2, controllerKey=-1, unitNumber=0, capacityInKB=disk_kib, backing=backing)
    return data(
        "vim.vm.ConfigSpec",
        name=vm_name(manifest.ref, "name, version"),
        annotation=annotation(manifest),
        guestId=guest_id,
        firmware=firmware,
        numCPUs=CPUS,
        memoryMB=MEMORY_MIB,
        files=data("vim.vm.FileInfo", vmPathName=f"[{store}]"),
        extraConfig=_options(extra),
        deviceChange=[
            data("vim.vm.device.VirtualDeviceSpec", operation="add", device=controller),
            data("vim.vm.device.VirtualDeviceSpec", operation="add", fileOperation="create", device=disk),
        ],
    )


def promotion_config(promotion: Promotion, store: str, guest_id: str) -> Data:
    """A VM without a disk: nobody can boot it, and as a template nobody can start it."""
    extra = {marks.IMAGE_KIND: marks.PROMOTION_IMAGE, marks.IMAGE_PROMOTION: promotion.dump()}
    return data(
        "vim.vm.ConfigSpec",
        name=promotion_name(promotion),
        annotation=f"Channel {promotion.image}/{promotion.channel}: {promotion}",
        guestId=guest_id,
        numCPUs=CPUS,
        memoryMB=LEAST_MEMORY_MIB,
        files=data("vim.vm.FileInfo", vmPathName=f"[{store}]"),
        extraConfig=_options(extra),
    )


def annotation(manifest: Manifest) -> str:
    """What vCenter shows people beside the template, with the marks that a pool reads there, too."""
    lines = (marks.tag(marks.IMAGE_DIGEST, manifest.digest), marks.tag(marks.IMAGE_VERSION, manifest.version))
    return "\n".join((f"{manifest.ref}, published by immutable.fleet", *lines))


def revoked_annotation(found: Found, revocation: Revocation) -> str:
    """The annotation as it is, with a line more for people and one for us."""
    text = str(found.get("config.annotation") or "").rstrip("\n")
    return "\n".join((text, f"Revoked {revocation}".replace("\n", " "), marks.tag(marks.IMAGE_REVOKED, revocation.dump()))).lstrip("\n")


def is_revoked(found: Found) -> bool:
    """Whether its annotation says so."""
    return bool(_revoked(found))


def version_of(ref: Ref, found: Found, skew: timedelta) -> Version | None:
    """The version in a VM or template; None where its manifest cannot be read.

    A clone inherits its source's settings, the manifest too. So a VM is a version on its way only under the version's own name, which
    is what its upload was begun with: a machine that was cloned from it is nothing to be cleared away.
    """
    text = _setting(found, _MANIFEST)
    try:
        manifest = load_manifest(text)
    except Invalid:
        return None
    if not found.get("config.template") and found.get("name") != manifest.ref:
        return None
    made = found.get("config.createDate")
    return Version(
        manifest=manifest,
        id=ref.id,
        state=PUBLISHED if found.get("config.template") else UPLOADING,
        text=text,
        signature=_setting(found, _SIGNATURE),
        revoked=load_revocation(_revoked(found)),
        begun_at=made - skew if made is not None else None,
    )


def versions_of(read: Mapping[Ref, Found], skew: timedelta) -> dict[str, Version]:
    """Versions by ref, as far as `read` has any. Of several of one ref a published one counts, first that with the version's own name.

    The others are replicas. If one of them were revoked in its place, the version would stand as before once that is gone.
    """
    found: dict[str, tuple[bool, bool, Version]] = {}
    for ref, each in sorted(read.items()):
        version = version_of(ref, each, skew)
        if version is None:
            continue
        ranked = (version.state != PUBLISHED, each.get("name") != version.ref, version)
        if version.ref not in found or ranked[:2] < found[version.ref][:2]:
            found[version.ref] = ranked
    return {ref: version for ref, (_unpublished, _renamed, version) in found.items()}


def promotions_of(read: Mapping[Ref, Found]) -> tuple[Promotion, ...]:
    """The promotions among what was `read`."""
    return tuple(each for _ref, found in sorted(read.items()) if (each := load_promotion(_setting(found, _PROMOTION))))


def users_of(read: Mapping[Ref, Found], versions: Iterable[Version]) -> dict[str, tuple[str, ...]]:
    """`{version id: (machine, ...)}`, by what the machines' marks say that they are made of."""
    by_digest: dict[str, list[str]] = {}
    for version in versions:
        by_digest.setdefault(version.manifest.digest, []).append(version.id)
    users: dict[str, list[str]] = {}
    for found in read.values():
        if found.get("config.template"):
            continue
        for used in by_digest.get(convert.marks_of(found).get(f"{marks.FIELD}image", ""), ()):
            users.setdefault(used, []).append(str(found.get("name", "")))
    return {version: tuple(sorted(names)) for version, names in users.items()}


def linked_to(read: Mapping[Ref, Found], template: Ref) -> list[str]:
    """Names of the VMs among those `read` that share a disk file with the template, as linked clones do."""
    own = _disk_files(read.get(template, {}))
    others = ((str(found.get("name", ref.id)), _disk_files(found)) for ref, found in read.items() if ref.kind == VM and ref != template)
    return sorted(name for name, files in others if files & own)


def digests_of(entry: Data) -> dict[str, str]:
    """`{algorithm: hex}` of what vCenter says of a file that it took."""
    found = {"sha1": str(entry.get("sha1") or "")}
    if entry.get("checksumType"):
        found[str(entry["checksumType"]).lower()] = str(entry.get("checksum") or "")
    return {algorithm: value.lower() for algorithm, value in found.items() if value}


def _disk_files(found: Found) -> set[str]:
    """All files of a VM's disks, those that its disks are children of, too."""
    files: set[str] = set()
    for device in found.get(DEVICES) or ():
        backing: Any = device.get("backing") if str(device.get(TYPE, "")).endswith(".VirtualDisk") else None
        while isinstance(backing, Mapping):
            files.add(str(backing.get("fileName", "")))
            backing = backing.get("parent")
    return files - {""}


def _revoked(found: Found) -> str:
    return marks.noted(str(found.get("config.annotation") or "")).get(marks.IMAGE_REVOKED, "")


def _setting(found: Found, path: str) -> str:
    option = found.get(path)
    return str((option.get("value") if isinstance(option, Mapping) else option) or "")


def _options(extra: Mapping[str, str]) -> list[Data]:
    return [data("vim.option.OptionValue", key=key, value=value) for key, value in extra.items()]
