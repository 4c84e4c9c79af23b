# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkers that stand outside: they look at the world itself at the instant a call of ours takes effect.

The guards are on our actions: no mark of ours takes the available below the floor, no create the existing above the
ceiling, no VM is deleted while anything runs on it, nothing without our mark is touched.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Look, Node, NodeChange, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Limits, Pool, limits_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import RUNNING, NewMachine, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World

# A machine without a node has nothing on it, so its delete is its only mark: after a direct look that saw no Node of it, which may be
# so old when it is decided, and while the call is under way.
LOOK_HOLDS = timedelta(seconds=10 + 20)
# A wish of an operator is seen by the next look at the lock, when that is answered; what was sent before may still arrive.
SEEN_WITHIN = timedelta(seconds=4 + 2 * 20)


class Broken(AssertionError):
    """A guard was broken; the text says which, when, and by what."""


@dataclass
class Witness:
    """What holds for one pool, whatever the run. `excused_until`: a fault took machines away without our knowing yet."""

    world: World
    pool: Pool
    excused_until: datetime | None = None
    ceiling_before: int = 0  # of what was asked for before: calls of a dead run may still arrive
    floor_before: int = 0
    looked_at: dict[str, datetime] = field(default_factory=dict)  # VM id -> when its Node was looked for
    floor_holds_from: datetime | None = None  # until then what was asked for before may be what the run knows
    is_spread: bool = True  # over failure domains in the end; whom a person protects or wants to go first may leave it otherwise

    @property
    def limits(self) -> Limits:
        return limits_of(self.pool)

    def ask(self, pool: Pool, seen_within: timedelta = timedelta(0)) -> None:
        """From now on this is asked for; a run that is at work may not know of it for so long."""
        self.ceiling_before = max(self.ceiling_before, self.limits.ceiling)
        self.floor_before, self.floor_holds_from = self.floor, self.world.now + seen_within
        self.pool = pool

    @property
    def floor(self) -> int:
        """The floor that a run which acts now must know of."""
        is_new = self.floor_holds_from is not None and self.world.now < self.floor_holds_from
        return min(self.limits.floor, self.floor_before) if is_new else self.limits.floor

    def around(self, ports: Ports) -> Ports:
        """The same ports, watched."""
        return replace(ports, cloud=_Cloud(self, ports.cloud), cluster=_Cluster(self, ports.cluster))

    def vms(self) -> dict[str, Vm]:
        """All that have the pool's name; `ours` of them carry its marks."""
        return {vm.name: vm for vm in self.world.hypervisor.vms.get(self.pool.name, {}).values()}

    def ours(self) -> dict[str, Vm]:
        return {name: vm for name, vm in self.vms().items() if vm.is_ours}

    def nodes(self) -> dict[str, Node]:
        """By name of the machine, which a node's own name may go beyond."""
        self.world.facts.refresh()
        return {self._machine_of(name): node for name, node in self.world.facts.nodes.items()}

    def _machine_of(self, node: str) -> str:
        return node.removesuffix(self.world.state.settings.node_suffix)

    def available(self) -> set[str]:
        """Machines that serve by the world's own account."""
        now, least = self.world.now, self.pool.strategy.min_ready
        nodes = self.nodes()
        return {
            name
            for name, vm in self.ours().items()
            if vm.status == RUNNING
            and (node := nodes.get(name)) is not None
            and node.ready
            and node.schedulable
            and (node.ready_since or now) + least <= now
        }

    def quarantined(self) -> set[str]:
        return {name for name, node in self.nodes().items() if node.quarantined is not None and name in self.vms()}

    def preserved(self) -> set[str]:
        """Failed machines that are kept for a look, and on which nothing is any more."""
        on_record, nodes = self.world.leases.read(self.pool.name).record.preserved, self.nodes()
        return {name for name in self.vms() if name in on_record and (name not in nodes or nodes[name].chosen is not None)}

    def before_change(self, change: NodeChange) -> None:
        """A node is about to be changed by us."""
        self._leave_alone(name := self._machine_of(change.node))
        node = self.nodes().get(name)
        if node is None or change.schedulable is not False or change.version not in (None, node.version):
            return  # the last one will be refused: somebody was faster
        if node.is_held:
            raise Broken(f"{self.world.now}: {node.name}, which a person cordoned, was marked")
        available = self.available()
        excused = self.excused_until is not None and self.world.now < self.excused_until
        if name in available and len(available) - 1 < self.floor and not excused:
            raise Broken(f"{self.world.now}: {node.name} marked, {len(available)} available, floor {self.floor}")

    def _leave_alone(self, machine: str) -> None:
        vm = self.vms().get(machine)
        if vm is not None and not vm.is_ours:
            raise Broken(f"{self.world.now}: {machine} is not ours and was touched")

    def before_evict(self, pod: Pod) -> None:
        """A pod is about to be asked to go by us."""
        for name, node in self.nodes().items():
            if any(there.uid == pod.uid for there in node.pods):
                self._leave_alone(name)

    def before_create(self, machine: NewMachine) -> None:
        """A create of ours has arrived: a name is given again only when nothing has it any more."""
        if machine.name in self.vms() or machine.name in self.nodes():
            raise Broken(f"{self.world.now}: {machine.name} made while a VM or a Node has that name")

    def after_create(self) -> None:
        """A create of ours has had its effect."""
        existing = len(self.vms()) - len(self.quarantined() | self.preserved())
        ceiling = max(self.limits.ceiling, self.ceiling_before)
        if existing > ceiling:
            raise Broken(f"{self.world.now}: {existing} machines exist, ceiling {ceiling}: {sorted(self.vms())}")

    def before_delete(self, vm: Vm) -> None:
        """A VM is about to be deleted by us."""
        self._leave_alone(vm.name)
        now = next((other for other in self.vms().values() if other.id == vm.id), None)
        node = self.nodes().get(vm.name)
        if now is None or node is None or node.provider_id != vm.provider_id:
            return
        if node.is_held:
            raise Broken(f"{self.world.now}: {vm.name}, which a person cordoned, was deleted")
        if node.pods and now.status == RUNNING and (node.chosen is not None or not self._joined_since_the_look(vm, node)):
            raise Broken(f"{self.world.now}: {vm.name} deleted with {len(node.pods)} pods on it")
        if node.attachments:
            raise Broken(f"{self.world.now}: {vm.name} deleted with {len(node.attachments)} volumes attached")

    def _joined_since_the_look(self, vm: Vm, node: Node) -> bool:
        """Whether a look for its Node, young enough, was over when the Node came."""
        looked_at = self.looked_at.get(vm.id)
        return looked_at is not None and looked_at < node.created_at and self.world.now - looked_at <= LOOK_HOLDS

    def converged(self) -> list[str]:
        """What is not as it should be at the end; empty when all is well."""
        kept = self.preserved()
        theirs = self.vms().keys() - self.ours().keys()
        vms = {name: vm for name, vm in self.ours().items() if name not in kept}
        nodes = {name: node for name, node in self.nodes().items() if name not in kept and name not in theirs}
        wrong = []
        outdated = [vm.name for vm in vms.values() if vm.revision != self.pool.revision.id]
        if len(vms) != self.pool.replicas or outdated:
            wrong.append(f"{len(vms)} machines of {self.pool.replicas}, outdated {outdated}")
        ours = {name: node for name, node in nodes.items() if node.pool == self.pool.name}
        if ours.keys() != vms.keys():
            wrong.append(f"nodes {sorted(ours)} for machines {sorted(vms)}")
        wrong += [f"{name} is cordoned" for name, node in ours.items() if not node.schedulable]
        wrong += [f"{name} bears {marks.NODE_OUTDATED}" for name, node in ours.items() if _bears_outdated(node)]
        ports = self.world.hypervisor.leftovers(self.pool.name)
        if len(ports) != len(vms) + len(kept) + len(theirs):
            wrong.append(f"{len(ports)} ports for {len(vms)} machines, {len(kept)} kept, {len(theirs)} of others")
        if self.world.tokens.of(self.pool.name):
            wrong.append("tokens are left")
        slots = sorted(vm.slot for vm in vms.values() if vm.slot is not None)
        if len(set(slots)) != len(vms):
            wrong.append(f"slots {slots}")
        placed = Counter(vm.failure_domain for vm in vms.values())
        spread = {domain: placed[domain] for domain in self.pool.failure_domains}
        if self.is_spread and spread and max(spread.values()) - min(spread.values()) > 1:
            wrong.append(f"spread {spread}")
        return wrong


def _bears_outdated(node: Node) -> bool:
    return any(taint.key == marks.NODE_OUTDATED for taint in node.taints)


class _Cloud:
    """The cloud, with a witness at each write."""

    def __init__(self, witness: Witness, cloud: Any) -> None:
        self._witness, self._cloud = witness, cloud

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._cloud, verb)

    def create(self, machine: NewMachine) -> None:
        self._witness.before_create(machine)
        try:
            self._cloud.create(machine)
        finally:
            self._witness.after_create()

    def delete(self, vm: Vm) -> None:
        self._witness.before_delete(vm)
        self._cloud.delete(vm)


class _Cluster:
    """The cluster, with a witness at each mark."""

    def __init__(self, witness: Witness, cluster: Any) -> None:
        self._witness, self._cluster = witness, cluster

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._cluster, verb)

    def change(self, change: NodeChange) -> None:
        self._witness.before_change(change)
        self._cluster.change(change)

    def evict(self, pod: Pod, grace: timedelta | None) -> None:
        self._witness.before_evict(pod)
        self._cluster.evict(pod, grace)

    def remove(self, pod: Pod, grace: timedelta | None) -> None:
        self._witness.before_evict(pod)
        self._cluster.remove(pod, grace)

    def look_for_node(self, vm: Vm) -> Look:
        look: Look = self._cluster.look_for_node(vm)
        self._witness.looked_at[vm.id] = look.begun_at
        return look


def soon(world: World, seconds: float) -> datetime:
    return world.now + timedelta(seconds=seconds)
