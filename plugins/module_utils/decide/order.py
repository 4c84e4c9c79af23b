# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machine goes next, among those that may.

Longest predicted drain first, so that the last token is not spent on the slowest node; round-robin over failure domains, so
that no domain pays for all; nodes that share a tight budget with a drain under way after those that do not (they would
only wait for each other); the node this run lives on last of all (FM42).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from ansible_collections.immutable.fleet.plugins.module_utils.decide.drain import predicted_drain
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget, Node


def in_order(candidates: Iterable[Machine], budgets: Mapping[str, Budget], busy_budgets: AbstractSet[str], own_node: str) -> list[Machine]:
    """`candidates`, first to go first. Pure; O(n log n), plus O(pods) of the candidates."""
    by_domain: dict[str, list[tuple[tuple[bool, bool, float, str], Machine]]] = {}
    for machine in candidates:
        rank = _rank(machine, budgets, busy_budgets, own_node)
        by_domain.setdefault(machine.failure_domain, []).append((rank, machine))
    ranked: list[tuple[bool, bool, int, float, str, Machine]] = []
    for members in by_domain.values():
        members.sort(key=lambda pair: pair[0])
        # A domain's k-th machine from the end has turn -k: the fullest domain leads until all are level.
        for index, ((is_own, shares, length, name), machine) in enumerate(members):
            ranked.append((is_own, shares, index - len(members), length, name, machine))
    ranked.sort(key=lambda row: row[:5])
    return [row[5] for row in ranked]


def budgets_in_use(going: Iterable[Machine]) -> set[str]:
    """Budgets with pods still to leave on machines that are going."""
    return {name for machine in going if machine.node is not None for pod in machine.node.pods for name in pod.budgets}


def is_tight(budget: Budget | None, node: Node) -> bool:
    """Whether `node` alone would use up what the budget allows."""
    if budget is None:
        return False
    return budget.allowed <= sum(1 for pod in node.pods if budget.name in pod.budgets)


def _rank(machine: Machine, budgets: Mapping[str, Budget], busy_budgets: AbstractSet[str], own_node: str) -> tuple[bool, bool, float, str]:
    node = machine.node
    shares = False
    if node is not None and busy_budgets:
        used = {name for pod in node.pods for name in pod.budgets}
        shares = any(is_tight(budgets.get(name), node) for name in used & busy_budgets)
    is_own = node is not None and node.name == own_node
    return is_own, shares, -predicted_drain(node, budgets), machine.name
