# SPDX-License-Identifier: GPL-3.0-or-later
"""The vSphere adapter and a vCenter that takes its time, loses answers, ends sessions, and is away."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, Exhausted, Invalid, Throttled, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import NewMachine
from ansible_collections.immutable.fleet.tests.labs.vsphere.simulator import Simulator
from ansible_collections.immutable.fleet.tests.labs.vsphere.site import READER
from ansible_collections.immutable.fleet.tests.system.vsphere_lab import LabPool, pool, use_or_skip

pytestmark = pytest.mark.lab

STATIC = {"name": "pg-nodes", "addresses": ["10.60.0.10-10.60.0.13"], "prefix_length": 24, "gateway": "10.60.0.1"}
FEW_CALLS_FOR_1000 = 3


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    found = use_or_skip()
    yield found
    found.reset()


def created(made: LabPool, slot: int = 0) -> NewMachine:
    """A machine that vCenter has taken on."""
    machine = made.machine(slot)
    made.cloud.create(machine)
    return machine


def removed(made: LabPool) -> None:
    """All of the pool's machines, as the loop removes them."""
    for vm in made.list():
        made.cloud.delete(vm)
    made.until("no machine left", lambda vms: not vms)


def test_a_machine_costs_one_call_and_its_end_two(simulator: Simulator) -> None:
    """By the vCenter's own count: one session, lists shared by all machines, and nothing reconfigured."""
    with pool(simulator, "#cloud-config\n", hardware={"num_cpus": 4, "memory_mb": 4096}) as made:
        simulator.calls(reset=True)
        for slot in range(5):
            created(made, slot)
        vms = made.until_all(vm_states.RUNNING, 5)
        assert {vm.provider_id for vm in vms} == {f"vsphere://{vm['uuid'].lower()}" for vm in made.truth().values()}
        removed(made)
        calls = simulator.calls()
    assert calls["CloneVM_Task"] == 5
    assert calls.get("ShutdownGuest", 0) + calls.get("PowerOffVM_Task", 0) + calls["Destroy_Task"] <= 10
    assert not [name for name in calls if name.startswith("Reconfig") or name in ("Login", "CreateFilter")], calls
    assert made.truth() == {}


@pytest.mark.parametrize("obeys", [True, False])
def test_a_guest_is_asked_first_and_powered_off_when_its_time_is_over(simulator: Simulator, obeys: bool) -> None:
    """One that comes up again instead, as one that hangs, has `shutdown_timeout` and no more."""
    with pool(simulator, shutdown_timeout="1s") as made:
        machine = created(made)
        (vm,) = made.until("its tools run", lambda vms: vms[0].status == vm_states.RUNNING and vms[0].addresses and vms)
        made.cloud.delete(vm)
        if not obeys:
            simulator.change(machine.name, power="on")
        made.until("it is gone", lambda vms: not vms)
        hard = [] if obeys else ["PowerOffVM_Task"]
        assert made.transport.writes() == ["CloneVM_Task", "ShutdownGuest", *hard, "Destroy_Task"]


def test_a_run_has_one_session_and_ends_it(simulator: Simulator) -> None:
    before = len(simulator.sessions())
    with pool(simulator) as made:
        made.list()
        assert len(simulator.sessions()) == before + 1
    assert len(simulator.sessions()) == before


def test_the_guest_reads_its_name_and_its_user_data(simulator: Simulator) -> None:
    with pool(simulator, "join ${token}", disks=[{"size_gb": 9}], linked_clone=False) as made:
        machine = made.machine(0, token="tok3n")
        made.cloud.create(machine)
        made.until_all(vm_states.RUNNING, 1)
        extra = made.truth()[machine.name]["extra_config"]
        assert json.loads(base64.b64decode(extra["guestinfo.metadata"]))["local-hostname"] == machine.name
        assert extra["guestinfo.userdata.encoding"] == "gzip+base64"
        removed(made)


def test_a_linked_clone_shares_the_templates_disk(simulator: Simulator) -> None:
    with pool(simulator, linked_clone=True, snapshot="golden") as made:
        created(made)
        made.until_all(vm_states.RUNNING, 1)
        removed(made)


def test_a_clone_is_told_from_its_call_on_and_by_another_run_too(simulator: Simulator) -> None:
    """FM41: killed right after the call, the next run finds a machine that exists, of which it knows the name, and touches it not."""
    simulator.set(task_ms={"CloneVM_Task": 3000})
    with pool(simulator) as made:
        machine = created(made)
        (mine,) = made.list()
        assert (mine.name, mine.status, mine.revision, mine.is_ours) == (machine.name, vm_states.BUILDING, machine.revision, True)
        other = made.another()
        (found,) = other.list_vms(None, with_leftovers=True).vms
        assert (found.name, found.status, found.slot) == (machine.name, vm_states.BUILDING, 0)
        made.until_all(vm_states.RUNNING, 1)
        (found,) = other.list_vms(None, with_leftovers=True).vms
        assert (found.status, found.revision, found.is_ours) == (vm_states.RUNNING, machine.revision, True)
        other.close()
        removed(made)


def test_FM26_a_clone_whose_answer_was_lost_is_found_and_made_once(simulator: Simulator) -> None:
    """While it is being made, and after."""
    simulator.set(task_ms={"CloneVM_Task": 2000})
    with pool(simulator) as made:
        simulator.rule("drop", "CloneVM_Task", count=1)
        machine = made.machine(0)
        with pytest.raises(Transient):
            made.cloud.create(machine)
        (vm,) = made.list()
        assert (vm.name, vm.status, vm.is_ours) == (machine.name, vm_states.BUILDING, True)
        made.until_all(vm_states.RUNNING, 1)
        assert list(made.truth()) == [machine.name]
        removed(made)


@pytest.mark.parametrize("fault", ["NoDiskSpace", "InsufficientResourcesFault", "HostNotConnected"])
def test_a_clone_that_fails_later_is_a_machine_in_error(simulator: Simulator, fault: str) -> None:
    """With vCenter's words; its delete ends it without a call that changes anything."""
    with pool(simulator) as made:
        simulator.rule("task-fault", "CloneVM_Task", count=1, fault=fault)
        created(made)
        (vm,) = made.until_all(vm_states.ERROR, 1)
        assert fault in vm.fault
        removed(made)
        assert made.transport.writes() == ["CloneVM_Task"]


def test_a_clone_that_failed_and_left_its_vm_is_removed(simulator: Simulator) -> None:
    with pool(simulator) as made:
        simulator.rule("task-fault-after", "CloneVM_Task", count=1, fault="SystemError")
        machine = created(made)
        (vm,) = made.until_all(vm_states.ERROR, 1)
        assert (vm.name, vm.id.startswith("vm-")) == (machine.name, True)
        removed(made)
        assert made.truth() == {}


def test_a_clone_under_way_can_be_called_off(simulator: Simulator) -> None:
    simulator.set(task_ms={"CloneVM_Task": 5000})
    with pool(simulator) as made:
        created(made)
        removed(made)
        assert made.truth() == {}


def test_a_full_datastore_is_told_by_room_and_by_the_machine(simulator: Simulator) -> None:
    with pool(simulator, datastore="ds-a") as made:
        simulator.free("ds-a", 1024)
        assert made.cloud.room().fits == 0
        created(made)
        (vm,) = made.until_all(vm_states.ERROR, 1)
        assert "NoDiskSpace" in vm.fault
        removed(made)


@pytest.mark.parametrize("moment", ["list", "create", "delete"])
def test_a_session_that_was_ended_is_made_anew(simulator: Simulator, moment: str) -> None:
    """A read says so for each property instead of failing; nothing is missed, nothing done twice."""
    with pool(simulator) as made:
        if moment == "create":
            simulator.end_sessions()
        machine = created(made)
        if moment == "list":
            simulator.end_sessions()
        made.until_all(vm_states.RUNNING, 1)
        if moment == "delete":
            simulator.end_sessions()
        assert list(made.truth()) == [machine.name]
        removed(made)
        assert len([call for call in made.transport.writes() if call == "CloneVM_Task"]) == 1


@pytest.mark.parametrize("mode", ["reset", "503"])
def test_a_vcenter_that_restarts_forgets_tasks_and_sessions(simulator: Simulator, mode: Any) -> None:
    """What the hosts had begun they finish; a list that meets the outage says that there is no answer, and is asked for again."""
    simulator.set(task_ms={"CloneVM_Task": 1000})
    with pool(simulator) as made:
        machine = created(made)
        simulator.restart(1.0, mode)
        for _look in range(30):
            try:
                made.list()
                break
            except Transient:
                time.sleep(0.5)
        made.until_all(vm_states.RUNNING, 1)
        assert list(made.truth()) == [machine.name]
        removed(made)


def test_resets_now_and_then_make_nothing_twice(simulator: Simulator) -> None:
    """5% of all connections; a read tries again by itself, a write says that nobody knows."""
    with pool(simulator) as made:
        simulator.rule("reset", probability=0.05)
        made_names = set()
        for slot in range(10):
            machine = made.machine(slot)
            try:
                made.cloud.create(machine)
            except Transient:
                continue
            made_names.add(machine.name)
        simulator.clear_rules()
        made.until_all(vm_states.RUNNING, len(made_names))
        assert set(made.truth()) == made_names
        removed(made)


def test_a_thousand_machines_are_listed_in_three_calls(simulator: Simulator) -> None:
    with pool(simulator) as made:
        simulator.make({"name": f"{made.name}-{slot}-aaaaa"} for slot in range(1000))
        other = made.another()
        other._folder_of_vms()  # names, which are read once a run
        before = simulator.calls()
        vms = other.list_vms(None, with_leftovers=True).vms
        after = simulator.calls()
        other.close()
        assert len(vms) == 1000
        spent = {name: count - before.get(name, 0) for name, count in after.items() if count > before.get(name, 0)}
        assert sum(spent.values()) <= FEW_CALLS_FOR_1000, spent


def test_static_addresses_reach_the_guests_and_none_is_given_twice(simulator: Simulator) -> None:
    """Also not by another run, to which the machines tell theirs; and a slot gets its own again when its machine is gone."""
    with pool(simulator, networks=[STATIC]) as made:
        created(made, 0)
        created(made, 1)
        made.until(
            "addresses", lambda vms: [vm for vm in vms if vm.addresses] and {a for vm in vms for a in vm.addresses} >= {"10.60.0.10"}
        )
        other = LabPool(simulator, name=made.name, networks=[STATIC])
        other.list()
        created(other, 2)
        created(other, 3)
        with pytest.raises(Exhausted):
            created(other, 4)
        other.until_all(vm_states.RUNNING, 4)
        given = sorted(vm["extra_config"]["immutable.fleet.marks"].split('addresses":"')[1].split('"')[0] for vm in made.truth().values())
        assert given == ["10.60.0.10", "10.60.0.11", "10.60.0.12", "10.60.0.13"]
        assert simulator.conflicts() == []
        other.cloud.close()
        (first,) = [vm for vm in made.list() if vm.slot == 0]
        made.cloud.delete(first)
        made.until("slot 0 is gone", lambda vms: all(vm.slot != 0 for vm in vms))
        created(made, 0)
        made.until_all(vm_states.RUNNING, 4)
        assert [vm.addresses[-1] for vm in made.list() if vm.slot == 0] == ["10.60.0.10"]
        removed(made)


def test_no_address_is_given_while_another_runs_clone_is_under_way(simulator: Simulator) -> None:
    simulator.set(task_ms={"CloneVM_Task": 3000})
    with pool(simulator, networks=[STATIC]) as made:
        created(made, 0)
        other = LabPool(simulator, name=made.name, networks=[STATIC])
        other.list()
        with pytest.raises(Throttled):
            created(other, 1)
        other.cloud.close()
        made.until_all(vm_states.RUNNING, 1)
        removed(made)


def test_a_missing_privilege_is_named_with_its_object(simulator: Simulator) -> None:
    with pool(simulator) as made:
        simulator.deny("Datastore.AllocateSpace", on="ds-shared")
        with pytest.raises(Denied) as refusal:
            made.cloud.room()
        assert "Datastore.AllocateSpace on the datastore ds-shared" in refusal.value.what


def test_an_account_that_may_only_read_is_refused_at_once(simulator: Simulator) -> None:
    with pool(simulator, username=READER) as made, pytest.raises(Denied):
        created(made)


def test_a_template_that_is_gone_is_said_so(simulator: Simulator) -> None:
    """Before the run, and in the midst of it."""
    with pool(simulator) as made:
        simulator.destroy("golden-base-v1")
        with pytest.raises(Invalid, match="gone"):
            created(made)
        assert made.list() == ()
        with pytest.raises(Invalid, match="there is no template 'golden-base-v1'"):
            made.another().resolve()


def test_a_wrong_password_is_denied_at_its_options(simulator: Simulator) -> None:
    with pytest.raises(Denied) as refusal:
        LabPool(simulator, password="wrong")
    assert refusal.value.where == "vsphere.username, vsphere.password"
