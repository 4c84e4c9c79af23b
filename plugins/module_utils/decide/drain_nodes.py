# SPDX-License-Identifier: GPL-3.0-or-later
"""Cordon, drain or uncordon existing nodes, all at once and truthfully; no pool needed.

A node that can't be drained by what is known is refused before anything is touched. A drain that is given up restores the
node's schedulability (FM6); only our own cordons are undone (FM10).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.decide import drain, going
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import (
    Action,
    Blocker,
    ChangeNode,
    Decision,
    Tally,
    key_of,
    ways_on,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Blocked, FleetError, Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node, NodeChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import FORCE, DrainPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_count
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot

CORDONED = "cordoned"
DRAINED = "drained"
UNCORDONED = "uncordoned"

WHY = "node_drain"  # in the mark, so that a rollout's mark is told from ours
NOTE_PRECISION = timedelta(seconds=1)  # a mark's instant is written in whole seconds


@dataclass(slots=True)
class _Turn:
    """What one turn found. `done` counts nodes as asked; `given_up` and `refused` say why others never will be."""

    actions: list[Action] = field(default_factory=list)
    blockers: list[Blocker] = field(default_factory=list)
    failed: list[Blocker] = field(default_factory=list)
    done: int = 0
    pods_left: int = 0
    wake_at: datetime | None = None

    @property
    def over(self) -> int:
        """Nodes that are as asked, or never will be."""
        return self.done + len(self.failed)

    def wake(self, instant: datetime | None) -> None:
        if instant is not None and (self.wake_at is None or instant < self.wake_at):
            self.wake_at = instant


class DrainNodes:
    """The job of `node_drain`. `state` is cordoned, drained or uncordoned.

    The node that carries this very run is drained when all others are over: its eviction is the run's own end (FM42).
    """

    pool = None

    def __init__(self, nodes: tuple[str, ...], policy: DrainPolicy, state: str = DRAINED) -> None:
        self.nodes, self.policy, self.state = nodes, policy, state
        self._given_up: dict[str, Blocker] = {}

    def retarget(self, revision: Revision) -> None:
        """Existing nodes are made of nothing that could change."""

    def decide(self, snapshot: Snapshot, now: datetime) -> Decision:
        """All nodes move at once; the end comes with the last pod, not at the next poll."""
        missing = [name for name in self.nodes if name not in snapshot.nodes]
        if missing:
            return Decision(finished=True, failure=_unknown(missing, snapshot))
        turn = _Turn()
        if "cluster" not in snapshot.stale:
            draining = {pod.uid: pod for name in self.nodes for pod in snapshot.nodes[name].pods}
            left = drain.allowances(snapshot.budgets, snapshot.evictions, draining)
            for name in sorted(self.nodes, key=lambda name: name == snapshot.own_node):
                if name != snapshot.own_node or self.state != DRAINED or turn.over == len(self.nodes) - 1:
                    self._one(turn, snapshot.nodes[name], snapshot, left)
        return self._conclude(turn, snapshot)

    def _one(self, turn: _Turn, node: Node, snapshot: Snapshot, left: drain.Allowances) -> None:
        if self.state == UNCORDONED:
            self._uncordon(turn, node)
        elif node.name in self._given_up:
            self._restore(turn, node, snapshot.began_at)
        elif self.state == CORDONED:
            if node.schedulable:
                turn.actions.append(_cordon(node, snapshot.at))
            turn.done += not node.schedulable
        else:
            self._drain(turn, node, snapshot, left)

    def _drain(self, turn: _Turn, node: Node, snapshot: Snapshot, left: drain.Allowances) -> None:
        turn.pods_left += len(node.pods)
        refusals = drain.blockers_of(node, snapshot.budgets, self.policy)
        if refusals and self.policy.on_timeout != FORCE:
            self._give_up(turn, node, refusals[0], snapshot.began_at)
        elif node.schedulable:
            turn.actions.append(_cordon(node, snapshot.at))
        elif node.pods:
            self._evict(turn, node, snapshot, left)
        else:
            self._prove(turn, node, snapshot)

    def _evict(self, turn: _Turn, node: Node, snapshot: Snapshot, left: drain.Allowances) -> None:
        now, policy = snapshot.at, self.policy
        started = max(node.chosen.at, snapshot.began_at) if node.chosen else snapshot.began_at
        overdue_at = started + policy.timeout
        gives_up_at = drain.gives_up_at(started, policy)
        if now >= gives_up_at:
            what = drain.waiting_for(node, snapshot.budgets)
            self._give_up(turn, node, Blocker(code="timeout", what=what, where=f"node {node.name}", since=started), snapshot.began_at)
            return
        if now >= overdue_at:
            actions, wake_at = drain.remove_now(node, snapshot.evictions, policy, now, "timeout passed and on_timeout is force")
        else:
            actions, wake_at = drain.evict_now(node, left, snapshot.evictions, policy, now)
        turn.actions += actions
        turn.wake(wake_at)
        turn.wake(overdue_at if now < overdue_at else gives_up_at)

    def _prove(self, turn: _Turn, node: Node, snapshot: Snapshot) -> None:
        look = snapshot.looks.get(node.name)
        if look is not None and not look.pods:
            turn.done += 1
            return
        action = going.look_first(node, look, snapshot.at, since=None)
        if action is not None:
            turn.actions.append(action)
        elif look is not None:
            turn.wake(look.begun_at + going.LOOK_AGAIN)

    def _give_up(self, turn: _Turn, node: Node, why: Blocker, began_at: datetime) -> None:
        self._given_up[node.name] = why
        self._restore(turn, node, began_at)

    def _restore(self, turn: _Turn, node: Node, began_at: datetime) -> None:
        """A node that is not drained is as it was before this run: one that an earlier task closed stays closed."""
        turn.failed.append(self._given_up[node.name])
        if node.chosen is not None and not node.schedulable and node.chosen.at > began_at - NOTE_PRECISION:
            turn.actions.append(_uncordon(node, "not drained: made schedulable again"))

    def _uncordon(self, turn: _Turn, node: Node) -> None:
        if node.schedulable and node.chosen is None:
            turn.done += 1
        elif node.is_held and not self.policy.include_cordoned:
            what = "cordoned by somebody else: left alone (drain.include_cordoned takes it along)"
            forward = "set drain.include_cordoned, if it is to be taken along"
            turn.failed.append(Blocker(code="person", what=what, where=f"node {node.name}", forward=forward))
        elif node.chosen is not None and node.chosen.why != WHY and not self.policy.include_cordoned:
            what = f"marked by a rollout ({node.chosen.why}): left to it (drain.include_cordoned takes it along)"
            turn.failed.append(Blocker(code="rollout", what=what, where=f"node {node.name}", since=node.chosen.at))
        else:
            turn.actions.append(_uncordon(node, "asked for"))

    def _conclude(self, turn: _Turn, snapshot: Snapshot) -> Decision:
        actions = tuple(action for action in turn.actions if key_of(action) not in snapshot.busy)
        tally = Tally(existing=len(self.nodes), up_to_date=turn.done, going=len(self.nodes) - turn.done, pods_left=turn.pods_left)
        over = not turn.actions and snapshot.is_settled and turn.over == len(self.nodes)
        failure = _not_done(turn.failed, turn.done, self.state) if over and turn.failed else None
        return Decision(
            actions=actions,
            blockers=tuple(turn.blockers + turn.failed),
            wake_at=turn.wake_at,
            finished=over,
            failure=failure,
            tally=tally,
        )


def _cordon(node: Node, now: datetime) -> ChangeNode:
    note = str(marks.Note(now, WHY))
    change = NodeChange(node=node.name, uid=node.uid, version=node.version, schedulable=False, annotations={marks.NODE_CHOSEN: note})
    return ChangeNode(change, "before the first eviction, so that no pod comes back", "cordon")


def _uncordon(node: Node, why: str) -> ChangeNode:
    change = NodeChange(node=node.name, uid=node.uid, version=node.version, schedulable=True, annotations={marks.NODE_CHOSEN: None})
    return ChangeNode(change, why, "uncordon")


def _unknown(missing: list[str], snapshot: Snapshot) -> FleetError:
    known = ", ".join(sorted(snapshot.nodes)[:5])
    return Invalid(
        what=f"no such node: {', '.join(missing)}; the cluster has {len(snapshot.nodes)} ({known}, ...)",
        where="nodes",
        forward="correct the name; kubectl get nodes lists them",
        back="nothing was touched",
    )


def _not_done(failed: list[Blocker], done: int, state: str) -> FleetError:
    what = "; ".join(f"{blocker.where}: {blocker.what}" for blocker in failed[:5])
    return Blocked(
        what=f"{len(failed)} of {say_count(len(failed) + done, 'node')} not {state}: {what}",
        where=", ".join(blocker.where for blocker in failed),
        since=min((blocker.since for blocker in failed if blocker.since), default=None),
        forward=ways_on(failed) + "run the same task again",
        back="nothing to undo: a node that was not drained is schedulable again, as it was before",
    )
