# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
from datetime import UTC, datetime

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.cloud import SimulatedCloud
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.describe import describe
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.furnish import world_from
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import LiveSession, VirtualSession
from ansible_collections.immutable.fleet.tests.unit.simulation.worlds import POOL, after, new_machine, world

WAIT_SECONDS = 10.0


def test_a_live_world_tells_what_happens_by_itself() -> None:
    """A machine runs a moment after it was created, with no call in between; what listens to a lab does its part then."""
    it = world_from(describe({"images": {"v1": {}}, "cluster": False, "durations": {"create": 0.05}}), datetime.now(UTC))
    session = LiveSession(it, lambda: datetime.now(UTC))
    cloud = SimulatedCloud(session, POOL, "v1")
    statuses: list[str] = []
    runs = threading.Event()

    def look(kind: str, name: str) -> None:
        statuses.extend(each.status for each in it.hypervisor.vms[POOL].values() if (kind, each.name) == ("vms", name))
        if "running" in statuses:
            runs.set()

    it.listen(look)
    session.play()
    cloud.create(new_machine())
    assert runs.wait(WAIT_SECONDS)
    session.stop()
    assert (statuses, it.state.members) == (["building", "running"], {})


def test_a_virtual_world_moves_only_when_told() -> None:
    it = world()
    session = VirtualSession(it)
    heard: list[str] = []
    stop = session.watch(heard.append)
    SimulatedCloud(session, POOL, "v1").create(new_machine())
    assert heard == ["vms"]
    stop()
    after(it, 20)
    assert (heard, session.now()) == (["vms"], it.now)


def test_a_cloud_that_does_not_push_says_so() -> None:
    for pushes in (True, False):
        assert SimulatedCloud(VirtualSession(world(pushes=pushes)), POOL, "v1").watch(lambda: None) is pushes
