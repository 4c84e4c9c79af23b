# SPDX-License-Identifier: GPL-3.0-or-later
"""What each error class means for what may be sent next: the class alone decides about repeating."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.engine import answers
from ansible_collections.immutable.fleet.plugins.module_utils.engine.world import World
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import WHOLE, Capture
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Action, Choose, Create, Delete, DeleteNode, Evict, Fetch
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Conflict,
    Denied,
    Exhausted,
    Invalid,
    NotFound,
    PortError,
    Throttled,
    Transient,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Troubles
from ansible_collections.immutable.fleet.plugins.module_utils.ports import ClusterView
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, POOL, ago, budget, later, machine, node, pod

CREATE = Create(0, "", 1, "3 exist < ceiling 4")
FETCH = Fetch(Capture(id="i1", builder="m1", status=WHOLE, created_at=NOW), "/disk", "its disk is copied")
CHOOSE = Choose(machine("m1"), "outdated")
DELETE = Delete(machine("m1"), "0 pods left")
DELETE_NODE = DeleteNode(node("m1"), "its VM is gone")
EVICT = Evict("m1", pod("a"), "no PDB")


def sent(action: Action) -> tuple[World, str]:
    world = World(pool=POOL, began_at=ago(60), call_timeout=timedelta(seconds=20), has_cloud=True, has_cluster=True)
    return world, world.send(action, "m1", NOW)


LAID = "laid over until the facts speak"


@pytest.mark.parametrize(
    ("action", "error", "expected"),
    [
        pytest.param(DELETE, NotFound(what="gone"), LAID, id="delete of what is gone: success"),
        pytest.param(DELETE_NODE, NotFound(what="gone"), LAID, id="delete of a node that is gone: success"),
        pytest.param(DELETE, Transient(what="no answer"), LAID, id="no answer: it may have worked"),
        pytest.param(CREATE, Transient(what="no answer"), LAID, id="no answer to a create: it may exist"),
        pytest.param(CHOOSE, Conflict(what="changed"), later(1), id="somebody was faster: a look, then again"),
        pytest.param(CHOOSE, NotFound(what="gone"), later(1), id="a mark on a node that is gone: a look"),
        pytest.param(DELETE, Throttled(what="429", after=timedelta(seconds=9)), later(9), id="throttled: when the server said"),
        pytest.param(DELETE, Throttled(what="429"), later(5), id="throttled without a time: 5 s"),
        pytest.param(DELETE, Exhausted(what="quota"), later(5), id="anything else: back off"),
        pytest.param(FETCH, Transient(what="broken off"), later(5), id="of bytes that did not come nothing is left: again, later"),
    ],
)
def test_what_an_error_leaves_behind(action: Action, error: PortError, expected: datetime | str) -> None:
    """An unknown outcome stays laid over; a definite refusal is gone at once, and held off for its time."""
    world, key = sent(action)
    fatal = answers.take_error(world, key, error, NOW)
    assert (fatal, LAID if key in world.calls else world.held_off[key]) == (None, expected)


@pytest.mark.parametrize("action", [CREATE, CHOOSE, DELETE, EVICT], ids=["create", "choose", "delete", "evict"])
def test_denied_is_never_repeated(action: Action) -> None:
    """Credentials and permissions: the user acts, the run ends."""
    world, key = sent(action)
    error = Denied(what="forbidden")
    assert (answers.take_error(world, key, error, NOW), key in world.calls) == (error, False)


def test_an_invalid_create_ends_the_run() -> None:
    """A request that is wrong stays wrong."""
    world, key = sent(CREATE)
    error = Invalid(what="unknown flavor")
    assert answers.take_error(world, key, error, NOW) is error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(
            Exhausted(what="quota"), Troubles(after=later(5), what="quota", since=NOW, count=1), id="exhausted: back off, and count"
        ),
        pytest.param(
            Throttled(what="429", after=timedelta(seconds=30)),
            Troubles(after=later(30), what="429", since=NOW),
            id="throttled: when the server said",
        ),
        pytest.param(Conflict(what="name taken"), Troubles(after=later(1), what="name taken", since=NOW), id="conflict: a moment"),
    ],
)
def test_a_refused_create_holds_all_creates_back(error: PortError, expected: Troubles) -> None:
    """The next create has another name, so holding back one name would hold back nothing."""
    world, key = sent(CREATE)
    answers.take_error(world, key, error, NOW)
    assert (world.troubles, world.calls) == (expected, {})


@pytest.mark.parametrize(
    ("count", "back_off", "fatal"),
    [(1, 5, False), (2, 10, False), (3, 20, False), (4, 40, False), (5, 80, True)],
    ids=["first", "second", "third", "fourth", "fifth: given up"],
)
def test_FM27_failed_creates_back_off_and_are_given_up(count: int, back_off: float, fatal: bool) -> None:
    """Each failure in a row waits twice as long; the fifth ends the run."""
    world, _key = sent(CREATE)
    world.troubles = Troubles(after=ago(1), count=count - 1, since=ago(99))
    answers.create_failed(world, "no room", NOW)
    assert world.troubles == Troubles(after=later(back_off), what="no room", since=ago(99), count=count, fatal=fatal)


def test_creates_that_failed_together_count_as_one() -> None:
    """Ten creates that met the same full cloud are one piece of news."""
    world, _key = sent(CREATE)
    answers.create_failed(world, "no room", NOW)
    answers.create_failed(world, "no room", later(1))
    assert (world.troubles.count, world.troubles.after) == (1, later(6))


def test_a_create_without_room_counts_though_another_was_told_to_wait() -> None:
    """A 429 holds creates back, too, and counts as no failure: the refusal beside it is the first one."""
    world, _key = sent(CREATE)
    world.troubles = Troubles(after=later(5), what="slow down")
    answers.create_failed(world, "no room", NOW)
    assert (world.troubles.count, world.troubles.after) == (1, later(5))


def test_what_works_ends_the_trouble() -> None:
    """A new machine that serves: what went wrong before is over."""
    world, _key = sent(CREATE)
    world.troubles = Troubles(count=4)
    answers.create_worked(world)
    assert world.troubles == Troubles()


@pytest.mark.parametrize(
    ("error", "retry_at"),
    [
        pytest.param(Throttled(what="PDB"), later(5.998), id="429: 5 s and the pod's own jitter"),
        pytest.param(Throttled(what="PDB", after=timedelta(seconds=10)), later(10), id="429 with Retry-After"),
        pytest.param(Conflict(what="spent"), later(10), id="FM50 409: the budget is spent, only time gives it back"),
        pytest.param(Invalid(what="two PDBs"), later(60), id="FM03 500: waiting alone does not cure it"),
        pytest.param(Transient(what="no answer"), later(5), id="no answer"),
        pytest.param(NotFound(what="gone"), None, id="404: done"),
    ],
)
def test_what_a_refused_eviction_waits_for(error: PortError, retry_at: datetime | None) -> None:
    """No eviction error ends a run or a drain; each has its own pause (FM6)."""
    world, key = sent(EVICT)
    fatal = answers.take_error(world, key, error, NOW)
    assert (fatal, key in world.calls, world.evictions["uid-a"].retry_at) == (None, False, retry_at)


@pytest.mark.parametrize(
    ("allowed", "retry_at"),
    [
        pytest.param(0, NOW, id="the watch shows the refusal's cause: it will show its end, too"),
        pytest.param(1, later(10), id="the watch lags behind: when the server said"),
    ],
)
def test_a_429_waits_for_the_watch(allowed: int, retry_at: datetime) -> None:
    """Retry-After is a guess of the server's; a PDB that is seen closed is seen open, at once."""
    action = Evict("m1", pod("a", "shop/cart"), "PDB shop/cart allows it")
    world, key = sent(action)
    world.take_view(ClusterView(as_of=NOW, budgets={"shop/cart": budget("shop/cart", allowed)}), NOW)
    answers.take_error(world, key, Throttled(what="PDB", after=timedelta(seconds=10)), NOW)
    assert world.evictions["uid-a"].retry_at == retry_at
