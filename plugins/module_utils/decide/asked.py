# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pods of nodes ask of a drain, counted once for each Node object, and only as far as somebody wants to know.

A replay of 1,000 machines with 30 pods each ranks the same nodes in each of some hundred turns, and hardly one of them is
different. What is kept only spares counting: it rests on an unchanged value, may be lost at any time, and decides nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget, Node


class Asked:
    """What is asked of the drain of one node. `longest` is the longest grace period of its pods, in seconds."""

    __slots__ = ("_most", "_pods_of", "longest", "node")

    def __init__(self, node: Node | None) -> None:
        self.node = node
        self.longest = max([pod.grace for pod in node.pods]).total_seconds() if node is not None and node.pods else 0.0
        self._pods_of: Mapping[str, int] | None = None
        self._most: int | None = None

    @property
    def pods_of(self) -> Mapping[str, int]:
        """How many of its pods each budget covers. Hardly a budget is ever tight enough for this to matter."""
        if self._pods_of is None:
            self._pods_of = Counter([name for pod in self.node.pods for name in pod.budgets]) if self.node is not None else {}
        return self._pods_of

    @property
    def most(self) -> int:
        """The most of these numbers."""
        if self._most is None:
            self._most = max(self.pods_of.values(), default=0)
        return self._most


NOTHING_ASKED = Asked(None)


class Counted:
    """What was counted so far. Whoever decides turn after turn keeps it and hands it on."""

    def __init__(self) -> None:
        self._known: dict[str, Asked] = {}  # by the node's name; true while the node is this very object

    def asked_by(self, nodes: Sequence[Node | None]) -> list[Asked]:
        """Of each of `nodes`, in their order."""
        if len(self._known) > 2 * len(nodes) + 16:  # names of nodes are not used again, so what is kept of the dead would only grow
            self._known.clear()
        known, found = self._known, []
        for node in nodes:
            asked = known.get(node.name) if node is not None else NOTHING_ASKED
            if node is not None and (asked is None or asked.node is not node):
                asked = known[node.name] = Asked(node)
            found.append(asked or NOTHING_ASKED)
        return found


def scarce(budgets: Mapping[str, Budget], nodes: Sequence[Asked]) -> dict[str, Budget]:
    """Those of `budgets` that the pods of one of `nodes` would use up: no other one makes a drain wait for itself."""
    pods = max([len(asked.node.pods) for asked in nodes if asked.node is not None], default=0)
    if all(budget.allowed > pods for budget in budgets.values()):
        return {}  # without a look at whose pods they are
    most = max([asked.most for asked in nodes], default=0)
    return {name: budget for name, budget in budgets.items() if budget.allowed <= most}
