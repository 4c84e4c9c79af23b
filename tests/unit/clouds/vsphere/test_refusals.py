# SPDX-License-Identifier: GPL-3.0-or-later
"""Which error a fault becomes, and what a person reads."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.refusals import refusal
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import TYPE, Ref
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Conflict,
    Denied,
    Exhausted,
    Invalid,
    NotFound,
    PortError,
    Transient,
)

POOL = Ref("vim.ResourcePool", "resgroup-8")


@pytest.mark.parametrize(
    ("fault", "error", "what"),
    [
        ({TYPE: "vim.fault.NoDiskSpace", "datastore": "ds-a"}, Exhausted, "no reason given: datastore ds-a (NoDiskSpace) [call]"),
        ({TYPE: "vim.fault.NoCompatibleHost", "msg": "no host"}, Exhausted, "no host (NoCompatibleHost) [call]"),
        ({TYPE: "vim.fault.InsufficientMemoryResourcesFault"}, Exhausted, "InsufficientMemoryResourcesFault"),
        (
            {TYPE: "vim.fault.NoPermission", "msg": "denied", "privilegeId": "Resource.AssignVMToPool", "object": POOL},
            Denied,
            "denied: the privilege Resource.AssignVMToPool is missing on ResourcePool resgroup-8 (NoPermission) [call]",
        ),
        ({TYPE: "vim.fault.InvalidLogin"}, Denied, "InvalidLogin"),
        ({TYPE: "vmodl.fault.ManagedObjectNotFound"}, NotFound, "ManagedObjectNotFound"),
        ({TYPE: "vim.fault.DuplicateName", "name": "web-0-aaaaa"}, Conflict, "DuplicateName"),
        ({TYPE: "vim.fault.InvalidPowerState"}, Conflict, "InvalidPowerState"),
        ({TYPE: "vmodl.fault.SystemError", "msg": "a\n b"}, Transient, "a b (SystemError) [call]"),
        ({TYPE: "vmodl.fault.InvalidArgument", "invalidProperty": "spec.pool"}, Invalid, "property spec.pool (InvalidArgument)"),
        ({TYPE: "vim.fault.NeverHeardOf"}, Invalid, "NeverHeardOf"),
    ],
)
def test_a_fault_becomes_the_error_that_says_who_acts(fault: dict[str, Any], error: type[PortError], what: str) -> None:
    found = refusal("call", fault)
    assert (found.__class__, what in found.what) == (error, True)


def test_a_long_message_is_cut() -> None:
    """Schema faults quote what they refuse."""
    assert len(refusal("call", {TYPE: "vim.fault.X", "msg": "y" * 9999}).what) < 450
