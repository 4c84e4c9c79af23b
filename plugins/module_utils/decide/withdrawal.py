# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks that operators take back: of machines that an abort finds on their way, of quarantined ones that are released."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import ChangeNode
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import NodeChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Steering


def withdrawals(machines: Iterable[Machine], steering: Steering) -> dict[str, ChangeNode]:
    """`{machine: the change that gives it back}`. A mark that is younger than the wish stays: it was meant."""
    found = {}
    for machine in machines:
        node = machine.node
        if node is None or node.chosen is None or machine.deleting or machine.vm.status == vm_states.DELETING:
            continue  # nothing to withdraw, or too late
        note = node.quarantined or node.chosen
        asked = steering.release.get(machine.name) if node.quarantined is not None else steering.abort
        if asked is not None and asked.at >= note.at:
            off = {marks.NODE_CHOSEN: None, marks.NODE_QUARANTINED: None}
            change = NodeChange(node=node.name, uid=node.uid, version=node.version, schedulable=True, annotations=off)
            verb = "release" if node.quarantined is not None else "uncordon"
            found[machine.name] = ChangeNode(change, f"asked {asked}", verb)
    return found
