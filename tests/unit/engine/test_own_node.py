# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that lives in the cluster which it rolls."""

from __future__ import annotations

from datetime import timedelta

from ansible_collections.immutable.fleet.tests.simulation.estate import Estate


def test_FM42_the_node_that_carries_the_run_goes_last() -> None:
    """Its own node is drained when all others are done."""
    estate = Estate()
    estate.run(estate.pool(3))
    estate.workload("runner", 1)
    estate.runtime.play_until(estate.runtime.now() + timedelta(seconds=60))
    estate.world.facts.refresh()
    pod, node = next((pod.name, node.name) for node in estate.world.facts.nodes.values() for pod in node.pods)
    estate.image = "v2"
    result = estate.run(estate.pool(3), own_pod=pod)
    assert result is not None
    assert [step.machine for step in result.steps if step.verb == "choose"][-1] == node
