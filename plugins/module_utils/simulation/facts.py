# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cluster's API shows of a simulated world: immutable Nodes and Budgets, made anew only where something changed."""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget, Node
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.budgets import status_of
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.history import History
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.nodes import attachments_of
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.pods import Pods
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import State


class Facts:
    """`nodes` and `budgets` as of the last `refresh`; both dictionaries are replaced, never changed, so they may be kept."""

    def __init__(self, state: State, pods: Pods) -> None:
        self._state = state
        self._pods = pods
        self.nodes: dict[str, Node] = {}
        self.budgets: dict[str, Budget] = {}
        self.past_nodes: History[Node] = History(state.now)
        self.past_budgets: History[Budget] = History(state.now)

    def reload(self) -> None:
        """After rows came from a file: look at everything, and keep the values that are still true."""
        self.forget_past()
        self._state.touched_nodes |= dict.fromkeys([*self.nodes, *self._state.members])
        self._state.touched_budgets |= dict.fromkeys([*self.budgets, *self._state.budgets])

    def forget_past(self) -> None:
        """Nothing is known of how things were before now."""
        self.past_nodes.forget(self._state.now)
        self.past_budgets.forget(self._state.now)

    def refresh(self) -> None:
        """Show what changed since the last time. O(changes), and one copy of the dictionary of names."""
        now = self._state.now
        if self._state.touched_nodes:
            touched, self._state.touched_nodes = self._state.touched_nodes, {}
            nodes = dict(self.nodes)
            for name in touched:
                before = nodes.get(name)
                member = self._state.members.get(name)
                if member is None:
                    if nodes.pop(name, None) is not None:
                        self.past_nodes.record(now, name, before)
                    continue
                after = self._node(name)
                if after != before:
                    nodes[name] = after
                    self.past_nodes.record(now, name, before)
            self.nodes = nodes
        if self._state.touched_budgets:
            names, self._state.touched_budgets = self._state.touched_budgets, {}
            budgets = dict(self.budgets)
            for name in names:
                row = self._state.budgets.get(name)
                self.past_budgets.record(now, name, budgets.get(name))
                if row is None:
                    budgets.pop(name, None)
                else:
                    budgets[name] = status_of(row)
            self.budgets = budgets

    def _node(self, name: str) -> Node:
        member, rows = self._state.members[name], self._state.pods
        labels, annotations = member.labels, member.annotations
        return Node(
            name=name,
            uid=member.uid,
            version=str(member.version),
            created_at=member.created_at,
            provider_id=member.provider_id,
            system_uuid=member.system_uuid,
            ready=member.ready,
            ready_since=member.ready_since,
            was_ready=marks.NODE_READY_AT in annotations,
            schedulable=member.schedulable,
            pool=labels.get(marks.NODE_POOL, ""),
            revision=labels.get(marks.NODE_REVISION, ""),
            chosen=marks.parse_note(annotations.get(marks.NODE_CHOSEN)),
            quarantined=marks.parse_note(annotations.get(marks.NODE_QUARANTINED)),
            labels=dict(labels),
            annotations=dict(annotations),
            taints=member.taints,
            failure_domain=member.failure_domain,
            pods=tuple([rows[uid].pod for uid in self._pods.on.get(name, ())]),
            attachments=attachments_of(self._pods, name),
        )
