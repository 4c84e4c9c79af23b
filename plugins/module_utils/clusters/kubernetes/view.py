# SPDX-License-Identifier: GPL-3.0-or-later
"""Joins what the watches bring: nodes with their pods and attachments, pods with the budgets that guard them.

Promises: `view` costs O(what changed since the last one); a node in which nothing changed stays the same object.
So a change of a pod makes its node dirty, a change of a PDB the nodes of those of its pods for which it makes a difference,
and `view` rebuilds the dirty ones. A PDB's numbers change with every pod that comes or goes, and make no node dirty.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import replace

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.budgets import Budgets, selects
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.convert import BudgetFact, NodeFact, PodFact
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.table import Table
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget, Node, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover


class Join:
    """The cluster's facts. Whoever writes to a table or reads a result holds `lock`; keys of all tables are UIDs."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.nodes: Table[NodeFact] = Table(self._node_changed)
        self.pods: Table[PodFact] = Table(self._pod_changed)
        self.budgets: Table[BudgetFact] = Table(self._budget_changed)
        self.attachments: Table[tuple[str, str]] = Table(self._attachment_changed)
        self.daemon_sets: Table[str] = Table(self._daemon_set_changed)
        self.tokens: Table[Leftover] = Table(self._token_changed)
        self._bare: dict[str, NodeFact] = {}  # by name, as all below that begin with a node
        self._joined: dict[str, Node] = {}
        self._dirty: set[str] = set()
        self._pods_on: defaultdict[str, dict[str, PodFact]] = defaultdict(dict)
        self._pods_in: defaultdict[str, dict[str, PodFact]] = defaultdict(dict)  # by namespace
        self._attached_to: defaultdict[str, set[str]] = defaultdict(set)
        self._budgets = Budgets()
        self._matched: dict[str, tuple[str, ...]] = {}  # pod's UID -> names of the PDBs that select it
        self._budget_facts: dict[str, Budget] = {}  # as last shown; empty after a change
        self._token_facts: dict[str, Leftover] = {}

    def view(self) -> tuple[dict[str, Node], dict[str, Budget], tuple[Leftover, ...]]:
        """(nodes by name, budgets by name, tokens); callers must not change the dictionaries."""
        if self._dirty:
            self._joined = dict(self._joined)  # the one before is in somebody's hands
            for name in self._dirty:
                self._rebuild(name)
            self._dirty.clear()
        if not self._budget_facts:
            self._budget_facts = self._budgets.facts()
        return self._joined, self._budget_facts, tuple(self._token_facts.values())

    def is_there(self, pod: Pod) -> bool:
        """Whether the watch still shows this very pod, by UID."""
        return pod.uid in self._pods_in[pod.namespace]

    def stays(self, fact: PodFact) -> bool:
        """A DaemonSet's pod comes back as soon as it is evicted; an orphaned one does not."""
        return bool(fact.daemon_set) and self.daemon_sets.get(fact.daemon_set) is not None

    def taint_times(self, node: str) -> dict[tuple[str, str], str]:
        """The timeAdded texts of a node's taints, by (key, effect)."""
        fact = self._bare.get(node)
        return dict(fact.taint_times) if fact else {}

    def _rebuild(self, name: str) -> None:
        fact = self._bare.get(name)
        if fact is None:
            self._joined.pop(name, None)
            return
        pods = [self._guarded(pod) for pod in self._pods_on[name].values() if not self.stays(pod)]
        pods.sort(key=lambda pod: (pod.namespace, pod.name))
        node = replace(fact.node, pods=tuple(pods), attachments=tuple(sorted(self._attached_to[name])))
        if self._joined.get(name) != node:
            self._joined[name] = node

    def _guarded(self, fact: PodFact) -> Pod:
        """The pod with the budgets that the API server will ask when it is evicted (eviction.go, in its order)."""
        budgets = self._matched.get(fact.pod.uid, ())
        if not budgets or not fact.is_guarded:
            return fact.pod
        if len(budgets) == 1 and not fact.pod.is_ready and self._budgets.lets_unready_go(budgets[0]):
            return fact.pod
        return replace(fact.pod, budgets=budgets)  # two of them are refused (FM3), ready or not

    def _node_changed(self, _uid: str, before: NodeFact | None, after: NodeFact | None) -> None:
        if after is not None:
            self._bare[after.node.name] = after
            self._dirty.add(after.node.name)
        elif before is not None:
            self._bare.pop(before.node.name, None)
            self._dirty.add(before.node.name)

    def _pod_changed(self, uid: str, before: PodFact | None, after: PodFact | None) -> None:
        if before is not None:
            self._dirty.add(before.node)
            del self._pods_on[before.node][uid], self._pods_in[before.pod.namespace][uid]
        if after is None:
            self._matched.pop(uid, None)
            return
        self._dirty.add(after.node)
        self._pods_on[after.node][uid] = self._pods_in[after.pod.namespace][uid] = after
        if before is None or before.labels != after.labels:
            self._matched[uid] = self._budgets.selecting(after.pod.namespace, after.labels)

    def _budget_changed(self, _uid: str, before: BudgetFact | None, after: BudgetFact | None) -> None:
        self._budget_facts = {}
        if after is not None:
            self._budgets.put(after)
        elif before is not None:
            self._budgets.drop(before.budget.name)
        if before is None or after is None or before.selector != after.selector:
            self._match_again(before, after)
        elif before.lets_unready_go != after.lets_unready_go:
            pods, name = self._pods_in[after.namespace].items(), after.budget.name
            self._dirty.update(pod.node for uid, pod in pods if not pod.pod.is_ready and name in self._matched[uid])

    def _match_again(self, before: BudgetFact | None, after: BudgetFact | None) -> None:
        """For the pods that were selected and no longer are, or the other way round."""
        some = after or before
        for uid, pod in self._pods_in[some.namespace].items() if some else ():
            if (before is not None and selects(before, pod.labels)) != (after is not None and selects(after, pod.labels)):
                self._matched[uid] = self._budgets.selecting(pod.pod.namespace, pod.labels)
                self._dirty.add(pod.node)

    def _attachment_changed(self, _uid: str, before: tuple[str, str] | None, after: tuple[str, str] | None) -> None:
        for fact in (before, after):
            if fact is not None:
                node, name = fact
                self._dirty.add(node)
                (self._attached_to[node].add if fact is after else self._attached_to[node].discard)(name)

    def _daemon_set_changed(self, uid: str, _before: str | None, _after: str | None) -> None:
        self._dirty.update(node for node, pods in self._pods_on.items() if any(pod.daemon_set == uid for pod in pods.values()))

    def _token_changed(self, _uid: str, before: Leftover | None, after: Leftover | None) -> None:
        if before is not None:
            self._token_facts.pop(before.id, None)
        if after is not None:
            self._token_facts[after.id] = after
