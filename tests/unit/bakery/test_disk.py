# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read as root of an image from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.bakery import disk
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
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
    disk.Taken(place, tmp_path / "given.img")
    assert started == [["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(tmp_path / "given.img"), f"{place.image}.part"]]
