# SPDX-License-Identifier: GPL-3.0-or-later
"""A world that tells the loop only of changes it could act on: for replays, of which as many as possible should fit in seconds.

A roll of 1,000 machines with 30 pods each has 100,000 changes, most of them of pods: one less on a node that is not empty yet,
one more on a node that stays. No decision rests on those. What is not told is seen all the same, in the next turn.
"""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.immutable.fleet.plugins.module_utils.simulation.budgets import status_of
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import VirtualSession
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import CLUSTER
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World


class QuietSession(VirtualSession):
    """Told: every change of a VM; a node that came, went, or is written to; one that is empty; a budget that opens again."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._state = world.state
        self._on = world.pods.on
        self._versions = {name: member.version for name, member in world.state.members.items()}
        self._allowed: dict[str, int] = {}  # of budgets that were closed once: pods may wait for any of them
        # Groups of pods leave one after the other: then each pod that goes may be the last of its group.
        self._has_groups = any(row.pod.order for row in world.state.pods.values())

    def watch(self, on_change: Callable[[str], None]) -> Callable[[], None]:
        return self._state.listen(lambda kind, name: on_change(kind) if kind != CLUSTER or self._matters(name) else None)

    def _matters(self, name: str) -> bool:
        budget = self._state.budgets.get(name)
        if budget is not None:
            allowed, before = status_of(budget).allowed, self._allowed.get(name)
            if before is not None or allowed == 0:
                self._allowed[name] = allowed
            return before is not None and allowed > before
        member = self._state.members.get(name)
        version = member.version if member is not None else -1
        if self._versions.get(name) != version:
            self._versions[name] = version
            return True
        return self._has_groups or (member is not None and not member.schedulable and name not in self._on)
