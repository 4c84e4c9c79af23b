# SPDX-License-Identifier: GPL-3.0-or-later
"""The template that a pool is made from, and the copies of it that may stand in for it.

A copy, a replica, is a template with the same digest in its marks, in the template's folder or below it. What copies a disk is the
host that the template is registered at, and from its own datastore it is quickest: so replicas on other hosts and datastores are used
where somebody put them there. A template without a digest of its own has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.inventory import Inventory, find_template
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import Template
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.transport import Transport
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import TYPE, VM, Data, Found, Ref, Wanted
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

DIGEST_PATH = f'config.extraConfig["{marks.IMAGE_DIGEST}"]'
TEMPLATE_PATHS = (
    "name",
    "config.template",
    "config.uuid",
    "config.annotation",
    "config.hardware",
    "config.extraConfig",
    "customValue",
    "availableField",
    "snapshot.rootSnapshotList",
    "parent",
    "datastore",
    "runtime.host",
)
_NO_DIGEST = "uuid:"
_GIST = ("config.template", "config.annotation", "customValue", "availableField", DIGEST_PATH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A template to clone from: where it is registered and lies, and its disks and network cards, as vCenter describes them."""

    template: Ref
    name: str
    devices: tuple[Data, ...] = ()
    snapshot: Ref | None = None
    host: Ref | None = None
    stores: tuple[Ref, ...] = ()

    @property
    def disks(self) -> tuple[Data, ...]:
        """In the order of their controllers and units."""
        found = [device for device in self.devices if device[TYPE].endswith(".VirtualDisk")]
        return tuple(sorted(found, key=lambda disk: (disk.get("controllerKey", 0), disk.get("unitNumber", 0))))

    @property
    def cards(self) -> tuple[Data, ...]:
        """In the order in which guests number them."""
        found = [device for device in self.devices if "macAddress" in device or "addressType" in device]
        return tuple(sorted(found, key=lambda card: card.get("unitNumber", card["key"])))


def source_of(ref: Ref, found: Found, template: Template) -> Source:
    """A template as it was read, by `TEMPLATE_PATHS`. Raises `Invalid` where a linked clone would have no snapshot."""
    hardware: Mapping[str, Any] = found.get("config.hardware") or {}
    return Source(
        template=ref,
        name=str(found.get("name", ref.id)),
        devices=tuple(hardware.get("device") or ()),
        snapshot=_snapshot(found, template),
        host=found.get("runtime.host"),
        stores=tuple(found.get("datastore") or ()),
    )


def copies_wanted(found: Found) -> list[Wanted]:
    """What has to be read to know whether the template that was `found` has replicas; nothing where it cannot have any."""
    folder = found.get("parent")
    if not isinstance(folder, Ref) or digest_of(found)[0].startswith(_NO_DIGEST):
        return []
    return [Wanted(kind=VM, paths=_GIST, within=folder)]


def read_replicas(transport: Transport, read: Mapping[Ref, Found], original: Ref, digest: str, template: Template) -> tuple[Source, ...]:
    """The original's replicas among what was `read` by `copies_wanted`. A call, where there are any; one without the snapshot is none."""
    alike = [ref for ref, found in read.items() if ref.kind == VM and ref != original and _gist(found) == (True, digest)]
    if not alike:
        return ()
    found = transport.read(Wanted(kind=VM, paths=TEMPLATE_PATHS, objects=tuple(sorted(alike))))
    replicas = []
    for ref, each in sorted(found.items()):
        try:
            replicas.append(source_of(ref, each, template))
        except Invalid:
            continue
    return tuple(replicas)


def _gist(found: Found) -> tuple[bool, str]:
    """`(is a template, digest)` of what was read by `_GIST`."""
    option = found.get(DIGEST_PATH)
    text = option.get("value") if isinstance(option, Mapping) else option
    return bool(found.get("config.template")), str(text or _written_on(found).get(marks.IMAGE_DIGEST, ""))


def digest_of(found: Found) -> tuple[str, str]:
    """`(digest, version)` of a template: what was written on it; without a digest its UUID stands for it."""
    texts = {each["key"]: str(each.get("value", "")) for each in found.get("config.extraConfig") or () if each.get("value")}
    given = {**_written_on(found), **texts}
    return given.get(marks.IMAGE_DIGEST) or f"{_NO_DIGEST}{found.get('config.uuid', '')}", given.get(marks.IMAGE_VERSION, "")


def _written_on(found: Found) -> dict[str, str]:
    """`{key: value}` of what people may write: custom attributes, and before those its annotation."""
    names = {each["key"]: str(each.get("name", "")) for each in found.get("availableField") or ()}
    attributes = {names.get(each.get("key"), ""): str(each.get("value", "")) for each in found.get("customValue") or ()}
    return {**attributes, **marks.noted(str(found.get("config.annotation") or ""))}


def find_source(transport: Transport, inventory: Inventory, template: Template, pinned: Mapping[str, str]) -> Ref:
    """The template that is asked for, or that is pinned in its place (FM37). Raises `Invalid`."""
    where, asked = "vsphere.template", template.template
    if not asked:
        raise Invalid(what="missing; expected the name, path or UUID of a template", where=where)
    instead = pinned if pinned.get("asked") == asked else {}
    if instead.get("id"):
        return Ref(VM, instead["id"])
    named = instead.get("name") or asked
    if template.content_library:
        from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.library import template_of

        return template_of(transport, template.content_library, named)
    found = find_template(transport, inventory, template.datacenter, named)
    if not found:
        raise Invalid(what=f"there is no template {named!r}", where=where)
    if len(found) > 1:
        ids = ", ".join(sorted(ref.id for ref in found))
        raise Invalid(what=f"{named!r} means {len(found)} templates: {ids}; expected one, its path or its UUID", where=where)
    return found[0]


def check_template(found: Found, ref: Ref, template: Template, pinned: Mapping[str, str]) -> None:
    """Raise `Invalid` where what was `found` of it is nothing, or no template."""
    asked = template.template
    if not found:
        is_pinned = pinned.get("asked") == asked and pinned.get("id") == ref.id
        why = f"which this rollout pinned for {asked}, is gone" if is_pinned else "does not exist"
        raise Invalid(what=f"the template {ref.id}, {why}", where="vsphere.template")
    if not found.get("config.template"):
        what = f"{found.get('name', asked)} is a VM; expected a template, which nobody can start and change"
        raise Invalid(what=what, where="vsphere.template")
    revoked = marks.noted(str(found.get("config.annotation") or "")).get(marks.IMAGE_REVOKED)
    if revoked:
        from ansible_collections.immutable.fleet.plugins.module_utils.model.version import load_revocation

        what = f"the template {found.get('name', asked)} is revoked {load_revocation(revoked)}; expected another version"
        raise Invalid(what=what, where="vsphere.template")


def _snapshot(found: Found, template: Template) -> Ref | None:
    """The snapshot that linked clones are made from; one that is missing is refused: without it vCenter would copy the disk."""
    if not template.linked_clone:
        return None
    every = _snapshots(found.get("snapshot.rootSnapshotList") or ())
    alike = [each for each in every if template.snapshot in ("", each.get("name"))]
    if len(alike) != 1:
        names = ", ".join(sorted(str(each.get("name")) for each in every)) or "none"
        asked = f"{len(alike)} snapshots {template.snapshot!r}" if template.snapshot else f"{len(alike)} snapshots to choose from"
        raise Invalid(what=f"the template has {asked}; expected one for a linked clone of it; there are {names}", where="vsphere.snapshot")
    snapshot: Ref = alike[0]["snapshot"]
    return snapshot


def _snapshots(trees: Sequence[Data]) -> list[Data]:
    return [each for tree in trees for each in (tree, *_snapshots(tree.get("childSnapshotList") or ()))]
