# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has done, as it does it: for the plan and the result, for the events, and for the counts of what went wrong."""

from __future__ import annotations

from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.engine import answers
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Step
from ansible_collections.immutable.fleet.plugins.module_utils.engine.telling import Teller, verb_of
from ansible_collections.immutable.fleet.plugins.module_utils.engine.world import World
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import (
    Action,
    AskGate,
    ChangeMembers,
    Choose,
    Create,
    Delete,
    LookAt,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine


class Journal:
    """Each call that changes something, in order. `wrote_at` is when the last of them was sent or answered."""

    def __init__(self, world: World, teller: Teller, began_at: datetime) -> None:
        self._world, self._teller, self._began_at = world, teller, began_at
        self.steps: list[Step] = []
        self.wrote_at: datetime | None = None
        self._lost: set[str] = set()  # ids of VMs whose ERROR was counted

    def note(self, action: Action, name: str, now: datetime) -> None:
        """`action` is about to be sent, for the machine `name`."""
        if isinstance(action, Choose | Delete):
            self._count_error(action.machine, now)
        if isinstance(action, LookAt | AskGate):
            return
        self.wrote_at = now
        if isinstance(action, Delete) and action.machine.vm.delete_again:
            return  # the next step of a deletion that was told when it began
        if isinstance(action, ChangeMembers):
            for wish in action.wishes:
                self.steps.append(Step(at=now, after=now - self._began_at, verb=wish.verb, machine=wish.machine, reason=wish.reason))
                self._teller.wished(wish, now)
            return
        self.steps.append(
            Step(
                at=now,
                after=now - self._began_at,
                verb=verb_of(action),
                machine=name,
                reason=action.reason,
                slot=action.slot if isinstance(action, Create) else None,
                failure_domain=action.failure_domain if isinstance(action, Create) else "",
            )
        )
        self._teller.acted(action, name, now)

    def _count_error(self, machine: Machine, now: datetime) -> None:
        """A new machine that the cloud put to ERROR is trouble with creates, and counts once, whatever way it goes."""
        if machine.was_ready or machine.vm.id in self._lost or machine.vm.status != vm_states.ERROR:
            return
        self._lost.add(machine.vm.id)
        answers.create_failed(self._world, machine.vm.fault or "the cloud put the machine to ERROR", now)
