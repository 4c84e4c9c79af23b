# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks of a simulated world. What was read holds while the lock has its version; runs read it every few seconds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Asked, Steering
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World
from ansible_collections.immutable.fleet.tests.unit.builders import NOW

TTL = timedelta(seconds=60)


def test_each_write_is_read() -> None:
    """Taken, renewed, steered and given back, the lock says so; read in between it is as it was."""
    leases = World(NOW).leases
    taken = leases.acquire("web", leases.read("web"), "us", TTL)
    assert leases.read("web") is taken
    renewed = leases.renew("web", replace(taken, record=replace(taken.record, climbing="new")))
    assert (renewed.record.climbing, renewed.renewals) == ("new", "2")
    steered = leases.steer("web", renewed, Steering(pause=Asked("ana@laptop", NOW)))
    assert steered.steering.pause is not None
    leases.release("web", steered)
    assert (leases.read("web").holder, leases.read("web").record.climbing) == ("", "new")


def test_a_lock_whose_row_came_from_a_file_is_read_anew() -> None:
    """A write that never got there may have had the version that another one has now."""
    world = World(NOW)
    world.leases.acquire("web", world.leases.read("web"), "us", TTL)
    world.state.leases["web"].holder = "them"
    world.reload()
    assert world.leases.read("web").holder == "them"
