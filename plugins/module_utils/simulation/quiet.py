# SPDX-License-Identifier: GPL-3.0-or-later
"""A world that tells the loop only of changes it could act on: for replays, of which as many as possible should fit in seconds.

A roll of 1,000 machines with 30 pods each has 200,000 changes, most of them of pods: one less on a node that is not empty yet,
one more on a node that stays. No decision rests on those. What is not told is seen all the same, in the next turn. Judged is
once an instant and not once a change: a hundred pods that become ready together change their budgets a hundred times.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.simulation.budgets import allowed_by
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import VirtualSession
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import CLUSTER
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World


class QuietSession(VirtualSession):
    """Told: every change of a VM; a node that came, went, or is written to; one that is empty; a budget that opens again.

    And, where the world shows it of pods, a node that has all of them ready. Of the cluster only in `advance`: whoever moves the
    time moves it here.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._state = world.state
        self._on = world.pods.on
        self._versions = {name: member.version for name, member in world.state.members.items()}
        self._allowed: dict[str, int] = {}  # of budgets that were closed once: pods may wait for any of them
        # Groups of pods leave one after the other: then each pod that goes may be the last of its group.
        self._has_groups = any(row.pod.order for row in world.state.pods.values())
        self._changed: dict[str, None] = {}  # nodes and budgets, since they were judged last
        self._watchers: list[Callable[[str], None]] = []
        world.state.listen(self._note)

    def next_due(self) -> datetime | None:
        """When the world's next event is due."""
        return self._world.next_due()

    def advance(self, to: datetime) -> None:
        """Play the world's events until `to`, and tell what matters of all that has changed since the last time."""
        self._world.advance(to)
        if not self._changed:
            return
        names, self._changed = self._changed, {}
        telling = [name for name in names if self._matters(name)]  # each is judged: the next time it is compared with this one
        if telling:
            self._tell(CLUSTER)

    def watch(self, on_change: Callable[[str], None]) -> Callable[[], None]:
        self._watchers.append(on_change)
        return lambda: self._watchers.remove(on_change)

    def _note(self, kind: str, name: str) -> None:
        if kind == CLUSTER:
            self._changed[name] = None
        else:
            self._tell(kind)

    def _tell(self, kind: str) -> None:
        for on_change in self._watchers:
            on_change(kind)

    def _matters(self, name: str) -> bool:
        budget = self._state.budgets.get(name)
        if budget is not None:
            allowed, before = allowed_by(budget), self._allowed.get(name)
            if before is not None or allowed == 0:
                self._allowed[name] = allowed
            return before is not None and allowed > before
        member = self._state.members.get(name)
        version = member.version if member is not None else -1
        if self._versions.get(name) != version:
            self._versions[name] = version
            return True
        if self._has_groups or member is None:
            return self._has_groups
        if not member.schedulable:
            return name not in self._on
        # A step of a ladder waits until all pods on its machines are ready.
        rows = self._state.pods
        return self._state.settings.shows_readiness and all(rows[uid].ready for uid in self._on.get(name, ()))
