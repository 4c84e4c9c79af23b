# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations are learned from what facts tell, outliers teach nothing, and what is only assumed is called so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.entry.learning import Learned, first_ready, learn, typical
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.durations import Past
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import RUNNING, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Chance, Profile, constant

DAWN = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
TIMEOUT = timedelta(minutes=20)


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def machine(
    number: int, *, create: float | None = 90, boot: float = 30, ready: float = 10, flapped: bool = False, clock: float = 0
) -> tuple[Vm, Node]:
    """One that became ready; `flapped` long after that again; `clock` is what the controller's went ahead that marked it."""
    runs = DAWN + seconds(create or 0)
    ready_at = runs + seconds(boot + ready)
    vm = Vm(id=f"id{number}", name=f"web-{number}-aaaaa", status=RUNNING, created_at=DAWN, provider_id=f"x:///id{number}")
    if create is not None:
        vm = Vm(id=vm.id, name=vm.name, status=RUNNING, created_at=DAWN, provider_id=vm.provider_id, running_since=runs)
    node = Node(
        name=vm.name,
        uid=f"uid{number}",
        version="1",
        created_at=runs + seconds(boot),
        provider_id=vm.provider_id,
        ready=True,
        ready_since=ready_at + timedelta(days=2) if flapped else ready_at,
        was_ready=True,
        annotations={marks.NODE_READY_AT: say_instant(ready_at + seconds(clock))},
    )
    return vm, node


def learned(*machines: tuple[Vm, Node], past: Past | None = None) -> Learned:
    return learn([vm for vm, _node in machines], {node.name: node for _vm, node in machines}, past or Past(), TIMEOUT)


def test_what_machines_tell() -> None:
    """Created to running, running to node, node to ready; the boot that is replayed is one machine's own sum."""
    found = learned(machine(1, create=80, boot=20, ready=5), machine(2, create=100, boot=40, ready=10))
    assert found.samples == {"create": (80, 100), "boot": (20, 40), "ready": (5, 10), "empty": (), "delete": ()}
    assert found.boots == (25, 50)


def test_nothing_to_learn_from_leaves_the_default() -> None:
    """And says so: 0 machines. A pod is then assumed to take its whole grace period."""
    found, default = learned(), Profile()
    assert {kind: source["machines"] for kind, source in found.sources().items()} == dict.fromkeys(found.samples, 0)
    profile = found.profile()
    assert (profile.create, profile.ready, profile.delete) == (default.create, default.ready, default.delete)
    assert profile.pod_stop.draw(Chance(0)) >= timedelta(hours=24)


def test_a_machine_that_was_repaired_for_days_teaches_no_join_of_days() -> None:
    found = learned(*(machine(number) for number in range(4)), machine(9, boot=3 * 24 * 3600))
    assert found.samples["boot"] == (30, 30, 30, 30)


def test_a_node_that_was_not_ready_in_between_is_known_by_its_mark() -> None:
    vm, node = machine(1, flapped=True)
    assert learned((vm, node)).samples["ready"] == (10,)


def test_another_controllers_clock_does_not_count() -> None:
    """Its mark is ahead by less than a minute: the condition, corrected to our clock, is taken."""
    vm, node = machine(1, clock=45)
    assert learned((vm, node)).samples["ready"] == (10,)


def test_a_node_that_never_was_ready_tells_nothing() -> None:
    _vm, node = machine(1)
    assert first_ready(Node(name="n", uid="u", version="1", created_at=node.created_at, ready=False)) is None


def test_a_cloud_that_does_not_tell_when_building_ended() -> None:
    """Then all of it is boot, and nothing is counted twice."""
    found = learned(machine(1, create=None, boot=120))
    assert (found.samples["create"], found.boots, found.profile().create) == ((), (130,), constant(0))


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        pytest.param([60, 62, 58, 900], (60, 62, 58), id="far above the others"),
        pytest.param([60, 62, 58, 2], (60, 62, 58), id="far below"),
        pytest.param([30, 31, 90, 92, 29], (30, 31, 90, 92, 29), id="two humps are both true"),
        pytest.param([30, -40], (30,), id="clocks that disagree"),
        pytest.param([0, 0, 0], (0.5, 0.5, 0.5), id="stamps of whole seconds"),
        pytest.param([1300, 30], (30,), id="beyond the startup timeout"),
        pytest.param([], (), id="nothing"),
    ],
)
def test_typical(values: list[float], kept: tuple[float, ...]) -> None:
    assert typical(values, limit=1200) == kept


def test_notes_of_earlier_runs_teach_drains_and_deletes() -> None:
    """The detach of volumes is part of what was measured, so it is not added again."""
    profile = learned(past=Past(empty=(4.0,) * 6, delete=(15.0,) * 6)).profile()
    drawn = (profile.pod_stop.draw(Chance(0)), profile.delete.draw(Chance(0)))  # less the calls that a replay adds
    assert (drawn, profile.detach) == ((seconds(3.65), seconds(14.65)), constant(0))


def test_replays_differ_by_what_few_machines_leave_open() -> None:
    """With chance the samples themselves are drawn anew; without they are taken as they are."""
    found = learned(*(machine(number, create=40 + 10 * number) for number in range(6)))
    assert found.profile(Chance(1)).create != found.profile(Chance(2)).create
    assert sorted(found.profile().create.values) == [40, 50, 60, 70, 80, 90]
