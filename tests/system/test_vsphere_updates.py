# SPDX-License-Identifier: GPL-3.0-or-later
"""What vCenter tells of tasks and machines in flight: all of their lives without a list of everything, also after it was away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm
from ansible_collections.immutable.fleet.tests.labs.vsphere.simulator import Simulator
from ansible_collections.immutable.fleet.tests.system import vsphere_lab
from ansible_collections.immutable.fleet.tests.system.vsphere_lab import PATIENCE_SECONDS, LabPool

pytestmark = pytest.mark.lab

COUNT = 3
EVERYTHING, FILTER, END = "RetrievePropertiesEx", "CreateFilter", "DestroyPropertyCollector"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    made = vsphere_lab.use_or_skip()
    made.set(task_ms={"CloneVM_Task": 1500, "*": 300})
    yield made
    made.reset()


class Told:
    """A pool that is listed when it is told, and never else but where a listing says that nobody will tell."""

    def __init__(self, pool: LabPool) -> None:
        self._pool, self._told, self._tells = pool, threading.Event(), True
        assert pool.cloud.watch(self._told.set)
        self.since = pool.cloud.list_vms(None, with_leftovers=True).as_of

    def until(self, what: str, test: Callable[[tuple[Vm, ...]], bool]) -> None:
        """Deletions go on meanwhile. A vCenter that does not answer is asked again, as the loop does."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while self._told.wait(max(0.0, ends - time.monotonic())):
            self._told.clear()
            try:
                listing = self._pool.cloud.list_vms(self.since if self._tells else None, with_leftovers=False)
                self._tells = listing.tells
                if test(listing.vms):
                    return
                for vm in listing.vms:
                    if vm.delete_again:
                        self._pool.cloud.delete(vm)
            except Transient:
                self._tells = False
            if not self._tells:
                self._told.set()
                time.sleep(0.2)
        raise AssertionError(f"not told within {PATIENCE_SECONDS} s: {what}")

    def until_all_run(self) -> None:
        self.until("all run", lambda vms: len(vms) == COUNT and {vm.status for vm in vms} == {vm_states.RUNNING})

    def until_none_is_left(self) -> None:
        self.until("none is left", lambda vms: not vms)


def test_machines_come_and_go_without_a_list_of_everything(simulator: Simulator) -> None:
    """One read of those that were made, at most one for each; one filter for all that come, and one for all that go."""
    with vsphere_lab.pool(simulator) as pool:
        told = Told(pool)
        simulator.calls(reset=True)
        for slot in range(COUNT):
            pool.cloud.create(pool.machine(slot))
        told.until_all_run()
        made = simulator.calls(reset=True)
        for vm in pool.cloud.list_vms(told.since, with_leftovers=False).vms:
            pool.cloud.delete(vm)
        told.until_none_is_left()
        went = simulator.calls()
        assert made[EVERYTHING] <= COUNT
        assert went.get(EVERYTHING, 0) == 0
        assert [calls[what] for calls in (made, went) for what in (FILTER, END)] == [1, 1, 1, 1]
        assert pool.truth() == {}


@pytest.mark.parametrize("what", ["its session is ended", "vCenter restarts", "connections are reset"])
def test_all_is_told_although(simulator: Simulator, what: str) -> None:
    """The watch is made anew by the next list; machines run, and go, with nothing made twice."""
    with vsphere_lab.pool(simulator) as pool:
        told = Told(pool)
        if what == "connections are reset":
            simulator.rule("reset", "WaitForUpdatesEx", probability=0.5)
        for slot in range(COUNT):
            pool.cloud.create(pool.machine(slot))
        told.until("all are being made", lambda vms: len(vms) == COUNT)
        if what == "its session is ended":
            simulator.end_sessions()
        elif what == "vCenter restarts":
            simulator.restart(1.0)
        told.until_all_run()
        assert len(pool.truth()) == COUNT
        for vm in pool.cloud.list_vms(told.since, with_leftovers=False).vms:
            pool.cloud.delete(vm)
        told.until_none_is_left()
        assert pool.truth() == {}
