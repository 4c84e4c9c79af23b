# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden images in a real Glance, and a pool on real servers that follows their channel: there, back, and away from a bad one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import IMAGE
from ansible_collections.immutable.fleet.tests.conformance.on_glance import delete_images
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Kube, wait
from ansible_collections.immutable.fleet.tests.system import openstack_lab
from ansible_collections.immutable.fleet.tests.system.estate import Estate, estate
from ansible_collections.immutable.fleet.tests.system.playbook import Outcome

pytestmark = [pytest.mark.lab, pytest.mark.story, pytest.mark.filterwarnings(r"ignore:::openstack\..*")]

NAME = "bakery-story"
CHANNEL = f"{NAME}/stable"
REPLICAS = 2
STORE = {"openstack": {"cloud": "user"}}
KUBELET = {"kubelet_version": "v1.36.3"}  # what the lab's guests say they are
IMPATIENT = {"startup_timeout": "15s", "max_failed_new": "1", "progress_deadline": "2m"}


@pytest.fixture(scope="module")
def pool(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """Without ports: Neutron is most of a server's cost in the lab."""
    with pytest.MonkeyPatch.context() as environment:
        openstack_lab.use_or_skip(environment)
        folder = tmp_path_factory.mktemp("bakery")
        with estate("baked", kube, folder, openstack=openstack_lab.NO_NETWORK, replicas=REPLICAS) as made:
            delete_images(NAME, "user")
            yield made
            made.remove()
            delete_images(NAME, "user")


def publish(pool: Estate, version: str, *, fails: bool = False, content: str = "", **properties: str) -> Outcome:
    path = Path(pool.playbooks.folder) / f"{version}.raw"
    path.write_bytes((content or version).encode().ljust(1 << 20, b"\0"))
    given = {"name": NAME, "version": version, "path": str(path), "format": "raw", "properties": {**KUBELET, **properties}}
    return pool.playbooks.run("golden_image", {**given, **STORE}, fails=fails)


def revoke(pool: Estate, version: str) -> Outcome:
    return pool.playbooks.run("golden_image", {"name": NAME, "version": version, "state": "revoked", "reason": "never ready", **STORE})


def point(pool: Estate, state: str = "promoted", *, fails: bool = False, **options: str) -> Outcome:
    return pool.playbooks.run("golden_image_channel", {"channel": CHANNEL, "state": state, **options, **STORE}, fails=fails)


def roll(pool: Estate, *, fails: bool = False, strategy: dict[str, Any] | None = None, **image: str) -> Outcome:
    """The pool follows the channel, or is made of what `image` says."""
    task = pool.task(openstack={"image": None}, strategy=strategy or {})
    return pool.playbooks.run("node_pool", {**task, "image": image or {"channel": CHANNEL}}, fails=fails)


def images(pool: Estate) -> set[str]:
    return {server["image"]["id"] for server in pool.servers()}


def test_a_version_is_published_once(pool: Estate) -> None:
    """Again it is no change; other bytes under it are refused."""
    made = publish(pool, "1")
    assert made.changed
    again = publish(pool, "1")
    assert not again.changed
    assert again.result["id"] == made.result["id"]
    assert publish(pool, "1", fails=True, content="other").failure["where"] == "version"


def test_the_pool_is_made_of_what_its_channel_points_to(pool: Estate) -> None:
    first = point(pool, version="1")
    assert roll(pool).changed
    assert images(pool) == {first.result["id"]}
    assert not roll(pool).changed


def test_a_promotion_rolls_it_and_a_rollback_rolls_it_back(pool: Estate) -> None:
    """No variable of the pool changes."""
    publish(pool, "2")
    second = point(pool, version="2")
    assert second.result["before"] == "1"
    assert roll(pool).result["summary"]["created"] == REPLICAS
    assert images(pool) == {second.result["id"]}
    back = point(pool, "rolled_back", version="2")
    assert roll(pool).changed
    assert images(pool) == {back.result["id"]} != {second.result["id"]}


def test_an_upload_that_was_killed_is_no_version(pool: Estate) -> None:
    """The process dies while it sends; the next run of the same task leaves one version, whole."""
    path = Path(pool.playbooks.folder) / "3.raw"
    with path.open("wb") as file:
        file.truncate(1 << 30)  # long enough to be caught at it
    given = {"name": NAME, "version": "3", "path": str(path), "format": "raw", **STORE}
    run = pool.playbooks.start("golden_image", given)
    until_sending(pool)
    run.kill()
    path.unlink()
    assert states(pool)["3"] == "uploading"
    assert point(pool, version="3", fails=True).failure["code"] == "blocked"
    assert publish(pool, "3").changed
    assert states(pool) == {"1": "published", "2": "published", "3": "published"}


def test_a_bad_one_is_left_by_channel_and_revoked(pool: Estate) -> None:
    """It is published, for it has the bytes; its machines never become ready, so the pool keeps what it had."""
    publish(pool, "bad", lab_join="never")
    point(pool, version="bad")
    before = images(pool)
    failed = roll(pool, fails=True, strategy=IMPATIENT)
    assert "no more machines are made of it" in failed.failure["what"], failed.text
    assert revoke(pool, "bad").result["revoked"] == [f"{NAME}@bad"]
    assert not revoke(pool, "bad").changed
    roll(pool)
    shown = info(pool)
    assert shown["channels"][CHANNEL]["version"] == "1"
    assert images(pool) == before


def test_a_revoked_version_cannot_be_used(pool: Estate) -> None:
    """By its name, by its channel, or by its ID in Glance; machines that run one are named."""
    point(pool, version="2")
    roll(pool)
    servers = {server["name"] for server in pool.servers()}
    assert set(revoke(pool, "2").result["machines"]) == servers
    for wrong in (roll(pool, fails=True, name=NAME, version="2"), point(pool, version="2", fails=True)):
        assert wrong.failure["code"] == "blocked"
        assert "never ready" in wrong.failure["what"]
    (version,) = (each for each in info(pool)["versions"] if each["version"] == "2")
    by_id = pool.present(version["id"], fails=True)
    assert by_id.failure["where"] == "openstack.image"
    assert set(version["machines"]) == servers
    roll(pool)
    assert {server["name"] for server in pool.servers()}.isdisjoint(servers)


def test_two_that_promote_at_once(pool: Estate) -> None:
    """Both are told the truth: the channel points to what the one that was not refused asked for."""
    runs = {
        version: pool.playbooks.start("golden_image_channel", {"channel": CHANNEL, "version": version, **STORE}) for version in ("1", "3")
    }
    ended = {version: run.outcome().result for version, run in runs.items()}
    done = [version for version, result in ended.items() if not result.get("failed")]
    assert done, ended
    assert all(result["failure"]["code"] == "conflict" for result in ended.values() if result.get("failed"))
    assert info(pool)["channels"][CHANNEL]["version"] in done


def info(pool: Estate) -> dict[str, Any]:
    return pool.playbooks.run("golden_image_info", {"name": NAME, **STORE}).result


def states(pool: Estate) -> dict[str, str]:
    return {each["version"]: each["state"] for each in info(pool)["versions"]}


def until_sending(pool: Estate) -> None:
    """Until Glance receives bytes for version 3."""

    def is_sending() -> bool:
        found = pool.api.request("GET", IMAGE, "/images", query=[("name", f"{NAME}@3")])["images"]
        return bool(found) and found[0]["status"] == "saving"

    wait("bytes are sent", is_sending, 120, 0.1, lambda: states(pool))
