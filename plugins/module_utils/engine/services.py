# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of machines' services, laid on the machines that VMs and nodes were joined to.

An unchanged machine stays the same object, as in engine/machines.py: verdicts on it are kept by that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import Health


class Services:
    """Feeds on what probes find, by VM id."""

    def __init__(self) -> None:
        self.health: Mapping[str, Health] = {}
        self._dressed: dict[str, tuple[Machine, Health | None, Machine]] = {}  # by name: undressed, what it wears, dressed

    def dress(self, machines: Mapping[str, Machine]) -> Mapping[str, Machine]:
        """The same machines with what is known of their services. O(machines) where there is anything to know."""
        if not self.health and not self._dressed:
            return machines
        dressed = {name: self._dress(name, machine) for name, machine in machines.items()}
        self._dressed = {name: dressed[name] for name in machines}
        return {name: row[2] for name, row in dressed.items()}

    def _dress(self, name: str, machine: Machine) -> tuple[Machine, Health | None, Machine]:
        health = self.health.get(machine.vm.id)
        known = self._dressed.get(name)
        if known is not None and known[0] is machine and known[1] is health:
            return known
        return machine, health, machine if health is None else replace(machine, health=health)
