# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule 4 of the rollout rule: machines that failed, by the cloud's word, by time, or for being unhealthy (semantics section 3)."""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.module_utils.decide import losses
from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import BOOTING, FAILED
from ansible_collections.immutable.fleet.plugins.module_utils.decide.turn import Turn
from ansible_collections.immutable.fleet.plugins.module_utils.decide.ward import why_failed
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine

WAIT = "remediation"


def mark_failed(turn: Turn) -> None:
    """Rule 4: a failed machine goes; free if it never had a node, else as many as may be going at once.

    One that is unhealthy and still serves waits until the others keep the floor without it: its replacement is made first.
    """
    for machine in turn.not_held(turn.census.of(FAILED)):
        why = why_failed(machine, turn.remedy, turn.snapshot.at)
        if not _is_known_loss(turn, machine):
            continue
        if _is_to_be_kept(turn, machine, why):
            continue
        if machine.is_unused:
            turn.choose(machine, why)
        elif turn.pool.replicas and _serves(machine) and turn.available < turn.limits.floor:
            what = f"{why}; it serves, so it waits for its replacement: {turn.available} available < floor {turn.limits.floor}"
            turn.blockers.append(Blocker(code=WAIT, what=what, where=machine.where))
        elif turn.going < turn.limits.going:
            turn.choose(machine, f"{why}; {turn.going} going < {turn.limits.going}")
    if turn.brake is not None and not turn.brake.creates:
        for machine in turn.not_held(turn.census.current[BOOTING]):
            if not machine.was_ready:
                turn.choose(machine, "its revision is refused, and it was never ready")


def _is_to_be_kept(turn: Turn, machine: Machine, why: str) -> bool:
    """Whether it is put on record just now as one to be kept for a look; it begins to leave when it stands there."""
    if not turn.limits.preserved:
        return False
    from ansible_collections.immutable.fleet.plugins.module_utils.decide import preserve  # few pools ask for it

    record = preserve.noted(turn.record or turn.snapshot.record, machine, why, turn.snapshot, turn.limits.preserved)
    turn.record = record or turn.record
    return record is not None


def _serves(machine: Machine) -> bool:
    """As far as the cloud, its kubelet and its probes know: it fails by another condition of its node."""
    is_ill = machine.health is not None and machine.health.healthy is False
    return machine.vm.status == vm_states.RUNNING and machine.node is not None and machine.node.ready is True and not is_ill


def _is_known_loss(turn: Turn, machine: Machine) -> bool:
    """A loss that speaks against the image is on record before its machine goes; if not, it is put there now."""
    if not losses.counts(machine, turn.pool, turn.snapshot):
        return True
    turn.is_losing = True
    turn.record = losses.with_loss(turn.record or turn.snapshot.record, machine, turn.pool, turn.snapshot)
    return False
