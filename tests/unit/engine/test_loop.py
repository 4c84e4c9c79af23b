# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop over the simulated world: when it writes, when it waits, and when it ends."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.engine import loop
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports, Result, RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool, Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Listing
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile, constant
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Fault
from ansible_collections.immutable.fleet.tests.simulation.estate import DAWN, Estate


def running(**options: Any) -> Estate:
    """An estate whose three machines run v1."""
    estate = Estate(**options)
    result = estate.run(estate.pool(3))
    assert result is not None
    assert result.failure is None
    return estate


def run(estate: Estate, replicas: int = 3, **settings: Any) -> Result:
    result = estate.run(estate.pool(replicas), **settings)
    assert result is not None
    return result


def ended(result: Result) -> tuple[bool, str]:
    """Whether anything was written, and the code of the end."""
    return result.changed, result.failure.code if result.failure is not None else "ok"


def verbs(result: Result) -> list[str]:
    return [step.verb for step in result.steps]


def test_FM11_a_run_without_work_writes_nothing_and_takes_no_lock() -> None:
    """An unchanged pool costs one list and one look: no PATCH, no lock, not even a renewal."""
    estate = running()
    before = estate.ports().lock.read()
    result = run(estate)
    assert (ended(result), result.steps, estate.ports().lock.read()) == ((False, "ok"), (), before)


def test_a_stop_ends_the_run_and_frees_the_lock() -> None:
    """Asked to stop: nothing new is started, and the next run need not wait for the lock."""
    estate = running()
    estate.image = "v2"
    stops_at = estate.runtime.now() + timedelta(seconds=30)

    def stop() -> str:
        return "SIGTERM" if estate.runtime.now() >= stops_at else ""

    result = loop.run(Rollout(estate.pool(3)), estate.ports(), estate.runtime, None, RunSettings(holder="us"), stop)
    assert (str(result.failure), estate.runtime.now() - stops_at < timedelta(seconds=2), estate.ports().lock.read().holder) == (
        "stopped: SIGTERM (pool web)",
        True,
        "",
    )
    assert result.failure is not None
    assert result.failure.since is not None
    assert stops_at <= result.failure.since < stops_at + timedelta(seconds=2)


def test_a_timeout_of_the_run_is_a_stop() -> None:
    """The same command resumes. It is over since the timeout has passed (FM38)."""
    estate = running()
    estate.image = "v2"
    began_at = estate.runtime.now()
    result = run(estate, timeout=timedelta(seconds=40))
    assert (ended(result), result.duration.total_seconds()) == ((True, "stopped"), pytest.approx(40, abs=1))
    assert result.failure is not None
    assert result.failure.since == began_at + timedelta(seconds=40)


def test_without_wait_one_turn_is_taken() -> None:
    """`wait: false` starts what may start now, hears the answers, and is out."""
    estate = Estate()
    result = run(estate, wait=False)
    assert (ended(result), verbs(result), result.duration < timedelta(seconds=5)) == ((True, "ok"), ["create"] * 3, True)


def test_without_wait_nothing_to_start_is_an_end_too() -> None:
    """While machines boot there is nothing to start: the run doesn't stay to see them ready."""
    estate = Estate()
    run(estate, wait=False)
    result = run(estate, wait=False)
    assert (ended(result), result.duration < timedelta(seconds=5)) == ((False, "ok"), True)


@dataclass
class Lists:
    """The simulated cloud, with a note of every list: when it was begun, and whether everything was asked for."""

    cloud: Any
    now: Any
    begun: list[tuple[datetime, bool]] = field(default_factory=list)

    def __getattr__(self, verb: str) -> Any:
        return getattr(self.cloud, verb)

    def list_vms(self, since: datetime | None, *, with_leftovers: bool) -> Listing:
        self.begun.append((self.now(), since is None and with_leftovers))
        listing: Listing = self.cloud.list_vms(since, with_leftovers=with_leftovers)
        return listing


def test_a_good_end_is_judged_on_a_full_list_begun_after_the_last_write() -> None:
    """What a delta missed, and leftovers, are seen before a run says that all is done."""
    estate = Estate()
    ports = estate.ports()
    lists = Lists(ports.cloud, estate.runtime.now)
    settings = RunSettings(holder="us")
    result = loop.run(Rollout(estate.pool(3)), Ports(cloud=lists, cluster=ports.cluster, lock=ports.lock), estate.runtime, None, settings)
    last_begun, was_full = lists.begun[-1]
    assert (was_full, last_begun > result.steps[-1].at) == (True, True)


@dataclass
class Stepwise:
    """The simulated cloud, where a deletion has two steps: the second call of `delete` is what ends a VM."""

    cloud: Any
    calls: list[str] = field(default_factory=list)

    def __getattr__(self, verb: str) -> Any:
        return getattr(self.cloud, verb)

    def delete(self, vm: Vm) -> None:
        self.calls.append(vm.id)
        if self.calls.count(vm.id) > 1:
            self.cloud.delete(vm)

    def list_vms(self, since: datetime | None, *, with_leftovers: bool) -> Listing:
        listing: Listing = self.cloud.list_vms(since, with_leftovers=with_leftovers)
        return replace(listing, vms=tuple(self._told(vm) for vm in listing.vms))

    def _told(self, vm: Vm) -> Vm:
        return replace(vm, status=vm_states.DELETING, delete_again=True) if self.calls.count(vm.id) == 1 else vm


def test_a_deletion_with_steps_is_one_deletion() -> None:
    """Each step is a call, sent once for each list that asks for it; told is the first. Nodes are drained before, and once."""
    estate = running()
    ports = estate.ports()
    cloud = Stepwise(ports.cloud)
    pool = estate.pool(1)
    result = loop.run(Rollout(pool), replace(ports, cloud=cloud), estate.runtime, None, RunSettings(holder="us"))
    assert ended(result) == (True, "ok")
    assert verbs(result).count("delete") == 2
    assert sorted(cloud.calls.count(key) for key in set(cloud.calls)) == [2, 2]


def test_FM17_an_unreachable_cluster_freezes_the_run_and_is_waited_for() -> None:
    """No mark, no create, no delete while the API server is silent; afterwards the run goes on."""
    estate = running()
    estate.image = "v2"
    began_at = estate.runtime.now()
    estate.world.inject(Fault(kind="unreachable", target="cluster", delay=timedelta(seconds=60), lasts=timedelta(minutes=5)))
    result = run(estate)
    frozen = [step.verb for step in result.steps if timedelta(seconds=121) < step.at - began_at < timedelta(seconds=360)]
    assert (frozen, ended(result)) == ([], (True, "ok"))


def test_an_unreachable_cloud_freezes_the_run_and_is_waited_for() -> None:
    """The same for the cloud."""
    estate = running()
    estate.image = "v2"
    began_at = estate.runtime.now()
    estate.world.inject(Fault(kind="unreachable", target="cloud", delay=timedelta(seconds=60), lasts=timedelta(minutes=5)))
    result = run(estate)
    frozen = [step.verb for step in result.steps if timedelta(seconds=121) < step.at - began_at < timedelta(seconds=360)]
    assert (frozen, ended(result)) == ([], (True, "ok"))


@pytest.mark.parametrize("target", ["cloud", "cluster"])
def test_a_source_that_never_answers_is_an_end(target: str) -> None:
    """Nothing was seen, so nothing is touched."""
    estate = Estate()
    estate.world.inject(Fault(kind="unreachable", target=target))
    assert ended(run(estate)) == (False, "unreachable")


def test_refused_credentials_end_the_run() -> None:
    """Denied is never repeated."""
    estate = Estate()
    estate.world.inject(Fault(kind="fail", target="create", error="Denied", text="403"))
    result = run(estate)
    assert (ended(result), len(verbs(result))) == ((True, "denied"), 3)


def test_a_throttled_create_is_not_repeated_before_its_time() -> None:
    """429 with Retry-After: the cloud is left alone until then."""
    estate = Estate()
    estate.world.inject(Fault(kind="fail", target="create", error="Throttled", age=timedelta(seconds=30)))
    result = run(estate, 1)
    creates = [step.after.total_seconds() for step in result.steps if step.verb == "create"]
    assert (ended(result), len(creates), creates[1] - creates[0] >= 30) == ((True, "ok"), 2, True)


def test_FM18_machines_that_join_and_never_become_ready_are_given_up() -> None:
    """They leave as any machine with a node does, and count as lost all the same: after the first the revision is refused."""
    estate = running()
    estate.image = "v2"
    estate.world.state.profile = Profile(create=constant(10), ready=constant(350), delete=constant(4))
    declared = estate.pool(3, strategy=Strategy(startup_timeout=timedelta(minutes=5)))
    result = estate.run(declared)
    assert result is not None
    assert (ended(result), verbs(result).count("create"), len(available(estate, "v1"))) == ((True, "refused"), 1, 3)


def available(estate: Estate, image: str) -> list[str]:
    """Machines of this image whose node is ready and open."""
    estate.world.facts.refresh()
    nodes = estate.world.facts.nodes
    vms = estate.world.hypervisor.vms["web"].values()
    ours = [vm.name for vm in vms if vm.fields.get("image") == f"sha512:{image}"]
    return [name for name in ours if name in nodes and nodes[name].ready and nodes[name].schedulable]


def test_an_error_that_is_no_fleet_error_is_raised() -> None:
    """A bug of ours is not hidden as a result."""
    with pytest.raises(ZeroDivisionError):
        loop.run(Broken(Estate().pool(1)), Estate().ports(), Estate().runtime, None, RunSettings(holder="us"))


class Broken(Rollout):
    """A decision with a bug."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.pool = pool

    def decide(self, *_facts: object) -> Any:
        return 1 // 0


def test_the_same_seed_is_the_same_run() -> None:
    """Everything that happens follows from seed and calls."""
    assert steps_of(7) == steps_of(7)


def steps_of(seed: int) -> list[tuple[timedelta, str, str]]:
    estate = Estate(seed=seed)
    estate.workload("cart", 6, max_unavailable="1")
    run(estate)
    estate.image = "v2"
    return [(step.at - DAWN, step.verb, step.machine) for step in run(estate).steps]


def test_a_throttled_list_is_asked_for_again() -> None:
    """A cloud that is busy is no reason to end a run."""
    estate = running()
    estate.world.inject(Fault(kind="fail", target="list_vms", error="Throttled"))
    assert ended(run(estate)) == (False, "ok")


def test_a_lock_that_may_not_be_written_ends_the_run() -> None:
    """No permission for the lease is told at once, not waited out; nothing was written."""
    estate = Estate()
    estate.world.inject(Fault(kind="fail", target="acquire", count=99, error="Denied"))
    assert ended(run(estate)) == (False, "denied")


def test_what_a_run_took_is_on_record_for_the_next_forecast() -> None:
    """Drains and deletes leave no fact behind that could tell."""
    estate = running()
    estate.image = "v2"
    estate.run(estate.pool(3))
    first = estate.world.leases.read("web").record.past
    assert first["delete"] == pytest.approx([4.0] * 3, abs=2)
    estate.image = "v1"
    estate.run(estate.pool(3))
    assert len(estate.world.leases.read("web").record.past["delete"]) == 6
