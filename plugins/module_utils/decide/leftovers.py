# SPDX-License-Identifier: GPL-3.0-or-later
"""What carries our mark and belongs to no machine and to no create in flight: ports, volumes, tokens, Nodes."""

from __future__ import annotations

from collections.abc import Collection

from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Action, Clear, DeleteNode
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot


def clear(snapshot: Snapshot, unlisted: Collection[str], awaited: Collection[str] = ()) -> list[Action]:
    """One action for each. `unlisted` are ready nodes whose VM is in no list: the list is wrong, not the node.

    Machines of the names in `awaited` are about to be made again, and take over what is there.
    """
    actions: list[Action] = []
    known = {sent.name for sent in snapshot.creating}.union(awaited)
    for leftover in snapshot.leftovers:
        owner = snapshot.machines.get(leftover.machine)
        joined = leftover.kind == "token" and owner is not None and owner.was_ready
        if (owner is None and leftover.machine not in known) or joined:
            gone = f"belongs to no machine ({leftover.machine} is gone)" if leftover.machine else leftover.name
            why = "its machine has joined" if joined else gone
            actions.append(Clear(leftover, why))
    actions += [DeleteNode(node, "its VM is gone") for node in snapshot.nodes.values() if node.name not in unlisted]
    return actions
