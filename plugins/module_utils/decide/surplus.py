# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule 7 of the rollout rule: too many of the wanted revision (semantics section 3).

Of one failure domain those that serve least go first, but no domain pays for all because its machines are the youngest.
"""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.module_utils.decide import order
from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import AVAILABLE, BOOTING, NOT_READY
from ansible_collections.immutable.fleet.plugins.module_utils.decide.turn import Turn
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine


def mark_surplus(turn: Turn) -> None:
    """Rule 7: never-ready, not ready, young, as they are surplus in their domain; available ones are left to rule 8."""
    turn.doubles = order.doubles_of(turn.census.current, turn.chosen_now, turn.surplus)
    if turn.surplus <= 0:
        return

    def goes_at_once(machine: Machine) -> bool:
        if not turn.can_leave(machine):
            return False
        turn.choose(machine, f"surplus: {turn.limits.replicas + turn.surplus} > {turn.limits.replicas} replicas")
        _count_out(turn, machine)
        return True

    def goes_young(machine: Machine) -> bool:
        if turn.available < turn.limits.floor:
            return True  # later: none that serves could go before
        leaves = turn.choose_booting(machine, "surplus")
        if leaves:
            _count_out(turn, machine)
        return leaves

    def goes_by_rule_8(_machine: Machine) -> bool:
        return True

    booting, not_ready = turn.not_held(turn.candidates(BOOTING)), turn.told_not_ready(turn.candidates(NOT_READY))
    classes = (
        ([machine for machine in booting if not machine.was_ready], goes_at_once),
        (not_ready, goes_at_once),
        ([machine for machine in booting if machine.was_ready], goes_young),
        (turn.candidates(AVAILABLE), goes_by_rule_8),
    )
    order.fewer(classes, turn.by_domain(), turn.doubles, turn.surplus)


def _count_out(turn: Turn, machine: Machine) -> None:
    if turn.brake is None or machine in turn.census.current[NOT_READY] + turn.census.current[BOOTING]:
        turn.staying -= 1
    else:
        turn.old -= 1
