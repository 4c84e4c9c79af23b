# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.simulation.budgets import status_of
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import BudgetRow
from ansible_collections.immutable.fleet.tests.unit.simulation.worlds import DAWN


@pytest.mark.parametrize(
    ("wish", "pods", "scale", "healthy", "expected"),
    [
        pytest.param({"min_available": "2"}, 3, 3, 3, (1, 2, 3), id="a number of pods must stay"),
        pytest.param({"min_available": "5"}, 3, 3, 3, (0, 5, 3), id="more than there are"),
        pytest.param({"min_available": "50%"}, 7, 7, 7, (3, 4, 7), id="a percentage rounds up"),
        pytest.param({"max_unavailable": "1"}, 3, 3, 3, (1, 2, 3), id="a number may be missing"),
        pytest.param({"max_unavailable": "30%"}, 7, 7, 7, (3, 4, 7), id="this percentage rounds up too, as in Kubernetes"),
        pytest.param({"max_unavailable": "0"}, 3, 3, 3, (0, 3, 3), id="none may be missing"),
        pytest.param({"max_unavailable": "1"}, 4, 3, 3, (1, 2, 3), id="the replicas count, not the pods that are there"),
        pytest.param({"max_unavailable": "1"}, 3, 3, 1, (0, 2, 3), id="fewer healthy than wanted"),
        pytest.param({"min_available": "1"}, 0, 0, 0, (0, 1, 0), id="no pods, nothing to allow"),
        pytest.param({"desired": 2, "expected": 4, "elsewhere": 1}, 3, 0, 3, (2, 2, 4), id="as observed"),
    ],
)
def test_status(wish: dict[str, str], pods: int, scale: int, healthy: int, expected: tuple[int, int, int]) -> None:
    """(allowed, desired, expected) as Kubernetes' disruption controller computes them."""
    row = BudgetRow("shop/cart", DAWN, pods=pods, scale=scale, healthy=healthy)
    for name, value in wish.items():
        setattr(row, name, value)
    status = status_of(row)
    assert (status.allowed, status.desired, status.expected) == expected
