# SPDX-License-Identifier: GPL-3.0-or-later
"""When a run is over: what it was about is seen to be so, and what machines leave behind was looked for after their end."""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.module_utils.decide.remove import removal
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile, constant
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Port
from ansible_collections.immutable.fleet.tests.simulation.estate import DAWN, Estate


def test_FM22_a_port_that_outlives_its_machine_is_cleared_however_long_the_deletion_takes() -> None:
    """Full lists were made meanwhile, on which the port was still its machine's."""
    estate = Estate(profile=Profile(create=constant(10), ready=constant(8), delete=constant(100)))
    estate.world.state.settings.deletes_nodes = True
    estate.run(estate.pool(1))
    (host,) = estate.world.state.hosts.values()
    second = Leftover(kind="port", id="port-extra", name=f"{host.vm.name}-1", machine=host.vm.name, created_at=DAWN)
    estate.world.state.ports.put(second.id, Port(second, estate.name))
    result = estate.run(removal(estate.pool(0)))
    assert result is not None
    assert ([step.verb for step in result.steps], len(estate.world.state.ports)) == (["choose", "delete", "clear"], 0)
