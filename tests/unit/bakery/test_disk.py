# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read as root of an image from elsewhere."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.bakery import disk
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.tests.unit.bakery.test_listing import lay_out
from ansible_collections.immutable.fleet.tests.unit.bakery.test_shelf import shelf

IMAGE = Path("/images/web.img")


def vmdk(*extents: str) -> dict[str, Any]:
    return {"format": "vmdk", "format-specific": {"data": {"extents": [{"filename": name} for name in extents]}}}


@pytest.mark.parametrize(
    "info",
    [
        pytest.param({"format": "raw"}, id="raw"),
        pytest.param({"format": "qcow2", "format-specific": {"type": "qcow2", "data": {"compat": "1.1"}}}, id="qcow2"),
        pytest.param(vmdk(str(IMAGE)), id="vmdk in one file"),
    ],
)
def test_an_image_that_is_whole_is_taken_in_its_format(info: dict[str, Any]) -> None:
    """Named to the conversion, which probes nothing."""
    assert disk.lone_format(info, IMAGE) == info["format"]


@pytest.mark.parametrize(
    ("info", "named"),
    [
        pytest.param({"format": "qcow2", "backing-filename": "/etc/shadow"}, "/etc/shadow", id="a backing file"),
        pytest.param({"format": "qcow2", "format-specific": {"data": {"data-file": "/dev/sda"}}}, "/dev/sda", id="a data file"),
        pytest.param(vmdk(str(IMAGE), "/dev/sda"), "/dev/sda", id="an extent elsewhere"),
    ],
)
def test_an_image_that_names_another_file_is_refused(info: dict[str, Any], named: str) -> None:
    """With the command that makes it whole: whoever built it may run that, where the other file is theirs."""
    with pytest.raises(Invalid) as refused:
        disk.lone_format(info, IMAGE)
    assert (refused.value.where, named in refused.value.what) == ("file", True)
    assert refused.value.forward == "qemu-img convert -O qcow2 /images/web.img /images/web.img.flat"


def test_a_format_that_is_not_known_is_refused() -> None:
    with pytest.raises(Invalid, match="has the format dmg"):
        disk.lone_format({"format": "dmg"}, IMAGE)


def test_the_conversion_is_told_the_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also that of a raw image, which else is whatever its first bytes say."""
    started: list[list[str]] = []

    class Started:
        def __init__(self, _name: str, argv: list[str], _log: Path) -> None:
            started.append(argv)

        def stop(self) -> None:
            """Nothing runs."""

    monkeypatch.setattr(disk, "Program", Started)
    monkeypatch.setattr(disk, "info_of", lambda _image: {"format": "raw"})
    place = shelf(tmp_path)
    disk.taken(place, tmp_path / "given.img")
    assert started == [["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(tmp_path / "given.img"), f"{place.image}.part"]]


# Programs that stand for the real ones: a disk that is a folder, and a file of it that cannot be read.
STAND_INS = {
    "qemu-img": 'echo "$@" > "$log"',
    "sfdisk": "true",
    "mount": 'for folder; do :; done; mkdir -p "$folder/etc"; echo ID=debian > "$folder/etc/os-release"; echo x > "$folder/hosts"',
    "umount": "true",
    "tar": 'case "$*" in *create*) /bin/tar "$@" || exit; exit "$read_ends_with";; esac; exec /bin/tar "$@"',
}


@pytest.mark.parametrize(("read_ends_with", "ends_with"), [(0, 0), (2, 1)], ids=["all was read", "a file could not be read"])
def test_a_tree_is_whole_or_refused(read_ends_with: int, ends_with: int, tmp_path: Path) -> None:
    """What was not read would not be judged. The disk is read as what it was made, not as what its bytes say."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in STAND_INS.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    paths = {name: str(tmp_path / name) for name in ("image", "disk", "mount", "tree", "unread", "log")}
    values = {**paths, "format": "raw", "read_ends_with": str(read_ends_with), "PATH": f"{programs}:{os.environ['PATH']}"}
    ended = subprocess.run(["sh", "-c", disk.COPY_OUT], env=values, capture_output=True, text=True, check=False)
    assert ended.returncode == ends_with, ended.stderr
    assert ("could not be judged" in ended.stdout) is bool(ends_with)
    assert (tmp_path / "log").read_text().startswith("convert -f raw -O raw")


@pytest.mark.parametrize(
    ("line", "is_refused"),
    [
        pytest.param("UUID=1 / ext4 defaults 0 1", False, id="the root"),
        pytest.param("UUID=2 /boot/efi vfat umask=0077 0 1", False, id="what firmware reads"),
        pytest.param("UUID=3 none swap sw 0 0", False, id="swap"),
        pytest.param("tmpfs /var/tmp tmpfs nosuid 0 0", False, id="memory"),
        pytest.param("server:/home /home nfs4 ro 0 0", False, id="a server's"),
        pytest.param("#UUID=4 /home ext4 defaults 0 2", False, id="a comment"),
        pytest.param("UUID=4 /home ext4 defaults 0 2", True, id="a partition"),
        pytest.param("UUID=1 /var/ btrfs subvol=@var 0 0", True, id="a subvolume"),
        pytest.param("/dev/vg/log\t/var/log\txfs\tdefaults\t0\t2", True, id="a volume further down"),
    ],
)
def test_an_image_of_several_file_systems_is_refused(line: str, is_refused: bool, tmp_path: Path) -> None:
    """Only the root file system is looked into: a key in a /home of its own would pass."""
    lay_out(tmp_path, {"/etc/fstab": f"# a comment\n\n{line}\n"})
    if not is_refused:
        disk.refuse_other_file_systems(tmp_path)
        return
    with pytest.raises(Invalid) as refused:
        disk.refuse_other_file_systems(tmp_path)
    assert (refused.value.where, line.split()[1] in refused.value.what) == ("file", True)
