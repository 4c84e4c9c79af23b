# SPDX-License-Identifier: GPL-3.0-or-later
"""What `node_pool_control` answers beside what it wrote."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.control import Wish
from ansible_collections.immutable.fleet.plugins.module_utils.entry.control import steer
from ansible_collections.immutable.fleet.plugins.module_utils.model.reach import CURRENT_CONTEXT, Reach
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Asked, Steering
from ansible_collections.immutable.fleet.tests.unit.builders import NOW

PROJECT = Reach("openstack", {"cloud": "production"})
MACHINES = {"web-0-x7k2p": "web"}


class Lock:
    """As it was seen, whatever is written."""

    def __init__(self, seen: LockFact) -> None:
        self._seen = seen
        self.written: list[Steering] = []

    def read(self) -> LockFact:
        return self._seen

    def steer(self, seen: LockFact, steering: Steering) -> LockFact:
        self.written.append(steering)
        return seen


@pytest.mark.parametrize(
    ("seen", "reach", "machine", "warned"),
    [
        pytest.param(LockFact(), PROJECT, "", True, id="machines in the project, and no lock: the pool may have a cluster"),
        pytest.param(LockFact(version="1"), PROJECT, "", True, id="only the last wish is there"),
        pytest.param(LockFact(version="1"), PROJECT, "web-0-x7k2p", True, id="about a machine"),
        pytest.param(LockFact(token=3), PROJECT, "", False, id="a run had the lock"),
        pytest.param(LockFact(), CURRENT_CONTEXT, "", False, id="a cluster, whose lock was deleted: the next run reads there"),
    ],
)
def test_a_wish_that_no_run_may_read_is_written_with_a_warning(seen: LockFact, reach: Reach, machine: str, warned: bool) -> None:
    """A pool with a cluster has machines in the cloud, too; its runs read wishes in the cluster."""
    lock: Any = Lock(seen)
    state = "protected" if machine else "paused"
    wish = Wish(pool="web", state=state, asked=Asked("ana@laptop", NOW), machine=machine, lasts=timedelta(hours=1), reach=reach)
    answer = steer(lock, wish, lambda: MACHINES, check=False)
    assert len(lock.written) == 1
    assert ["no run has had a lock of pool web in this project" in line for line in answer.get("warnings", [])] == [True] * warned
