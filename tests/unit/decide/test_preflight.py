# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused before the first write, and what is only told (FM27)."""

from __future__ import annotations

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide import preflight
from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import BOOTING, FAILED, GOING, QUARANTINED
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker, Create
from ansible_collections.immutable.fleet.plugins.module_utils.model.health import HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Resource, Room
from ansible_collections.immutable.fleet.tests.unit.builders import NEW, NOW, OLD, POOL, budget, machine, pod, pool, snapshot

WHERE = "compute quota of project p1"
SET = "openstack quota set --instances {limit} p1"


def instances(left: int, limit: int = 10) -> Resource:
    return Resource(name="instances", limit=limit, used=limit - left, each=1, where=WHERE, remedy=SET)


def memory(left: int, each: int = 2048) -> Resource:
    return Resource(name="RAM", unit="MiB", limit=8192, used=8192 - left, each=each, where=WHERE)


def room(left: int) -> Room:
    return Room(resources=(instances(left),))


def old_ones(count: int, kind: str = "available") -> list[Machine]:
    return [machine(f"m{number}", OLD, kind) for number in range(1, count + 1)]


def refusal(what_is_left: Room, wanted: Pool, *machines: Machine) -> str:
    """Why the first turn's decision is refused; "" where it is not."""
    rollout, now = Rollout(wanted), snapshot(*machines)
    decision = rollout.decide(now, NOW)
    found = preflight.refusal(what_is_left, wanted, rollout.limits, now, decision) if preflight.wants_room(decision) else None
    return found.what if found else ""


def told(what_is_left: Room, wanted: Pool, *machines: Machine) -> list[str]:
    rollout, now = Rollout(wanted), snapshot(*machines)
    decision = rollout.decide(now, NOW)
    return [blocker.what for blocker in preflight.tight_room(what_is_left, rollout.limits, now, decision)]


NO_ROOM = "no room for one more machine: instances: 10 of 10 used, one more takes 1"


@pytest.mark.parametrize(
    ("left", "wanted", "machines", "expected"),
    [
        pytest.param(0, pool(3), old_ones(3), NO_ROOM, id="a roll by surge alone, and no room"),
        pytest.param(1, pool(3, 2), old_ones(3), "", id="room for half of the surge"),
        pytest.param(0, pool(3, 1, 1), old_ones(3), "", id="no room, but one leaves first"),
        pytest.param(0, pool(3), [machine("m1", NEW), machine("m2", NEW), machine("m3", NEW)], "", id="nothing to make"),
        pytest.param(0, pool(3), old_ones(2), NO_ROOM, id="a machine was lost, and its room is another's"),
        pytest.param(1, pool(4), old_ones(2), "", id="two were lost, and one has room: better than none"),
        pytest.param(0, pool(3), [*old_ones(2), machine("m3", NEW, FAILED)], "", id="a machine in ERROR leaves first"),
        pytest.param(0, pool(3), [*old_ones(2), machine("m3", OLD, BOOTING)], "", id="an outdated one that never joined leaves first"),
        pytest.param(0, pool(3), [*old_ones(2), machine("m3", OLD, GOING)], "", id="one is leaving already"),
        pytest.param(0, pool(3), [*old_ones(3), machine("m4", OLD, QUARANTINED)], NO_ROOM, id="a quarantined one stays where it is"),
        pytest.param(3, pool(3), [], "", id="a new pool that fits, without its surge"),
        pytest.param(
            2,
            pool(3),
            [],
            "no room for 3 machines, 2 fit: instances: 8 of 10 used, 3 more take 3",
            id="a new pool that does not fit is not begun",
        ),
    ],
)
def test_FM27_a_run_without_room_is_refused(left: int, wanted: Pool, machines: list[Machine], expected: str) -> None:
    """Only where it could do nothing useful."""
    assert refusal(room(left), wanted, *machines) == expected


def test_FM27_a_refusal_says_what_to_do() -> None:
    """What is short and whose limit it is; how far to raise it for N + S + max_blocked, and the way without; nothing was touched."""
    wanted, now = pool(3, 2), snapshot(*old_ones(3))
    decision = Rollout(wanted).decide(now, NOW)
    found = preflight.refusal(Room(resources=(instances(0), memory(1024))), wanted, Rollout(wanted).limits, now, decision)
    assert found is not None
    assert (found.code, found.what, found.where, found.forward, found.back) == (
        "exhausted",
        "no room for one more machine: instances: 10 of 10 used, one more takes 1; RAM: 7168 of 8192 MiB used, one more takes 2048",
        f"pool {POOL}, {WHERE}",
        (
            "openstack quota set --instances 13 p1, then run the same playbook again"
            "; or set strategy.max_unavailable to 1, so that a machine leaves first"
        ),
        "nothing to take back: nothing was changed",
    )


def test_what_is_not_known_never_refuses() -> None:
    """A read that policy denied is told, and the run begins."""
    unknown = Room(unknown=("the port quota of project p1 is not known: policy",))
    assert refusal(unknown, pool(3), *old_ones(3)) == ""
    assert told(unknown, pool(3), *old_ones(3)) == list(unknown.unknown)


@pytest.mark.parametrize(
    ("left", "wanted", "machines", "expected"),
    [
        pytest.param(3, pool(3, 2), old_ones(3), "", id="room for surge and quarantine"),
        pytest.param(
            2,
            pool(3, 2),
            old_ones(3),
            "room for 2 of 3 more machines, so it may stand still once machines are quarantined (max_blocked 1)",
            id="room for the surge alone",
        ),
        pytest.param(
            3,
            pool(3, 2, health=HealthPolicy(preserve_on_fail=1)),
            old_ones(3),
            "room for 3 of 4 more machines, so it may stand still once failed machines are kept (health.preserve_on_fail 1)",
            id="room for all but one that is kept",
        ),
        pytest.param(
            1,
            pool(3, 2),
            old_ones(3),
            "room for 1 of 3 more machines, so it goes slower than max_surge 2 allows",
            id="room for half of the surge",
        ),
        pytest.param(
            1,
            pool(4),
            old_ones(2),
            "room for 1 of 4 more machines, so the pool ends with 3 of 4",
            id="room for less than is missing",
        ),
    ],
)
def test_FM27_less_room_than_the_run_may_use_is_told(left: int, wanted: Pool, machines: list[Machine], expected: str) -> None:
    """With what follows from it, and the numbers that were compared."""
    found = told(room(left), wanted, *machines)
    assert [what.partition(": ")[0] for what in found] == ([expected] if expected else [])


def test_the_tightest_resource_comes_first() -> None:
    """And what has room is not named."""
    what_is_left = Room(resources=(instances(2), memory(2048), Resource(name="ports", limit=500, used=3, each=2, where="network quota")))
    (what,) = told(what_is_left, pool(3, 3), *old_ones(3))
    assert what.partition("allows: ")[2] == ("RAM: 6144 of 8192 MiB used, 4 more take 8192; instances: 8 of 10 used, 4 more take 4")


@pytest.mark.parametrize(
    ("most", "machines", "expected"),
    [
        pytest.param(6, old_ones(3), 3, id="room for all of it"),
        pytest.param(5, old_ones(3), 2, id="room for a part of it"),
        pytest.param(4, [*old_ones(3), machine("m4", NEW, BOOTING)], 0, id="no room, and a new machine is coming up"),
        pytest.param(4, [*old_ones(3), machine("m4", OLD, GOING)], 0, id="no room, and a machine is leaving"),
        pytest.param(3, old_ones(3), 1, id="no room and nothing moves: the cloud shall say so itself"),
        pytest.param(2, old_ones(3), 1, id="less room than there was"),
    ],
)
def test_a_surge_that_has_no_room_is_a_smaller_surge(most: int, machines: list[Machine], expected: int) -> None:
    """What must fail is not sent; the tally counts what is."""
    rollout, now = Rollout(pool(3, 3)), snapshot(*machines)
    decision = rollout.decide(now, NOW)
    found = preflight.within(most, now, decision)
    creates = [action for action in found.actions if isinstance(action, Create)]
    assert (len(creates), found.tally.existing) == (expected, len(machines) + expected)


def test_FM01_drains_that_cannot_succeed_are_told_first() -> None:
    """One line for each cause, with all its nodes, since when and what to do; machines that stay are not asked about."""
    closed = budget("shop/cart", 0, desired=3, expected=3)
    carts = [machine(f"m{n}", OLD, pods=(pod(f"cart-{n}", "shop/cart"),)) for n in (1, 2, 3, 4)]
    bare = machine("m5", OLD, pods=(pod("tool", is_replicated=False),))
    current = machine("m6", NEW, pods=(pod("cart-6", "shop/cart"),))
    now = snapshot(*carts, bare, current, budgets={"shop/cart": closed})
    assert preflight.hindrances(pool(6), now) == (
        Blocker(
            code="pdb",
            what="PDB shop/cart can never allow an eviction: it wants 3 of 3 pods healthy (pod shop/cart-1)",
            where="nodes m1, m2, m3 and 1 more",
            forward="kubectl -n shop edit pdb cart, so that one pod may go; or where it demands a number of pods run 4",
        ),
        Blocker(
            code="pod",
            what="pod shop/tool has no controller and would be lost (drain.force allows it)",
            where="node m5",
            forward="delete the pod or give it a controller, or set drain.force",
        ),
    )


def test_FM42_the_node_that_the_run_lives_on_is_told_first() -> None:
    """It goes last, and takes the run with it: who knows can run from elsewhere."""
    found = preflight.own_node(pool(2), snapshot(machine("m1", OLD), machine("m2", OLD), own_node="m2"))
    assert [(blocker.code, blocker.where) for blocker in found] == [("own_node", "machine m2")]
    assert preflight.own_node(pool(2), snapshot(machine("m1", OLD), machine("m2", NEW), own_node="m2")) == ()
