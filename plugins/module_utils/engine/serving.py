# SPDX-License-Identifier: GPL-3.0-or-later
"""The side of a pool that its users see: services are asked in their rhythm, and what is found goes into the world."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports
from ansible_collections.immutable.fleet.plugins.module_utils.engine.world import World
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Runtime

if TYPE_CHECKING:  # few pools have probes
    from ansible_collections.immutable.fleet.plugins.module_utils.engine.probing import Probing


class Serving:
    """Does nothing for a pool without probes."""

    def __init__(self, ports: Ports, pool: Pool | None, runtime: Runtime, world: World) -> None:
        self._world = world
        self._probing: Probing | None = None
        if ports.prober is not None and pool is not None and pool.probes:
            from ansible_collections.immutable.fleet.plugins.module_utils.engine.probing import Probing

            self._probing = Probing(ports.prober, pool.probes, runtime)

    def turn(self, now: datetime) -> None:
        """Ask what is due, and take in what was answered."""
        if self._probing is not None:
            self._probing.turn(self._world.vms, now)
            self._world.services.health = self._probing.health()

    def next_due(self) -> datetime | None:
        """When there is something to ask."""
        return self._probing.next_due() if self._probing is not None else None
