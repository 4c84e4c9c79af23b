# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pods of nodes ask of a drain, counted once for each Node object.

A replay of 1,000 machines with 30 pods each ranks the same nodes in each of some thousand turns, and hardly one of them is
different. What is kept only spares counting: it rests on an unchanged value, may be lost at any time, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget, Node


@dataclass(frozen=True, slots=True)
class Asked:
    """The longest grace period of a node's pods in seconds, how many pods each budget covers, and the most of these numbers."""

    longest: float = 0.0
    pods_of: Mapping[str, int] = field(default_factory=dict)
    most: int = 0


NOTHING_ASKED = Asked()


class Counted:
    """What was counted so far. Whoever decides turn after turn keeps it and hands it on."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Node, Asked]] = {}  # by the node's name; true while the node is this very object

    def asked_by(self, nodes: Sequence[Node | None]) -> list[Asked]:
        """Of each of `nodes`, in their order."""
        if len(self._known) > 2 * len(nodes) + 16:  # names of nodes are not used again, so what is kept of the dead would only grow
            self._known.clear()
        return [self._of(node) if node is not None else NOTHING_ASKED for node in nodes]

    def _of(self, node: Node) -> Asked:
        known = self._known.get(node.name)
        if known is None or known[0] is not node:
            known = self._known[node.name] = (node, asked_of(node))
        return known[1]


def asked_of(node: Node) -> Asked:
    """Counted anew. O(pods)."""
    if not node.pods:
        return NOTHING_ASKED
    pods_of: dict[str, int] = {}
    for pod in node.pods:
        for name in pod.budgets:
            pods_of[name] = pods_of.get(name, 0) + 1
    return Asked(max([pod.grace for pod in node.pods]).total_seconds(), pods_of, max(pods_of.values(), default=0))


def scarce(budgets: Mapping[str, Budget], pods: int) -> dict[str, Budget]:
    """Those of `budgets` that so many pods of one node would use up: no other one makes a drain wait for itself."""
    return {name: budget for name, budget in budgets.items() if budget.allowed <= pods}
