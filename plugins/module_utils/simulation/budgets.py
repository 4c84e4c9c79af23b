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
    """The budget as its status shows it. Percentages are of the workloads' replicas and round up, both kinds."""
    scale = row.pods if row.scale < 0 else row.scale
    if row.desired >= 0:
        desired, expected = row.desired, row.expected
    elif row.max_unavailable:
        expected = scale
        desired = max(0, expected - count_of(row.max_unavailable, expected, round_up=True))
    else:
        expected = scale if row.min_available.endswith("%") else row.pods
        desired = count_of(row.min_available, expected, round_up=True)
    healthy = row.healthy + row.elsewhere
    return Budget(
        name=row.name,
        allowed=max(0, healthy - desired) if expected > 0 else 0,
        healthy=healthy,
        desired=desired,
        expected=expected,
        owner=row.owner,
        created_at=row.created_at,
    )
