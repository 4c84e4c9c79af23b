# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden images as templates of a vCenter, and a pool that follows their channel: there, back, and away from a bad one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.tests.conformance.on_vsphere_images import STORE, destroy_images, write_disk
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Kube
from ansible_collections.immutable.fleet.tests.system import vsphere_lab
from ansible_collections.immutable.fleet.tests.system.playbook import Outcome
from ansible_collections.immutable.fleet.tests.system.vsphere_estate import VsphereEstate, marks_of, vsphere_estate

pytestmark = [pytest.mark.lab, pytest.mark.story]

NAME = "vbakery"
CHANNEL = f"{NAME}/stable"
REPLICAS = 1
FOLDER = STORE["image_folder"]


@pytest.fixture(scope="module")
def pool(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VsphereEstate]:
    with vsphere_estate("vbaked", kube, tmp_path_factory.mktemp("vbaked"), replicas=REPLICAS) as made:
        yield made
        destroy_images(made.simulator, NAME)


def store() -> dict[str, Any]:
    return {"vsphere": {**vsphere_lab.connection(), **STORE}}


def publish(pool: VsphereEstate, version: str, *, fails: bool = False, content: str = "") -> Outcome:
    path = Path(pool.playbooks.folder) / f"{version}.vmdk"
    write_disk(path, content or version)
    return pool.playbooks.run(
        "golden_image", {"name": NAME, "version": version, "path": str(path), "format": "vmdk", **store()}, fails=fails
    )


def point(pool: VsphereEstate, state: str = "promoted", *, fails: bool = False, **options: str) -> Outcome:
    return pool.playbooks.run("golden_image_channel", {"channel": CHANNEL, "state": state, **options, **store()}, fails=fails)


def roll(pool: VsphereEstate, *, fails: bool = False, image: dict[str, str] | None = None, **vsphere: Any) -> Outcome:
    """The pool follows the channel, or is made of what `image` says."""
    task = pool.task(vsphere={"template": None, "image_folder": FOLDER, **vsphere}, strategy={"min_ready": "1s"})
    return pool.playbooks.run("node_pool", {**task, "image": image or {"channel": CHANNEL}}, fails=fails)


def info(pool: VsphereEstate) -> dict[str, Any]:
    return pool.playbooks.run("golden_image_info", {"name": NAME, **store()}).result


def made_of(pool: VsphereEstate) -> set[str]:
    """The digests that the machines say they are made of."""
    return {marks_of(server)["immutable.fleet.field.image"] for server in pool.servers()}


def test_a_version_is_published_once(pool: VsphereEstate) -> None:
    """As a template with the digest that pools look for. Again it is no change; other bytes under it are refused."""
    made = publish(pool, "1")
    assert made.changed
    template = pool.simulator.vms()[f"{NAME}@1"]
    assert (template["template"], template["moref"]) == (True, made.result["id"])
    again = publish(pool, "1")
    assert (again.changed, again.result["id"]) == (False, made.result["id"])
    assert publish(pool, "1", fails=True, content="other").failure["where"] == "version"


def test_the_pool_is_made_of_what_its_channel_points_to(pool: VsphereEstate) -> None:
    first = point(pool, version="1")
    assert roll(pool).changed
    assert made_of(pool) == {first.result["digest"]}
    assert not roll(pool).changed


def test_a_promotion_rolls_it(pool: VsphereEstate) -> None:
    """No variable of the pool changes but that it wants linked clones, for which a published version has its snapshot."""
    publish(pool, "2")
    second = point(pool, version="2")
    assert second.result["before"] == "1"
    assert roll(pool, linked_clone=True).result["summary"]["created"] == REPLICAS
    assert made_of(pool) == {second.result["digest"]}


def test_what_is_used_or_can_be_gone_back_to_is_never_removed(pool: VsphereEstate) -> None:
    """A version that nobody has any use for is."""
    publish(pool, "3")
    time.sleep(1.1)  # part of the story: `min_age` counts whole seconds
    unused = {"name": NAME, "state": "retained", "min_age": "1s", **store()}
    removed = pool.playbooks.run("golden_image", unused).result
    assert removed["removed"] == [f"{NAME}@3"]
    assert "runs it" in removed["kept"][f"{NAME}@2"]
    assert {name for name in pool.simulator.vms() if "@" in name} == {f"{NAME}@1", f"{NAME}@2"}


def test_a_revoked_version_cannot_be_used(pool: VsphereEstate) -> None:
    """By its name, by its channel, or as a template; the machines that run one are named, and rolled away from it."""
    servers = {server["name"] for server in pool.servers()}
    bad = {"name": NAME, "version": "2", "state": "revoked", "reason": "never ready", **store()}
    assert set(pool.playbooks.run("golden_image", bad).result["machines"]) == servers
    assert not pool.playbooks.run("golden_image", bad).changed
    for wrong in (roll(pool, fails=True, image={"name": NAME, "version": "2"}), point(pool, version="2", fails=True)):
        assert wrong.failure["code"] == "blocked"
        assert "never ready" in wrong.failure["what"]
    assert pool.present(f"{NAME}@2", fails=True).failure["where"] == "vsphere.template"
    assert roll(pool).changed
    assert {server["name"] for server in pool.servers()}.isdisjoint(servers)
    assert info(pool)["channels"][CHANNEL]["version"] == "1"


def test_two_that_promote_at_once(pool: VsphereEstate) -> None:
    """Both are told the truth: the channel points to what one of those asked for that were not refused."""
    publish(pool, "4")
    runs = {
        version: pool.playbooks.start("golden_image_channel", {"channel": CHANNEL, "version": version, **store()}) for version in ("1", "4")
    }
    ended = {version: run.outcome().result for version, run in runs.items()}
    done = [version for version, result in ended.items() if not result.get("failed")]
    assert done, ended
    assert all(result["failure"]["code"] == "conflict" for result in ended.values() if result.get("failed"))
    assert info(pool)["channels"][CHANNEL]["version"] in done
