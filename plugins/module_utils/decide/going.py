# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way of a machine that is going: cordon, evict, detach, fresh look, delete, node.

Each turn pushes every going machine by the one step its facts allow. "Drained" is a fact, never a timeout (FM5): a VM is
deleted only after a direct read that shows no pod by UID and no volume attached.
Sources: semantics sections 3 (rules 2 and 3) and 4; FM5, FM8, FM9, FM12.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.decide import drain
from ansible_collections.immutable.fleet.plugins.module_utils.decide.gates import passage_of_machine
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import (
    Action,
    AskGate,
    Blocker,
    ChangeNode,
    Choose,
    Delete,
    LookAt,
    Power,
    Wish,
    look_key,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import BEFORE_DELETE, BEFORE_DRAIN, Question
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Look, Node, NodeChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import FAIL, FORCE, DrainPolicy, Pool, Taint
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_count
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot

if TYPE_CHECKING:  # few pools have a balancer
    from ansible_collections.immutable.fleet.plugins.module_utils.model.service import Service

LOOK_IS_FRESH = timedelta(seconds=10)  # an older direct read is no proof any more
LOOK_AGAIN = timedelta(seconds=2)  # after one that found something the watch did not show

# https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown
OUT_OF_SERVICE = Taint("node.kubernetes.io/out-of-service", "nodeshutdown", "NoExecute")


@dataclass(slots=True)
class Push:
    """What one turn does for the machines that are going. `overdue` are those whose timeout passed, with what they wait for."""

    actions: list[Action] = field(default_factory=list)
    blockers: list[Blocker] = field(default_factory=list)
    overdue: list[tuple[Machine, str]] = field(default_factory=list)
    silent: Collection[str] = frozenset()
    wishes: list[Wish] = field(default_factory=list)  # of the balancer
    wake_at: datetime | None = None
    patient_until: datetime | None = None  # sessions have their time: that none ends meanwhile is no lack of progress

    def wake(self, instant: datetime) -> None:
        """Ask again at `instant` at the latest."""
        if self.wake_at is None or instant < self.wake_at:
            self.wake_at = instant


def push(machines: list[Machine], snapshot: Snapshot, pool: Pool, left: drain.Allowances, silent: Collection[str] = frozenset()) -> Push:
    """One step for each machine of `machines` (going or quarantined). `silent`: their kubelets have not been heard for long.

    Nobody can end the pods of these, so they are switched off: then the hypervisor's word is proof that no pod runs there.
    """
    turn, policy = Push(silent=silent), pool.drain
    rests_on_cloud = "cloud" not in snapshot.stale
    for machine in machines:
        if machine.choosing or machine.deleting:
            continue  # an answer is on its way
        if machine.vm.status == vm_states.DELETING:
            deadline = (machine.emptied_at or snapshot.at) + policy.delete_timeout
            _until(turn, machine, deadline, snapshot.at, _still_deleted(machine))
            if machine.vm.delete_again and rests_on_cloud:
                turn.actions.append(Delete(machine, "the next step of its deletion"))
        elif machine.service is not None:
            _off_the_balancer(turn, machine, machine.service, snapshot, pool)
        elif machine.node is None:
            if rests_on_cloud and _passes(turn, machine, BEFORE_DELETE, pool, snapshot):
                actions, wake_at = leave(machine, "has no node, so nothing runs on it", snapshot)
                turn.actions += actions
                if wake_at is not None:
                    turn.wake(wake_at)
        else:
            _before_delete(turn, machine, machine.node, snapshot, pool, left)
    return turn


def _off_the_balancer(turn: Push, machine: Machine, service: Service, snapshot: Snapshot, pool: Pool) -> None:
    """A plain machine: drained and taken out at the balancer, then deleted."""
    if service.member is not None and not _passes(turn, machine, BEFORE_DRAIN, pool, snapshot):
        return
    from ansible_collections.immutable.fleet.plugins.module_utils.decide.members import way_out

    step = way_out(machine, service, snapshot, pool.drain, _started(machine, service.chosen, snapshot))
    if step.wish is not None:
        turn.wishes.append(step.wish)
    if step.wake_at is not None:
        turn.wake(step.wake_at)
    if step.lasts_until is not None:
        turn.patient_until = max(turn.patient_until or step.lasts_until, step.lasts_until)
    if step.waits is not None:
        turn.blockers.append(step.waits)
    if step.overdue:
        turn.blockers.append(Blocker(code="overdue", what=step.overdue, where=machine.where))
    if step.may_delete and "cloud" not in snapshot.stale and _passes(turn, machine, BEFORE_DELETE, pool, snapshot):
        turn.actions.append(Delete(machine, step.may_delete))


def _still_deleted(machine: Machine) -> str:
    return "the cloud still deletes the VM" + (f": {machine.vm.fault}" if machine.vm.fault else "")


def leave(machine: Machine, reason: str, snapshot: Snapshot) -> tuple[list[Action], datetime | None]:
    """The first step of a machine's way out, and when to ask again where that is not to be taken yet.

    With a node it is marked. Without one nothing runs on it, and the delete is the mark: once a direct read shows that it has not
    joined meanwhile, which the view, as old as views may get, could not tell. One that the cloud calls off or in ERROR cannot join.
    """
    if machine.node is not None:
        return [Choose(machine, reason)], None
    if machine.service is not None or machine.vm.status in (vm_states.ERROR, vm_states.STOPPED):
        return [Delete(machine, reason)], None  # a plain one becomes a member by us alone
    look, now = snapshot.looks.get(look_key(machine)), snapshot.at
    if look is None or now - look.begun_at > LOOK_IS_FRESH:
        return [LookAt(machine, f"{reason}: looking directly whether it has joined")], None
    if look.is_empty:
        return [Delete(machine, reason)], None
    if now - look.begun_at >= LOOK_AGAIN:
        return [LookAt(machine, f"{reason}: node {look.node} was there, and is not seen yet")], None
    return [], look.begun_at + LOOK_AGAIN


def _before_delete(turn: Push, machine: Machine, node: Node, snapshot: Snapshot, pool: Pool, left: drain.Allowances) -> None:
    now, policy = snapshot.at, pool.drain
    if not node.is_cordoned_by_us:
        why = node.chosen.why if node.chosen else "its delete was asked for"
        turn.actions.append(Choose(machine, why if node.chosen is None else f"cordon again: {why}"))
        return
    if not _passes(turn, machine, BEFORE_DRAIN, pool, snapshot):
        return
    started = _started(machine, node.chosen, snapshot)
    if (node.pods or node.attachments) and machine.name in turn.silent and "cloud" not in snapshot.stale:
        turn.actions.append(Power(machine, vm_states.OFF, "its kubelet is silent: off, nothing runs on it for sure"))
    if node.pods:
        _drain(turn, machine, node, snapshot, policy, left, started)
    elif node.attachments and is_proven_dead(machine) and not _is_out_of_service(node):
        turn.actions.append(_let_go(node))  # nobody unmounts there, and without it the cluster waits for that (FM12)
    elif node.attachments:
        emptied = machine.emptied_at or now
        _until(turn, machine, emptied + policy.volume_detach_timeout, now, f"{say_count(len(node.attachments), 'volume')} still attached")
    elif "cloud" not in snapshot.stale and _passes(turn, machine, BEFORE_DELETE, pool, snapshot):
        _delete_once_proven_empty(turn, machine, node, snapshot)


def _passes(turn: Push, machine: Machine, step: str, pool: Pool, snapshot: Snapshot) -> bool:
    """Whether the user's hook, and hooks that others left on the node, let the machine go on."""
    gate = pool.strategy.before_drain if step == BEFORE_DRAIN else pool.strategy.before_delete
    found = passage_of_machine(machine.node, step, gate, snapshot.gates.get((step, machine.name)), snapshot.at)
    if found.is_free:
        return True
    if found.ask:
        question = Question(pool=pool.name, step=step, machine=machine.name, revision=pool.revision.id)
        turn.actions.append(AskGate(question, step.replace("_", " ")))
    if found.ask_at is not None:
        turn.wake(found.ask_at)
    turn.blockers.append(Blocker(code="hook", what=f"{step.replace('_', ' ')}: {found.what}", where=machine.where))
    return False


def _started(machine: Machine, chosen: marks.Note | None, snapshot: Snapshot) -> datetime:
    """When its drain began: with its mark, or with this run, or when the hook before it passed."""
    look = snapshot.gates.get((BEFORE_DRAIN, machine.name))
    began = max(chosen.at, snapshot.began_at) if chosen is not None else snapshot.began_at
    return max(began, look.at) if look is not None else began


def _delete_once_proven_empty(turn: Push, machine: Machine, node: Node, snapshot: Snapshot) -> None:
    look = snapshot.looks.get(node.name)
    action = look_first(node, look, snapshot.at, since=machine.emptied_at)
    if action is not None:
        turn.actions.append(action)
    elif look is not None and look.is_empty:
        turn.actions.append(Delete(machine, "0 pods left, 0 volumes attached"))
    elif look is not None:
        turn.wake(look.begun_at + LOOK_AGAIN)


def look_first(node: Node, look: Look | None, now: datetime, since: datetime | None) -> LookAt | None:
    """The direct read that is needed before `node` may be called empty; None when the last one is good, or too young to repeat."""
    if look is None or now - look.begun_at > LOOK_IS_FRESH or (since is not None and look.begun_at < since):
        return LookAt(node, "no pods left: looking directly before anything rests on it")
    if not look.is_empty and now - look.begun_at >= LOOK_AGAIN:
        return LookAt(node, "the last direct look still found pods or volumes")
    return None


def _drain(
    turn: Push,
    machine: Machine,
    node: Node,
    snapshot: Snapshot,
    policy: DrainPolicy,
    left: drain.Allowances,
    started: datetime,
) -> None:
    now, overdue_at = snapshot.at, started + policy.timeout
    wake_at: datetime | None = None
    is_dead = is_proven_dead(machine)
    if is_dead and not _is_out_of_service(node):
        turn.actions.append(_let_go(node))
    elif is_dead:  # the taint alone does not move a pod that tolerates it (FM4)
        why = "its VM is off by the hypervisor's word"
        actions, wake_at = drain.remove_now(node, snapshot.evictions, policy, now, why)
        turn.actions += actions
    elif policy.on_timeout == FORCE and now >= overdue_at:
        why = "drain timeout passed and on_timeout is force"
        actions, wake_at = drain.remove_now(node, snapshot.evictions, policy, now, why)
        turn.actions += actions
    else:
        actions, wake_at = drain.evict_now(node, left, snapshot.evictions, policy, now)
        turn.actions += actions
        wake_at = min(filter(None, (wake_at, overdue_at if now < overdue_at else None)), default=None)
    if wake_at is not None:
        turn.wake(wake_at)
    deadline = drain.gives_up_at(started, policy)
    what = drain.waiting_for(node, snapshot.budgets) if now >= deadline else ""
    _until(turn, machine, deadline, now, what, since=started)
    turn.blockers += drain.blockers_of(node, snapshot.budgets, policy)


def _is_out_of_service(node: Node) -> bool:
    return any(taint.key == OUT_OF_SERVICE.key for taint in node.taints)


def _let_go(node: Node) -> ChangeNode:
    change = NodeChange(node=node.name, uid=node.uid, version=node.version, taints=(*node.taints, OUT_OF_SERVICE))
    return ChangeNode(change, "its VM is off by the hypervisor's word: pods and volumes are let go")


def _until(turn: Push, machine: Machine, deadline: datetime, now: datetime, what: str, since: datetime | None = None) -> None:
    if now < deadline:
        turn.wake(deadline)
    elif machine.node is not None and machine.node.quarantined is None and not machine.setting_aside:
        turn.overdue.append((machine, what))
    else:
        turn.blockers.append(Blocker(code="quarantine", what=what, where=machine.where, since=since))


def is_proven_dead(machine: Machine) -> bool:
    """The hypervisor says the VM is off, and the kubelet is silent: its pods can't be running (semantics section 4).

    Ready=False is no silence: the kubelet itself says so, and it runs on that VM. ERROR is no word on whether the guest runs: Nova's comes
    of actions that failed, vCenter's of hosts that it does not hear.
    """
    vm, node = machine.vm, machine.node
    return node is not None and vm.status == vm_states.STOPPED and node.ready is None


def quarantine(machine: Machine, what: str, now: datetime) -> ChangeNode | None:
    """Set a machine aside: it stays cordoned, keeps its mark, is tried on slowly, and counts in nothing any more."""
    node = machine.node
    if node is None:
        return None
    note = str(marks.Note(now, what[:200]))
    change = NodeChange(node=node.name, uid=node.uid, annotations={marks.NODE_QUARANTINED: note})
    return ChangeNode(change, what, "quarantine")


def set_aside(
    overdue: Sequence[tuple[Machine, str]], pool: Pool, now: datetime, room: int, quarantined: int, most: int
) -> tuple[list[ChangeNode], list[Blocker]]:
    """Marks of quarantine for as many of `overdue` as there is `room` for, and a blocker for each other one, which keeps its token.

    `quarantined` of at most `most` are set aside already. With `on_timeout: fail` nothing is.
    """
    changes: list[ChangeNode] = []
    blockers: list[Blocker] = []
    for machine, what in overdue:
        change = quarantine(machine, what, now) if pool.drain.on_timeout != FAIL else None
        if change is not None and len(changes) < room:
            changes.append(change)
            continue
        full = f"; {quarantined} quarantined of max_blocked {most}, so it keeps its surge token"
        blockers.append(Blocker(code="overdue", what=what if pool.drain.on_timeout == FAIL else what + full, where=machine.where))
    return changes, blockers
