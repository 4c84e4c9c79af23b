# SPDX-License-Identifier: GPL-3.0-or-later
"""From a commit to a rolled pool: the collection's own playbooks, a real Glance, pools of real servers, and a small image of another tool.

The image is a file system with what the hygiene gate reads; nothing boots in the lab's cloud. Needs root, to look into it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.tests.conformance.on_glance import delete_images
from ansible_collections.immutable.fleet.tests.labs.images.__main__ import is_installed
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Kube
from ansible_collections.immutable.fleet.tests.system import openstack_lab
from ansible_collections.immutable.fleet.tests.system.estate import LEASE, Estate, estate

pytestmark = [pytest.mark.lab, pytest.mark.pipeline, pytest.mark.story, pytest.mark.filterwarnings(r"ignore:::openstack\..*")]

NAME = "line"
CANARY, STABLE = f"{NAME}/canary", f"{NAME}/stable"
REPLICAS = {f"{NAME}-try": 1, f"{NAME}-all": 2}
KUBELET = {"kubelet_version": "v1.36.3"}  # what the lab's guests say they are
FILES = {
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "var/lib/dpkg/status": "Package: base-files\nStatus: install ok installed\nVersion: 12\nArchitecture: amd64\n",
}


class Line:
    """A repository with an image in it, an inventory of a builder and two pools, and the playbooks."""

    def __init__(self, pools: Estate, folder: Path) -> None:
        self.pools, self.folder = pools, folder
        self.repository, self.gate, self.inventory = folder / "repository", folder / "gate-is-open", folder / "inventory.json"
        self.gate.touch()
        self.commits: list[str] = []
        self._git("init", "--quiet", str(self.repository))
        self.inventory.write_text(json.dumps({"all": {"children": self._groups(), "vars": self._variables()}}), encoding="utf-8")

    def commit(self, **files: str) -> None:
        """An image of another tool, in the repository; a file's name has `__` for a slash."""
        tree, image = self.folder / "tree", self.repository / "image.raw"
        shutil.rmtree(tree, ignore_errors=True)
        for name, text in {**FILES, **{name.replace("__", "/"): text for name, text in files.items()}}.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(text, encoding="utf-8")
        image.unlink(missing_ok=True)
        with image.open("wb") as file:
            file.truncate(4 << 20)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", str(tree), str(image)], check=True)
        who = ("-c", "user.name=estate", "-c", "user.email=estate@example.org")
        here = ("-C", str(self.repository))
        self._git(*here, "add", ".")
        self._git(*here, *who, "commit", "--quiet", "--message", f"build {len(self.commits)}")
        self.commits.append(self._git(*here, "rev-parse", "HEAD"))

    def bake(self, *, fails: bool = False, **variables: Any) -> str:
        given = {"bake_commit": self.commits[-1], **variables}
        return self.pools.playbooks.named("bake", self.inventory, given, fails=fails)

    def roll_back(self, version: str) -> str:
        given = {"golden_image_version": version, "golden_image_reason": "INC-4711"}
        return self.pools.playbooks.named("roll_back", self.inventory, given)

    def info(self) -> dict[str, Any]:
        return self.pools.playbooks.run("golden_image_info", {"name": NAME, "openstack": {"cloud": "user"}}).result

    def points(self) -> dict[str, str]:
        """`{channel: commit}`."""
        found = self.info()
        commits = {each["version"]: each["git_commit"] for each in found["versions"]}
        return {name: commits[channel["version"]] for name, channel in found["channels"].items()}

    def runs(self) -> dict[str, set[str]]:
        """`{pool: commits of its machines' images}`."""
        commits = {each["id"]: each["git_commit"] for each in self.info()["versions"]}
        servers = self.pools.servers()
        assert len(servers) == sum(REPLICAS.values())
        return {pool: {commits[server["image"]["id"]] for server in servers if server["name"].startswith(f"{pool}-")} for pool in REPLICAS}

    def _groups(self) -> dict[str, Any]:
        groups = {"bakery": {"hosts": {"builder": {"ansible_connection": "local"}}}}
        for group, channel, (pool, replicas) in zip(("canary", "pools"), (CANARY, STABLE), REPLICAS.items(), strict=True):
            task = {**self.pools.task(openstack={"image": None}), "name": pool, "replicas": replicas, "image": {"channel": channel}}
            groups[group] = {"hosts": {pool: {f"node_pool_{name}": value for name, value in task.items()}}}
        return groups

    def _variables(self) -> dict[str, Any]:
        image = {
            "name": NAME,
            "path": str(self.folder / "images"),
            "file": "{{ bake_checkout }}/image.raw",
            "format": "raw",
            "hygiene": {"ssh": False, "clock_sync": False},
            "boot": {"test": False},
            "properties": KUBELET,
            "openstack": {"cloud": "user"},
            "canary": CANARY,
            "channel": STABLE,
            "gate": {"command": ["test", "-e", str(self.gate)]},
        }
        own = {"bake_repository": str(self.repository), "bake_checkout": str(self.folder / "checkout")}
        return own | {f"golden_image_{name}": value for name, value in image.items()}

    @staticmethod
    def _git(*words: str) -> str:
        return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def line(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Without ports: Neutron is most of a server's cost in the lab."""
    if os.getuid() != 0 or not is_installed():
        pytest.skip("needs root, and tests/labs/lab up images")
    with pytest.MonkeyPatch.context() as environment:
        openstack_lab.use_or_skip(environment)
        folder = tmp_path_factory.mktemp("line")
        with estate(NAME, kube, folder, openstack=openstack_lab.NO_NETWORK, strategy={"max_surge": 1}) as pools:
            forget(kube)
            yield Line(pools, folder)
            pools.remove()
            forget(kube)


def forget(kube: Kube) -> None:
    """Images and pools of a run before."""
    delete_images(NAME, "user")
    for pool in REPLICAS:
        kube.delete(LEASE + pool)


def everywhere(commit: str) -> dict[str, set[str]]:
    """What `Line.runs` says when all pools run this one."""
    return {pool: {commit} for pool in REPLICAS}


def changes(text: str) -> dict[str, int]:
    """`{host: how many tasks changed something}`, from Ansible's recap."""
    return {host: int(count) for host, count in re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", text, re.MULTILINE)}


def test_a_commit_becomes_an_image_in_all_pools(line: Line) -> None:
    """Judged, published, tried by the canary, promoted behind the gate, rolled out."""
    line.commit()
    line.bake()
    (first,) = line.commits
    assert line.points() == {CANARY: first, STABLE: first}
    assert line.runs() == everywhere(first)


def test_the_same_commit_again_does_nothing(line: Line) -> None:
    assert changes(line.bake()) == {"builder": 0, **dict.fromkeys(REPLICAS, 0)}


def test_an_image_that_is_not_clean_is_never_published(line: Line) -> None:
    before = line.points()
    line.commit(etc__app__key="-----BEGIN RSA PRIVATE" + " KEY-----\n")
    assert "/etc/app/key" in line.bake(fails=True)
    assert len(line.info()["versions"]) == 1
    assert line.points() == before


def test_what_the_gate_refuses_is_tried_and_not_promoted(line: Line) -> None:
    first = line.commits[0]
    line.commit(etc__build="2")
    line.gate.unlink()
    line.bake(fails=True)
    assert line.points() == {CANARY: line.commits[-1], STABLE: first}
    assert line.runs() == {f"{NAME}-try": {line.commits[-1]}, f"{NAME}-all": {first}}


def test_it_goes_on_when_the_gate_opens(line: Line) -> None:
    """And builds nothing again."""
    line.gate.touch()
    text = line.bake()
    assert "stage:" not in text
    assert line.runs() == everywhere(line.commits[-1])


def test_a_version_that_fails_in_the_canary_is_revoked(line: Line) -> None:
    """Its machines never become ready: the canary goes back in the same run, and nobody else ever sees it."""
    good = line.commits[-1]
    line.commit(etc__build="bad")
    impatient = {"startup_timeout": "15s", "max_failed_new": "1", "min_ready": "1s"}
    text = line.bake(fails=True, golden_image_properties={**KUBELET, "lab_join": "never"}, node_pool_strategy=impatient)
    assert "no more machines are made of it" in text
    revoked = [each["git_commit"] for each in line.info()["versions"] if each["revoked"]]
    assert revoked == [line.commits[-1]]
    assert line.points() == {CANARY: good, STABLE: good}
    assert line.runs() == everywhere(good)
    assert "may not be used" in line.bake(fails=True)


def test_one_command_rolls_back(line: Line) -> None:
    """Channels and pools; twice is once. The commit that was left does not come back when it is baked again."""
    first, second = line.commits[0], line.commits[-2]
    (version,) = [each["version"] for each in line.info()["versions"] if each["git_commit"] == second]
    line.roll_back(version)
    assert line.points() == {CANARY: first, STABLE: first}
    assert line.runs() == everywhere(first)
    assert changes(line.roll_back(version)) == {"builder": 0, **dict.fromkeys(REPLICAS, 0)}
    assert changes(line.bake(bake_commit=second))[f"{NAME}-all"] == 0
    assert line.points() == {CANARY: first, STABLE: first}
