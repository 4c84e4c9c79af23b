# SPDX-License-Identifier: GPL-3.0-or-later
"""What `decide` returns: actions to start now, what prevents others, when to ask again, and whether all is done.

Each action is one short call. `key` names it for expectations: while an action of a key is in flight, none of that key is
started again. `reason` is the inequality or fact that allowed it, with its numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import FleetError
from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import Question
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node, NodeChange, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover

if TYPE_CHECKING:  # few pools have a balancer
    from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import MemberChange
    from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import Capture


@dataclass(frozen=True, slots=True)
class Create:
    """Make a machine in this slot and failure domain. The engine gives it a fresh name before the call, where it has no `name`.

    `recreated`: a machine had this name before, and what is left of it is taken over.
    """

    slot: int
    failure_domain: str
    attempt: int
    reason: str
    name: str = ""
    recreated: bool = False


@dataclass(frozen=True, slots=True)
class Choose:
    """Mark for deletion: cordon and annotation in one PATCH, or VM metadata where there is no node."""

    machine: Machine
    reason: str


@dataclass(frozen=True, slots=True)
class Evict:
    """Ask the API server to evict one pod; `by_force` deletes it (the drain's `on_timeout: force`)."""

    node: str
    pod: Pod
    reason: str
    by_force: bool = False
    grace: timedelta | None = None  # that the pod gets to end; None: its own


@dataclass(frozen=True, slots=True)
class LookAt:
    """Read directly, before a VM is deleted or a node called drained: pods and volume attachments of the node.

    Of a machine without one: whether it has joined meanwhile.
    """

    subject: Node | Machine
    reason: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the VM with the ports and volumes made for it."""

    machine: Machine
    reason: str


@dataclass(frozen=True, slots=True)
class Power:
    """Switch the VM off, so that it is proven dead, or reset it. `wanted` as `Cloud.power` takes it."""

    machine: Machine
    wanted: str
    reason: str


@dataclass(frozen=True, slots=True)
class DeleteNode:
    """Remove the Node object of a VM that is gone."""

    node: Node
    reason: str


@dataclass(frozen=True, slots=True)
class ChangeNode:
    """One PATCH of a Node that is not a `Choose`: labels, taints, quarantine, cordon and uncordon of `node_drain`."""

    change: NodeChange
    reason: str
    verb: str = "label"  # label | quarantine | cordon | uncordon: what a person calls it


@dataclass(frozen=True, slots=True)
class AskGate:
    """Ask a gate or a hook of the user's whether the run may go on. Changes nothing of ours."""

    question: Question
    reason: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Remove something of ours that belongs to no machine any more."""

    leftover: Leftover
    reason: str


@dataclass(frozen=True, slots=True)
class CopyDisk:
    """Have the cloud make an image of the disk of a VM that is off."""

    machine: Machine
    reason: str


@dataclass(frozen=True, slots=True)
class Fetch:
    """Bring an image's bytes into the file at `path`: the one call that takes as long as its bytes do."""

    capture: Capture
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What should be of one member, of which machine, and why. A member of no machine any more is called as itself."""

    change: MemberChange
    machine: str
    reason: str

    @property
    def verb(self) -> str:
        """What a person calls it."""
        return {"serving": "join", "draining": "drain", "removed": "remove"}[self.change.to]


@dataclass(frozen=True, slots=True)
class ChangeMembers:
    """All that is wished of the balancer's members now, in one update."""

    wishes: tuple[Wish, ...]

    @property
    def reason(self) -> str:
        """Those of its wishes."""
        return "; ".join(f"{wish.machine} {wish.change.to}: {wish.reason}" for wish in self.wishes)


Action: TypeAlias = (
    "Create | Choose | Evict | LookAt | Delete | Power | DeleteNode | ChangeNode | ChangeMembers | AskGate | Clear | CopyDisk | Fetch"
)
MEMBERS = "members"  # key of every change of members: one at a time


def key_of(action: Action, name: str = "") -> str:
    """What an action touches, in words. While a call of a key is in flight, none of that key is sent."""
    if isinstance(action, Create):
        return f"create {action.name or name}"
    if isinstance(action, Choose | Delete | Power | CopyDisk):
        return f"{type(action).__name__.lower()} {action.machine.name}"
    if isinstance(action, LookAt):
        return f"look {action.subject.name}"
    if isinstance(action, Evict):
        return f"evict {action.pod.uid}"
    if isinstance(action, DeleteNode):
        return f"delete node {action.node.name}"
    if isinstance(action, ChangeNode):
        return f"change {action.change.node}"
    if isinstance(action, ChangeMembers):
        return MEMBERS
    if isinstance(action, AskGate):
        return f"ask {action.question.step} {action.question.machine}"
    if isinstance(action, Fetch):
        return f"fetch {action.capture.id}"
    return f"clear {action.leftover.kind} {action.leftover.id}"


def look_key(subject: Node | Machine) -> str:
    """What a look is remembered by: the look for a machine's Node says nothing of the pods on a node of the same name."""
    return f"machine {subject.name}" if isinstance(subject, Machine) else subject.name


def subject_of(action: Action) -> str:
    """The machine or node it is done to, or the leftover; "" for a create whose name is yet to be given."""
    if isinstance(action, Choose | Delete | Power | CopyDisk):
        return action.machine.name
    if isinstance(action, Fetch):
        return action.capture.builder
    if isinstance(action, Evict):
        return action.node
    if isinstance(action, LookAt):
        return action.subject.name
    if isinstance(action, DeleteNode):
        return action.node.name
    if isinstance(action, ChangeNode):
        return action.change.node
    if isinstance(action, ChangeMembers):
        return ""
    if isinstance(action, AskGate):
        return action.question.machine
    return action.leftover.name if not isinstance(action, Create) else action.name


WAYS_SHOWN = 3  # in one message

# Codes of what was asked for, and ends by itself or by a person's word: nothing is wrong, and nobody has to mend anything.
PRESERVED = "preserved"
WAITS = frozenset({"step", "hook", "sessions", "window", "paused", "aborted", "protected", "settling", "remediation", "builder", PRESERVED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """Something that prevents an action now. It is told, not raised; facts or time may remove it."""

    code: str  # pdb | person | quarantine | stale | unreplicated | exhausted | ... or one of WAITS
    what: str
    where: str = ""
    since: datetime | None = None
    forward: str = ""  # what removes it, where somebody can; "" where only time does

    @property
    def is_wait(self) -> bool:
        """Whether it is waited for rather than in the way."""
        return self.code in WAITS


def ways_on(blockers: Iterable[Blocker]) -> str:
    """What removes these blockers, each once, before a run is worth it; "" where nobody knows."""
    ways = list(dict.fromkeys(blocker.forward for blocker in blockers if blocker.forward))
    if not ways:
        return "remove that, then "
    more = f"; and so for {len(ways) - WAYS_SHOWN} more" if len(ways) > WAYS_SHOWN else ""
    return "; ".join(ways[:WAYS_SHOWN]) + more + "; then "


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The classes of the rollout rule in numbers (semantics section 3)."""

    available: int = 0
    up_to_date: int = 0  # of those that are available
    booting: int = 0
    not_ready: int = 0
    failed: int = 0
    going: int = 0
    quarantined: int = 0
    creating: int = 0  # creates in flight
    existing: int = 0  # all but quarantined, creates in flight included
    pods_left: int = 0  # on machines that are going or quarantined


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One turn's answer. `finished` True ends the run: well, or with `failure`.

    `record` is what the pool's record should say; None leaves it as it is. `pending` says why a run that ends well leaves
    machines that are not as asked for. `asks_first`: nothing may be written before an answer, not even the lock.
    """

    actions: tuple[Action, ...] = ()
    blockers: tuple[Blocker, ...] = ()
    wake_at: datetime | None = None
    finished: bool = False
    failure: FleetError | None = None
    tally: Tally = field(default_factory=Tally)
    record: PoolRecord | None = None
    pending: str = ""
    asks_first: bool = False
