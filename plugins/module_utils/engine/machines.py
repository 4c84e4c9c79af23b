# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs and nodes joined to machines, kept from turn to turn.

Only what changed is joined anew, so that a turn costs what happened and not what exists: a rollout of 1,000 machines takes
some ten thousand turns. An unchanged machine is the same object as before, which lets `decide` keep its verdict on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from itertools import compress, takewhile
from operator import is_not, not_

from ansible_collections.immutable.fleet.plugins.module_utils.engine.matching import match
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import machine_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm

CHOOSING, SETTING_ASIDE, DELETING = "choosing", "setting aside", "deleting"

Overlay = Mapping[str, frozenset[str]]  # machine name -> calls laid over it (CHOOSING, SETTING_ASIDE, DELETING)

NOTHING: frozenset[str] = frozenset()


class Machines:
    """The joined machines of a pool, and the nodes of ours that belong to none."""

    def __init__(self, pool: str) -> None:
        self._pool = pool
        self._vms: Mapping[str, Vm] = {}
        self._nodes: Mapping[str, Node] = {}
        self._node_of: dict[str, str] = {}  # VM id -> node name
        self._owner_of: dict[str, str] = {}  # node name -> name of its machine, also of one that is gone by now
        self._first_seen: dict[str, datetime] = {}  # node UID -> when this run saw it first
        self._machines: dict[str, Machine] = {}
        self._name_of: dict[str, str] = {}  # VM id -> machine name
        self._half_owned: tuple[str, ...] = ()
        self._emptied: dict[str, datetime] = {}
        self._overlay: Overlay = {}
        self._changed: set[str] = set()  # VM ids to join anew
        self._must_match = False
        self._renewed: set[str] = set()  # nodes that went, or may belong to another VM than before
        self._is_moved = True  # VMs may have another order, or other names, than when they were joined last
        self._is_plain = False  # each machine has its VM's name, each VM a node of its own, and all VMs are ours

    def take_vms(self, vms: Mapping[str, Vm], told: Collection[str] | None = None) -> None:
        """The newest VMs, by id. `told`: only these came, went or changed, and all others keep their order; None: any may have."""
        before = self._vms
        if told is None:
            self._is_moved, told = True, before.keys() | vms.keys()
        for key in told:
            old, vm = before.get(key), vms.get(key)
            if old is vm:
                continue
            if old is None or vm is None or old.is_ours != vm.is_ours:
                self._must_match = True
            if vm is not None:
                self._changed.add(key)
            if old is None or vm is None:
                self._is_moved = self._is_moved or (old is None and key in self._name_of)  # it went and is back
            elif (old.is_ours, old.name) != (vm.is_ours, vm.name):
                self._is_moved = True
        self._vms = vms

    def take_nodes(self, nodes: Mapping[str, Node], now: datetime) -> None:
        """The newest nodes by name, seen at `now`."""
        before = self._nodes
        if nodes is before:
            return
        # Each node is compared in each turn, hence by what runs without bytecode.
        changed = list(compress(nodes.values(), map(is_not, nodes.values(), map(before.get, nodes))))
        if not changed and len(before) == len(nodes):
            return
        for node in changed:
            self._first_seen.setdefault(node.uid, now)
            old = before.get(node.name)
            if old is None or (old.uid, old.provider_id, old.system_uuid) != (node.uid, node.provider_id, node.system_uuid):
                self._must_match = True
                self._renewed.add(node.name)
                if old is not None and old.uid != node.uid:
                    self._first_seen.pop(old.uid, None)
        names = {node.name for node in changed}
        self._changed.update(_keys_of(self._node_of, names))
        if len(before) != len(nodes):
            self._must_match = True
        gone = before.keys() - nodes.keys()
        self._renewed |= gone
        self._nodes = nodes
        if gone:
            self._forget(before, gone)

    def join(self, overlay: Overlay, now: datetime) -> tuple[dict[str, Machine], tuple[str, ...]]:
        """`({name: machine}, names with too few marks of ours)`. The same dictionary as before when nothing changed."""
        is_anew = self._must_match
        if is_anew:
            self._match()
        touched = {name for name in overlay.keys() | self._overlay.keys() if overlay.get(name) != self._overlay.get(name)}
        self._overlay = overlay
        if is_anew:
            self._rebuild(touched, now)
        elif self._changed or touched:
            self._renew(touched, now)
        self._changed = set()
        return self._machines, self._half_owned

    def owner_of(self, node: str) -> str:
        """The name of the machine a node belongs to, or belonged to."""
        return self._owner_of.get(node, node)

    def ownerless(self, listed_at: datetime | None, names: Collection[str]) -> dict[str, Node]:
        """Nodes of ours whose VM is in no list that was begun after the node was seen.

        Ours by label, matched earlier, or named like one of the machines `names`, whose VM was deleted before its node was seen.
        """
        if listed_at is None or len(self._node_of) == len(self._nodes):
            return {}
        taken = set(self._node_of.values())

        def is_ours(node: Node) -> bool:
            return node.pool == self._pool or node.name in self._owner_of or machine_of(node.name) in names

        return {
            name: node
            for name, node in self._nodes.items()
            if name not in taken and is_ours(node) and self._first_seen[node.uid] <= listed_at
        }

    def _match(self) -> None:
        vms, nodes, node_of, renewed = self._vms, self._nodes, self._node_of, self._renewed
        lost_keys = node_of.keys() - vms.keys()
        if renewed:
            lost_keys.update(_keys_of(node_of, renewed))
        lost = {key: node_of.pop(key) for key in lost_keys}
        taken = set(node_of.values())
        open_vms = list(compress(vms.values(), map(not_, map(node_of.__contains__, vms))))
        open_names = nodes.keys() - taken if open_vms else ()
        found = match(open_vms, dict(compress(nodes.items(), map(open_names.__contains__, nodes)))) if open_names else {}
        node_of.update(found)
        self._changed.update([key for key in lost.keys() | found.keys() if lost.get(key) != found.get(key)])
        is_plain = len(taken) + len(found) == len(node_of) == len(taken.union(found.values()))
        # Which of two VMs a node is called by, and what a VM that was renamed is called, is looked up anew.
        pairs = found if is_plain and self._is_plain and not self._is_moved else node_of
        for key, name in pairs.items():
            self._owner_of[name] = vms[key].name
        self._is_plain = self._is_plain and is_plain
        self._must_match = False
        self._renewed = set()

    def _rebuild(self, touched: set[str], now: datetime) -> None:
        """VMs came, went, or changed hands. What is new is at the end of `_vms`, unless they were moved."""
        vms, name_of = self._vms, self._name_of
        came = [*takewhile(lambda key: key not in name_of, reversed([*vms]))][::-1]
        gone = name_of.keys() - vms.keys()
        free = {name_of[key] for key in gone}
        names = {vms[key].name for key in came if vms[key].is_ours and (vms[key].name in free or vms[key].name not in self._machines)}
        if self._is_moved or not self._is_plain or len(names) < len(came):
            self._rebuild_all(touched, now)
            return
        machines = dict(self._machines)
        for key in gone:
            del machines[name_of.pop(key)]
        self._machines = machines
        self._renew(touched, now)
        for key in came:
            vm = vms[key]
            name_of[key] = vm.name
            self._machines[vm.name] = self._machine(vm.name, vm, now)
        self._forget_emptied()

    def _rebuild_all(self, touched: set[str], now: datetime) -> None:
        """All names anew."""
        machines: dict[str, Machine] = {}
        half_owned = []
        for key, vm in self._vms.items():
            if not vm.is_ours:
                half_owned.append(vm.name)
                continue
            # Clouds may allow one name twice; a duplicate that slipped through is a machine of its own, and surplus.
            name = vm.name if vm.name not in machines else f"{vm.name}/{key}"
            known = self._machines.get(name)
            if known is None or known.vm.id != key or key in self._changed or name in touched:
                known = self._machine(name, vm, now)
            machines[name] = known
        self._machines, self._half_owned = machines, tuple(half_owned)
        self._name_of = {machine.vm.id: name for name, machine in machines.items()}
        self._is_moved = False
        has_own_nodes = len(set(self._node_of.values())) == len(self._node_of)
        self._is_plain = has_own_nodes and not half_owned and all(name == machine.vm.name for name, machine in machines.items())
        self._forget_emptied()

    def _renew(self, touched: set[str], now: datetime) -> None:
        """The same machines as before, some of them changed."""
        ids = {self._machines[name].vm.id: name for name in touched if name in self._machines}
        ids |= {key: self._name_of[key] for key in self._changed if key in self._name_of}
        if ids:
            self._machines = self._machines | {name: self._machine(name, self._vms[key], now) for key, name in ids.items()}

    def _machine(self, name: str, vm: Vm, now: datetime) -> Machine:
        node = self._nodes.get(self._node_of.get(vm.id, ""))
        laid_over = self._overlay.get(name, NOTHING)
        return Machine(
            name=name,
            vm=vm,
            node=node,
            choosing=CHOOSING in laid_over,
            setting_aside=SETTING_ASIDE in laid_over,
            deleting=DELETING in laid_over,
            emptied_at=self._emptied_at(name, vm, node, now),
        )

    def _emptied_at(self, name: str, vm: Vm, node: Node | None, now: datetime) -> datetime | None:
        """Since when this run has seen no pod on it; counted only once nothing new can be scheduled there."""
        if vm.status == vm_states.DELETING if node is None else (not node.pods and node.chosen is not None):
            return self._emptied.setdefault(name, now)
        self._emptied.pop(name, None)
        return None

    def _forget_emptied(self) -> None:
        if len(self._emptied) > len(self._machines):
            self._emptied = {name: instant for name, instant in self._emptied.items() if name in self._machines}

    def _forget(self, before: Mapping[str, Node], gone: set[str]) -> None:
        """What is known of nodes that are gone."""
        for name in gone:
            self._owner_of.pop(name, None)
            self._first_seen.pop(before[name].uid, None)


def _keys_of(node_of: Mapping[str, str], names: Collection[str]) -> Iterator[str]:
    """Ids of the VMs whose node has one of these names. All are looked through in each turn, hence by what runs without bytecode."""
    return compress(node_of, map(names.__contains__, node_of.values()))
