# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Debian image, made of packages and a small role, judged, booted; and images that may not be used. Needs root and `lab up images`.

One story: what costs minutes is done once. Packages are kept as `golden_image_build` keeps them, and two machines are booted: one of an
image that is good, and one of the same image under a stricter declaration.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.inputs import digest_of_file
from ansible_collections.immutable.fleet.tests.labs.images.__main__ import collections, is_installed
from ansible_collections.immutable.fleet.tests.system.playbook import ROOT, Playbooks

pytestmark = [pytest.mark.lab, pytest.mark.story, pytest.mark.bake]

ROLES = Path(__file__).parent / "bakery/roles"
PACKAGES = ["linux-image-cloud-amd64", "systemd-sysv", "systemd-timesyncd", "cloud-init", "ifupdown", "isc-dhcp-client", "dbus", "udev"]
LEAN = ['APT::Install-Recommends "false"', "Acquire::Languages none"]
BOOT_LIMIT = "20m"  # without KVM it takes a minute or two of a processor, and many on a busy machine


class Bakery:
    """A folder with images, and the task that bakes there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images = folder / "images"
        self.books = Playbooks(folder)
        self.environment = {"ANSIBLE_COLLECTIONS_PATH": f"{ROOT / 'build/collections'}:{collections()}"}
        self.roles = folder / "roles"
        shutil.copytree(ROLES, self.roles)

    def options(self, **changed: Any) -> dict[str, Any]:
        described = {
            "name": "web",
            "path": str(self.images),
            "chroot": {"suite": "bookworm", "packages": PACKAGES, "apt_options": LEAN},
            "roles": ["web"],
            "roles_path": [str(self.roles)],
            "variables": {"web_word": "baked"},
            "hygiene": {"ports": [8080], "ssh": False},
            "boot": {"limit": BOOT_LIMIT, "health": {"port": 8080, "path": "/index.html"}},
        }
        return {**described, **changed}

    def bake(self, *flags: str, fails: bool = False, **changed: Any) -> Any:
        options = {name: value for name, value in self.options(**changed).items() if value is not None}
        return self.books.run("golden_image_build", options, *flags, fails=fails, **self.environment)

    def baked(self) -> Path:
        """The file of the one image of ours."""
        (image,) = self.images.glob("web/*/image.qcow2")
        return image

    def of_another_tool(self, name: str = "vendor") -> dict[str, Any]:
        """The options that are others where our image is taken for one of another tool."""
        made_here = dict.fromkeys(("chroot", "roles", "roles_path", "variables"))
        return {"name": name, "version": "1", "file": str(self.baked()), **made_here}


@pytest.fixture(scope="module")
def bakery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bakery]:
    if os.getuid() != 0 or not is_installed():
        pytest.skip("needs root, and tests/labs/lab up images")
    made = Bakery(tmp_path_factory.mktemp("bakery"))
    yield made
    assert leftovers(made.folder) == []


def leftovers(folder: Path) -> list[str]:
    """What is mounted below a folder, and programs that work there."""
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(folder) in line]
    commands = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands.append(place.read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return mounts + [command for command in commands if str(folder) in command]


def test_a_bake_that_is_killed_leaves_nothing_and_goes_on(bakery: Bakery) -> None:
    """SIGKILL to the module alone, while packages are unpacked and while the roles are applied; its programs end with it."""
    for stage in ("base", "tree"):
        run = bakery.books.start("golden_image_build", bakery.options(), **bakery.environment)
        run.until(f"the stage {stage}", lambda event, stage=stage: event["kind"] == "stage" and event["text"] == stage)
        assert leftovers(bakery.folder) != []
        os.kill(run.module(), signal.SIGKILL)
        assert run.outcome().code != 0
    assert wait_for_none(bakery.folder) == []
    assert not list(bakery.images.glob("web/*/manifest.json"))


def wait_for_none(folder: Path) -> list[str]:
    """The module learns of its caller's death by a lock, so it may take a moment."""
    for _look in range(100):
        if not leftovers(folder):
            break
        threading.Event().wait(0.1)
    return leftovers(folder)


def test_an_image_is_baked(bakery: Bakery) -> None:
    """Booted from its own disk, its user data applied, its service healthy, and no port but that one open."""
    answer = bakery.bake().result
    image = Path(answer["image_file"])
    manifest = json.loads(Path(answer["manifest_file"]).read_text())
    assert [entry["stage"] for entry in answer["stages"]][-5:] == ["hygiene", "bill", "disk", "boot", "manifest"]
    assert answer["digest"] == manifest["digest"] == digest_of_file(image)
    assert (manifest["name"], manifest["version"], manifest["size"]) == ("web", answer["version"], image.stat().st_size)
    assert {"role web", "base", "variables"} < set(manifest["inputs"])
    names = {part["name"] for part in json.loads(Path(answer["sbom_file"]).read_text())["components"]}
    assert {"cloud-init", "systemd", "linux-image-cloud-amd64"} < names
    assert sorted(path.name for path in image.parent.iterdir()) == [".lock", "bill.cdx.json", "image.qcow2", "manifest.json"]


def test_nothing_changed_nothing_done(bakery: Bakery) -> None:
    """The same inputs are the same version, in check mode and without."""
    before = bakery.bake("--check")
    again = bakery.bake()
    assert (before.changed, again.changed, again.result["stages"]) == (False, False, [])


def test_a_changed_role_is_another_version(bakery: Bakery) -> None:
    """The base is taken from what is kept; only what follows would be done."""
    with (bakery.roles / "web/tasks/main.yml").open("a") as tasks:
        tasks.write("\n# changed\n")
    answer = bakery.bake("--check").result
    assert (answer["changed"], answer["plan"]) == (True, ["tree", "hygiene", "bill", "disk", "boot", "manifest"])


def test_a_dirty_image_is_refused(bakery: Bakery) -> None:
    """A role that leaves a key, a user and a sudo rule: all are found, in one go, and there is no manifest."""
    (bakery.roles / "dirty/tasks").mkdir(parents=True)
    (bakery.roles / "dirty/tasks/main.yml").write_text(
        "- ansible.builtin.shell: |\n"
        "    set -e; useradd --create-home eve; mkdir -p /etc/sudoers.d\n"
        "    echo 'eve ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/eve\n"
        "    printf -- '-----BEGIN RSA %s KEY-----\\n' PRIVATE > /etc/app.pem\n"
        "  args: {creates: /etc/app.pem}\n"
    )
    (bakery.roles / "dirty/handlers").mkdir()
    refused = bakery.bake(fails=True, name="dirty", roles=["dirty"], hygiene={"ssh": False}, boot={"test": False})
    assert refused.failure["code"] == "hygiene"
    assert [(found["rule"], found["path"]) for found in refused.result["findings"]] == [
        ("secrets", "/etc/app.pem"),
        ("users", "/etc/passwd"),
        ("sudo", "/etc/sudoers.d/eve"),
    ]
    assert not list(bakery.images.glob("dirty/*/manifest.json"))


def test_an_image_of_another_tool_is_judged_alike(bakery: Bakery) -> None:
    """Copied, looked into without a change, and in the format that is asked for."""
    before = digest_of_file(bakery.baked())
    answer = bakery.bake(**bakery.of_another_tool(), format="raw", boot={"test": False}).result
    kind = subprocess.run(["qemu-img", "info", "--output=json", answer["image_file"]], capture_output=True, text=True, check=True).stdout
    assert (json.loads(kind)["format"], digest_of_file(bakery.baked())) == ("raw", before)
    assert answer["manifest"]["version"] == "1"


def test_a_bad_image_is_refused(bakery: Bakery) -> None:
    """It listens on a port that nobody declared, by a service that no table knows: only the boot test sees it."""
    undeclared = {"hygiene": {"ssh": False}, "boot": {"limit": BOOT_LIMIT}}
    refused = bakery.bake(fails=True, **bakery.of_another_tool(name="bad"), **undeclared)
    assert refused.failure["code"] == "boot_test"
    assert "port 8080 listens and is not declared" in refused.failure["what"]
    assert "its user data was applied" in [event["text"] for event in refused.events if event["kind"] == "boot"]
    assert not list(bakery.images.glob("bad/*/manifest.json"))
