# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that grow, that are added, that outlive their machine, and that are none of ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.disks import (
    DEVICES,
    added,
    detached,
    foreign_disks,
    free_places,
    grown,
    kept_disks,
    kept_places,
)
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import Template, parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.templates import Source
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import data
from ansible_collections.immutable.fleet.tests.unit.clouds.vsphere.fakes import CARD, DISK, GIVEN, GOLDEN

SOURCE = Source(template=GOLDEN, name="golden", devices=(DISK, CARD))
TWO = [{"size_gb": 10}, {"size_gb": 20, "keep": True}]


def asked(**given: Any) -> Template:
    return parse_options({**GIVEN, **given}).template


def disk(unit: int, mode: str = "persistent", **more: Any) -> dict[str, Any]:
    backing = {"diskMode": mode, "fileName": f"[ds] web/{unit}.vmdk"}
    return data("vim.vm.device.VirtualDisk", key=2000 + unit, controllerKey=1000, unitNumber=unit, backing=backing, **more)


def test_a_disk_grows_in_the_same_call() -> None:
    """Its size is said once: vCenter refuses two that differ."""
    (change,) = grown(asked(disks=[{"size_gb": 20}]), SOURCE)
    assert (change["operation"], change["device"]["key"], change["device"]["capacityInKB"]) == ("edit", 2000, 20 << 20)
    assert "capacityInBytes" not in change["device"]
    assert grown(asked(disks=[{"size_gb": 4}]), SOURCE) == []


def test_disks_are_added_behind_the_templates() -> None:
    """In its own datastore folder, thin; one that is to be kept is independent."""
    changes = added(asked(extra_disks=TWO), SOURCE)
    assert [(change["operation"], change["fileOperation"]) for change in changes] == [("add", "create")] * 2
    devices = [change["device"] for change in changes]
    assert [(each["controllerKey"], each["unitNumber"], each["capacityInKB"] >> 20) for each in devices] == [(1000, 1, 10), (1000, 2, 20)]
    assert [each["backing"]["diskMode"] for each in devices] == ["persistent", "independent_persistent"]
    assert len({each["key"] for each in devices}) == 2
    assert kept_places(asked(extra_disks=TWO), SOURCE) == ["1000:2"]


@pytest.mark.parametrize(
    ("devices", "first", "count"),
    [
        pytest.param((DISK, CARD), (1000, 1), 13, id="15 units without the controller's own, and the template's disk"),
        pytest.param((DISK, disk(1), disk(2)), (1000, 3), 11, id="behind all of the template's"),
        pytest.param((DISK, {**disk(1), "controllerKey": 1001}), (1000, 1), 13, id="another controller's units are its own"),
        pytest.param((CARD,), None, 0, id="no disk: nobody can tell a controller"),
    ],
)
def test_where_a_disk_may_be_added(devices: tuple[Any, ...], first: tuple[int, int] | None, count: int) -> None:
    places = list(free_places(replace(SOURCE, devices=devices)))
    assert (next(iter(places), None), len(places)) == (first, count)
    assert (1000, 7) not in places


@pytest.mark.parametrize(
    ("device", "places", "expected"),
    [
        pytest.param(disk(0), "", [], id="its own"),
        pytest.param(disk(1, "independent_persistent"), "", ["disk 2001 [ds] web/1.vmdk"], id="independent"),
        pytest.param(disk(1, "independent_nonpersistent"), "", ["disk 2001 [ds] web/1.vmdk"], id="independent in another way"),
        pytest.param(
            disk(1, vDiskId={"id": "x"}, deviceInfo={"label": "D3"}), "", ["D3 [ds] web/1.vmdk"], id="first-class, as CSI attaches them"
        ),
        pytest.param(disk(1, "independent_persistent"), "1000:1", [], id="the pool's own, to be kept"),
        pytest.param(disk(1, "independent_persistent"), "1000:2", ["disk 2001 [ds] web/1.vmdk"], id="beside one of those"),
        pytest.param(
            disk(1, vDiskId={"id": "x"}), "1000:1", ["disk 2001 [ds] web/1.vmdk"], id="CSI's at the place of one that was taken off"
        ),
    ],
)
def test_disks_of_somebody_else_are_known(device: dict[str, Any], places: str, expected: list[str]) -> None:
    assert foreign_disks({DEVICES: [device]}, places) == expected


def test_disks_to_be_kept_are_taken_off_with_their_files() -> None:
    found = {DEVICES: [disk(0), disk(1, "independent_persistent"), CARD]}
    assert kept_disks(found, "") == []
    (change,) = detached(kept_disks(found, "1000:1"))["deviceChange"]
    assert (change["operation"], change["device"]["unitNumber"], "fileOperation" in change) == ("remove", 1, False)
