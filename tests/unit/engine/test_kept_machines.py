# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that are kept from turn to turn are those that a look from scratch would find, in the same order."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.engine.machines import Machines
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, POOL, node, vm

TURNS = 60
LATER = NOW + timedelta(days=1)
UNMARKED = 1  # proofs: too few for a machine of ours


def changed(vms: dict[str, Vm], chance: random.Random, is_odd: bool) -> tuple[dict[str, Vm], set[str]]:
    """A few VMs that came, went or changed, and their ids. Odd clouds give a name twice, and lose marks."""
    after, told = dict(vms), set()
    for number in chance.sample(range(12), chance.randrange(4)):
        key = f"id-{number}"
        told.add(key)
        if key not in after:
            name = f"m{chance.randrange(4)}" if is_odd else f"m{chance.random()}"
            after[key] = vm(name, id=key, provider_id=f"openstack:///{key}", proofs=chance.choice((2, UNMARKED)) if is_odd else 2)
        elif chance.random() < 0.5:
            del after[key]
        else:
            after[key] = replace(after[key], attempt=after[key].attempt + 1)
    return after, told


def joining(nodes: dict[str, Node], vms: dict[str, Vm], chance: random.Random) -> dict[str, Node]:
    """Nodes of some VMs, and now and then one that stays behind or goes before its VM."""
    kept = {name: each for name, each in nodes.items() if chance.random() > 0.1}
    new = {f"n-{key}": node(f"n-{key}", uid=f"uid-{chance.random()}", provider_id=f"openstack:///{key}") for key in vms}
    return kept | {name: each for name, each in new.items() if name not in nodes and chance.random() < 0.3}


def seen(machines: Machines) -> tuple[list[tuple[str, Machine]], tuple[str, ...], list[str]]:
    found, half_owned = machines.join({}, NOW)
    return list(found.items()), half_owned, list(machines.ownerless(LATER, ()))


@pytest.mark.parametrize("is_odd", [False, True], ids=["one name each", "FM26 names given twice and marks lost"])
@pytest.mark.parametrize("number", range(20))
def test_kept_machines_are_those_a_first_look_would_find(number: int, is_odd: bool) -> None:
    """Whatever came and went between two turns, told as changes, or by full lists, which may have another order."""
    chance, kept = random.Random(number), Machines(POOL)
    vms: dict[str, Vm] = {}
    nodes: dict[str, Node] = {}
    for turn in range(TURNS):
        for _listing in range(chance.randrange(1, 3)):
            before = vms
            vms, told = changed(vms, chance, is_odd)
            is_full = chance.random() < 0.3
            if is_full and before.keys() != vms.keys():
                vms = dict(chance.sample(list(vms.items()), len(vms)))
            kept.take_vms(vms, None if is_full else told)
        nodes = joining(nodes, vms, chance)
        kept.take_nodes(nodes, NOW + timedelta(seconds=turn))
        anew = Machines(POOL)
        anew.take_vms(vms)
        anew.take_nodes(nodes, NOW)
        assert seen(kept) == seen(anew)


def test_a_machine_that_did_not_change_stays_the_same_object() -> None:
    """Verdicts on it are kept, so a turn costs what changed; also in a turn in which another one came."""
    kept, first, second = Machines(POOL), vm("m1"), vm("m2")
    kept.take_vms({first.id: first})
    before = kept.join({}, NOW)[0]["m1"]
    kept.take_vms({first.id: first, second.id: second}, {second.id})
    machines = kept.join({}, NOW)[0]
    assert list(machines) == ["m1", "m2"]
    assert machines["m1"] is before
