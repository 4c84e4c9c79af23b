# SPDX-License-Identifier: GPL-3.0-or-later
"""The port `ImageStore` on a vCenter: templates of one folder.

What is atomic in vCenter, and what is not: a VM is made with its name, annotation and settings by one task, and its name is unique in
its folder; that arbitrates. To mark a VM as a template is one call. A template's annotation is written whole, so of two at once one is
lost: a revocation is read back. vCenter keeps no digest of a disk: what it computed while it took the bytes is compared before the VM
becomes a template, and nobody can ask for it later.
Rejected: items of a content library (their names are not unique, OVF items take no settings in one call), tags for promotions (a call
each to be read), custom attributes for revocations (they have to be defined first, at vCenter's root).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere import images_convert as convert
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere import vmdk
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.image_options import ImageOptions
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.image_place import ImagePlace
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.refusals import refusal
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.transport import Transport
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.under_way import RUNNING
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import ROOT, VM, Found, Ref, Wanted, data
from ansible_collections.immutable.fleet.plugins.module_utils.model.channel import Catalogue, Promotion
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Denied, Invalid, NotFound, PortError, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import PUBLISHED, Manifest, Revocation, Version

VMDK = "vmdk"
SNAPSHOT = "golden"  # what linked clones of a published version share
WRITES_MAX = 3  # of a revocation, until it is read back
CHUNK = 1 << 20
SHOWN_MAX = 3  # names in a message
# A lease ends after `leaseTimeout` (five minutes) without a word, https://developer.broadcom.com/xapis/vsphere-web-services-api/
# latest/vim.HttpNfcLease.html: vCenter removes the VM then, so what a killed upload left goes by itself.
PROGRESS_EVERY = timedelta(seconds=60)


class ImageTransport(Transport, Protocol):
    """What is needed of `Client` here."""

    def settled(self, this: Ref, paths: Sequence[str], running: Collection[str]) -> dict[str, Any]:
        """What was read of an object once its first path is none of `running`. Raises as `call` does."""

    def upload(self, url: str, chunks: Iterable[bytes], size: int) -> None:
        """POST a disk. Raises `Transient`, `Invalid`."""


class VsphereImages:
    """The golden images of one folder. Connects at the first call."""

    def __init__(self, transport: ImageTransport, options: ImageOptions, *, now: Callable[[], datetime]) -> None:
        self._transport, self._options, self._now = transport, options, now
        self._place = ImagePlace(transport, options)

    def catalogue(self) -> Catalogue:
        """As `ImageStore.catalogue`. One call for a thousand of them, and two for names."""
        read = self._read()
        return Catalogue(versions=convert.versions_of(read, self._transport.skew), promotions=convert.promotions_of(read))

    def publish(self, manifest: Manifest, path: str, *, text: str, signature: str = "") -> Version:
        """As `ImageStore.publish`. One call where it is published already."""
        there = convert.versions_of(self._read(), self._transport.skew).get(manifest.ref)
        if there is not None and there.state == PUBLISHED:
            if there.manifest.digest != manifest.digest:
                what = f"{manifest.ref} is published with the digest {there.manifest.digest}, and a version never changes"
                raise Invalid(what=f"{what}; expected another version for {manifest.digest}", where="version")
            return there
        if manifest.format != VMDK:
            what = f"vCenter takes no {manifest.format} file; expected {VMDK}, stream-optimized, as qemu-img or a bake with it makes one"
            raise Invalid(what=what, where="format")
        with Path(path).open("rb") as file:
            disk_kib = vmdk.capacity_kib(file.read(vmdk.HEAD_BYTES))
        if there is not None:
            self._clear_away(there)
        template = self._import(manifest, path, text=text, signature=signature, disk_kib=disk_kib)
        self._settle(self._transport.call(template, "CreateSnapshot_Task", name=SNAPSHOT, memory=False, quiesce=False), manifest.ref)
        self._transport.call(template, "MarkAsTemplate")
        made = convert.versions_of(self._read(template), self._transport.skew).get(manifest.ref)
        if made is None or made.state != PUBLISHED:
            raise Transient(what="the template was changed as soon as it was made", where=f"image {manifest.ref}")
        return made

    def promote(self, promotion: Promotion) -> Promotion:
        """As `ImageStore.promote`. A look, one call and the wait for its task; the name is the fence."""
        if self._is_added(promotion):
            return promotion
        store, pool = self._place.store_name(), self._place.pool()
        config = convert.promotion_config(promotion, store, self._options.guest_id)
        try:
            made = self._settle(
                self._transport.call(self._place.folder(), "CreateVM_Task", config=config, pool=pool),
                f"channel {promotion.image}/{promotion.channel}",
            )
        except Conflict:
            if self._is_added(promotion):
                return promotion
            raise
        with suppress(PortError):  # it counts already; this keeps people from starting it
            self._transport.call(made, "MarkAsTemplate")
        return promotion

    def revoke(self, version: Version, revocation: Revocation) -> None:
        """As `ImageStore.revoke`. A look, one call and the wait for its task, and a look."""
        template = Ref(VM, version.id)
        for _attempt in range(WRITES_MAX):
            found = self._read(template).get(template, {})
            if not found or convert.is_revoked(found):
                return
            noted = data("vim.vm.ConfigSpec", annotation=convert.revoked_annotation(found, version.revoked or revocation))
            self._settle(self._transport.call(template, "ReconfigVM_Task", spec=noted), version.ref)
        found = self._read(template).get(template, {})
        if found and not convert.is_revoked(found):
            raise Conflict(what="somebody changes its notes all the time", where=f"image {version.ref}")

    def retire(self, version: Version) -> None:
        """As `ImageStore.retire`. Two looks, the second at the disks of all VMs on its datastore, one call and the wait for its task."""
        template = Ref(VM, version.id)
        found = self._transport.read(Wanted(kind=VM, paths=("datastore",), objects=(template,))).get(template)
        if not found:
            return
        stores = tuple(found.get("datastore") or ())
        beside = Wanted(kind=VM, paths=convert.DISK_PATHS, objects=stores, along="vm")
        linked = convert.linked_to(self._transport.read(beside), template)
        if linked:
            what = f"{len(linked)} linked clones share its disk, among them {', '.join(linked[:SHOWN_MAX])}"
            raise Conflict(what=what, where=f"image {version.ref}", forward="remove these machines first")
        with suppress(NotFound):
            self._settle(self._transport.call(template, "Destroy_Task"), version.ref)

    def users(self) -> Mapping[str, tuple[str, ...]]:
        """As `ImageStore.users`. One call for a thousand VMs of the datacenter."""
        within = self._place.datacenter() or ROOT
        machines = self._transport.read(Wanted(kind=VM, paths=convert.USER_PATHS, within=within))
        return convert.users_of(machines, self.catalogue().versions.values())

    # Looks --------------------------------------------------------------------------------------------------------------------
    def _read(self, template: Ref | None = None) -> dict[Ref, Found]:
        """All images of the folder, or one."""
        if template is not None:
            wanted = Wanted(kind=VM, paths=convert.IMAGE_PATHS, objects=(template,))
        else:
            wanted = Wanted(kind=VM, paths=convert.IMAGE_PATHS, within=self._place.folder())
        return dict(self._transport.read(wanted))

    def _is_added(self, wanted: Promotion) -> bool:
        """Whether it is there already, by its token. Raises `Conflict` where another has its number."""
        for each in convert.promotions_of(self._read()):
            if (each.image, each.channel, each.number) != (wanted.image, wanted.channel, wanted.number):
                continue
            if each.token != wanted.token:
                what = f"promotion {wanted.number} is {each.version} by {each.by}"
                raise Conflict(what=what, where=f"channel {wanted.image}/{wanted.channel}")
            return True
        return False

    def _settle(self, task: Ref, of: str) -> Ref:
        """What a task made, once it has ended. Raises what it ended with."""
        found = self._transport.settled(task, ("info.state", "info.error", "info.result"), RUNNING)
        if found.get("info.state") == "error":
            error = refusal(str(task), found.get("info.error") or {})
            error.where = error.where or of
            raise error
        made: Ref = found.get("info.result") or task
        return made

    # An upload ----------------------------------------------------------------------------------------------------------------
    def _import(self, manifest: Manifest, path: str, *, text: str, signature: str, disk_kib: int) -> Ref:
        """The VM with all of the disk's bytes, compared. Raises `Transient` where vCenter has others; nothing is left then."""
        place = self._place
        config = convert.version_config(
            manifest,
            text,
            signature,
            disk_kib=disk_kib,
            store=place.store_name(),
            guest_id=self._options.guest_id,
            firmware=self._options.firmware,
        )
        spec = data("vim.vm.VmImportSpec", configSpec=config)
        lease: Ref = self._transport.call(place.pool(), "ImportVApp", spec=spec, folder=place.folder())
        try:
            return self._fill(lease, manifest, path)
        except PortError:
            with suppress(PortError):  # vCenter removes what was begun; where it cannot be told, when the lease has run out
                self._transport.call(lease, "HttpNfcLeaseAbort")
            raise

    def _fill(self, lease: Ref, manifest: Manifest, path: str) -> Ref:
        found = self._transport.settled(lease, ("state", "info", "error"), ("initializing",))
        where = f"image {manifest.ref}"
        if found.get("state") != "ready":
            error = refusal("ImportVApp", found.get("error") or {})
            error.where = error.where or where
            raise error
        info: Mapping[str, Any] = found.get("info") or {}
        places = [each for each in info.get("deviceUrl") or () if each.get("disk")]
        if len(places) != 1:
            raise Transient(what=f"vCenter offers {len(places)} places for one disk", where=where)
        (place,) = places
        sent = self._send(place["url"], path, lease)
        if f"sha256:{sent['sha256']}" != manifest.digest:
            raise Invalid(what=f"the file changed while it was uploaded: it has the digest sha256:{sent['sha256']} now", where="path")
        entries = self._transport.call(lease, "HttpNfcLeaseGetManifest") or ()
        taken = convert.digests_of(next((each for each in entries if each.get("key") == place["key"]), {}))
        known = {algorithm for algorithm in taken if algorithm in sent}
        if not known or any(taken[algorithm] != sent[algorithm] for algorithm in known):
            said = ", ".join(f"{algorithm} {value}" for algorithm, value in taken.items()) or "no digest"
            raise Transient(what=f"vCenter does not have the bytes that were sent: it says {said}", where=where)
        self._transport.call(lease, "HttpNfcLeaseComplete")
        entity: Ref = info["entity"]
        return entity

    def _send(self, url: str, path: str, lease: Ref) -> dict[str, str]:
        """Upload the file; `{algorithm: hex}` of the bytes as they were sent. vCenter is told now and then that it goes on."""
        hashes = {"sha1": hashlib.sha1(usedforsecurity=False), "sha256": hashlib.sha256(), "sha512": hashlib.sha512()}
        size = Path(path).stat().st_size

        def chunks() -> Iterator[bytes]:
            sent, told_at = 0, self._now()
            with Path(path).open("rb") as file:
                while chunk := file.read(CHUNK):
                    for each in hashes.values():
                        each.update(chunk)
                    sent += len(chunk)
                    if self._now() - told_at >= PROGRESS_EVERY:
                        told_at = self._now()
                        with suppress(Transient):
                            self._transport.call(lease, "HttpNfcLeaseProgress", percent=sent * 100 // size)
                    yield chunk

        self._transport.upload(url, chunks(), size)
        return {algorithm: each.hexdigest() for algorithm, each in hashes.items()}

    def _clear_away(self, version: Version) -> None:
        """What an upload left that did not end. Raises `Conflict` where vCenter still works on it: somebody uploads it."""
        try:
            self._settle(self._transport.call(Ref(VM, version.id), "Destroy_Task"), version.ref)
        except NotFound:
            return
        except (Denied, Transient):
            raise
        except PortError as exc:
            what = f"somebody is uploading it (VM {version.id}): {exc.what}"
            forward = "wait for it; one that was killed vCenter removes five minutes later"
            raise Conflict(what=what, where=f"image {version.ref}", forward=forward) from exc
