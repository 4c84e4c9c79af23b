# SPDX-License-Identifier: GPL-3.0-or-later
"""PodDisruptionBudgets, computed as Kubernetes' disruption controller does (pkg/controller/disruption/disruption.go)."""

from __future__ import annotations

from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import count_of
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import BudgetRow, PodRow
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import State

SPENT_FOR = timedelta(minutes=2)  # DeletionTimeout: so long a granted eviction counts, though the pod was not deleted


class Budgets:
    """Who counts as healthy, and how many may be disrupted. Cost per change of a pod: one step per budget of the pod."""

    def __init__(self, state: State) -> None:
        self._state = state

    def count_in(self, row: PodRow) -> None:
        """A new pod is selected by its budgets."""
        for name in row.pod.budgets:
            budget = self._state.budgets.get(name)
            if budget is not None:
                budget.pods += 1
                self._state.budget_changed(name)

    def count_out(self, row: PodRow) -> None:
        """A pod is no more."""
        self._count_healthy(row, counts=False)
        for name in row.pod.budgets:
            budget = self._state.budgets.get(name)
            if budget is not None:
                budget.pods -= 1
                self._state.budget_changed(name)

    def recount(self, row: PodRow) -> None:
        """After any change of a pod: healthy is ready, not terminating, and not granted to an eviction that came to nothing."""
        self._count_healthy(row, counts=row.ready and row.pod.terminating_since is None and row.spent_until is None)

    def _count_healthy(self, row: PodRow, *, counts: bool) -> None:
        if counts == row.counted:
            return
        row.counted = counts
        for name in row.pod.budgets:
            budget = self._state.budgets.get(name)
            if budget is not None:
                budget.healthy += 1 if counts else -1
                self._state.budget_changed(name)


def status_of(row: BudgetRow) -> Budget:
    """The budget as its status shows it."""
    desired, expected = _wanted(row)
    return Budget(
        name=row.name,
        allowed=allowed_by(row),
        healthy=row.healthy + row.elsewhere,
        desired=desired,
        expected=expected,
        owner=row.owner,
        created_at=row.created_at,
    )


def allowed_by(row: BudgetRow) -> int:
    """How many evictions the budget has room for."""
    desired, expected = _wanted(row)
    return max(0, row.healthy + row.elsewhere - desired) if expected > 0 else 0


def _wanted(row: BudgetRow) -> tuple[int, int]:
    """`(desired, expected)` pods. Percentages are of the workloads' replicas and round up, both kinds."""
    if row.desired >= 0:
        return row.desired, row.expected
    scale = row.pods if row.scale < 0 else row.scale
    if row.max_unavailable:
        return max(0, scale - count_of(row.max_unavailable, scale, round_up=True)), scale
    expected = scale if row.min_available.endswith("%") else row.pods
    return count_of(row.min_available, expected, round_up=True), expected
