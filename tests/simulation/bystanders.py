# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a world beside the pool, and must be there at the end as it was: other people's things, and what once was ours.

Faults of a world meet the pool only (they are aimed at its names), so whoever changed a bystander was one of our runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Taint
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Host, Member, Port
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World

ANOTHER = "db"  # a pool that nobody rolls here


@dataclass
class Bystanders:
    """`stripped` are machines that were the pool's until somebody took their marks away (FM25)."""

    world: World
    stripped: list[str] = field(default_factory=list)
    _before: Mapping[str, Any] = field(default_factory=dict)

    def move_in(self) -> None:
        """A VM and a port of another pool, and a Node that a person joined, labelled, tainted and closed."""
        state, number = self.world.state, self.world.state.next_serial()
        port = Leftover(kind="port", id=f"port-{number:x}", name="db-0-other", machine="db-0-other", created_at=self.world.now)
        state.ports.put(port.id, Port(port, ANOTHER))
        idle = Leftover(kind="port", id=f"port-{number:x}-idle", name="db-1-other", machine="db-1-other", created_at=self.world.now)
        state.ports.put(idle.id, Port(idle, ANOTHER))
        vm = Vm(id=f"vm-{number:x}", name="db-0-other", status=vm_states.RUNNING, created_at=self.world.now, slot=0)
        self.world.hypervisor.add(Host(vm, ANOTHER, "v1", runs=True, port=port.id))
        node = Member("infra-0", f"node-{number:x}", number, self.world.now, ready=True, ready_since=self.world.now, schedulable=False)
        node.labels, node.taints = {"tier": "infra"}, (Taint("dedicated", "infra", "NoSchedule"),)
        self.world.nodes.add(node)
        self._before = self._seen()

    def strip(self, name: str, proofs: int) -> None:
        """Somebody's playbook takes the marks of a machine of the pool away: whose it is nobody can tell any more."""
        host = next(host for host in self.world.state.hosts.values() if host.vm.name == name)
        self.world.hypervisor.strip_marks(host, proofs)
        self.stripped.append(name)
        self._before = self._seen()

    def changes(self) -> list[str]:
        """What is not as it was."""
        now = self._seen()
        return [
            f"{key}: {self._before.get(key)} became {now.get(key)}"
            for key in {*self._before, *now}
            if self._before.get(key) != now.get(key)
        ]

    def _seen(self) -> dict[str, Any]:
        state = self.world.state
        seen: dict[str, Any] = {f"VM {host.vm.name}": host.vm for host in state.hosts.values() if self._is_one(host.vm.name)}
        seen |= {f"port {key}": port.leftover for key, port in state.ports.items() if self._is_one(port.leftover.machine)}
        for node in state.members.values():
            if self._is_one(node.name):
                written = (node.uid, node.schedulable, dict(node.labels), dict(node.annotations), node.taints)
                seen[f"node {node.name}"] = written
        return seen

    def _is_one(self, name: str) -> bool:
        return name.startswith((ANOTHER, "infra")) or name in self.stripped
