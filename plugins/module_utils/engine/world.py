# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts joined, with what was sent and not yet seen laid over them.

`decide` never sees a world in which its own last decision has not happened: a create in flight exists but is not
available, a mark in flight is unavailable already, a delete in flight still exists. A call stays laid over until a view
that was begun after its answer speaks for itself; without an answer, until one begun after send + call timeout. A
definite refusal takes it away at once. So the floor and the ceiling hold while calls fly and lists are stale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.decide.gates import look_after
from ansible_collections.immutable.fleet.plugins.module_utils.engine.asked import Asked
from ansible_collections.immutable.fleet.plugins.module_utils.engine.machines import (
    CHOOSING,
    DELETING,
    SETTING_ASIDE,
    Machines,
    Overlay,
)
from ansible_collections.immutable.fleet.plugins.module_utils.engine.services import Services
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import (
    Action,
    AskGate,
    ChangeMembers,
    ChangeNode,
    Choose,
    Clear,
    CopyDisk,
    Create,
    Delete,
    DeleteNode,
    Evict,
    Fetch,
    LookAt,
    Power,
    key_of,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import GateLook, Question
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import machine_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import EvictionTry, Look
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Creating, Snapshot, Troubles
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Steering
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, Starts, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import ClusterView, Listing


@dataclass(slots=True)
class Sent:
    """One call: `answered_at` None while it flies; `is_unknown` when no answer came and it may yet take effect."""

    action: Action
    name: str  # of the machine, node or pod; for a create the name chosen for it
    sent_at: datetime
    answered_at: datetime | None = None
    is_unknown: bool = False


NO_RECORD, NO_STEERING = PoolRecord(), Steering()
TRIES_KEPT = 256  # evictions remembered before those of pods that are gone are looked for


class World:
    """All a run knows. Fed by listings, views and answers; asked for snapshots. Only the loop's thread touches it."""

    def __init__(
        self, *, pool: str, began_at: datetime, call_timeout: timedelta, has_cloud: bool, has_cluster: bool, has_balancer: bool = False
    ) -> None:
        self.began_at = began_at
        self.has_cloud, self.has_cluster = has_cloud, has_cluster
        self.listed_at: datetime | None = None  # as_of of the newest listing
        self.full_at: datetime | None = None  # as_of of the newest full listing, leftovers included
        self.gone_at: datetime | None = None  # as_of of the newest listing that lacked a VM of the one before
        self.view: ClusterView | None = None
        self.calls: dict[str, Sent] = {}
        self.held_off: dict[str, datetime] = {}  # keys whose last call failed: not before then
        self.evictions: dict[str, EvictionTry] = {}
        self.troubles = Troubles()
        self._starts: Starts | None = None  # by the newest listing
        self._ahead = timedelta(0)  # of the cloud's clock, by the same
        self._call_timeout = call_timeout
        self._vms: dict[str, Vm] = {}  # by id
        self._names: Counter[str] = Counter()  # of `_vms`: a cloud may give one name twice
        self._asked = Asked()
        self._deleted: set[str] = set()  # ids of VMs whose delete this run sent, and the cloud took
        self._ended: set[str] = set()  # names of VMs that were deleted, and are in no list any more
        self._leftovers: tuple[Leftover, ...] = ()
        self._cleared: set[str] = set()  # ids, which are never given again: a list may have been begun before the answer
        self._machines = Machines(pool)
        self._looks: dict[str, Look] = {}
        self._gates: dict[tuple[str, str], GateLook] = {}
        self._tries_most = TRIES_KEPT
        self.services = Services(has_balancer=has_balancer, began_at=began_at)

    # Facts come in ----------------------------------------------------------------------------------------------------
    @property
    def vms(self) -> Mapping[str, Vm]:
        """All VMs of the newest listing, by id."""
        return self._vms

    @property
    def has_facts(self) -> bool:
        """Whether every source has spoken once."""
        services = self.services
        has_members = services.listing is not None or not services.has_balancer
        return has_members and (self.listed_at is not None or not self.has_cloud) and (self.view is not None or not self.has_cluster)

    def take_listing(self, listing: Listing) -> None:
        """Merge a listing. One that is older than the newest is ignored: views only move forward."""
        if self.listed_at is not None and listing.as_of < self.listed_at:
            return
        before = self._vms
        kept: dict[str, Vm] = {}
        told: set[str] | None = None
        if not listing.is_full:
            kept, told = dict(before), {*listing.gone, *(vm.id for vm in listing.vms)}
            for key in listing.gone:
                kept.pop(key, None)
        for vm in listing.vms:
            old = before.get(vm.id)
            kept[vm.id] = old if old is not None and (old is vm or old == vm) else vm
        self._vms = kept
        self._take_names(before, before.keys() | kept.keys() if told is None else told, listing.as_of)
        if self._gates:  # a machine that is made again under the same name is asked about anew
            self._gates = {key: look for key, look in self._gates.items() if not key[1] or key[1] in self._names}
        self._machines.take_vms(kept, told)
        self.listed_at, self._starts, self._ahead = listing.as_of, listing.starts, listing.ahead
        self._asked.captures = tuple([capture for capture in listing.captures or () if capture.id not in self._cleared])
        if listing.leftovers is not None:
            # Only those without a VM in this very list: a later list may lack the VM and say nothing of its ports.
            found = tuple(leftover for leftover in listing.leftovers if leftover.machine not in self._names)
            self._leftovers = self._without_cleared(found)
            self.full_at = listing.as_of

    def _take_names(self, before: Mapping[str, Vm], told: AbstractSet[str], as_of: datetime) -> None:
        """Which names there are, and which had a VM that was deleted and is gone. O(told)."""
        pairs = [(old, vm) for key in told if (old := before.get(key)) is not (vm := self._vms.get(key))]
        self._names.update(vm.name for _old, vm in pairs if vm is not None)
        self._names.subtract(old.name for old, _vm in pairs if old is not None)
        if any(vm is None for _old, vm in pairs):
            self.gone_at = as_of
        for old, vm in pairs:
            if old is not None and not self._names[old.name]:
                del self._names[old.name]
            if old is not None and vm is None and (old.status == vm_states.DELETING or old.id in self._deleted):
                self._ended.add(old.name)
        # A name may have two VMs, or be given again.
        self._ended.difference_update([vm.name for pair in pairs for vm in pair if vm is not None and vm.name in self._names])

    def _without_cleared(self, leftovers: tuple[Leftover, ...]) -> tuple[Leftover, ...]:
        return tuple(leftover for leftover in leftovers if leftover.id not in self._cleared)

    def take_view(self, view: ClusterView, now: datetime) -> None:
        """The cluster's newest facts, seen at `now`; an older view is ignored."""
        if self.view is None or view.as_of >= self.view.as_of:
            self.view = view
            self._machines.take_nodes(view.nodes, now)

    def knows(self, name: str) -> bool:
        """Whether a VM, a node or a create in flight has this name."""
        sent = any(call.name == name for call in self.calls.values())
        return sent or name in self._names or (self.view is not None and name in self.view.nodes)

    def owner_of(self, node: str) -> str:
        """The machine that a node of this name belongs to, or belonged to; a name that is no node's, as it is."""
        return self._machines.owner_of(node)

    # Calls ------------------------------------------------------------------------------------------------------------
    def send(self, action: Action, name: str, now: datetime) -> str:
        """Lay a call over the facts from now on. Returns its key."""
        key = key_of(action, name)
        self.calls[key] = Sent(action, name, now)
        self._asked.sent(key, action, name, now)
        if isinstance(action, Evict):
            self.evictions[action.pod.uid] = EvictionTry(sent_at=now, retry_at=None)
        return key

    def answered(self, key: str, now: datetime) -> None:
        """It worked; the facts will show it. A leftover that was cleared is left out at once: full lists are rare."""
        sent = self.calls.get(key)
        if sent is None:
            return
        sent.answered_at = now
        self._asked.answered(sent.action)
        if isinstance(sent.action, Delete):
            self._deleted.add(sent.action.machine.vm.id)
        if isinstance(sent.action, Clear):
            self._cleared.add(sent.action.leftover.id)
            self._leftovers = self._without_cleared(self._leftovers)

    def unknown(self, key: str, now: datetime) -> None:
        """No answer came: it may have worked, or may work yet."""
        if key in self.calls:
            self.calls[key].answered_at = now
            self.calls[key].is_unknown = True

    def refused(self, key: str, again_at: datetime) -> None:
        """It had no effect and never will; the same is not sent again before `again_at`."""
        sent = self.calls.pop(key, None)
        if sent is not None:
            self._asked.refused(key, sent.action, sent.name)
        self.held_off[key] = again_at

    def looked(self, key: str, look: Look) -> None:
        """The outcome of a direct read; `key` as decision.look_key."""
        self._looks = {**self._looks, key: look}

    def asked(self, question: Question, answer: tuple[bool, str], now: datetime) -> None:
        """The answer of a gate."""
        key = question.step, question.machine
        self._gates = {**self._gates, key: look_after(self._gates.get(key), answer, now)}

    def settle(self) -> None:
        """Drop every call whose effect is seen, or that the facts have outlived."""
        for key in [key for key, sent in self.calls.items() if self._is_settled(sent)]:
            del self.calls[key]

    def _is_settled(self, sent: Sent) -> bool:
        action = sent.action
        if isinstance(action, LookAt | AskGate | Fetch):
            return sent.answered_at is not None
        if self._is_seen(sent):
            return True
        if sent.answered_at is None:
            return False
        speaks_from = sent.sent_at + self._call_timeout if sent.is_unknown else sent.answered_at
        heard = self._as_of(action)
        return heard is not None and heard > speaks_from

    def _is_seen(self, sent: Sent) -> bool:
        """Whether the facts show the effect already."""
        action = sent.action
        nodes = self.view.nodes if self.view else {}
        if isinstance(action, Create):
            return sent.name in self._names
        if isinstance(action, Delete):  # by id: two VMs may have one name
            vm = self._vms.get(action.machine.vm.id)
            return vm is None or (vm.status == vm_states.DELETING and not vm.delete_again)
        if isinstance(action, Power):  # of a reboot nothing is seen for sure
            vm = self._vms.get(action.machine.vm.id)
            return vm is None or (action.wanted == vm_states.OFF and vm.status not in (vm_states.RUNNING, vm_states.ERROR))
        if isinstance(action, CopyDisk):
            return self._asked.is_copied(action.machine.vm.name)
        if isinstance(action, Choose):  # a node may have another name than its VM
            chosen = action.machine.node
            node = nodes.get(chosen.name) if chosen is not None else None
            return node is None or node.is_cordoned_by_us
        if isinstance(action, Evict):
            node = nodes.get(action.node)
            pod = next((p for p in node.pods if p.uid == action.pod.uid), None) if node else None
            return pod is None or pod.terminating_since is not None
        if isinstance(action, DeleteNode):
            return sent.name not in nodes
        if isinstance(action, ChangeNode):
            node = nodes.get(sent.name)
            return node is None or action.change.is_applied_to(node)
        if isinstance(action, ChangeMembers):  # a listing that began before the answer may have asked in the midst of it
            answered, heard = sent.answered_at, self._as_of(action)
            return answered is not None and heard is not None and heard > answered and self.services.shows(action.wishes)
        if isinstance(action, Clear):
            tokens = self.view.tokens if self.view else ()
            if action.leftover.kind == "image":
                return all(capture.id != action.leftover.id for capture in self._asked.captures)
            there = tokens if action.leftover.kind == "token" else self._leftovers
            return all(leftover.id != action.leftover.id for leftover in there)
        return False

    def _as_of(self, action: Action) -> datetime | None:
        if isinstance(action, Create | Delete | Power | CopyDisk):
            return self.listed_at
        if isinstance(action, Clear) and action.leftover.kind != "token":
            return self.full_at
        if isinstance(action, ChangeMembers):
            return self.services.listing.as_of if self.services.listing is not None else None
        return self.view.as_of if self.view is not None else None

    # Snapshots --------------------------------------------------------------------------------------------------------
    def snapshot(
        self,
        now: datetime,
        *,
        max_staleness: timedelta,
        settled_at: datetime | None,
        own_node: str,
        progressed_at: datetime,
        record: PoolRecord = NO_RECORD,
        steering: Steering = NO_STEERING,
    ) -> Snapshot:
        """The world at `now`, unchanged machines being the same objects as in the snapshot before. O(machines)."""
        view = self.view
        joined, half_owned = self._machines.join(self._overlay(), now)
        ahead = view.ahead if view is not None else self._ahead
        machines = self.services.dress(joined, self._vms, record, self._changing(), now, ahead)
        tokens = view.tokens if view is not None else ()
        nodes = view.nodes if view is not None else {}
        if self.has_cloud:
            nodes = self._machines.ownerless(self.listed_at, self._ended | record.vacated.keys())
        return Snapshot(
            at=now,
            began_at=self.began_at,
            machines=machines,
            creating=self._creating(),
            nodes=nodes,
            deleted={name for name in nodes if {self._machines.owner_of(name), machine_of(name)} & self._ended}
            if self._ended
            else frozenset(),
            budgets=view.budgets if view is not None else {},
            evictions=self._living_evictions(),
            looks=self._looks,
            leftovers=(*self._leftovers, *tokens),
            half_owned=half_owned,
            stale=self._stale(now, max_staleness),
            busy=self._busy(now),
            troubles=self.troubles,
            starts=self._starts,
            own_node=own_node,
            settled_at=settled_at,
            is_settled=not self.calls,
            progressed_at=progressed_at,
            record=record,
            steering=steering,
            gates=self._gates,
            backend=self.services.backend(),
            reset=frozenset(self._asked.reset),
            captures=self._asked.captures,
            fetched=self._asked.fetched,
            asked=self._asked.at,
            leftovers_at=self.full_at,
            ahead=ahead,
        )

    def _overlay(self) -> Overlay:
        """What flies, by machine."""
        found: dict[str, set[str]] = {}
        for sent in self.calls.values():
            action = sent.action
            if isinstance(action, Choose):
                found.setdefault(sent.name, set()).add(CHOOSING)
            elif isinstance(action, Delete):
                found.setdefault(sent.name, set()).add(DELETING)
            elif isinstance(action, ChangeNode) and action.verb == "quarantine":
                found.setdefault(self._machines.owner_of(sent.name), set()).add(SETTING_ASIDE)
        return {name: frozenset(what) for name, what in found.items()}

    def _changing(self) -> set[str]:
        """Machines about whose member a call is under way."""
        calls = (sent.action for sent in self.calls.values())
        return {wish.machine for action in calls if isinstance(action, ChangeMembers) for wish in action.wishes}

    def _creating(self) -> tuple[Creating, ...]:
        return tuple(
            Creating(
                name=sent.name,
                slot=sent.action.slot,
                failure_domain=sent.action.failure_domain,
                sent_at=sent.sent_at,
            )
            for sent in self.calls.values()
            if isinstance(sent.action, Create)
        )

    def _living_evictions(self) -> Mapping[str, EvictionTry]:
        """Tries of pods that still exist; those of pods that are gone are forgotten now and then.

        All pods are looked through when there are twice as many tries as were kept the last time, and one for each eighth pod: that
        costs as much as the pods are many.
        """
        if len(self.evictions) > self._tries_most and self.view is not None:
            alive = {pod.uid for node in self.view.nodes.values() for pod in node.pods}
            self.evictions = {uid: tried for uid, tried in self.evictions.items() if uid in alive}
            self._tries_most = max(TRIES_KEPT, 2 * len(self.evictions), len(alive) // 8)
        return self.evictions

    def _busy(self, now: datetime) -> frozenset[str]:
        if self.held_off:
            self.held_off = {key: until for key, until in self.held_off.items() if until > now}
        return frozenset(self.calls) | self.held_off.keys()

    def _stale(self, now: datetime, max_staleness: timedelta) -> dict[str, datetime]:
        found = {}
        if self.has_cloud and self.listed_at is not None and now - self.listed_at > max_staleness:
            found["cloud"] = self.listed_at
        if self.has_cluster and self.view is not None and now - self.view.as_of > max_staleness:
            found["cluster"] = self.view.as_of
        members = self.services.listing
        if members is not None and now - members.as_of > max_staleness:
            found["balancer"] = members.as_of
        return found
