# SPDX-License-Identifier: GPL-3.0-or-later
"""What vCenter is asked for a golden image, and what is made of answers that no lab gives on request."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere import images_convert as convert
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.disks import DEVICES
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.image_options import parse_image_options
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.images import VsphereImages
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import VM, Ref, data
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.channel import PROMOTE, Promotion
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Denied, Invalid, NotFound, Throttled, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import PUBLISHED, UPLOADING, Manifest, Revocation
from ansible_collections.immutable.fleet.tests.unit.clouds.vsphere.fakes import (
    CONNECTION,
    DS_A,
    FLEET,
    NOW,
    POOL_A,
    WORLD,
    FakeTransport,
    fault,
)

DISK = struct.pack("<IIIQ", 0x564D444B, 3, 3 << 16, 2048).ljust(512, b"\0") + b"grains"
SHA1, SHA256 = (hashlib.new(name, DISK, usedforsecurity=False).hexdigest() for name in ("sha1", "sha256"))
MANIFEST = Manifest(name="web", version="1", digest=f"sha256:{SHA256}", created_at=NOW, format="vmdk")
PROMOTION = Promotion(image="web", channel="stable", number=3, version="web@1", kind=PROMOTE, at=NOW, by="ci", token="mine")
WHY = Revocation(at=NOW, by="ana@laptop", why="bad")
IMAGE, LEASE, TASK = Ref(VM, "vm-50"), Ref("vim.HttpNfcLease", "lease-1"), Ref("vim.Task", "task-1")
STORE = {**CONNECTION, "image_folder": "fleet", "cluster": "fd-a", "datastore": "ds-a"}
KEY = "/vm-50/disk:0"
READY = {"state": "ready", "info": {"entity": IMAGE, "deviceUrl": [{"key": KEY, "url": "https://esx-1/nfc/1", "disk": True}]}}
DONE = {"info.state": "success"}
NOT_ALLOWED = fault("NoPermission", privilegeId="VirtualMachine.Inventory.Delete", object=FLEET)


class Importing(FakeTransport):
    """Takes bytes, and settles what it is told to: `{kind: an answer, or a list of those}`."""

    def __init__(self, settles: dict[str, Any] | None = None, **more: Any) -> None:
        super().__init__(**more)
        self.settles = {LEASE.kind: READY, TASK.kind: DONE, **(settles or {})}
        self.sent = b""

    def settled(self, this: Ref, paths: Sequence[str], running: Collection[str]) -> dict[str, Any]:
        del paths, running
        answer = self.settles[this.kind]
        found: dict[str, Any] = answer.pop(0) if isinstance(answer, list) else answer
        return found

    def upload(self, url: str, chunks: Iterable[bytes], size: int) -> None:
        self.calls.append(f"POST {url}")
        self.sent = b"".join(chunks)
        assert size == len(self.sent)

    def call(self, this: Ref, method: str, **arguments: Any) -> Any:
        answer = super().call(this, method, **arguments)
        if method == "MarkAsTemplate":
            self.world[IMAGE] = image()
        return answer

    def writes(self) -> list[str]:
        return [call for call in self.calls if call != "read"]


def image(*, is_template: bool = True, manifest: Manifest = MANIFEST, **more: Any) -> dict[str, Any]:
    """A version's VM, as a read shows it."""
    manifest_path = convert.IMAGE_PATHS[4]
    found = {"name": manifest.ref, "parent": FLEET, "config.template": is_template, "config.createDate": NOW}
    return {**found, "config.annotation": convert.annotation(manifest), manifest_path: {"value": manifest.dump()}, **more}


def vcenter(*images: tuple[Ref, dict[str, Any]], settles: dict[str, Any] | None = None, **answers: Any) -> Importing:
    """One that takes an import, with these images in its folder."""
    entry = {"sha1": SHA1, "key": KEY}
    given = {"ImportVApp": LEASE, "HttpNfcLeaseGetManifest": [[entry]], "CreateSnapshot_Task": TASK, "CreateVM_Task": TASK}
    given |= {"Destroy_Task": TASK, "ReconfigVM_Task": TASK}
    return Importing(settles, world={**WORLD, **dict(images)}, **{**given, **answers})


def store(transport: Importing) -> VsphereImages:
    return VsphereImages(transport, parse_image_options(STORE), now=lambda: NOW)


def publish(transport: Importing, folder: Path, manifest: Manifest = MANIFEST) -> Any:
    (folder / "disk.vmdk").write_bytes(DISK)
    return store(transport).publish(manifest, str(folder / "disk.vmdk"), text=manifest.dump())


def test_a_version_is_a_template_only_when_its_bytes_were_compared(tmp_path: Path) -> None:
    """Made with all its marks, filled, compared, given its snapshot, and made a template last."""
    transport = vcenter()
    made = publish(transport, tmp_path)
    assert transport.writes() == [
        f"ImportVApp {POOL_A.id}",
        "POST https://esx-1/nfc/1",
        "HttpNfcLeaseGetManifest lease-1",
        "HttpNfcLeaseComplete lease-1",
        "CreateSnapshot_Task vm-50",
        "MarkAsTemplate vm-50",
    ]
    assert (transport.sent, made.id, made.state, made.manifest) == (DISK, "vm-50", PUBLISHED, MANIFEST)
    (asked,) = (each for each in transport.arguments if "spec" in each)
    config = asked["spec"]["configSpec"]
    assert (config["name"], config["files"]["vmPathName"], asked["folder"]) == ("web@1", "[ds-a]", FLEET)
    assert {each["key"] for each in config["extraConfig"]} >= {marks.IMAGE_MANIFEST, marks.IMAGE_DIGEST, marks.IMAGE_VERSION}


@pytest.mark.parametrize(
    "said",
    [
        [],
        [{"key": KEY, "sha1": "0" * 40}],
        [{"key": KEY, "sha1": "", "checksum": "0" * 64, "checksumType": "sha256"}],
        [{"key": KEY, "checksum": "1", "checksumType": "md5"}],
        [{"key": "another file's", "sha1": SHA1}],
    ],
)
def test_bytes_that_vcenter_does_not_have_publish_nothing(tmp_path: Path, said: list[Any]) -> None:
    """Other digests, or none that could be compared: what was begun is taken back."""
    transport = vcenter(HttpNfcLeaseGetManifest=[said])
    with pytest.raises(Transient, match="does not have the bytes"):
        publish(transport, tmp_path)
    assert transport.writes()[-1] == "HttpNfcLeaseAbort lease-1"


def test_a_file_that_changes_meanwhile_publishes_nothing(tmp_path: Path) -> None:
    transport = vcenter()
    with pytest.raises(Invalid, match="changed while it was uploaded"):
        publish(transport, tmp_path, Manifest(name="web", version="1", digest="sha256:" + "0" * 64, created_at=NOW, format="vmdk"))
    assert transport.writes()[-1] == "HttpNfcLeaseAbort lease-1"


def test_what_cannot_become_a_template_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    """A format that vCenter does not take, a name that is too long for it, a place that was not named."""
    wrong = Manifest(name="web", version="1", digest=MANIFEST.digest, created_at=NOW, format="qcow2")
    long = Manifest(name="w" * 60, version="1" * 30, digest=MANIFEST.digest, created_at=NOW, format="vmdk")
    for manifest, where in ((wrong, "format"), (long, "name, version")):
        transport = vcenter()
        with pytest.raises(Invalid) as refused:
            publish(transport, tmp_path, manifest)
        assert (refused.value.where, transport.writes()) == (where, [])
    for missing, where in (("cluster", "vsphere.cluster"), ("datastore", "vsphere.datastore")):
        transport = vcenter()
        with pytest.raises(Invalid, match="missing") as refused:
            VsphereImages(transport, parse_image_options({**STORE, missing: None}), now=lambda: NOW).promote(PROMOTION)
        assert (refused.value.where, transport.writes()) == (where, [])


def test_what_vcenter_refuses_to_begin_is_told_in_its_words(tmp_path: Path) -> None:
    lease = {"state": "error", "error": fault("NoDiskSpace", datastore="ds-a")}
    with pytest.raises(Exception, match="NoDiskSpace") as refused:
        publish(vcenter(settles={LEASE.kind: lease}), tmp_path)
    assert type(refused.value).__name__ == "Exhausted"


def test_what_another_upload_left_is_replaced_and_one_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    """VCenter holds a VM whose disk it still takes."""
    half = (IMAGE, image(is_template=False))
    transport = vcenter(half)
    assert store(transport).catalogue().versions["web@1"].state == UPLOADING
    assert publish(transport, tmp_path).state == PUBLISHED
    assert transport.writes()[0] == "Destroy_Task vm-50"
    busy = vcenter(half, settles={TASK.kind: {"info.state": "error", "info.error": fault("TaskInProgress")}})
    with pytest.raises(Conflict, match="somebody is uploading it"):
        publish(busy, tmp_path)
    assert busy.writes() == ["Destroy_Task vm-50"]
    with pytest.raises(Denied, match="Delete"):  # to wait for somebody would not help
        publish(vcenter(half, settles={TASK.kind: {"info.state": "error", "info.error": NOT_ALLOWED}}), tmp_path)


def test_a_machine_cloned_from_a_version_is_nothing_that_an_upload_left(tmp_path: Path) -> None:
    """A clone inherits the manifest; where the template itself is gone, a publish of the version leaves the machine alone."""
    clone = Ref(VM, "vm-40")
    transport = vcenter((clone, image(is_template=False, name="web-0-aaaaa")))
    assert store(transport).catalogue().versions == {}
    assert publish(transport, tmp_path).id == IMAGE.id
    assert [call for call in transport.writes() if call.endswith(clone.id)] == []


def test_a_version_is_its_own_template_and_no_replica_of_it() -> None:
    """Else the replica would be revoked or removed in its place; where only a replica is left, that counts."""
    replica = (Ref(VM, "vm-40"), image(name="web@1 on ds-b"))
    assert store(vcenter(replica, (IMAGE, image()))).catalogue().versions["web@1"].id == "vm-50"
    assert store(vcenter(replica, (IMAGE, image(is_template=False)))).catalogue().versions["web@1"].id == "vm-40"


def test_of_two_promotions_of_one_number_the_name_decides() -> None:
    """VCenter takes one; whoever it refuses looks whose it is."""
    taken = {"info.state": "error", "info.error": fault("DuplicateName")}
    transport = vcenter(settles={TASK.kind: taken})
    with pytest.raises(Conflict):
        store(transport).promote(PROMOTION)
    assert transport.writes() == [f"CreateVM_Task {FLEET.id}"]
    (config,) = (each["config"] for each in transport.arguments if "config" in each)
    assert (config["name"], "deviceChange" in config) == ("web stable 3", False)


def test_a_promotion_that_people_may_start_counts_all_the_same() -> None:
    """It is made; that it could not be marked as a template too is no failure."""
    transport = vcenter(MarkAsTemplate=Throttled(what="not now"))
    assert store(transport).promote(PROMOTION) == PROMOTION


def test_a_revocation_that_somebody_overwrites_is_written_again() -> None:
    """And three times at most: vCenter writes an annotation whole."""
    transport = vcenter((IMAGE, image()))
    version = store(transport).catalogue().versions["web@1"]
    with pytest.raises(Conflict, match="all the time"):
        store(transport).revoke(version, WHY)
    assert transport.writes() == ["ReconfigVM_Task vm-50"] * 3
    written = transport.arguments[-1]["spec"]["annotation"]
    assert marks.noted(written)[marks.IMAGE_REVOKED] == WHY.dump()
    assert marks.noted(written)[marks.IMAGE_DIGEST] == MANIFEST.digest
    revoked = vcenter((IMAGE, image(**{"config.annotation": written})))
    assert store(revoked).catalogue().versions["web@1"].revoked == WHY
    store(revoked).revoke(version, WHY)
    assert revoked.writes() == []


def disk(file: str, parent: dict[str, Any] | None = None) -> dict[str, Any]:
    kind = "vim.vm.device.VirtualDisk"
    return data(kind, backing=data(f"{kind}.FlatVer2BackingInfo", fileName=file, parent=parent))


def test_a_template_that_backs_linked_clones_stays() -> None:
    """Whoever made them; a VM with a disk of its own does not keep it."""
    golden = disk("[ds-a] web/web.vmdk")
    child = disk("[ds-a] w-0/w-0.vmdk", golden["backing"])
    beside = {IMAGE: image(datastore=[DS_A], **{DEVICES: [golden]}), Ref(VM, "vm-60"): {"name": "own", DEVICES: [disk("[ds-a] own.vmdk")]}}
    linked = {**beside, Ref(VM, "vm-61"): {"name": "w-0", DEVICES: [child]}}
    for world, kept in ((linked, True), (beside, False)):
        transport = vcenter(*world.items())
        transport.recent = tuple(world)
        version = store(transport).catalogue().versions["web@1"]
        if kept:
            with pytest.raises(Conflict, match="1 linked clones share its disk, among them w-0"):
                store(transport).retire(version)
        else:
            store(transport).retire(version)
        assert transport.writes() == ([] if kept else ["Destroy_Task vm-50"])


def test_a_template_that_is_gone_is_retired() -> None:
    transport = vcenter((IMAGE, image(datastore=[])), Destroy_Task=NotFound(what="gone"))
    store(transport).retire(store(transport).catalogue().versions["web@1"])


def test_machines_tell_by_their_marks_what_they_are_made_of() -> None:
    """Of whatever pool; by the digest, so one that was cloned from a replica counts, too."""
    given = f'{{"immutable.fleet.field.image":"{MANIFEST.digest}"}}'
    machine = {"name": "web-0-aaaaa", convert.USER_PATHS[2]: given}
    transport = vcenter((IMAGE, image()), (Ref(VM, "vm-70"), machine), (Ref(VM, "vm-71"), {"name": "other"}))
    assert store(transport).users() == {"vm-50": ("web-0-aaaaa",)}
    again = replace(MANIFEST, version="2")  # the same file, published once more
    both = vcenter((IMAGE, image()), (Ref(VM, "vm-51"), image(manifest=again)), (Ref(VM, "vm-70"), machine))
    assert store(both).users() == {"vm-50": ("web-0-aaaaa",), "vm-51": ("web-0-aaaaa",)}
