# SPDX-License-Identifier: GPL-3.0-or-later
"""What `golden_image` refuses of versions that are not wholly there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.entry.golden_image import bring_about
from ansible_collections.immutable.fleet.plugins.module_utils.entry.image_stores import Shelf
from ansible_collections.immutable.fleet.plugins.module_utils.model.channel import Catalogue, Promotion
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Blocked, Conflict
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import UPLOADING, Manifest, Revocation, Version
from ansible_collections.immutable.fleet.tests.unit.builders import NOW

WHY = Revocation(at=NOW, by="ana@laptop", why="bad")
MANIFEST = Manifest(name="web", version="1", digest="sha256:" + "a" * 64, created_at=NOW)
CUT_OFF = Version(manifest=MANIFEST, id="id-1", state=UPLOADING, begun_at=NOW)


class Store:
    """Has these versions, and remembers what was revoked."""

    def __init__(self, *versions: Version) -> None:
        self.versions = {version.ref: version for version in versions}
        self.revoked: list[str] = []

    def catalogue(self) -> Catalogue:
        return Catalogue(versions=self.versions)

    def publish(self, manifest: Manifest, path: str, *, text: str, signature: str = "") -> Version:
        raise AssertionError((manifest, path, text, signature))

    def promote(self, promotion: Promotion) -> Promotion:
        raise AssertionError(promotion)

    def revoke(self, version: Version, revocation: Revocation) -> None:
        del revocation
        if version.id == "another project's":
            raise Conflict(what="the image belongs to another project")
        self.revoked.append(version.ref)

    def retire(self, version: Version) -> None:
        raise AssertionError(version)

    def users(self) -> Mapping[str, tuple[str, ...]]:
        return {}


def bring(store: Store, **params: Any) -> dict[str, Any]:
    return bring_about({"name": "web", "version": "1", "reason": "bad", **params}, Shelf(store, lambda: NOW), check=False)


def test_an_upload_under_way_cannot_be_revoked_yet() -> None:
    """Whoever uploads may replace the image, and the mark would be gone without a word."""
    store = Store(CUT_OFF)
    with pytest.raises(Conflict) as refused:
        bring(store, state="revoked")
    assert (store.revoked, "again later" in refused.value.forward) == ([], True)


def test_what_is_uploaded_inherits_a_revocation() -> None:
    """It is not marked, and does not hold the others up."""
    parent = Version(manifest=MANIFEST, id="id-1", begun_at=NOW)
    heirs = [replace(MANIFEST, version=number, parent="web@1") for number in ("2", "3")]
    store = Store(parent, Version(manifest=heirs[0], id="id-2", state=UPLOADING, begun_at=NOW), Version(manifest=heirs[1], id="id-3"))
    assert bring(store, state="revoked")["revoked"] == ["web@1", "web@3"] == store.revoked


def test_another_projects_heir_inherits_without_a_mark() -> None:
    """Ours are marked all the same; one that was named and is another's is refused."""
    parent = Version(manifest=MANIFEST, id="id-1", begun_at=NOW)
    heir = Version(manifest=replace(MANIFEST, version="2", parent="web@1"), id="another project's", begun_at=NOW)
    assert bring(Store(parent, heir), state="revoked")["revoked"] == ["web@1"]
    with pytest.raises(Conflict):
        bring(Store(parent, heir), state="revoked", version="2")


def test_a_revoked_version_is_not_uploaded_to_its_end(tmp_path: Path) -> None:
    """It would be another image, without the mark."""
    path = tmp_path / "disk"
    path.write_bytes(b"x")
    given = {"path": str(path), "manifest": None, "sbom": "", "format": "raw", "parent": "", "git_commit": "", "inputs": {}}
    with pytest.raises(Blocked, match="web@1 is revoked"):
        bring(Store(replace(CUT_OFF, revoked=WHY)), state="published", sign_with=None, **given)
