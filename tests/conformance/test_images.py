# SPDX-License-Identifier: GPL-3.0-or-later
"""The ImageStore port, verb by verb (docs/provider-contract.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.measure import measure
from ansible_collections.immutable.fleet.plugins.module_utils.model.channel import PROMOTE, Promotion
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Invalid, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import PUBLISHED, UPLOADING, Manifest, Revocation, Version
from ansible_collections.immutable.fleet.plugins.module_utils.ports import ImageStore
from ansible_collections.immutable.fleet.tests.conformance.harness import ImageStoreHarness

DAWN = datetime(2026, 11, 21, 4, 10, 7, tzinfo=UTC)
WHY = Revocation(at=DAWN, by="ana@laptop", why="CVE-2026-1")
Publish = Callable[..., Version]


@pytest.fixture
def publish(images: ImageStoreHarness, tmp_path: Path) -> Publish:
    """Publish `version` of the test's own image with this content, through an adapter of its own."""

    def one(version: str, content: str = "", store: ImageStore | None = None) -> Version:
        path = tmp_path / f"{version}.{images.format}"
        images.write(path, content or version)
        found = measure(str(path))
        manifest = Manifest(
            name=images.image(),
            version=version,
            digest=found.digest,
            created_at=DAWN,
            size=found.size,
            format=images.format,
            hashes={"sha512": found.hashes["sha512"]},
            git_commit="0a1b2c3",
        )
        return (store or images.store()).publish(manifest, str(path), text=manifest.dump(), signature="signed\nby somebody\n")

    return one


def own(images: ImageStoreHarness) -> dict[str, Version]:
    """The versions of the test's image, as a fresh process sees them."""
    versions = images.store().catalogue().versions
    return {each.manifest.version: each for each in versions.values() if each.manifest.name == images.image()}


def promotion(images: ImageStoreHarness, number: int, version: str, token: str = "a") -> Promotion:
    ref = f"{images.image()}@{version}"
    return Promotion(
        image=images.image(), channel="stable", number=number, version=ref, kind=PROMOTE, at=DAWN, by="ci", token=token, why="v"
    )


def promotions(images: ImageStoreHarness) -> tuple[Promotion, ...]:
    return images.store().catalogue().of(images.image(), "stable")


def test_a_published_version_is_listed_as_it_was_given(images: ImageStoreHarness, publish: Publish) -> None:
    """Manifest and signature byte by byte; and its bytes are those of the manifest."""
    made = publish("1")
    assert own(images) == {"1": made}
    assert (made.state, made.text, made.signature) == (PUBLISHED, made.manifest.dump(), "signed\nby somebody\n")
    assert made.revoked is None


def test_published_again_is_no_change(images: ImageStoreHarness, publish: Publish) -> None:
    assert publish("1") == publish("1")
    assert len(own(images)) == 1


def test_a_version_never_changes(images: ImageStoreHarness, publish: Publish) -> None:
    """Other bytes under the same version are refused, and what is there stays."""
    made = publish("1", "good")
    with pytest.raises(Invalid) as refused:
        publish("1", "other")
    assert refused.value.where == "version"
    assert own(images) == {"1": made}


def test_an_upload_that_was_cut_off_is_no_version(images: ImageStoreHarness, publish: Publish) -> None:
    """Nobody takes it for one; the same task, run again, leaves one that is whole."""
    images.cut_upload()
    with pytest.raises(Transient):
        publish("1")
    assert {number: each.state for number, each in own(images).items()} == {"1": UPLOADING}
    made = publish("1")
    assert (made.state, own(images)) == (PUBLISHED, {"1": made})


def test_an_upload_of_other_bytes_that_was_cut_off_binds_nobody(images: ImageStoreHarness, publish: Publish) -> None:
    """It was never published, so the version is still free."""
    images.cut_upload()
    with pytest.raises(Transient):
        publish("1", "first try")
    made = publish("1", "second try")
    assert own(images) == {"1": made}


@pytest.mark.parametrize("verb", ["publish", "promote"])
def test_a_lost_answer_is_looked_up(images: ImageStoreHarness, publish: Publish, verb: str) -> None:
    """What was done is there, and doing it again is no second time."""
    if verb == "publish":
        store = images.store()
        images.lose_reply("publish")
        with pytest.raises(Transient):
            publish("1", store=store)
        publish("1")
        assert {number: each.state for number, each in own(images).items()} == {"1": PUBLISHED}
        return
    publish("1")
    store = images.store()
    images.lose_reply("promote")
    with pytest.raises(Transient):
        store.promote(promotion(images, 1, "1"))
    assert promotions(images) == (promotion(images, 1, "1"),)
    assert images.store().promote(promotion(images, 1, "1")) == promotion(images, 1, "1")
    assert len(promotions(images)) == 1


def test_of_two_promotions_of_one_number_one_is_taken(images: ImageStoreHarness, publish: Publish) -> None:
    """The other learns that it came second; what stands is whole, and one."""
    publish("1")
    publish("2")
    one, other = images.store(), images.store()
    one.promote(promotion(images, 1, "1", "a"))
    with pytest.raises(Conflict):
        other.promote(promotion(images, 1, "2", "b"))
    assert promotions(images) == (promotion(images, 1, "1", "a"),)
    other.promote(promotion(images, 2, "2", "b"))
    assert [each.version.partition("@")[2] for each in promotions(images)] == ["1", "2"]


def test_a_revoked_version_is_still_listed_with_its_reason(images: ImageStoreHarness, publish: Publish) -> None:
    """And keeps the first one."""
    made = publish("1")
    store = images.store()
    store.revoke(made, WHY)
    assert own(images) == {"1": replace(made, revoked=WHY)}
    store.revoke(own(images)["1"], replace(WHY, why="another"))
    assert own(images) == {"1": replace(made, revoked=WHY)}


def test_a_retired_version_is_gone(images: ImageStoreHarness, publish: Publish) -> None:
    """Retiring it twice is no failure, and the version can be published anew."""
    made = publish("1")
    store = images.store()
    store.retire(made)
    assert own(images) == {}
    store.retire(made)
    assert publish("1").state == PUBLISHED
    assert set(own(images)) == {"1"}


def test_nobody_uses_a_new_version(images: ImageStoreHarness, publish: Publish) -> None:
    made = publish("1")
    assert made.id not in images.store().users()
