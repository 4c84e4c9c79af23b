# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods leave a node now, what prevents the others, and which drains are not worth starting."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide import drain
from ansible_collections.immutable.fleet.plugins.module_utils.decide.asked import Asked
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget, EvictionTry, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import DrainPolicy
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, ago, budget, later, node, pod, tried

Outcome = tuple[list[str], datetime | None]
CART = "shop/cart"
ENDING = ago(5)


def evicted(pods: tuple[Pod, ...], left: dict[str, int], tries: dict[str, EvictionTry], **policy: Any) -> Outcome:
    """Names of the pods to evict now, and when to look again."""
    closed = node(pods=pods, schedulable=False, chosen=Note(ago(20), "outdated"))
    actions, wake_at = drain.evict_now(closed, left, tries, DrainPolicy(**policy), NOW)
    return [action.pod.name for action in actions], wake_at


@pytest.mark.parametrize(
    ("pods", "left", "expected"),
    [
        pytest.param((pod("a"), pod("b")), {}, (["a", "b"], None), id="all pods at once"),
        pytest.param((pod("a", CART), pod("b", CART), pod("c", CART)), {CART: 2}, (["a", "b"], later(40)), id="as many as the PDB allows"),
        pytest.param((pod("a", CART), pod("b")), {CART: 0}, (["b"], later(40)), id="a closed PDB holds back its own pods only"),
        pytest.param((pod("a", "shop/a"), pod("b", "shop/b")), {"shop/a": 1, "shop/b": 1}, (["a", "b"], None), id="each PDB for itself"),
        pytest.param((pod("a", "shop/new"),), {}, (["a"], None), id="a PDB that the watch has not shown yet"),
        pytest.param((pod("a", order=1), pod("b"), pod("c")), {}, (["b", "c"], None), id="the lowest order group first"),
        pytest.param((pod("a", order=1), pod("b", terminating_since=ENDING)), {}, ([], None), id="the next group waits for the last pod"),
        pytest.param((pod("a", wait_completed=True), pod("b")), {}, (["b"], None), id="a pod that leaves by ending is never evicted"),
        pytest.param((pod("a", terminating_since=ENDING),), {}, ([], None), id="a pod that goes already is not told again"),
        pytest.param((), {}, ([], None), id="no pods"),
    ],
)
def test_pods_that_may_leave_now(pods: tuple[Pod, ...], left: dict[str, int], expected: Outcome) -> None:
    """Everything that may leave is told at once, lower order groups first; nothing is sent against a PDB that shows 0."""
    assert evicted(pods, left, {}) == expected


@pytest.mark.parametrize(
    ("memory", "allowed", "expected"),
    [
        pytest.param(tried(2), 1, ([], later(28)), id="accepted a moment ago"),
        pytest.param(tried(30), 1, (["a"], None), id="accepted, and the watch never shows it"),
        pytest.param(tried(2, later(3)), 1, ([], later(3)), id="refused with 429: when the server said"),
        pytest.param(tried(5, ago(0)), 1, (["a"], None), id="its time to try again has come"),
        pytest.param(tried(30, ago(25)), 0, ([], later(30)), id="may be tried again, but the PDB shows 0"),
        pytest.param(tried(60, ago(55)), 0, (["a"], None), id="a PDB that shows 0 is tried once a minute all the same"),
    ],
)
def test_an_eviction_is_remembered(memory: EvictionTry, allowed: int, expected: Outcome) -> None:
    """A refusal is not repeated before its time, an accepted eviction not before the watch had a chance to show it."""
    assert evicted((pod("a", CART),), {CART: allowed}, {"uid-a": memory}) == expected


def test_a_closed_budget_is_tried_a_minute_after_the_drain_began() -> None:
    """Should the PDB's status be wrong: the first try comes 60 s after the node was marked, not never."""
    waiting = node(pods=(pod("a", CART),), schedulable=False, chosen=Note(ago(60), "outdated"))
    actions, _wake_at = drain.evict_now(waiting, {CART: 0}, {}, DrainPolicy(), NOW)
    assert [action.pod.name for action in actions] == ["a"]


@pytest.mark.parametrize(
    ("tries", "pods", "expected"),
    [
        pytest.param({}, (pod("a", CART),), 2, id="nothing is on its way"),
        pytest.param({"uid-a": tried(1)}, (pod("a", CART),), 1, id="an eviction that the server may not have counted yet"),
        pytest.param({"uid-a": tried(1)}, (pod("a", CART, terminating_since=ENDING),), 2, id="the server has counted it"),
        pytest.param({"uid-a": tried(1, later(5))}, (pod("a", CART),), 2, id="a refusal uses nothing up"),
        pytest.param({"uid-z": tried(1)}, (pod("a", CART),), 2, id="of a pod that is gone"),
    ],
)
def test_FM50_a_budget_is_not_asked_for_more_than_it_has(tries: dict[str, EvictionTry], pods: tuple[Pod, ...], expected: int) -> None:
    """Evictions on their way are taken off what the PDB shows, so that no call is spent on a sure refusal."""
    assert drain.allowances({CART: budget(CART, 2)}, tries, {each.uid: each for each in pods}) == {CART: expected}


NO_PDB_ROOM = budget(CART, 0, desired=3, expected=3)


@pytest.mark.parametrize(
    ("subject", "budgets", "policy", "expected"),
    [
        pytest.param(pod("a"), {}, {}, "", id="an ordinary pod"),
        pytest.param(
            pod("a", CART, "shop/all"),
            {},
            {},
            "pod shop/a matches 2 PDBs (shop/cart, shop/all); the eviction API refuses that",
            id="FM03 two PDBs",
        ),
        pytest.param(
            pod("a", is_replicated=False),
            {},
            {},
            "pod shop/a has no controller and would be lost (drain.force allows it)",
            id="unreplicated",
        ),
        pytest.param(pod("a", is_replicated=False), {}, {"force": True}, "", id="unreplicated, and force"),
        pytest.param(
            pod("a", has_empty_dir=True),
            {},
            {"delete_emptydir_data": False},
            "pod shop/a keeps data in an emptyDir (drain.delete_emptydir_data allows to lose it)",
            id="emptyDir",
        ),
        pytest.param(pod("a", has_empty_dir=True), {}, {}, "", id="emptyDir, which may be lost by default"),
        pytest.param(
            pod("a", CART),
            {CART: NO_PDB_ROOM},
            {},
            "PDB shop/cart can never allow an eviction: it wants 3 of 3 pods healthy (pod shop/a)",
            id="FM01 a PDB that can never allow one",
        ),
        pytest.param(pod("a", CART), {CART: budget(CART, 0)}, {}, "", id="a PDB that allows none just now"),
        pytest.param(pod("a", CART, "shop/all", wait_completed=True), {}, {}, "", id="it leaves by ending, nobody evicts it"),
        pytest.param(pod("a", CART, "shop/all", terminating_since=ENDING), {}, {}, "", id="it goes already"),
    ],
)
def test_pods_that_no_time_will_let_go(subject: Pod, budgets: dict[str, Budget], policy: dict[str, Any], expected: str) -> None:
    """What prevents an eviction for good is said in words, with the option that allows it."""
    assert drain.refusal_of(subject, budgets, DrainPolicy(**policy)) == expected


def test_a_pod_that_is_refused_for_good_is_never_sent() -> None:
    """FM3: an eviction that answers 500 is not repeated blindly, it is not even tried."""
    assert evicted((pod("a", CART, "shop/all"), pod("b", is_replicated=False)), {CART: 1, "shop/all": 1}, {}) == ([], None)


def test_one_blocker_for_each_reason() -> None:
    """Ten pods of one PDB are one reason; each blocker names the node, what to do, and for a PDB since when it exists."""
    closed = Budget(name=CART, allowed=0, healthy=3, desired=3, expected=3, created_at=ago(999))
    full = node("n1", pods=(pod("a", CART), pod("b", CART), pod("c", is_replicated=False)))
    assert drain.blockers_of(full, {CART: closed}, DrainPolicy()) == [
        Blocker(
            code="pdb",
            what="PDB shop/cart can never allow an eviction: it wants 3 of 3 pods healthy (pod shop/a), and 1 more pod",
            where="node n1",
            since=ago(999),
            forward="kubectl -n shop edit pdb cart, so that one pod may go; or where it demands a number of pods run 4",
        ),
        Blocker(
            code="pod",
            what="pod shop/c has no controller and would be lost (drain.force allows it)",
            where="node n1",
            forward="delete the pod or give it a controller, or set drain.force",
        ),
    ]


@pytest.mark.parametrize(
    ("pods", "allowed", "expected"),
    [
        pytest.param((), 1, "no pods left", id="empty"),
        pytest.param((pod("a"),), 1, "1 pod left (a)", id="one pod"),
        pytest.param((pod("a"), pod("b"), pod("c"), pod("d")), 1, "4 pods left (a, b, c ...)", id="only some are named"),
        pytest.param((pod("a", CART), pod("b")), 0, "PDB shop/cart allows 0 evictions, 2 pods left (a, b)", id="a closed PDB is named"),
        pytest.param((pod("a", terminating_since=ENDING),), 1, "1 pod left (a), terminating", id="all are told to go"),
    ],
)
def test_what_a_drain_waits_for(pods: tuple[Pod, ...], allowed: int, expected: str) -> None:
    """FM1: a person reads the PDB and the pods, not "timed out"."""
    assert drain.waiting_for(node(pods=pods), {CART: budget(CART, allowed)}) == expected


@pytest.mark.parametrize(
    ("pods", "allowed", "seconds"),
    [
        pytest.param((), 1, 0, id="empty"),
        pytest.param((pod("a"), pod("b", grace=timedelta(seconds=90))), 1, 90, id="the longest grace"),
        pytest.param((pod("a", CART), pod("b", CART), pod("c", CART)), 1, 90, id="one round for each that the PDB lets go"),
        pytest.param((pod("a", CART), pod("b", CART), pod("c", CART)), 2, 60, id="two at a time"),
    ],
)
def test_predicted_length_of_a_drain(pods: tuple[Pod, ...], allowed: int, seconds: int) -> None:
    """The longest grace, times the rounds that the tightest PDB asks for."""
    assert drain.predicted_drain(Asked(node(pods=pods)), {CART: budget(CART, allowed)}) == seconds


@pytest.mark.parametrize(
    ("ready", "policy", "expected"),
    [
        pytest.param(True, {}, None, id="each pod its own"),
        pytest.param(True, {"grace_period": 90}, timedelta(seconds=90), id="as asked for"),
        pytest.param(True, {"grace_period": 0}, timedelta(0), id="FM07 0 is an answer"),
        pytest.param(False, {}, None, id="a kubelet that says it is not ready still ends pods"),
        pytest.param(None, {}, timedelta(seconds=1), id="a silent node"),
        pytest.param(None, {"grace_period": 90}, timedelta(seconds=1), id="a silent node, whatever was asked for"),
        pytest.param(None, {"grace_period": 0}, timedelta(seconds=1), id="FM05 a silent node: 0 would forget a pod that may run"),
    ],
)
def test_how_long_pods_get_to_end(ready: bool | None, policy: dict[str, Any], expected: timedelta | None) -> None:
    """On a node that is silent 1 s, by eviction and by force: nobody is there to wait for, and nothing is forgotten without proof."""
    subject = node("n1", pods=(pod("a"),), ready=ready)
    evictions, _wake_at = drain.evict_now(subject, {}, {}, DrainPolicy(**policy), NOW)
    removals, _wake_at = drain.remove_now(subject, {}, DrainPolicy(**policy), NOW, "why")
    assert [action.grace for action in (*evictions, *removals)] == [expected, expected]


@pytest.mark.parametrize(
    ("timeout", "on_timeout", "seconds"),
    [(100, "skip", 100), (100, "fail", 100), (100, "force", 200), (10, "force", 70), (0, "force", 60), (0, "skip", 0)],
    ids=["skip", "fail", "force: as long again", "force: a minute at least", "force at once", "given up at once"],
)
def test_when_a_drain_is_given_up(timeout: int, on_timeout: str, seconds: int) -> None:
    """FM8: whatever happens at the timeout, no drain goes on for ever."""
    policy = DrainPolicy(timeout=timedelta(seconds=timeout), on_timeout=on_timeout)
    assert drain.gives_up_at(NOW, policy) == later(seconds)


def test_force_deletes_what_is_left_once() -> None:
    """`on_timeout: force` deletes each pod left past its PDB, whatever forbids an eviction; those just told wait for their time."""
    full = node("n1", pods=(pod("a", CART, "shop/all"), pod("b", terminating_since=ENDING), pod("c")))
    actions, wake_at = drain.remove_now(full, {"uid-c": tried(1)}, DrainPolicy(), NOW, "why")
    assert ([(action.pod.name, action.by_force, action.reason) for action in actions], wake_at) == ([("a", True, "why")], later(29))
