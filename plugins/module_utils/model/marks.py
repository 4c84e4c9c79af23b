# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything we write on things of others, and the names we give: the keys in this file can never change.

Ownership is written three times on every VM (name, metadata, tag). Two of three make it ours, so that a playbook that strips
one changes nothing (FM25); one alone makes a thing that is counted, reported and never touched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import parse_instant, say_instant

PREFIX = "immutable.fleet"

# On VMs, ports, volumes: metadata keys, and tags written "key=value".
POOL = PREFIX + ".pool"
SLOT = PREFIX + ".slot"
REVISION = PREFIX + ".revision"
FIELD = PREFIX + ".field."  # + name of the revision's field: what it was made of, for --diff
CREATED_AT = PREFIX + ".created_at"
ATTEMPT = PREFIX + ".attempt"
ADDRESSES = PREFIX + ".addresses"  # static ones that were given to the machine, by interface, with commas between
KEPT_DISKS = PREFIX + ".kept_disks"  # extra ones that outlive the machine, by controller and unit, with commas between
FAILURE_DOMAIN = PREFIX + ".failure_domain"  # where the cloud has no word of its own for it
ALL = PREFIX + ".marks"  # one text with all of the above, as JSON, where each key that a list reads has its price

# On golden images: what is in them.
IMAGE_DIGEST = PREFIX + ".image.digest"
IMAGE_VERSION = PREFIX + ".image.version"
IMAGE_KIND = PREFIX + ".image.kind"  # a store lists by it: VERSION_IMAGE | PROMOTION_IMAGE | CAPTURE_IMAGE
IMAGE_MANIFEST = PREFIX + ".image.manifest"  # as it was signed
IMAGE_SIGNATURE = PREFIX + ".image.signature"
IMAGE_REVOKED = PREFIX + ".image.revoked"
IMAGE_PROMOTION = PREFIX + ".image.promotion"
IMAGE_BUILDER = PREFIX + ".image.builder"  # of a capture: the machine whose disk it is
VERSION_IMAGE = "version"
CAPTURE_IMAGE = "capture"  # a builder's disk, until it is fetched
PROMOTION_IMAGE = "promotion"  # an image without bytes, which says what a channel points to

# On Kubernetes objects: labels and annotations.
NODE_POOL = PREFIX + "/pool"  # label
NODE_REVISION = PREFIX + "/revision"  # label
NODE_CHOSEN = PREFIX + "/chosen"  # annotation, written with the cordon in one PATCH
NODE_QUARANTINED = PREFIX + "/quarantined"  # annotation
NODE_READY_AT = PREFIX + "/ready-at"  # annotation: it was ready once, so "not ready" is not "booting"
NODE_OUTDATED = PREFIX + "/outdated"  # taint PreferNoSchedule: a pod should move once, to a machine that stays
TOKEN_MACHINE = PREFIX + "/machine"  # annotation of a bootstrap token: the machine it was minted for
LOCK_RECORD = PREFIX + "/record"  # annotation of the pool's Lease: PoolRecord
LOCK_STEERING = PREFIX + "/steering"  # annotation of the pool's Lease: Steering, what operators asked of the pool

# On the images without bytes that are the lock of a pool without a cluster: properties, and the begin of their name.
LOCK_NAME = PREFIX + ".lock."
LOCK_CHAIN = PREFIX + ".lock.chain"
LOCK_NUMBER = PREFIX + ".lock.number"
LOCK_HOLDER = PREFIX + ".lock.holder"
LOCK_SINCE = PREFIX + ".lock.since"
LOCK_RENEWALS = PREFIX + ".lock.renewals"
LOCK_TTL = PREFIX + ".lock.ttl"
LOCK_STATE = PREFIX + ".lock.state"  # PoolRecord, or Steering

# Cluster API's annotations, here on the Node: read and never written. Their values name who put them there.
DELETE_FIRST = "cluster.x-k8s.io/delete-machine"
PRE_DRAIN_HOOK = "pre-drain.delete.hook.machine.cluster.x-k8s.io"  # begin of the key, as Cluster API compares it
PRE_TERMINATE_HOOK = "pre-terminate.delete.hook.machine.cluster.x-k8s.io"
READ_ON_NODES = (PREFIX, DELETE_FIRST, PRE_DRAIN_HOOK, PRE_TERMINATE_HOOK)  # annotations whose keys begin so are facts

NAME_SUFFIX_LENGTH = 5
_SUFFIX = f"[a-z0-9]{{{NAME_SUFFIX_LENGTH}}}"


@dataclass(frozen=True, slots=True)
class Note:
    """A mark with an instant and a reason: chosen for deletion, quarantined. On the wire "2026-11-21T04:10:07Z reason"."""

    at: datetime
    why: str

    def __str__(self) -> str:
        return f"{say_instant(self.at)} {self.why}"


def parse_note(text: str | None) -> Note | None:
    """The note in `text`; a text that somebody else wrote there counts as a note of unknown age, never as no note."""
    if not text:
        return None
    instant, _separator, why = text.partition(" ")
    try:
        return Note(parse_instant(instant), why)
    except ValueError:
        return Note(parse_instant("1970-01-01T00:00:00Z"), text)


def machine_name(pool: str, slot: int, suffix: str) -> str:
    """The name of a new machine. The suffix is fresh each time: a reused name inherits the old Node's cordon and providerID.

    Only `recreate` gives a name again, once the old Node is gone.
    """
    return f"{pool}-{slot}-{suffix}"


def slot_of(pool: str, name: str) -> int | None:
    """The slot in a machine's name, or None when `name` is not one that this pool gives."""
    match = re.fullmatch(re.escape(pool) + r"-(\d+)-" + _SUFFIX, name)
    return int(match[1]) if match else None


def machine_of(node: str) -> str:
    """The machine that a node of this name would belong to: some clusters add a domain, and our names have no dot."""
    return node.partition(".")[0]


def tag(key: str, value: object) -> str:
    """A mark as a tag, for clouds whose tags are plain strings."""
    return f"{key}={value}"


def noted(text: str) -> dict[str, str]:
    """`{key: value}` of the marks in a text for people: a line "key=value" each, what others wrote beside them is passed over."""
    lines = (line.strip().partition("=") for line in text.splitlines())
    return {key: value for key, equals, value in lines if equals and key.startswith(PREFIX)}
