# SPDX-License-Identifier: GPL-3.0-or-later
"""A vCenter in a dictionary: a transport that answers from it, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import TYPE, Data, Ref, Wanted, data
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import NewMachine

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
CONNECTION = {"hostname": "vc.example.com", "username": "fleet@vsphere.local", "password": "s3cret"}
GIVEN = {**CONNECTION, "template": "golden", "folder": "fleet", "cluster": "fd-a", "datastore": "ds-a"}

DC, VM_ROOT = Ref("vim.Datacenter", "datacenter-1"), Ref("vim.Folder", "group-v2")
FLEET, NETS, HOSTS, STORES = (Ref("vim.Folder", name) for name in ("group-v3", "group-n4", "group-h5", "group-s6"))
CLUSTER_A, CLUSTER_B = Ref("vim.ClusterComputeResource", "domain-c7"), Ref("vim.ClusterComputeResource", "domain-c8")
POOL_A, POOL_B, SUB_A = (
    Ref("vim.ResourcePool", "resgroup-9"),
    Ref("vim.ResourcePool", "resgroup-10"),
    Ref("vim.ResourcePool", "resgroup-11"),
)
DS_A, DS_B, POD = Ref("vim.Datastore", "datastore-12"), Ref("vim.Datastore", "datastore-13"), Ref("vim.StoragePod", "group-p14")
PG, LAN, SWITCH = (
    Ref("vim.dvs.DistributedVirtualPortgroup", "dvportgroup-15"),
    Ref("vim.Network", "network-16"),
    Ref("vim.dvs.VmwareDistributedVirtualSwitch", "dvs-17"),
)
GOLDEN, SNAPSHOT = Ref("vim.VirtualMachine", "vm-20"), Ref("vim.vm.Snapshot", "snapshot-21")
GIB = 1 << 30

DISK = data(
    "vim.vm.device.VirtualDisk",
    key=2000,
    controllerKey=1000,
    unitNumber=0,
    capacityInKB=4 << 20,
    capacityInBytes=4 << 30,
    backing=data("vim.vm.device.VirtualDisk.FlatVer2BackingInfo", diskMode="persistent", fileName="[ds-a] golden/golden.vmdk"),
)
CARD = data("vim.vm.device.VirtualVmxnet3", key=4000, unitNumber=7, macAddress="00:50:56:00:00:01", addressType="assigned")
TEMPLATE = {
    "name": "golden",
    "parent": VM_ROOT,
    "config.template": True,
    "config.uuid": "4230aaaa-0000-0000-0000-000000000001",
    "config.annotation": "Golden image\nimmutable.fleet.image.digest=sha256:ab\nimmutable.fleet.image.version=7",
    "config.hardware": {"numCPU": 2, "memoryMB": 2048, "device": [DISK, CARD]},
    "snapshot.rootSnapshotList": [data("vim.vm.SnapshotTree", name="base", snapshot=SNAPSHOT)],
}
WORLD: dict[Ref, dict[str, Any]] = {
    DC: {"name": "dc1", "parent": Ref("vim.Folder", "group-d1")},
    VM_ROOT: {"name": "vm", "parent": DC},
    FLEET: {"name": "fleet", "parent": VM_ROOT},
    NETS: {"name": "network", "parent": DC},
    HOSTS: {"name": "host", "parent": DC},
    STORES: {"name": "datastore", "parent": DC},
    CLUSTER_A: {"name": "fd-a", "parent": HOSTS, "resourcePool": POOL_A, "datastore": [DS_A], "network": [PG, LAN]},
    CLUSTER_B: {"name": "fd-b", "parent": HOSTS, "resourcePool": POOL_B, "datastore": [DS_A, DS_B], "network": [PG]},
    POOL_A: {"name": "Resources", "parent": CLUSTER_A},
    POOL_B: {"name": "Resources", "parent": CLUSTER_B},
    SUB_A: {"name": "fleet", "parent": POOL_A},
    POD: {"name": "pod", "parent": STORES},
    DS_A: {"name": "ds-a", "parent": STORES, "summary.capacity": 100 * GIB, "summary.freeSpace": 10 * GIB, "summary.accessible": True},
    DS_B: {"name": "ds-b", "parent": POD, "summary.capacity": 100 * GIB, "summary.freeSpace": 50 * GIB, "summary.accessible": True},
    PG: {"name": "pg-nodes", "parent": NETS, "key": "dvportgroup-15", "config.distributedVirtualSwitch": SWITCH},
    LAN: {"name": "VM Network", "parent": NETS},
    SWITCH: {"uuid": "50 1e"},
    GOLDEN: TEMPLATE,
}
MACHINE = NewMachine(
    name="web-0-aaaaa",
    slot=0,
    failure_domain="",
    revision="r",
    fields={"image": "sha256:ab"},
    attempt=1,
    created_at=NOW,
    values={"token": "tok3n"},
)
_BASES = {"vim.ComputeResource": ("vim.ClusterComputeResource",), "vim.Network": (PG.kind,), "vim.DistributedVirtualSwitch": (SWITCH.kind,)}
_BASES["vim.Folder"] = (POD.kind,)


class FakeTransport:
    """`world` is {object: {path: value}}; `answers` maps a method to its answer, an error to raise, or a list of those."""

    def __init__(self, world: Mapping[Ref, Mapping[str, Any]] | None = None, **answers: Any) -> None:
        self.skew = timedelta(0)
        self.world = {ref: dict(found) for ref, found in (WORLD if world is None else world).items()}
        self.answers = answers
        self.calls: list[str] = []
        self.arguments: list[dict[str, Any]] = []
        self.recent: tuple[Ref, ...] = ()  # what the task manager lists

    def read(self, *wanted: Wanted) -> dict[Ref, dict[str, Any]]:
        self.calls.append("read")
        found: dict[Ref, dict[str, Any]] = {}
        for each in wanted:
            kinds = (each.kind, *_BASES.get(each.kind, ()))
            refs = self.recent if each.along else each.objects if each.within is None else [ref for ref in self.world if ref.kind in kinds]
            for ref in refs:
                if ref in self.world and (not each.within or self._lies_in(ref, each.within)):
                    read = {path: self.world[ref][path] for path in each.paths if path in self.world[ref]}
                    found.setdefault(ref, {}).update(read)
        return found

    def call(self, this: Ref, method: str, **arguments: Any) -> Any:
        self.calls.append(f"{method} {this.id}")
        self.arguments.append(arguments)
        if method == "FindChild" and method not in self.answers:
            found = self.world.items()
            return next(
                (ref for ref, each in found if (each.get("name"), each.get("parent")) == (arguments["name"], arguments["entity"])), None
            )
        answer = self.answers.get(method)
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        self.calls.append(f"ask {path}")
        self.arguments.append(dict(body or {}))
        return self.answers.get(path)

    def wait(self, collector: Ref, version: str, seconds: float) -> Data | None:
        raise AssertionError(f"nobody waits here: {collector} {version} {seconds}")

    def user(self) -> str:
        return "fleet@vsphere.local"

    def close(self) -> None:
        self.calls.append("close")

    def _lies_in(self, ref: Ref, container: Ref) -> bool:
        if container.kind == "content" or ref.kind != "vim.VirtualMachine":
            return True
        return container == DC or self.world[ref].get("parent") == container


def fault(kind: str, **fields: Any) -> dict[str, Any]:
    return {TYPE: f"vim.fault.{kind}", "msg": "no", **fields}
