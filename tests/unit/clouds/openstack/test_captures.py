# SPDX-License-Identifier: GPL-3.0-or-later
"""What Nova and Glance are asked for copies of builders' disks."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.captures import NovaCaptures, capture_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import FAILED, MAKING, WHOLE, Capture
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid, NotFound, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import STOPPED, Vm
from ansible_collections.immutable.fleet.tests.unit.builders import NOW
from ansible_collections.immutable.fleet.tests.unit.clouds.openstack.fakes import FakeTransport

DISK = b"disk"
DIGEST = "sha512:" + hashlib.sha512(DISK).hexdigest()
MINE = Capture(id="i1", builder="bake-web-0-aaaaa", status=WHOLE, created_at=NOW, digest=DIGEST)


class Downloading(FakeTransport):
    """Gives bytes too."""

    def download(self, path: str, target: BinaryIO) -> None:
        target.write(self.request("GET", "image", path))


def image(status: str = "active", **more: Any) -> dict[str, Any]:
    marked = {"immutable.fleet.image.builder": "bake-web-0-aaaaa", "created_at": "2026-11-21T04:10:07Z", "owner": "p1"}
    return {"id": "i1", "status": status, **marked, **more}


@pytest.mark.parametrize(
    ("given", "status"),
    [("queued", MAKING), ("saving", MAKING), ("importing", MAKING), ("active", WHOLE), ("killed", FAILED), ("deactivated", FAILED)],
)
def test_where_a_copy_stands(given: str, status: str) -> None:
    assert capture_of(image(given), timedelta(0)).status == status


def test_copies_are_listed_by_our_marks() -> None:
    """One that is being deleted is gone."""
    transport = Downloading({"GET image /images": {"images": [image(os_hash_algo="sha512", os_hash_value="ab"), image("pending_delete")]}})
    (found,) = NovaCaptures(transport, "bake-web").list()
    assert (found.builder, found.digest) == ("bake-web-0-aaaaa", "sha512:ab")
    assert transport.queries[0][:3] == [
        ("immutable.fleet.image.kind", "capture"),
        ("immutable.fleet.pool", "bake-web"),
        ("owner", "p1"),
    ]


def test_copies_of_another_project_are_nobodys_to_fetch_or_remove() -> None:
    """An administrator sees them, and two projects may build images of the same name."""
    transport = Downloading({"GET image /images": {"images": [image(owner="p2")]}})
    assert NovaCaptures(transport, "bake-web").list() == ()


def test_a_copy_is_as_old_as_the_clouds_clock_says() -> None:
    """A wrong clock here makes no copy older than a build may be."""
    assert capture_of(image(), timedelta(hours=5)).created_at == datetime(2026, 11, 20, 23, 10, 7, tzinfo=UTC)


def test_a_copy_carries_its_marks_from_the_first_moment() -> None:
    """Over those that it inherits of a golden version: it is none."""
    transport = Downloading({"POST compute /servers/s1/action": None})
    NovaCaptures(transport, "bake-web").begin(Vm(id="s1", name="bake-web-0-aaaaa", status=STOPPED, created_at=NOW))
    asked = transport.bodies[0]["createImage"]
    assert asked == {
        "name": "bake-web-0-aaaaa",
        "metadata": {
            "immutable.fleet.image.kind": "capture",
            "immutable.fleet.pool": "bake-web",
            "immutable.fleet.image.builder": "bake-web-0-aaaaa",
        },
    }


def test_a_copy_is_fetched_whole(tmp_path: Path) -> None:
    NovaCaptures(Downloading({"GET image /images/i1/file": DISK}), "bake-web").fetch(MINE, tmp_path / "disk")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("disk", DISK)]


def test_other_bytes_are_no_file(tmp_path: Path) -> None:
    """Cut off, or changed on the way."""
    with pytest.raises(Transient, match="not those that Glance has"):
        NovaCaptures(Downloading({"GET image /images/i1/file": DISK[:1]}), "bake-web").fetch(MINE, tmp_path / "disk")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        NovaCaptures(Downloading({"GET image /images/i1/file": DISK}), "bake-web").fetch(MINE, tmp_path / "nowhere/disk")
    assert refused.value.where == "path"


def test_a_copy_that_is_gone_is_removed() -> None:
    NovaCaptures(Downloading({"DELETE image /images/i1": NotFound(what="gone")}), "bake-web").clear(MINE.leftover)
