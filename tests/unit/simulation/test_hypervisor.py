# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Exhausted, Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Room
from ansible_collections.immutable.fleet.tests.unit.simulation.worlds import (
    POOL,
    after,
    create,
    names_of_vms,
    new_machine,
    nodes,
    vm,
    world,
)


def test_a_machine_is_built_joins_and_is_ready() -> None:
    """Accepted at once, running after `create`, a Node at four fifths of `ready`, ready at its end."""
    it = world()
    create(it)
    assert vm(it).status == "building"
    assert (vm(after(it, 20)).status, nodes(it)) == ("running", {})
    assert (nodes(after(it, 47)), nodes(after(it, 1))["web-0-aaaaa"].ready) == ({}, False)
    assert nodes(after(it, 12))["web-0-aaaaa"].ready is True
    assert nodes(it)["web-0-aaaaa"].provider_id == vm(it).provider_id != ""


def test_FM24_a_broken_image_ends_in_error_with_the_clouds_words() -> None:
    """Its VM stays, with its port, until somebody deletes it."""
    it = world(images={"broken": {"fault": "no bootable device"}})
    create(it, image="broken")
    after(it, 20)
    assert (vm(it).status, vm(it).fault, len(it.hypervisor.leftovers(POOL))) == ("error", "no bootable device", 1)
    it.hypervisor.delete(vm(it))
    after(it, 10)
    assert (names_of_vms(it), it.hypervisor.leftovers(POOL)) == ([], ())


def test_a_bad_image_runs_and_never_joins() -> None:
    it = world(images={"bad": {"joins": False}})
    create(it, image="bad")
    after(it, 3600)
    assert (vm(it).status, nodes(it)) == ("running", {})


def test_FM22_a_quota_refuses_before_anything_is_made() -> None:
    """The refused create leaves no VM and no port."""
    it = world(quotas={"machines": 1})
    create(it)
    with pytest.raises(Exhausted, match="1 of 1 used"):
        create(it, "web-1-bbbbb")
    assert (len(names_of_vms(it)), len(it.hypervisor.leftovers(POOL))) == (1, 1)


def test_FM27_room_is_what_the_quotas_leave() -> None:
    """Of quotas that have an end; a world without any has no end."""
    assert world().hypervisor.room() == Room()
    it = world(quotas={"machines": 3})
    create(it)
    (machines,) = it.hypervisor.room().resources
    assert (machines.name, machines.used, machines.limit, machines.fits) == ("machines", 1, 3, 2)


def test_a_full_failure_domain_finds_no_host() -> None:
    """As in Nova, the create is accepted and the VM ends in ERROR; the failed one takes up no room."""
    it = world(failure_domains=[{"name": "az1", "machines_max": 1}])
    for name in ("web-0-aaaaa", "web-1-bbbbb", "web-2-ccccc"):
        create(it, name, failure_domain="az1")
    after(it, 20)
    assert [vm(it, name).status for name in names_of_vms(it)] == ["running", "error", "error"]
    assert "No valid host" in vm(it, "web-1-bbbbb").fault


def test_deleting_twice_is_success() -> None:
    it = world()
    create(it)
    after(it, 100)
    it.hypervisor.delete(vm(it))
    after(it, 5)
    it.hypervisor.delete(vm(it))
    assert vm(it).status == "deleting"
    gone = vm(it)
    after(it, 5)
    it.hypervisor.delete(gone)
    assert names_of_vms(it) == []


def test_deleted_while_building() -> None:
    """The build that ends later finds nothing to do."""
    it = world()
    create(it)
    it.hypervisor.delete(vm(it))
    assert nodes(after(it, 3600)) == {}
    assert names_of_vms(it) == []


def test_the_newest_image_of_a_name_is_taken_and_a_digest_names_the_old_one() -> None:
    """Images are immutable: a name may move, a digest may not (FM37)."""
    from ansible_collections.immutable.fleet.plugins.module_utils.simulation.describe import describe
    from ansible_collections.immutable.fleet.plugins.module_utils.simulation.furnish import furnish

    it = world(images={"golden": {"digest": "sha512:1"}})
    furnish(it, describe({"images": {"golden": {"digest": "sha512:2"}}}))
    assert it.hypervisor.image("", "golden").digest == "sha512:2"
    assert it.hypervisor.image("sha512:1", "golden").digest == "sha512:1"


def test_unknown_image_is_refused_with_those_there_are() -> None:
    with pytest.raises(Invalid, match="it has: v1") as refusal:
        world().hypervisor.create(POOL, "v9", new_machine())
    assert refusal.value.where == "simulated.image"
