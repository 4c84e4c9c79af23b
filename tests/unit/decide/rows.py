# SPDX-License-Identifier: GPL-3.0-or-later
"""What rows of the rollout rule are written with: pools of machines, and what one turn does with them."""

from __future__ import annotations

from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import AVAILABLE
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.tests.unit.builders import NEW, NOW, OLD, ago, machine, said

OLD_A, NEW_A = (OLD, AVAILABLE), (NEW, AVAILABLE)
NEVER_BACK = {"ready_since": ago(2000)}


def decided(world: Snapshot, wanted: Pool) -> list[str]:
    """What one turn does, a line for each action."""
    return said(Rollout(wanted).decide(world, NOW))


def named(*kinds: tuple[str, str] | tuple[str, str, dict[str, Any]]) -> list[Machine]:
    """Machines m0, m1, ... of these revisions and kinds."""
    return [machine(f"m{number}", row[0], row[1], **(row[2] if len(row) > 2 else {})) for number, row in enumerate(kinds)]


def slots(*rows: tuple[str, str]) -> list[Machine]:
    """Machines of these revisions and kinds in slots 0, 1, ..."""
    return [machine(f"m{number}", *row, slot=number) for number, row in enumerate(rows)]
