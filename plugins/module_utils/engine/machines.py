# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs and nodes joined to machines, kept from turn to turn.

Only what changed is joined anew, so that a turn costs what happened and not what exists: a rollout of 1,000 machines takes
some ten thousand turns. An unchanged machine is the same object as before, which lets `decide` keep its verdict on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.engine.matching import match
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
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
        self._renewed: set[str] = set()  # nodes that may belong to another VM than before

    def take_vms(self, vms: Mapping[str, Vm]) -> None:
        """The newest VMs, by id."""
        before = self._vms
        changed = [key for key, vm in vms.items() if before.get(key) is not vm]
        self._changed.update(changed)
        owned_as_before = all(vms[key].is_ours == before[key].is_ours for key in changed if key in before)
        self._must_match = self._must_match or before.keys() != vms.keys() or not owned_as_before
        self._vms = vms

    def take_nodes(self, nodes: Mapping[str, Node], now: datetime) -> None:
        """The newest nodes by name, seen at `now`."""
        before = self._nodes
        if nodes is before:
            return
        changed = [node for name, node in nodes.items() if before.get(name) is not node]
        if not changed and len(before) == len(nodes):
            return
        for node in changed:
            self._first_seen.setdefault(node.uid, now)
            old = before.get(node.name)
            if old is None or (old.uid, old.provider_id, old.system_uuid) != (node.uid, node.provider_id, node.system_uuid):
                self._must_match = True
                self._renewed.add(node.name)
        names = {node.name for node in changed}
        self._changed.update(key for key, name in self._node_of.items() if name in names)
        if len(before) != len(nodes):
            self._must_match = True
        if before.keys() - nodes.keys():
            self._forget(nodes)
        self._nodes = nodes

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

    def ownerless(self, listed_at: datetime | None) -> dict[str, Node]:
        """Nodes of ours (by label, or matched earlier) whose VM is in no list that was begun after the node was seen."""
        if listed_at is None or len(self._node_of) == len(self._nodes):
            return {}
        taken = set(self._node_of.values())
        return {
            name: node
            for name, node in self._nodes.items()
            if name not in taken and (node.pool == self._pool or name in self._owner_of) and self._first_seen[node.uid] <= listed_at
        }

    def _match(self) -> None:
        before = self._node_of
        kept = {key: name for key, name in before.items() if key in self._vms and name in self._nodes and name not in self._renewed}
        taken = set(kept.values())
        open_vms = [vm for key, vm in self._vms.items() if key not in kept]
        open_nodes = {name: node for name, node in self._nodes.items() if name not in taken}
        self._node_of = kept | match(open_vms, open_nodes)
        self._changed.update(key for key in before.keys() | self._node_of.keys() if before.get(key) != self._node_of.get(key))
        for key, name in self._node_of.items():
            self._owner_of[name] = self._vms[key].name
        self._must_match = False
        self._renewed = set()

    def _rebuild(self, touched: set[str], now: datetime) -> None:
        """All names anew: VMs came, went, or changed hands."""
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
        if len(self._emptied) > len(machines):
            self._emptied = {name: instant for name, instant in self._emptied.items() if name in machines}

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

    def _forget(self, nodes: Mapping[str, Node]) -> None:
        """What is known of nodes that are gone."""
        uids = {node.uid for node in nodes.values()}
        self._owner_of = {name: owner for name, owner in self._owner_of.items() if name in nodes}
        self._first_seen = {uid: seen for uid, seen in self._first_seen.items() if uid in uids}
