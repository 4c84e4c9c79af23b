# SPDX-License-Identifier: GPL-3.0-or-later
"""The rollout rule: which machines to make, mark and push now.

Promises: no mark of ours takes the available below the floor known when it is sent; no create of ours takes the existing
above the ceiling. A machine lost to a fault, fewer replicas or a new target may breach either; then the rule only heals.
Why so: tokens, not batches: one stuck drain would hold its whole batch. Rejected: giving the token back when the drain
starts; new machines would outrun the pods (FM13). Counts fall and rise with each decision of the same turn.
Sources: semantics section 3, whose rule numbers the methods carry; FM1, FM8, FM13, FM39, FM48, FM49.
"""

from __future__ import annotations

from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.decide import verdict
from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import Census, Verdict
from ansible_collections.immutable.fleet.plugins.module_utils.decide.dress import dress
from ansible_collections.immutable.fleet.plugins.module_utils.decide.turn import STAYING, Turn
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Action, Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool, limits_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot


class Rollout:
    """The job of converging one pool. `decide` is pure; what it keeps between turns only spares work."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.policy = pool.drain
        self.limits = limits_of(pool)
        self._verdicts: dict[str, Verdict] = {}
        self._dressed: dict[str, Node] = {}

    def decide(self, snapshot: Snapshot, now: datetime) -> Decision:
        """Actions that may start now, most urgent first; when there are none, `blockers` and `wake_at` say why and until when.

        O(n log n) in machines. Asked about the world its actions produced, it repeats none of them.
        """
        census = Census(snapshot.machines, self.pool, now, self._verdicts)
        turn = Turn(self.pool, self.limits, snapshot, census)
        if "cluster" not in snapshot.stale:
            turn.push_those_going()
            turn.set_aside_the_overdue()
            if "cloud" not in snapshot.stale:
                turn.mark_failed()
                if turn.may_replace:
                    turn.mark_outdated_booting()
                    turn.mark_outdated_not_ready()
                turn.mark_surplus()
                turn.mark_available()
                turn.create()
                turn.clear_leftovers()
            turn.name_the_untouchable()
            turn.actions += self._dress(turn, now)
        return verdict.conclude(turn.decision(), self.pool, self.limits, snapshot, census, is_idle=not turn.actions)

    def _dress(self, turn: Turn, now: datetime) -> list[Action]:
        """Labels and taints that are missing on nodes that stay; a node that was found in order is not compared again."""
        found: list[Action] = []
        for group, is_outdated in ((turn.census.current, False), (turn.census.outdated, True)):
            for machine in (machine for kind in STAYING for machine in group[kind]):
                node, vm = machine.node, machine.vm
                if node is None or machine.name in turn.chosen_now or self._dressed.get(machine.name) is node:
                    continue
                change = dress(node, self.pool, vm.revision, is_outdated=is_outdated, now=now)
                if change is None:
                    self._dressed[machine.name] = node
                else:
                    found.append(change)
        return found
