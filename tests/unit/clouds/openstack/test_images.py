# SPDX-License-Identifier: GPL-3.0-or-later
"""What Glance is asked, and what is made of answers that no lab gives on request."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack import images_convert as convert
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.images import UPLOAD_PATIENCE, GlanceImages
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.channel import PROMOTE, Promotion
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Invalid, NotFound, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import BROKEN, PUBLISHED, UPLOADING, Manifest, Revocation
from ansible_collections.immutable.fleet.tests.unit.clouds.openstack.fakes import FakeTransport

NOW = datetime(2026, 11, 21, 4, 10, 7, tzinfo=UTC)
MANIFEST = Manifest(name="web", version="1", digest="sha256:" + "a" * 64, created_at=NOW, hashes={"sha512": "b" * 128})
PROMOTION = Promotion(image="web", channel="stable", number=3, version="web@1", kind=PROMOTE, at=NOW, by="ci", token="mine")
WHY = Revocation(at=NOW, by="ana@laptop", why="bad")
IDS = [convert.version_id("p1", "web@1", attempt) for attempt in range(3)]
RECORDS = [convert.promotion_id("p1", replace(PROMOTION, number=number)) for number in (3, 4)]
CREATE = "POST image /images"
LIST = "GET image /images"


class Uploading(FakeTransport):
    """Takes bytes too."""

    def upload(self, path: str, source: BinaryIO) -> None:
        del source
        self.request("PUT", "image", path)


def image(status: str = "active", attempt: int = 0, age: timedelta = timedelta(0), **more: Any) -> dict[str, Any]:
    """As Glance shows the version's image."""
    changed = (NOW - age).isoformat().replace("+00:00", "Z")
    request = convert.version_request(IDS[attempt], MANIFEST, MANIFEST.dump(), "", "private", {})
    whole = {"os_hash_algo": "sha512", "os_hash_value": "b" * 128} if status == "active" else {}
    return {
        **request,
        "owner": "p1",
        "status": status,
        "protected": status == "active",
        "created_at": changed,
        "updated_at": changed,
        **whole,
        **more,
    }


def listed(*images: dict[str, Any]) -> dict[str, Any]:
    return {"images": list(images)}


def show(attempt: int) -> str:
    return f"GET image /images/{IDS[attempt]}"


def publish(tmp_path: Path, answers: dict[str, Any], manifest: Manifest = MANIFEST) -> Uploading:
    """The transport after a publish."""
    (tmp_path / "disk").write_bytes(b"x")
    transport = Uploading(answers)
    GlanceImages(transport, now=lambda: NOW).publish(manifest, str(tmp_path / "disk"), text=manifest.dump())
    return transport


GONE = NotFound(what="no such image")
TAKEN = Conflict(what="duplicate id")
UPLOAD = f"PUT image /images/{IDS[0]}/file"
PATCH = f"PATCH image /images/{IDS[0]}"
DELETE = f"DELETE image /images/{IDS[0]}"


def test_a_new_version_is_made_filled_checked_and_protected(tmp_path: Path) -> None:
    """In this order: a cut in between leaves something that is no version, and can be deleted."""
    answers = {show(0): [GONE, image(protected=False)], CREATE: image("queued"), UPLOAD: None, PATCH: None}
    transport = publish(tmp_path, answers)
    assert transport.calls == [show(0), CREATE, UPLOAD, show(0), PATCH]
    assert transport.bodies[1][marks.IMAGE_MANIFEST] == MANIFEST.dump()
    assert transport.bodies[4] == [{"op": "replace", "path": "/protected", "value": True}]


def test_what_a_cut_off_upload_left_is_filled(tmp_path: Path) -> None:
    """Glance puts it back to queued, and takes the bytes again."""
    transport = publish(tmp_path, {show(0): [image("queued"), image()], UPLOAD: None})
    assert transport.calls == [show(0), UPLOAD, show(0)]


def test_what_a_dead_upload_left_is_replaced(tmp_path: Path) -> None:
    """Under the next id, since Glance gives none twice."""
    answers = {show(0): image("saving", age=UPLOAD_PATIENCE * 2), DELETE: None, show(1): [GONE, image(attempt=1)]}
    answers |= {CREATE: image("queued", attempt=1), f"PUT image /images/{IDS[1]}/file": None}
    transport = publish(tmp_path, answers)
    assert transport.calls == [show(0), DELETE, show(1), CREATE, f"PUT image /images/{IDS[1]}/file", show(1)]


def test_an_id_that_was_deleted_by_hand_is_passed_over(tmp_path: Path) -> None:
    answers = {show(0): GONE, CREATE: [TAKEN, image("queued", attempt=1)], show(1): [GONE, image(attempt=1)]}
    transport = publish(tmp_path, {**answers, f"PUT image /images/{IDS[1]}/file": None})
    assert transport.calls[:5] == [show(0), CREATE, show(0), show(1), CREATE]


def test_somebody_else_is_uploading(tmp_path: Path) -> None:
    """Whether it is seen beforehand, or Glance says so."""
    with pytest.raises(Conflict, match="uploading it since"):
        publish(tmp_path, {show(0): image("saving", age=timedelta(minutes=5))})
    with pytest.raises(Conflict, match="at the same time"):
        publish(tmp_path, {show(0): image("queued"), UPLOAD: NotFound(what="410 Gone")})


@pytest.mark.parametrize("status", ["deactivated", "importing", "pending_delete", "uploading"])
def test_an_image_that_somebody_put_away_is_not_deleted(status: str, tmp_path: Path) -> None:
    """It is no upload that was cut off: an administrator deactivates an image to look at it, and machines may run it."""
    with pytest.raises(Conflict, match=f"has the status {status}"):
        publish(tmp_path, {show(0): image(status)})


def test_what_glance_gave_up_is_replaced(tmp_path: Path) -> None:
    answers = {show(0): image("killed"), DELETE: None, show(1): [GONE, image(attempt=1)], CREATE: image("queued", attempt=1)}
    transport = publish(tmp_path, {**answers, f"PUT image /images/{IDS[1]}/file": None})
    assert DELETE in transport.calls


def test_wrong_bytes_are_no_version_and_are_replaced(tmp_path: Path) -> None:
    """By the run after the one that found them."""
    wrong = image(os_hash_value="c" * 128, protected=False)
    with pytest.raises(Transient, match="does not have the bytes"):
        publish(tmp_path, {show(0): [image("queued"), wrong], UPLOAD: None})
    answers = {show(0): wrong, DELETE: None, show(1): [GONE, image(attempt=1)], CREATE: image("queued", attempt=1)}
    transport = publish(tmp_path, {**answers, f"PUT image /images/{IDS[1]}/file": None})
    assert DELETE in transport.calls


def test_another_digest_of_a_published_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="a version never changes"):
        publish(tmp_path, {show(0): image()}, replace(MANIFEST, digest="sha256:" + "d" * 64))


@pytest.mark.parametrize(
    ("given", "state"),
    [
        (image("queued"), UPLOADING),
        (image("saving"), UPLOADING),
        (image(), PUBLISHED),
        (image(os_hash_value="c" * 128), BROKEN),
        (image(os_hash_algo="sha256", os_hash_value="a" * 64), PUBLISHED),
        (image(os_hash_algo="sha3_512"), BROKEN),
        (image(os_hash_value=None), BROKEN),
    ],
    ids=["queued", "saving", "whole", "other bytes", "by sha256", "by an algorithm that the manifest lacks", "no digest at all"],
)
def test_a_version_is_published_when_glances_digest_is_the_manifests(given: dict[str, Any], state: str) -> None:
    version = convert.version_of(given)
    assert version is not None
    assert version.state == state


def test_an_image_of_somebody_else_is_no_version() -> None:
    assert convert.version_of({"id": "1", "status": "active", "name": "debian-12"}) is None


def test_of_several_images_of_a_version_the_published_one_counts() -> None:
    """A dead upload may lie beside it, before or after."""
    for dead, whole in ((0, 1), (1, 0)):
        images = [image("saving", attempt=dead, age=timedelta(hours=dead)), image(attempt=whole, age=timedelta(hours=whole))]
        assert convert.versions_of(images)["web@1"].id == IDS[whole]


def record(number: int, token: str) -> dict[str, Any]:
    return convert.promotion_request(RECORDS[number - 3], replace(PROMOTION, number=number, token=token), "private")


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({CREATE: None}, 3),
        ({CREATE: TAKEN, f"GET image /images/{RECORDS[0]}": record(3, "mine")}, 3),
        ({CREATE: [TAKEN, None], f"GET image /images/{RECORDS[0]}": GONE}, 4),
    ],
    ids=["free", "ours, its answer was lost", "deleted by hand: that id is never given again"],
)
def test_a_promotion_takes_its_number(answers: dict[str, Any], expected: int) -> None:
    transport = Uploading({LIST: listed(image()), **answers})
    assert GlanceImages(transport, now=lambda: NOW).promote(PROMOTION) == replace(PROMOTION, number=expected)


@pytest.mark.parametrize(
    ("versions", "visibility"),
    [
        ([image()], "private"),
        ([image(visibility="public")], "public"),
        ([image(owner="p2", visibility="public")], "private"),
        ([image(visibility="public"), image("queued", attempt=1)], "public"),
    ],
    ids=["private", "public", "another project's", "a dead upload beside it"],
)
def test_who_sees_a_version_sees_its_promotion(versions: list[dict[str, Any]], visibility: str) -> None:
    """Else others could use the version, and not follow its channels."""
    transport = Uploading({LIST: listed(*versions), CREATE: None})
    GlanceImages(transport, now=lambda: NOW).promote(PROMOTION)
    assert (transport.calls, transport.bodies[1]["visibility"]) == ([LIST, CREATE], visibility)


def test_a_number_that_is_anothers_is_a_conflict() -> None:
    answers = {LIST: listed(), CREATE: TAKEN, f"GET image /images/{RECORDS[0]}": record(3, "another's")}
    with pytest.raises(Conflict):
        GlanceImages(Uploading(answers), now=lambda: NOW).promote(PROMOTION)


def test_a_revocation_that_was_overwritten_is_written_again() -> None:
    """An update of Glance's writes all properties back as it read them, so another one at the same time undoes ours."""
    version = convert.version_of(image())
    assert version is not None
    revoked = image(os_hidden=True, **{marks.IMAGE_REVOKED: WHY.dump()})
    transport = Uploading({show(0): [image(), image(), revoked], PATCH: None})
    GlanceImages(transport, now=lambda: NOW).revoke(version, WHY)
    assert transport.calls == [show(0), PATCH, show(0), PATCH, show(0)]
    assert transport.bodies[1] == convert.revocation_request(WHY)


def test_other_projects_images_count_where_they_are_shown_and_ours_are_none() -> None:
    """An administrator's list has the private ones of all projects too."""
    private = image(owner="p2", id="private", created_at="2026-11-22T00:00:00Z")
    public = image(owner="p2", id="public", visibility="public", created_at="2026-11-23T00:00:00Z")
    history = {"visibility": "public", "owner": "p2"}

    def catalogue(versions: list[dict[str, Any]], promotions: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
        class Lists(Uploading):
            def request(self, method: str, service: str, path: str, **more: Any) -> Any:
                del method, service, path
                kind = dict(more["query"]).get(marks.IMAGE_KIND)
                return listed(*(versions if kind == marks.VERSION_IMAGE else promotions))

        found = GlanceImages(Lists({}), now=lambda: NOW).catalogue()
        return [version.id for version in found.versions.values()], [each.token for each in found.promotions]

    others = {**record(4, "theirs"), **history}
    assert catalogue([private], [{**others, "visibility": "private"}]) == ([], [])
    assert catalogue([private, public], [others]) == (["public"], ["theirs"])
    assert catalogue([private, public, image()], [others, {**record(3, "mine"), "owner": "p1"}]) == ([IDS[0]], ["mine"])


def test_another_projects_image_is_not_touched() -> None:
    version = convert.version_of(image())
    assert version is not None
    transport = Uploading({show(0): image(owner="p2")})
    store = GlanceImages(transport, now=lambda: NOW)
    with pytest.raises(Conflict, match="belongs to another project, p2"):
        store.revoke(version, WHY)
    with pytest.raises(Conflict, match="belongs to another project, p2"):
        store.retire(version)
    assert transport.calls == [show(0), show(0)]


def test_an_image_that_the_store_still_needs_stays_protected() -> None:
    """As it was: nobody may delete a version by hand."""
    version = convert.version_of(image())
    assert version is not None
    transport = Uploading({show(0): image(), PATCH: None, DELETE: Conflict(what="in use")})
    with pytest.raises(Conflict, match="in use"):
        GlanceImages(transport, now=lambda: NOW).retire(version)
    assert transport.calls == [show(0), PATCH, DELETE, PATCH]
    assert transport.bodies[3] == convert.protection_request(protected=True)


def test_who_uses_a_version() -> None:
    """By the image that Nova names, or by our mark where the machine boots from a volume."""
    version = convert.version_of(image())
    assert version is not None
    servers = [
        {"name": "web-0", "image": {"id": IDS[0]}, "metadata": {}},
        {"name": "web-1", "image": "", "metadata": {f"{marks.FIELD}image": "sha512:" + "b" * 128}},
        {"name": "other", "image": {"id": "x"}, "metadata": {}},
    ]
    assert convert.users_of(servers, [version]) == {IDS[0]: ("web-0", "web-1")}
