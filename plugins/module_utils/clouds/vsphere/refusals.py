# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fault of vCenter's means: which of our errors, in vCenter's own words.

Pure. A fault is its type's name with what is set in it, as an answer raises it and as a task that failed carries it. A fault
that is none of the table refuses the request as it is: had it been trouble on the way, it would have another name.
Sources: the faults of CloneVM_Task, PowerOnVM_Task, Destroy_Task in the vSphere Web Services API reference, and who their parents are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import TYPE, Data, Ref
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Conflict,
    Denied,
    Exhausted,
    Invalid,
    NotFound,
    PortError,
    Throttled,
    Transient,
)

WORDS_MAX = 400  # of a fault's message
NOT_AUTHENTICATED = "NotAuthenticated"

_BY_FAULT: Mapping[type[PortError], tuple[str, ...]] = {
    Denied: ("NoPermission", "InvalidLogin", "NoPermissionOnHost", "RestrictedByAdministrator", "PasswordExpired", "InvalidLocale"),
    NotFound: ("ManagedObjectNotFound",),
    Conflict: (
        "ConcurrentAccess",
        "DuplicateName",
        "InvalidPowerState",
        "InvalidState",
        "RequestCanceled",
        "ResourceInUse",
        "TaskInProgress",
        "ToolsUnavailable",
    ),
    Exhausted: (
        "LimitExceeded",
        "NoCompatibleDatastore",
        "NoCompatibleHost",
        "NoCompatibleHostWithAccessToDevice",
        "NoDiskSpace",
        "NotEnoughCpus",
        "NumVirtualCpusExceedsLimit",
        "RuleViolation",
        "StorageDrsDatacentersCannotShareDatastore",
        "VmLimitLicense",
    ),
    Throttled: ("SessionLimitExceeded", "TooManyConcurrentSessions"),
    Transient: (
        "HostCommunication",
        "HostNotConnected",
        "HostNotReachable",
        "NetworkDisruptedAndConfigRolledBack",
        NOT_AUTHENTICATED,
        "SystemError",
        "SystemErrorFault",
        "Timedout",
        "UnexpectedFault",
        "VimFault",
        "MethodFault",
        "RuntimeFault",
        "HostConnectFault",
    ),
}
_SHORT = "Insufficient"  # how the names of a family of faults begin, one for each resource
_ERRORS = {fault: error for error, faults in _BY_FAULT.items() for fault in faults}


def name_of(fault: Data) -> str:
    """The last part of the fault's type: "NoDiskSpace"."""
    return str(fault.get(TYPE, "")).rpartition(".")[2]


def refusal(call: str, fault: Data) -> PortError:
    """The error for the fault that `call` ("CloneVM_Task of VirtualMachine vm-98") was answered with."""
    name = name_of(fault)
    kind = Exhausted if name.startswith(_SHORT) else _ERRORS.get(name, Invalid)
    return kind(what=f"{words(fault)} [{call}]")


def words(fault: Data) -> str:
    """What a person reads: the message with what only the fault's fields say, and the fault's name, which can be looked up."""
    name = name_of(fault)
    said = " ".join(str(fault.get("msg") or "").split())
    parts = [said[:WORDS_MAX] or "no reason given"]
    if name == "NoPermission" and fault.get("privilegeId"):
        parts.append(f"the privilege {fault['privilegeId']} is missing on {_say(fault.get('object'))}")
    elif name == "NoDiskSpace" and fault.get("datastore"):
        parts.append(f"datastore {_say(fault['datastore'])}")
    elif fault.get("invalidProperty"):
        parts.append(f"property {fault['invalidProperty']}")
    return f"{': '.join(parts)} ({name or 'a fault without a name'})"


def _say(thing: Any) -> str:
    return str(thing) if isinstance(thing, Ref | str) else "an object"
