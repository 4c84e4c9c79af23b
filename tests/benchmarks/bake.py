# SPDX-License-Identifier: GPL-3.0-or-later
"""`golden_image_build` of a small Debian, and the same steps by hand beside it: mmdebstrap, mke2fs, qemu-img. Needs root.

Without roles and without a boot test: those take as long as roles and machines take, whoever asks for them.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.tests.benchmarks.figures import Figure, Skipped
from ansible_collections.immutable.fleet.tests.labs.images.__main__ import is_installed
from ansible_collections.immutable.fleet.tests.system.playbook import Playbooks

SUITE = "bookworm"
PACKAGES = ["linux-image-cloud-amd64", "systemd-sysv", "systemd-timesyncd", "cloud-init", "ifupdown", "isc-dhcp-client", "dbus", "udev"]
LEAN = ['APT::Install-Recommends "false"', "Acquire::Languages none"]
OVERHEAD_PERCENT, AGAIN_SECONDS = 10.0, 5.0
SIZE = "2000M"


def measure() -> Iterator[Figure]:
    """By hand twice, of which the second counts: what is downloaded for the first helps both."""
    if os.getuid() != 0 or not is_installed():
        raise Skipped("needs root, and tests/labs/lab up images")
    with tempfile.TemporaryDirectory(prefix="immutable-fleet-bench-") as name:
        folder = Path(name)
        _by_hand(folder / "first")
        hand = _by_hand(folder / "hand")
        books = Playbooks(folder)
        cold = books.run("golden_image_build", _options(folder, "cold")).seconds
        cached = books.run("golden_image_build", _options(folder, "cached", variables={"changed": True})).seconds
        again = books.run("golden_image_build", _options(folder, "cached", variables={"changed": True})).seconds
    yield Figure(name="a small Debian image by hand", value=hand, unit="s")
    yield Figure(name="the same by golden_image_build", value=cold, unit="s")
    yield Figure(name="overhead", value=(cold / hand - 1) * 100, unit="%", goal=OVERHEAD_PERCENT)
    yield Figure(name="another image with the same packages", value=cached, unit="s")
    yield Figure(name="nothing changed", value=again, unit="s", goal=AGAIN_SECONDS)


def _options(folder: Path, image: str, **more: Any) -> dict[str, Any]:
    return {
        "name": image,
        "path": str(folder / "images"),
        "chroot": {"suite": SUITE, "packages": PACKAGES, "apt_options": LEAN, "size": SIZE},
        "hygiene": {"ssh": False},
        "boot": {"test": False},
        **more,
    }


def _by_hand(folder: Path) -> float:
    folder.mkdir()
    tree, raw, image = folder / "tree", folder / "disk.raw", folder / "image.qcow2"
    lean = [f"--aptopt={option}" for option in LEAN]
    began = time.monotonic()
    for command in (
        ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", *lean, SUITE, str(tree)],
        ["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(raw), SIZE],
        ["qemu-img", "convert", "-O", "qcow2", str(raw), str(image)],
    ):
        subprocess.run(command, check=True, capture_output=True)
    took = time.monotonic() - began
    subprocess.run(["rm", "-r", str(folder)], check=True)
    return took
