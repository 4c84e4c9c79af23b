# SPDX-License-Identifier: GPL-3.0-or-later
"""vCenter's objects as plain values, so that everything but the client knows no SDK.

A managed object is a `Ref`. A data object is a dictionary with its type's name under `TYPE` and what is set in it: so it is read,
and so it is sent. Names of types are pyvmomi's ("vim.vm.CloneSpec").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TYPE = "_type"

CLUSTER = "vim.ComputeResource"  # a cluster, or a host by itself
DATACENTER = "vim.Datacenter"
DATASTORE = "vim.Datastore"
FOLDER = "vim.Folder"
NETWORK = "vim.Network"  # port groups too
POOL = "vim.ResourcePool"
PORT_GROUP = "vim.dvs.DistributedVirtualPortgroup"
STORAGE_POD = "vim.StoragePod"
SWITCH = "vim.DistributedVirtualSwitch"
TASK = "vim.Task"
VM = "vim.VirtualMachine"

Data = Mapping[str, Any]
Found = Mapping[str, Any]  # {property path: value}; what is unset, or may not be read, is not there


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """A managed object: its type as pyvmomi names it, and the id that vCenter gave it ("vm-98")."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind.rpartition('.')[2]} {self.id}"


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of objects as a value, as filters want it: "vim.Task"."""

    name: str


def well_known(name: str) -> Ref:
    """An object of vCenter's service content, by its name there ("searchIndex"): one needs no call to find."""
    return Ref("content", name)


ROOT = well_known("rootFolder")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Property paths of objects of one type: of `objects`, of what their property `along` lists, or of all below `within`."""

    kind: str
    paths: tuple[str, ...]
    objects: tuple[Ref, ...] = ()
    along: str = ""
    within: Ref | None = None


def data(kind: str, **fields: Any) -> dict[str, Any]:
    """A data object of this type; a field that is None is left unset."""
    return {TYPE: kind, **{name: value for name, value in fields.items() if value is not None}}
