# SPDX-License-Identifier: GPL-3.0-or-later
"""A witness of remediation: no more under way than the rate, nothing while the gate is shut, nobody who is well.

It hears what a run decides for being unhealthy, at that instant, and compares it with what the cluster's own facts say then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.decide.remediate.gate import gate
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import count_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import DELETING, RUNNING, Vm
from ansible_collections.immutable.fleet.tests.simulation.witnesses import Broken, Witness

KNOWN_LATE = timedelta(seconds=200)  # so long after a loss a run may not know of it
VIEW_IS_OLD = timedelta(seconds=60 + 25)  # facts may be so old that a run still believes them, and stale views are older


@dataclass
class Nurse(Witness):
    """A witness that is also the run's reporter."""

    let_go: set[str] = field(default_factory=set)  # machines marked for being unhealthy
    last_seen: dict[str, datetime] = field(default_factory=dict)  # machine -> when it was last available

    def tell(self, event: Event) -> None:
        """Judge what was decided just now."""
        self.last_seen |= dict.fromkeys(super().available(), event.at)
        if event.kind in ("choose", "delete") and event.text.startswith("unhealthy") and event.machine not in self.let_go:
            self._is_unwell(event)
            self._gate_is_open(event)
            self._is_within_the_rate(event)
            self.let_go.add(event.machine)
        if event.kind == "reboot":
            self._is_unwell(event)
            self._gate_is_open(event)

    def available(self) -> set[str]:
        """With those that were lost so short a time ago that a run cannot know it yet; our own marks are no losses."""
        now, vms, nodes = self.world.now, self.vms(), self.nodes()
        self.last_seen |= dict.fromkeys(super().available(), now)
        lost = {
            f"{name}, lost" for name, at in self.last_seen.items() if now - at <= KNOWN_LATE and _is_lost(vms.get(name), nodes.get(name))
        }
        return super().available() | lost

    def _is_unwell(self, event: Event) -> None:
        """Not ready for long, but for proof by the cloud, as the world has it or had it a moment ago."""
        vm, node, policy = self.vms().get(event.machine), self.nodes().get(event.machine), self.pool.health
        if vm is None or node is None or policy is None or vm.status != RUNNING:
            return
        since = node.ready_since or event.at
        least = min(check.timeout for check in policy.conditions)
        if (node.ready is True and event.at - since > VIEW_IS_OLD) or (node.ready is not True and event.at - since < least):
            raise Broken(f"{event.at}: {event.machine} let go ({event.text}), its node is {node.ready} since {since}")

    def _gate_is_open(self, event: Event) -> None:
        if self.pool.health is None or self._has_old_views():
            return
        vms, nodes = self.vms(), self.nodes()
        staying = [_machine(vm, nodes.get(name)) for name, vm in vms.items() if _stays(vm, nodes.get(name))]
        ill = {one.name: one for one in staying if one.node is not None and one.node.was_ready and one.node.ready is not True}
        shown = gate(staying, ill, self.pool.health.max_unhealthy, self.pool.name)
        if vms[event.machine].failure_domain in shown.shut:
            raise Broken(f"{event.at}: {event.machine} let go: {[blocker.what for blocker in shown.blockers]}")

    def _is_within_the_rate(self, event: Event) -> None:
        if self.pool.health is None:
            return
        vms, aside = self.vms(), self.quarantined() | self.preserved()
        under_way = sorted(name for name in self.let_go if name in vms and name not in aside)
        most = max(1, count_of(self.pool.health.max_in_flight, self.pool.replicas, round_up=False))
        if len(under_way) + 1 > most:
            raise Broken(f"{event.at}: {event.machine} let go, {under_way} under way, at most {most}")

    def _has_old_views(self) -> bool:
        return any(fault.since is not None and fault.kind in ("stale", "unreachable") for fault in self.world.state.faults.values())


def _is_lost(vm: Vm | None, node: Node | None) -> bool:
    return vm is None or (vm.status != DELETING and node is not None and node.chosen is None)


def _stays(vm: Vm, node: Node | None) -> bool:
    return vm.status != DELETING and (node is None or (node.chosen is None and node.quarantined is None))


def _machine(vm: Vm, node: Node | None) -> Machine:
    return Machine(name=vm.name, vm=vm, node=node)
