# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a run is over, and how (rule 10): done, blocked, set aside, out of resources, given up, stalled; or not yet."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import AVAILABLE, FAILED, GOING, NOT_READY, QUARANTINED
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Blocked, Exhausted, FleetError, Stalled
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot, Troubles
from ansible_collections.immutable.fleet.tests.unit.builders import (
    HELD,
    NEW,
    NOW,
    OLD,
    YOUNG,
    ago,
    budget,
    creating,
    later,
    machine,
    pod,
    pool,
    snapshot,
)

CART = "shop/cart"
CLOSED = {CART: budget(CART, 0, desired=1, expected=1)}
AGAIN = "run the same playbook again"


def two(*more: Machine) -> tuple[Machine, ...]:
    """Two machines that are as they should be, and more."""
    return (machine("m0", NEW, slot=0), machine("m1", NEW, slot=1), *more)


def decided(world: Snapshot, wanted: Pool) -> Decision:
    return Rollout(wanted).decide(world, NOW)


def aside(**facts: Any) -> Machine:
    return machine("q1", OLD, QUARANTINED, pods=(pod("cart-0", CART, wait_completed=True),), **facts)


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(snapshot(*two()), id="as many as wanted, available, up to date"),
        pytest.param(snapshot(*two(), half_owned=("web-9-zzzzz",)), id="half-owned machines are reported, and no reason to go on"),
    ],
)
def test_done(world: Snapshot) -> None:
    """|A up to date| = N = E, and no expectation left."""
    decision = decided(world, pool(2))
    assert (decision.finished, decision.failure, decision.wake_at) == (True, None, None)


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(snapshot(*two(), creating=(creating(slot=2),)), id="a create in flight"),
        pytest.param(snapshot(*two(), is_settled=False), id="a call in flight"),
        pytest.param(snapshot(*two(), stale={"cloud": ago(61)}), id="a silent source"),
        pytest.param(snapshot(*two(machine("m2", OLD, GOING))), id="a machine going"),
        pytest.param(snapshot(machine("m0", NEW), machine("m1", NEW, YOUNG)), id="a machine not available yet"),
        pytest.param(snapshot(machine("m0", NEW), machine("m1", NEW, NOT_READY)), id="a machine that may come back"),
        pytest.param(snapshot(*two(machine("m2", OLD)), busy=frozenset({"choose m2"})), id="a mark that was refused a moment ago"),
        pytest.param(snapshot(*two(aside(status=vm_states.DELETING))), id="a quarantined machine that the cloud deletes"),
    ],
)
def test_not_yet(world: Snapshot) -> None:
    """As long as something flies, is wanted, or may change by itself, the run goes on."""
    assert not decided(world, pool(2)).finished


def test_a_refused_mark_does_not_end_a_run_that_is_blocked_elsewhere() -> None:
    """One node is blocked for good, the mark of another was refused a moment ago: the other's turn comes."""
    stuck = machine("m2", OLD, pods=(pod("cart-0", CART),))
    world = snapshot(*two(stuck, machine("m3", OLD)), budgets=CLOSED, busy=frozenset({"choose m3"}))
    assert not decided(world, pool(2)).finished


def test_FM01_all_that_is_left_is_blocked() -> None:
    """Everything else is done: the end names PDB, node and pod, and what to do."""
    stuck = machine("m2", OLD, pods=(pod("cart-0", CART),))
    assert decided(snapshot(*two(stuck), budgets=CLOSED), pool(2)).failure == Blocked(
        what="blocked (everything else is done): PDB shop/cart can never allow an eviction: it wants 1 of 1 pods healthy (pod shop/cart-0)",
        where="node m2",
        forward="kubectl -n shop edit pdb cart, so that one pod may go; or where it demands a number of pods run 2; then " + AGAIN,
        back="nothing is half done: what was not started is as it was",
    )


def test_several_blockers_are_named_with_their_places() -> None:
    """Each with its own node."""
    world = snapshot(machine("m0", NEW, HELD), machine("m1", NEW, HELD))
    what = "cordoned by somebody else: left alone (drain.include_cordoned takes it along)"
    assert str(decided(world, pool(2)).failure) == f"blocked (everything else is done): {what} (machine m0); {what} (machine m1)"


def test_FM08_with_machines_set_aside_the_end_is_blocked() -> None:
    """The pool is as wanted; each quarantined machine is named with what it waits for, since when, and the ways on."""
    assert decided(snapshot(*two(aside())), pool(2)).failure == Blocked(
        what="not drained: q1: 1 pod left (cart-0)",
        where="machine q1; quarantined and cordoned by us",
        since=ago(30),
        forward=f"{AGAIN} once the pods can leave: a quarantined machine is deleted as soon as it is empty",
        back="ansible localhost -m immutable.fleet.node_pool_control -a 'name=web state=released machine=q1 kubernetes={}'",
    )


SHORT = Troubles(after=ago(5), what="No valid host was found.", since=ago(300), count=5, fatal=True)


@pytest.mark.parametrize(
    ("troubles", "expected"),
    [
        pytest.param(
            SHORT,
            Exhausted(
                what="gave up after 5 failed creates: No valid host was found.",
                where="pool web",
                since=ago(300),
                forward=f"{AGAIN} once there is room",
                back="nothing is half done: no machine was taken away for one that could not be made",
            ),
            id="FM27 out of resources",
        ),
    ],
)
def test_FM38_given_up(troubles: Troubles, expected: FleetError) -> None:
    """What is wrong, since when, and the commands that go forward and back."""
    assert decided(snapshot(machine("m0", OLD), machine("m1", OLD), troubles=troubles), pool(2)).failure == expected


def test_given_up_only_when_nothing_is_on_its_way() -> None:
    """A machine that is going is seen to its end first."""
    world = snapshot(machine("m0", NEW), machine("m1", OLD, GOING), troubles=SHORT)
    assert not decided(world, pool(2)).finished


@pytest.mark.parametrize(
    ("options", "stale", "what"),
    [
        pytest.param({}, {}, "m2: 1 pod left (stays)", id="a drain within its time: what it waits for"),
        pytest.param({"timeout": timedelta(seconds=60), "on_timeout": "fail"}, {}, "1 pod left (stays) (machine m2)", id="a blocker"),
        pytest.param({}, {"cloud": ago(590)}, "no news from the cloud", id="a silent source"),
    ],
)
def test_stalled(options: dict[str, Any], stale: dict[str, Any], what: str) -> None:
    """No progress for progress_deadline, whatever is in flight: the end says what it waited for."""
    wanted = pool(2, progress_deadline=timedelta(seconds=600), **options)
    world = snapshot(*two(machine("m2", OLD, GOING)), began_at=ago(700), progressed_at=ago(600), stale=stale)
    assert decided(world, wanted).failure == Stalled(
        what=f"no progress for 10m: {what}",
        where="pool web",
        since=ago(600),
        forward=f"{AGAIN} once that has changed",
        back="no image from before is on record, so there is none to go back to; what is there goes on serving",
    )


def test_a_wait_is_bounded_by_the_deadline() -> None:
    """The run wakes at its deadline at the latest."""
    wanted = pool(2, progress_deadline=timedelta(seconds=10))
    assert decided(snapshot(machine("m0", NEW), machine("m1", NEW, YOUNG)), wanted).wake_at == later(10)


def test_on_timeout_fail_ends_the_run_at_the_first_overdue_drain() -> None:
    """The user asked for it: nothing more is started."""
    stuck = machine("m2", OLD, GOING, pods=(pod("a", terminating_since=ago(90)),))
    decision = decided(snapshot(*two(stuck), began_at=ago(100)), pool(2, on_timeout="fail", timeout=timedelta(seconds=60)))
    assert (str(decision.failure), decision.actions) == ("blocked (drain.on_timeout is fail): 1 pod left (a), terminating (machine m2)", ())


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        pytest.param((AVAILABLE, FAILED), False, id="a failed machine is work"),
        pytest.param((AVAILABLE,), False, id="too few"),
        pytest.param((AVAILABLE, AVAILABLE, AVAILABLE), False, id="too many"),
    ],
)
def test_work_left_is_no_end(kinds: tuple[str, ...], expected: bool) -> None:
    """Where there are actions there is no end."""
    machines = [machine(f"m{number}", NEW, kind) for number, kind in enumerate(kinds)]
    assert decided(snapshot(*machines), pool(2)).finished == expected
