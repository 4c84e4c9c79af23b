# SPDX-License-Identifier: GPL-3.0-or-later
"""The port `Prober` over a simulated world: a machine answers once it has booted, as long as it runs and nothing ails it."""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import Answer, ServiceProbe
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import Session


class SimulatedProber:
    """Asks machines that exist in a world only."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def probe(self, probe: ServiceProbe, vm: Vm) -> Answer:
        """See ports.Prober. Every kind of probe gets the same answer."""
        with self._session.world() as world:
            answers = world.nodes.answers(vm.id)
        return (True, "") if answers else (False, f"{vm.addresses[0] if vm.addresses else vm.name} does not answer {probe.kind}")
