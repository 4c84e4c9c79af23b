# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine as its cloud tells it: facts and marks, no judgement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

BUILDING = "building"
RUNNING = "running"
STOPPED = "stopped"  # off: what ran on it comes back by a boot only, if at all
ERROR = "error"
DELETING = "deleting"

OFF, REBOOT = "power off", "reboot"  # what may be asked of a VM's power

PROOFS_NEEDED = 2  # of name, metadata, tag (FM25)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vm:
    """One VM. Instants are in the loop's clock: an adapter corrects a server's by its Date header.

    `proofs` counts which of name, metadata and tag say that it is this pool's. `revision` is "" where nobody wrote one.
    """

    id: str
    name: str
    status: str
    created_at: datetime
    proofs: int = 3
    slot: int | None = None
    revision: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)  # of the revision, as it was written at creation
    failure_domain: str = ""
    provider_id: str = ""  # as the cloud's Kubernetes integration writes it into the Node
    system_uuid: str = ""
    addresses: tuple[str, ...] = ()
    fault: str = ""  # the cloud's words, when status is ERROR, or a deletion stands still
    attempt: int = 1
    running_since: datetime | None = None  # when building ended; None while it builds, and where the cloud does not tell
    delete_again: bool = False  # DELETING, and no further by itself: where a deletion has steps, the next begins with another call

    @property
    def is_ours(self) -> bool:
        """Enough of our marks to touch it."""
        return self.proofs >= PROOFS_NEEDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """How many more machines the cloud can begin to make at once, beside those it is making: in all, and in domains that have less."""

    total: int
    by_domain: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """Something that carries the pool's mark beside the VMs: port, volume, token. `machine` is the name it was made for.

    "" is the pool as a whole: an arrangement for it that is out of date, such as a rule which lacks a machine; `name` says which.
    """

    kind: str
    id: str
    name: str
    machine: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMachine:
    """What a create call needs to know; everything in it is chosen before the call, so that a lost answer can be looked up."""

    name: str
    slot: int
    failure_domain: str
    revision: str
    fields: Mapping[str, str]
    attempt: int
    created_at: datetime
    recreated: bool = False  # an earlier machine had this name and is gone: what is left of it, such as its ports, is taken over
    values: Mapping[str, str] = field(default_factory=dict)  # for ${...} in user data; may hold a secret
