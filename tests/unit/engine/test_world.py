# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run believes: facts that only move forward, and its own calls laid over them until the facts speak for themselves."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.engine.world import World
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import (
    Action,
    ChangeNode,
    Choose,
    Clear,
    Create,
    Delete,
    DeleteNode,
    Evict,
    Power,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node, NodeChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Taint
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import ClusterView, Listing
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, POOL, ago, later, machine, node, pod, vm

CREATE = Create(0, "az1", 1, "3 exist < ceiling 4")
NAME = "web-0-aaaaa"
CALL_TIMEOUT = timedelta(seconds=20)


def heard(world: World, at: datetime, vms: Iterable[Vm] = (), nodes: Iterable[Node] = (), **more: Any) -> World:
    """The world after a full list and a view that were begun at this instant."""
    world.take_listing(Listing(as_of=at, vms=tuple(vms), **more))
    world.take_view(ClusterView(as_of=at, nodes={each.name: each for each in nodes}), at)
    world.settle()
    return world


def known(vms: Iterable[Vm] = (), nodes: Iterable[Node] = ()) -> World:
    """A run that began a minute ago and heard everything half a minute ago."""
    return heard(World(pool=POOL, began_at=ago(60), call_timeout=CALL_TIMEOUT, has_cloud=True, has_cluster=True), ago(30), vms, nodes)


def seen(world: World, now: datetime = NOW) -> Snapshot:
    return world.snapshot(now, max_staleness=timedelta(seconds=60), settled_at=None, own_node="", progressed_at=now)


def names_creating(world: World) -> list[str]:
    return [sent.name for sent in seen(world).creating]


@pytest.mark.parametrize(
    ("has_cluster", "expected"),
    [
        pytest.param(True, timedelta(minutes=10), id="the cluster's"),
        pytest.param(False, timedelta(minutes=9), id="the cloud's, without a cluster"),
    ],
)
def test_whose_clock_instants_on_the_record_follow(has_cluster: bool, expected: timedelta) -> None:
    """Another controller's clock will read them."""
    world = World(pool=POOL, began_at=ago(60), call_timeout=CALL_TIMEOUT, has_cloud=True, has_cluster=has_cluster)
    world.take_listing(Listing(as_of=ago(30), ahead=timedelta(minutes=9)))
    if has_cluster:
        world.take_view(ClusterView(as_of=ago(30), ahead=timedelta(minutes=10)), ago(30))
    assert seen(world).ahead == expected


@pytest.mark.parametrize(
    ("answer", "list_begun_at", "vms", "expected"),
    [
        pytest.param("", later(5), (), [NAME], id="no answer yet"),
        pytest.param("accepted", ago(1), (), [NAME], id="accepted; the list was begun before"),
        pytest.param("accepted", later(1), (vm(NAME),), [], id="accepted, and seen"),
        pytest.param("accepted", later(3), (), [], id="accepted, and a later list does not have it: somebody deleted it"),
        pytest.param("lost", later(19), (), [NAME], id="answer lost: it may still arrive"),
        pytest.param("lost", later(21), (), [], id="answer lost: it cannot arrive any more, and is not there"),
        pytest.param("lost", later(1), (vm(NAME),), [], id="answer lost, and seen: adopted"),
        pytest.param("refused", ago(1), (), [], id="refused: no trace"),
    ],
)
def test_FM26_a_create_exists_until_a_list_speaks_for_itself(
    answer: str, list_begun_at: datetime, vms: tuple[Vm, ...], expected: list[str]
) -> None:
    """A create in flight exists; a lost answer is settled by a list begun after send + call timeout, and then adopted."""
    world = known()
    key = world.send(CREATE, NAME, NOW)
    if answer == "accepted":
        world.answered(key, later(2) if list_begun_at > later(2) else NOW)
    elif answer == "lost":
        world.unknown(key, later(1))  # the connection broke; the call may be on its way for all of its timeout
    elif answer == "refused":
        world.refused(key, later(5))
    assert names_creating(heard(world, list_begun_at, vms)) == expected


OUTDATED = "outdated"
SERVING = (vm("m1"),), (node("m1"),)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        pytest.param(Choose(machine("m1"), OUTDATED), (True, False, False), id="a mark: unavailable already"),
        pytest.param(Delete(machine("m1"), OUTDATED), (False, True, False), id="a delete: it still exists"),
        pytest.param(
            ChangeNode(NodeChange(node="m1", uid="node-m1", annotations={marks.NODE_QUARANTINED: "x"}), "x", "quarantine"),
            (False, False, True),
            id="a quarantine",
        ),
    ],
)
def test_a_call_in_flight_is_laid_over_its_machine(action: Action, expected: tuple[bool, bool, bool]) -> None:
    """`decide` never sees a world in which its last decision has not happened."""
    world = known(*SERVING)
    world.send(action, "m1", NOW)
    laid = seen(world).machines["m1"]
    assert (laid.choosing, laid.deleting, laid.setting_aside) == expected


CORDONED = node("m1", schedulable=False, chosen=Note(NOW, OUTDATED))
ENDING = pod("a", terminating_since=NOW)
TAINT = Taint("dedicated", "web", "NoSchedule")
LABEL = ChangeNode(NodeChange(node="m1", uid="node-m1", labels={"role": "web"}), "set role")
UNTAINT = ChangeNode(NodeChange(node="m1", uid="node-m1", taints=()), "set taints")


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        pytest.param(Choose(machine("m1"), OUTDATED), node("m1"), CORDONED, id="a mark"),
        pytest.param(
            Evict("m1", pod("a"), "no PDB"), node("m1", pods=(pod("a"),)), node("m1", pods=(ENDING,)), id="an eviction: terminating"
        ),
        pytest.param(Evict("m1", pod("a"), "no PDB"), node("m1", pods=(pod("a"),)), node("m1"), id="an eviction: gone"),
        pytest.param(LABEL, node("m1"), node("m1", labels={"role": "web"}), id="labels"),
        pytest.param(UNTAINT, node("m1", taints=(TAINT,)), node("m1"), id="a taint taken away"),
    ],
)
def test_a_call_is_settled_by_the_fact_it_makes(action: Action, before: Node, after: Node) -> None:
    """Nothing is settled while the facts are as before; the fact itself settles, even before the answer."""
    world = heard(known((vm("m1"),), (before,)), ago(2), (vm("m1"),), (before,))
    world.send(action, "m1", NOW)
    world.settle()
    settled_before = seen(world).is_settled
    assert (settled_before, seen(heard(world, later(1), (vm("m1"),), (after,))).is_settled) == (False, True)


@pytest.mark.parametrize(
    ("vms", "expected"),
    [
        pytest.param((vm("m1"),), False, id="the list still shows it running"),
        pytest.param((vm("m1", status=vm_states.DELETING),), True, id="the cloud deletes it"),
        pytest.param((vm("m1", status=vm_states.DELETING, delete_again=True),), False, id="its deletion has steps, and the list is as old"),
        pytest.param((), True, id="it is gone"),
    ],
)
def test_a_delete_in_flight_still_exists(vms: tuple[Vm, ...], expected: bool) -> None:
    """A machine counts as existing until a list shows otherwise, and gets no second delete."""
    world = known(*SERVING)
    world.send(Delete(machine("m1"), OUTDATED), "m1", NOW)
    assert ("delete m1" not in seen(heard(world, later(1), vms)).busy) == expected


LONG_NAME = node("m1.example.org", system_uuid="1")
CLOSED_LONG_NAME = node("m1.example.org", system_uuid="1", schedulable=False, chosen=Note(NOW, OUTDATED))


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        pytest.param(LONG_NAME, True, id="not cordoned yet: laid over"),
        pytest.param(CLOSED_LONG_NAME, False, id="cordoned: settled"),
    ],
)
def test_FM49_a_mark_in_flight_is_laid_over_whatever_its_node_is_called(shown: Node, expected: bool) -> None:
    """Nodes may have other names than their VMs; a mark that was forgotten would let the next one break the floor."""
    listed = (vm("m1", system_uuid="1"),)
    world = known(listed, (LONG_NAME,))
    world.send(Choose(seen(world).machines["m1"], OUTDATED), "m1", NOW)
    assert seen(heard(world, NOW, listed, (shown,))).machines["m1"].choosing == expected


def test_FM26_a_delete_of_a_duplicate_is_not_sent_twice() -> None:
    """Two VMs of one name: the delete of the second is settled by the second, not by its name."""
    both = (vm("m1"), vm("m1", id="other"))
    world = known(both)
    duplicate = seen(world).machines["m1/other"]
    world.send(Delete(duplicate, "surplus"), duplicate.name, NOW)
    assert seen(heard(world, NOW, both)).machines["m1/other"].deleting


def test_a_node_delete_is_settled_when_the_node_is_gone() -> None:
    """A Node object that the view no longer has is deleted, whoever did it."""
    world = known((), (node("m9"),))
    world.send(DeleteNode(node("m9"), "its VM is gone"), "m9", NOW)
    assert seen(heard(world, later(1))).is_settled


@pytest.mark.parametrize(
    ("status", "is_ours", "expected"),
    [
        pytest.param(vm_states.RUNNING, True, {"m1"}, id="this run deleted it"),
        pytest.param(vm_states.DELETING, False, {"m1"}, id="it was being deleted when it was seen last"),
        pytest.param(vm_states.RUNNING, False, set(), id="nobody knows why it is in no list: a cell may be down"),
    ],
)
def test_whose_vm_is_gone_for_good(status: str, is_ours: bool, expected: set[str]) -> None:
    """Its node may go, though its kubelet speaks for some seconds more."""
    world = known([vm("m1", status=status, system_uuid="1")], [node("m1", system_uuid="1")])
    if is_ours:
        world.answered(world.send(Delete(machine("m1"), "surplus and never ready"), "m1", ago(20)), ago(19))
    heard(world, ago(10), nodes=[node("m1", system_uuid="1")])
    assert seen(world).deleted == expected


def test_a_node_that_joins_after_its_vm_was_deleted_is_ours() -> None:
    """It was on its way when the VM went, and nobody has labelled it."""
    world = known([vm("web-0-aaaaa")])
    world.answered(world.send(Delete(machine("web-0-aaaaa"), "surplus and never ready"), "web-0-aaaaa", ago(20)), ago(19))
    heard(world, ago(10))
    heard(world, ago(5), nodes=[node("web-0-aaaaa.example.com", pool="")])
    heard(world, ago(2), nodes=[node("web-0-aaaaa.example.com", pool="")])
    assert (list(seen(world).nodes), seen(world).deleted) == (["web-0-aaaaa.example.com"], {"web-0-aaaaa.example.com"})


@pytest.mark.parametrize("number", range(20))
def test_names_kept_from_list_to_list_are_those_of_all_lists(number: int) -> None:
    """Lists and deltas in any order, names that two VMs have, VMs that are renamed, deleted, or gone without that."""
    dice = random.Random(number)
    names = [f"web-{number}-aaaaa" for number in range(3)]
    nodes = [node(name=name, provider_id="", system_uuid="", created_at=ago(3600)) for name in names]
    world = heard(known(), ago(29), (), nodes)
    there: dict[str, Vm] = {}
    ended: set[str] = set()
    for second in range(40):
        before, there = there, dict(there)
        changed = dice.sample("abcde", dice.randint(0, 3))
        for key in changed:
            status = dice.choice([vm_states.RUNNING, vm_states.DELETING])
            there[key] = vm(id=key, name=dice.choice(names), status=status, created_at=NOW, provider_id=f"simulated:///{key}")
            if dice.random() < 0.4:
                del there[key]
        gone = [before[key] for key in before.keys() - there.keys()]
        ended |= {each.name for each in gone if each.status == vm_states.DELETING}
        ended -= {each.name for each in there.values()}
        is_full = dice.random() < 0.3
        told = there.values() if is_full else [there[key] for key in changed if key in there]
        left = () if is_full else tuple(key for key in changed if key not in there)
        world.take_listing(Listing(as_of=later(second), vms=tuple(told), gone=left, is_full=is_full))
        assert seen(world, later(second)).deleted == ended


def test_views_only_move_forward() -> None:
    """A list or a view that is older than the newest changes nothing: a stale replica can't bring a machine back."""
    world = heard(known(), ago(10), (vm("m1"),), (node("m1"),))
    before = seen(world)
    heard(world, ago(20), (), ())
    assert seen(world).machines == before.machines


def test_a_delta_changes_only_what_it_names() -> None:
    """A list since the last one holds changes and ids that are no more."""
    world = heard(known((vm("m1"), vm("m2"))), ago(10), (vm("m3"),), gone=("id-m1",), is_full=False)
    assert sorted(seen(world).machines) == ["m2", "m3"]


@pytest.mark.parametrize(("proofs", "ours"), [(3, True), (2, True), (1, False)], ids=["all marks", "one stripped", "one left"])
def test_FM25_two_marks_of_three_make_a_machine_ours(proofs: int, ours: bool) -> None:
    """One mark alone: counted and reported, never a machine that anything could be decided about."""
    world = seen(known((vm("m1", proofs=proofs),)))
    assert (list(world.machines), world.half_owned) == ((["m1"], ()) if ours else ([], ("m1",)))


def test_unchanged_machines_are_the_same_objects() -> None:
    """What did not change is not judged, told or compared again."""
    world = known((vm("m1"), vm("m2")), (node("m1"), node("m2")))
    first = seen(world).machines
    second = seen(heard(world, ago(5), (vm("m1"), vm("m2", status=vm_states.ERROR)))).machines
    assert (second["m1"].vm is first["m1"].vm, second["m2"].vm is first["m2"].vm) == (True, False)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(later(30), {}, id="young enough"),
        pytest.param(later(31), {"cloud": ago(30), "cluster": ago(30)}, id="older than max_staleness"),
    ],
)
def test_a_source_without_news_is_named_as_stale(now: datetime, expected: dict[str, datetime]) -> None:
    """Each source is told with the instant since when it gave nothing new."""
    assert seen(known(), now).stale == expected


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        pytest.param(node("m1", chosen=Note(ago(60), OUTDATED), schedulable=False), NOW, id="marked and no pod"),
        pytest.param(node("m1"), None, id="no pod, but open to new ones"),
        pytest.param(node("m1", chosen=Note(ago(60), OUTDATED), schedulable=False, pods=(pod("a"),)), None, id="a pod left"),
    ],
)
def test_since_when_a_machine_is_empty(shown: Node, expected: datetime | None) -> None:
    """The clock of detaching starts when the last pod is seen gone."""
    assert seen(known((vm("m1"),), (shown,))).machines["m1"].emptied_at == expected


def test_a_vm_without_a_node_is_empty_since_its_delete_was_seen() -> None:
    """So that a delete which never ends is noticed for a machine that never joined, too."""
    world = known((vm("m1", status=vm_states.DELETING),))
    seen(world, ago(10))
    assert seen(world).machines["m1"].emptied_at == ago(10)


def port_of(name: str) -> Leftover:
    return Leftover(kind="port", id=f"port-{name}", name=name, machine=name, created_at=ago(60))


def test_a_refused_call_is_held_off_for_its_time() -> None:
    """A definite refusal leaves no expectation behind, and its key is busy until it may be tried again."""
    world = known(*SERVING)
    key = world.send(Delete(machine("m1"), OUTDATED), "m1", NOW)
    world.refused(key, later(5))
    assert (seen(world).busy, seen(world).is_settled, seen(world, later(5)).busy) == ({"delete m1"}, True, frozenset())


@pytest.mark.parametrize(("answer", "expected"), [("", {"m1"}), ("accepted", {"m1"}), ("lost", {"m1"}), ("refused", set())])
def test_who_was_reset_is_remembered(answer: str, expected: set[str]) -> None:
    """No list would tell; only a refusal says that it was not."""
    world = known([vm("m1")], [node("m1")])
    key = world.send(Power(machine("m1"), vm_states.REBOOT, "unhealthy"), "m1", NOW)
    if answer == "refused":
        world.refused(key, later(1))
    elif answer:
        (world.answered if answer == "accepted" else world.unknown)(key, NOW)
    heard(world, later(60), [vm("m1")], [node("m1")])
    assert seen(world, later(61)).reset == expected


def test_leftovers_are_those_without_a_vm_in_their_own_list() -> None:
    """A port of a VM that a later list lacks is judged by the next list of ports, not by an old one."""
    world = heard(known(), ago(20), (vm("m1"),), leftovers=(port_of("m1"), port_of("m9")))
    heard(world, ago(10), ())
    assert [leftover.machine for leftover in seen(world).leftovers] == ["m9"]


def test_a_leftover_that_was_cleared_holds_up_nothing() -> None:
    """The answer is enough: the next full list may be a minute away."""
    world = heard(known(), ago(20), leftovers=(port_of("m9"),))
    world.send(Clear(port_of("m9"), "belongs to no machine"), port_of("m9").name, NOW)
    (key,) = world.calls
    world.settle()
    assert not seen(world).is_settled
    world.answered(key, NOW)
    world.settle()
    assert (seen(world).is_settled, seen(world).leftovers) == (True, ())
    heard(world, later(1), leftovers=(port_of("m9"),))
    assert seen(world).leftovers == (), "that list was begun before"
