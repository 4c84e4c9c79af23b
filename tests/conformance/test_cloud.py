# SPDX-License-Identifier: GPL-3.0-or-later
"""The Cloud port, verb by verb (docs/provider-contract.md)."""

from __future__ import annotations

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Exhausted, Invalid, NotFound, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Cloud
from ansible_collections.immutable.fleet.tests.conformance.adapters import CLOUDS_OF_PARTS
from ansible_collections.immutable.fleet.tests.conformance.harness import CloudHarness


def find(cloud: Cloud, name: str) -> Vm | None:
    """The VM of this name in a full list."""
    found = [vm for vm in cloud.list_vms(None, with_leftovers=False).vms if vm.name == name]
    assert len(found) <= 1
    return found[0] if found else None


def running(clouds: CloudHarness, cloud: Cloud, name: str) -> Vm:
    """Wait until it runs."""

    def look() -> Vm | None:
        vm = find(cloud, name)
        return vm if vm is not None and vm.status == vm_states.RUNNING else None

    return clouds.until(look, f"{name} runs")


def gone(clouds: CloudHarness, cloud: Cloud, name: str) -> None:
    """Wait until no list shows it."""
    clouds.until(lambda: find(cloud, name) is None or None, f"{name} is gone")


def test_resolve_is_repeatable_and_pins_the_image(clouds: CloudHarness) -> None:
    """The same template resolves to the same revision; what to pin says what was asked, and where and what the bytes are."""
    one, again = clouds.cloud().resolve(), clouds.cloud().resolve()
    assert (one, one.id) == (again, again.id)
    assert one.fields["image"]
    assert set(one.image) >= {"asked", "id", "digest"}


def test_resolve_takes_the_pinned_image(clouds: CloudHarness) -> None:
    """FM37: a pin of what is asked for is taken; a pin of something else that was asked for is not."""
    revision = clouds.cloud().resolve()
    assert clouds.cloud().resolve(revision.image) == revision
    assert clouds.cloud().resolve({"asked": "something else", "id": "x", "digest": "x"}) == revision


def test_resolve_refuses_an_unknown_image(clouds: CloudHarness) -> None:
    """By the option's path, and before anything is touched."""
    with pytest.raises(Invalid) as refusal:
        clouds.cloud_of_unknown_image().resolve()
    assert refusal.value.where


def test_a_created_machine_is_listed_with_its_marks(clouds: CloudHarness) -> None:
    """By every adapter of the pool, from the moment create returned: also while it is building."""
    cloud, machine = clouds.cloud(), clouds.new_machine("one-3-aaaaa")
    cloud.resolve()
    cloud.create(machine)
    vm = find(clouds.cloud(), machine.name)
    assert vm is not None
    assert (vm.name, vm.slot, vm.revision, vm.attempt) == (machine.name, machine.slot, machine.revision, machine.attempt)
    assert dict(vm.fields) == dict(machine.fields)
    assert vm.is_ours
    assert vm.proofs >= 2, "Nova moves a server's tags to its cell a moment after the server; two marks of three are enough"
    assert vm.status in (vm_states.BUILDING, vm_states.RUNNING)
    vm = running(clouds, cloud, machine.name)
    assert (vm.failure_domain, bool(vm.provider_id), bool(vm.id)) == (machine.failure_domain, True, True)


def test_a_list_shows_this_pool_only(clouds: CloudHarness) -> None:
    one, machine = clouds.cloud(), clouds.new_machine("one-3-aaaaa")
    one.resolve()
    one.create(machine)
    assert clouds.cloud("another").list_vms(None, with_leftovers=True).vms == ()


def test_a_list_says_how_old_it_is(clouds: CloudHarness) -> None:
    """as_of never goes back, and is not after the next list's."""
    cloud = clouds.cloud()
    first = cloud.list_vms(None, with_leftovers=False)
    second = cloud.list_vms(None, with_leftovers=False)
    assert first.as_of <= second.as_of
    assert (first.is_full, first.leftovers) == (True, None)


def test_a_delta_misses_nothing(clouds: CloudHarness) -> None:
    """Since a list's own as_of: a full list is allowed; a delta has what came, what changed, and the ids of what went."""
    cloud, machine = clouds.cloud(), clouds.new_machine("one-3-aaaaa")
    cloud.resolve()
    before = cloud.list_vms(None, with_leftovers=False)
    cloud.create(machine)
    came = cloud.list_vms(before.as_of, with_leftovers=False)
    assert machine.name in [vm.name for vm in came.vms]
    vm = running(clouds, cloud, machine.name)
    before = cloud.list_vms(None, with_leftovers=False)
    cloud.delete(vm)
    gone(clouds, cloud, machine.name)
    went = cloud.list_vms(before.as_of, with_leftovers=False)
    assert vm.id not in [each.id for each in went.vms]
    assert went.is_full or vm.id in went.gone


def test_delete_takes_what_was_made_for_it(clouds: CloudHarness) -> None:
    """Itself, or by leaving it to the list, which names it and clears it. Success again while on its way, and once gone."""
    cloud, machine = clouds.cloud(), clouds.new_machine("one-3-aaaaa")
    cloud.resolve()
    cloud.create(machine)
    vm = running(clouds, cloud, machine.name)
    cloud.delete(vm)
    cloud.delete(vm)
    gone(clouds, cloud, machine.name)
    cloud.delete(vm)

    def nothing_left() -> bool | None:
        leftovers = cloud.list_vms(None, with_leftovers=True).leftovers or ()
        assert {left.machine for left in leftovers} <= {machine.name}
        for left in leftovers:
            cloud.clear(left)
        return not leftovers or None

    clouds.until(nothing_left, "nothing made for it is left")


def test_a_building_machine_can_be_deleted(clouds: CloudHarness) -> None:
    cloud, machine = clouds.cloud(), clouds.new_machine("one-3-aaaaa")
    cloud.resolve()
    cloud.create(machine)
    vm = find(cloud, machine.name)
    assert vm is not None
    cloud.delete(vm)
    gone(clouds, cloud, machine.name)


def test_FM26_a_create_without_an_answer_is_found_by_its_name(clouds: CloudHarness) -> None:
    cloud, machine = clouds.cloud(), clouds.new_machine("one-3-aaaaa")
    cloud.resolve()
    clouds.lose_reply("create")
    with pytest.raises(Transient):
        cloud.create(machine)
    running(clouds, clouds.cloud(), machine.name)


def test_a_delete_without_an_answer_may_be_repeated(clouds: CloudHarness) -> None:
    cloud, machine = clouds.cloud(), clouds.new_machine("one-3-aaaaa")
    cloud.resolve()
    cloud.create(machine)
    vm = running(clouds, cloud, machine.name)
    clouds.lose_reply("delete")
    with pytest.raises(Transient):
        cloud.delete(vm)
    cloud.delete(vm)
    gone(clouds, cloud, machine.name)


def test_FM22_a_refused_create_leaves_nothing(clouds: CloudHarness) -> None:
    """Neither a VM nor what would have been made for it; the refusal names what is short."""
    cloud, machine = clouds.cloud(), clouds.new_machine("one-3-aaaaa")
    cloud.resolve()
    clouds.exhaust()
    with pytest.raises(Exhausted) as refusal:
        cloud.create(machine)
    assert refusal.value.what
    listing = cloud.list_vms(None, with_leftovers=True)
    assert (listing.vms, listing.leftovers) == ((), ())


def test_FM27_room_is_what_the_creates_find(clouds: CloudHarness) -> None:
    """As many machines fit as are then made; the one after them is refused for what room names, with whose limit it is."""
    cloud, machine, another = clouds.cloud(), clouds.new_machine("one-3-aaaaa"), clouds.new_machine("one-4-bbbbb")
    cloud.resolve()
    clouds.leave_room(1)
    assert cloud.room().fits == 1
    cloud.create(machine)
    running(clouds, cloud, machine.name)  # before that a quota may not count it
    (short,) = cloud.room().short_of(1)
    assert (short.fits, short.limit, bool(short.where), bool(short.remedy_for(1))) == (0, short.used, True, True)
    with pytest.raises(Exhausted):
        cloud.create(another)


def test_room_shows_what_has_an_end_only(clouds: CloudHarness) -> None:
    """Each resource with a limit, what a machine takes of it, and whose limit it is; the rest is not there."""
    cloud = clouds.cloud()
    cloud.resolve()
    for resource in cloud.room().resources:
        assert (resource.limit >= 0, resource.used >= 0, resource.each > 0, bool(resource.name), bool(resource.where)) == (True,) * 5


@pytest.mark.parametrize("clouds", CLOUDS_OF_PARTS, indirect=True)
def test_FM22_what_a_dying_create_left_is_listed_and_can_be_cleared(clouds: CloudHarness) -> None:
    """With the machine's name; clearing it twice is success."""
    cloud, machine = clouds.cloud(), clouds.new_machine("one-3-aaaaa")
    cloud.resolve()
    clouds.leave_port(machine)
    with pytest.raises(Transient):
        cloud.create(machine)
    (left,) = cloud.list_vms(None, with_leftovers=True).leftovers or ()
    assert (left.machine, bool(left.kind)) == (machine.name, True)
    cloud.clear(left)
    cloud.clear(left)
    assert cloud.list_vms(None, with_leftovers=True).leftovers == ()


def test_a_cloud_that_tells_tells_of_what_is_in_flight(clouds: CloudHarness) -> None:
    """From a create until the machine runs, and until it is gone, without a list that nobody was told to ask for.

    A listing with `since` shows what was told. A cloud that does not tell says so, and is polled.
    """
    cloud, machine = clouds.cloud(), clouds.new_machine("one-3-aaaaa")
    told: list[bool] = []
    if not cloud.watch(lambda: told.append(True)):
        return
    cloud.resolve()
    since = cloud.list_vms(None, with_leftovers=True).as_of
    known: dict[str, Vm] = {}

    def look() -> dict[str, Vm] | None:
        if not told:
            return None
        told.clear()
        listing = cloud.list_vms(since, with_leftovers=False)
        gone = known.keys() if listing.is_full else listing.gone
        for key in [key for key in known if key in gone]:
            del known[key]
        known.update((vm.id, vm) for vm in listing.vms)
        for vm in listing.vms:
            if vm.delete_again:
                cloud.delete(vm)
        return known

    def is_running() -> Vm | None:
        return next((vm for vm in (look() or {}).values() if vm.name == machine.name and vm.status == vm_states.RUNNING), None)

    cloud.create(machine)
    vm = clouds.until(is_running, "a create was told until its machine ran")
    cloud.delete(vm)
    clouds.until(lambda: look() == {} or None, "a delete was told until its machine was gone")


def test_a_machine_is_switched_off(clouds: CloudHarness) -> None:
    """Without asking its guest; a list shows it, and off already is success. It can be deleted all the same."""
    cloud, machine = clouds.cloud(), clouds.new_machine("one-3-aaaaa")
    cloud.resolve()
    cloud.create(machine)
    cloud.power(running(clouds, cloud, machine.name), vm_states.OFF)

    def off() -> Vm | None:
        vm = find(cloud, machine.name)
        return vm if vm is not None and vm.status == vm_states.STOPPED else None

    vm = clouds.until(off, f"{machine.name} is off")
    cloud.power(vm, vm_states.OFF)
    cloud.delete(vm)
    gone(clouds, cloud, machine.name)


def test_a_machine_is_rebooted(clouds: CloudHarness) -> None:
    """It runs again, as the same VM."""
    cloud, machine = clouds.cloud(), clouds.new_machine("one-3-aaaaa")
    cloud.resolve()
    cloud.create(machine)
    vm = running(clouds, cloud, machine.name)
    cloud.power(vm, vm_states.REBOOT)
    assert running(clouds, cloud, machine.name).id == vm.id


def test_the_power_of_a_machine_that_is_gone_cannot_be_switched(clouds: CloudHarness) -> None:
    cloud, machine = clouds.cloud(), clouds.new_machine("one-3-aaaaa")
    cloud.resolve()
    cloud.create(machine)
    vm = running(clouds, cloud, machine.name)
    cloud.delete(vm)
    gone(clouds, cloud, machine.name)
    with pytest.raises(NotFound):
        cloud.power(vm, vm_states.OFF)
