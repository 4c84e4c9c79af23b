# SPDX-License-Identifier: GPL-3.0-or-later
"""The vSphere lab for tests of our adapter: how to reach it, what it is told to do, and the truth to compare with."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.client import Client
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import Connection, parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import DATASTORE, ROOT, Ref, Wanted, data

CALL_TIMEOUT = timedelta(seconds=20)
GIB = 1 << 30


def now() -> datetime:
    return datetime.now(UTC)


class Recording(Client):
    """The real transport, with its calls written down."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, CALL_TIMEOUT, now)
        self.calls: list[str] = []

    def read(self, *wanted: Wanted) -> dict[Ref, dict[str, Any]]:
        self.calls.append("read")
        return super().read(*wanted)

    def call(self, this: Ref, method: str, **arguments: Any) -> Any:
        self.calls.append(method)
        return super().call(this, method, **arguments)


class Lab:
    """The running lab. Its settings come from the environment, as those of the commands that start it."""

    def __init__(self) -> None:
        self._base = int(os.environ.get("LAB_PORT_BASE", "18500"))
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        self.home = Path(os.environ.get("LAB_HOME", cache / "fleet-lab/vsphere"))

    def connection(self) -> dict[str, Any]:
        """The options to connect, for the account that may do all."""
        return {
            "hostname": "127.0.0.1",
            "port": self._base,
            "username": os.environ.get("LAB_USER", "fleet@vsphere.local"),
            "password": os.environ.get("LAB_PASSWORD", "fleet-pass"),
            "ca_cert": str(self.home / "ca.pem"),
        }

    def template(self) -> dict[str, Any]:
        """The options of a pool in the seed's inventory, but for a place."""
        return {"template": "golden-base-v1", "folder": "fleet", "networks": [{"name": "pg-nodes"}], "resource_pool": "fleet"}

    def client(self) -> Client:
        """Raw access beside the adapter: a person, a playbook."""
        return Client(parse_options(self.connection()).connection, CALL_TIMEOUT, now)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the lab's own interface."""
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self._base + 1}{path}", method=method, data=content)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def rule(self, **rule: Any) -> None:
        """Some calls go wrong from now on."""
        self.control("POST", "/rules", rule)

    def calls(self) -> Counter[str]:
        """SOAP calls since the last time that they were asked for."""
        return Counter(self.control("GET", "/calls?reset")["soap"])

    def vms(self, prefix: str = "") -> dict[str, dict[str, Any]]:
        """The truth: VMs that were not seeded, by name."""
        return {vm["name"]: vm for vm in self.control("GET", "/vms") if not vm["seed"] and vm["name"].startswith(prefix)}

    def until_running(self, name: str, seconds: float = 60) -> None:
        """Until the VM is on."""
        began = time.monotonic()
        while self.vms(name).get(name, {}).get("power") != "poweredOn":
            assert time.monotonic() - began < seconds, f"{name} is not on within {seconds} s"
            time.sleep(0.02)

    def template_gib(self) -> int:
        """The disk of a seeded template."""
        return 4

    def fill_datastore(self, name: str, leave_gib: int) -> None:
        """A VM of somebody else takes all of its space but so much."""
        client = self.client()
        paths = ("name", "summary.freeSpace")
        stores = client.read(Wanted(kind=DATASTORE, paths=paths, within=ROOT))
        free = next(int(found["summary.freeSpace"]) for found in stores.values() if found["name"] == name)
        inventory = client.read(
            Wanted(kind="vim.Folder", paths=("name",), within=ROOT), Wanted(kind="vim.ResourcePool", paths=("name", "owner"), within=ROOT)
        )
        folder = next(ref for ref, found in inventory.items() if ref.kind == "vim.Folder" and found["name"] == "filler")
        owners = client.read(Wanted(kind="vim.ComputeResource", paths=("name", "datastore"), within=ROOT))
        store = next(ref for ref, found in stores.items() if found["name"] == name)
        owner = next(ref for ref, found in owners.items() if store in found.get("datastore", ()))
        pool = next(ref for ref, found in inventory.items() if ref.kind == "vim.ResourcePool" and found.get("owner") == owner)
        task = client.call(folder, "CreateVM_Task", config=_filler(name, (free - leave_gib * GIB) // 1024), pool=pool)
        began = time.monotonic()
        while client.read(Wanted(kind="vim.Task", paths=("info.state",), objects=(task,)))[task]["info.state"] != "success":
            assert time.monotonic() - began < 30
            time.sleep(0.02)
        client.close()


def _filler(store: str, size_kib: int) -> dict[str, Any]:
    path = f"[{store}]"
    backing = data("vim.vm.device.VirtualDisk.FlatVer2BackingInfo", fileName=path, diskMode="persistent", thinProvisioned=True)
    scsi = data("vim.vm.device.ParaVirtualSCSIController", key=-1, busNumber=0, sharedBus="noSharing")
    disk = data("vim.vm.device.VirtualDisk", key=-2, controllerKey=-1, unitNumber=0, capacityInKB=size_kib, backing=backing)
    return data(
        "vim.vm.ConfigSpec",
        name=f"filler-{store}",
        numCPUs=1,
        memoryMB=64,
        guestId="otherGuest64",
        files=data("vim.vm.FileInfo", vmPathName=path),
        deviceChange=[
            data("vim.vm.device.VirtualDeviceSpec", operation="add", device=scsi),
            data("vim.vm.device.VirtualDeviceSpec", operation="add", fileOperation="create", device=disk),
        ],
    )


def use_or_skip() -> Lab:
    """The lab, if it is up and the SDK is installed."""
    pytest.importorskip("pyVmomi")
    lab = Lab()
    try:
        lab.control("GET", "/config")
    except (OSError, urllib.error.URLError) as exc:
        pytest.skip(f"the vSphere lab is not up: tests/labs/lab up vsphere ({exc})")
    return lab
