# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs and nodes joined to machines, kept from turn to turn.

Only what changed is joined anew, so that a turn costs what happened and not what exists: a rollout of 1,000 machines takes
some ten thousand turns. An unchanged machine is the same object as before, which lets `decide` keep its verdict on it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import compress, islice, takewhile
from operator import is_not

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
        self._vms: dict[str, Vm] = {}
        self._nodes: Mapping[str, Node] = {}
        self._node_of: dict[str, str] = {}  # VM id -> node name
        self._vms_of: dict[str, set[str]] = {}  # the same from the other end: node name -> VM ids, of which clouds may have two
        self._without_node: set[str] = set()  # VM ids
        self._without_vm: set[str] = set()  # node names
        self._owner_of: dict[str, str] = {}  # node name -> name of its machine, also of one that is gone by now
        self._first_seen: dict[str, datetime] = {}  # node UID -> when this run saw it first
        self._machines: dict[str, Machine] = {}
        self._name_of: dict[str, str] = {}  # VM id -> machine name
        self._half_owned: tuple[str, ...] = ()
        self._emptied: dict[str, datetime] = {}
        self._overlay: Overlay = {}
        self._changed: set[str] = set()  # VM ids to join anew
        self._gone: set[str] = set()  # VM ids that went, though some of them may be back
        self._must_match = False
        self._renewed: set[str] = set()  # nodes that went, or may belong to another VM than before
        self._is_moved = True  # VMs may have another order, or other names, than when they were joined last
        self._is_plain = False  # each machine has its VM's name, each VM a node of its own, and all VMs are ours

    def take_vms(self, vms: dict[str, Vm], told: Collection[str] | None = None) -> None:
        """The newest VMs, by id. `told`: only these came, went or changed, and all others keep their order; None: any may have."""
        before = self._vms
        if told is None:
            stayed = [key for key in before if key in vms]
            self._is_moved = self._is_moved or stayed != [*islice(vms, len(stayed))]
            told = before.keys() | vms.keys()
        for key in told:
            old, vm = before.get(key), vms.get(key)
            if old is vm:
                continue
            if old is None or vm is None or old.is_ours != vm.is_ours:
                self._must_match = True
            if vm is None:
                self._gone.add(key)
                continue
            self._changed.add(key)
            if old is None:
                self._without_node.add(key)
                self._is_moved = self._is_moved or key in self._name_of  # it went and is back
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
        for node in changed:
            self._changed |= self._vms_of.get(node.name, NOTHING)
        self._nodes = nodes
        came = sum(node.name not in before for node in changed)
        if len(before) + came > len(nodes):
            self._must_match = True
            gone = before.keys() - nodes.keys()
            self._renewed |= gone
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
        if listed_at is None or not self._without_vm:
            return {}

        def is_ours(node: Node) -> bool:
            return node.pool == self._pool or node.name in self._owner_of or machine_of(node.name) in names

        return {name: node for name, node in self._lonely_nodes().items() if is_ours(node) and self._first_seen[node.uid] <= listed_at}

    def _lonely_nodes(self) -> dict[str, Node]:
        """Those that belong to no VM, in the order of all. Without bytecode, as each node is looked at."""
        return dict(compress(self._nodes.items(), map(self._without_vm.__contains__, self._nodes)))

    def _match(self) -> None:
        """Part what went or may belong elsewhere, and look for a node for each VM that has none."""
        vms, node_of, vms_of = self._vms, self._node_of, self._vms_of
        lost_keys = {key for key in self._gone if key in node_of and key not in vms}
        lost_keys.update(*[vms_of[name] for name in self._renewed if name in vms_of])
        lost = {key: node_of[key] for key in lost_keys}
        self._part(lost)
        found = {}
        if self._without_node and self._without_vm:
            lonely_vms = compress(vms.values(), map(self._without_node.__contains__, vms))
            found = match(lonely_vms, self._lonely_nodes())
        self._pair(found)
        self._changed.update([key for key in lost.keys() | found.keys() if lost.get(key) != found.get(key)])
        is_plain = len(vms_of) == len(node_of)
        # Which of two VMs a node is called by, and what a VM that was renamed is called, is looked up anew.
        pairs = found if is_plain and self._is_plain and not self._is_moved else node_of
        for key, name in pairs.items():
            self._owner_of[name] = vms[key].name
        self._is_plain = self._is_plain and is_plain
        self._must_match = False
        self._renewed = set()

    def _part(self, lost: Mapping[str, str]) -> None:
        """These VMs have lost their nodes; both may be there still, and be without."""
        for key, name in lost.items():
            del self._node_of[key]
            self._vms_of[name].discard(key)
            if not self._vms_of[name]:
                del self._vms_of[name]
        lonely = self._without_node.union(lost)
        self._without_node = {key for key in lonely if key in self._vms and key not in self._node_of}  # one that went may be back
        left = self._without_vm.union(self._renewed, lost.values())
        self._without_vm = {name for name in left if name in self._nodes and name not in self._vms_of}

    def _pair(self, found: Mapping[str, str]) -> None:
        """These VMs have found their nodes."""
        self._node_of.update(found)
        for key, name in found.items():
            self._vms_of.setdefault(name, set()).add(key)
        self._without_node.difference_update(found)
        self._without_vm.difference_update(found.values())

    def _rebuild(self, touched: set[str], now: datetime) -> None:
        """VMs came, went, or changed hands. What is new is at the end of `_vms`, unless they were moved."""
        vms, name_of = self._vms, self._name_of
        came = [*takewhile(lambda key: key not in name_of, reversed(vms))][::-1]
        gone = {key for key in self._gone if key in name_of and key not in vms}
        self._gone = set()
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
