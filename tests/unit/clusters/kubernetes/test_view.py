# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables that only move forward, and the join of what they hold."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes import convert
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.table import Table
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.view import Join
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node
from ansible_collections.immutable.fleet.tests.unit.clusters.kubernetes.worlds import (
    MADE,
    NO_SHIFT,
    Json,
    attachment,
    budget,
    node,
    pod,
)

Told = list[tuple[str, str | None, str | None]]


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def table(told: Told) -> Table[str]:
    """With a and b known as of version 10."""
    made: Table[str] = Table(lambda key, before, after: told.append((key, before, after)))
    made.replace([("a", 5, "old a"), ("b", 7, "old b")], 10)
    told.clear()
    return made


def test_older_versions_and_equal_ones_are_no_news(table: Table[str], told: Told) -> None:
    """The answer of our own write comes before the watch brings the same."""
    assert [table.put("a", 5, "same"), table.put("a", 4, "older"), table.drop("a", 4)] == [False, False, False]
    assert told == []


def test_newer_versions_replace(table: Table[str], told: Told) -> None:
    """A version that changes nothing of interest is taken in silently."""
    assert [table.put("a", 11, "new a"), table.put("b", 12, "old b"), table.drop("b", 13)] == [True, False, True]
    assert told == [("a", "old a", "new a"), ("b", "old b", None)]


def test_a_late_answer_brings_nothing_back(table: Table[str], told: Told) -> None:
    """The object was deleted while the answer was on its way."""
    table.drop("a", 12)
    told.clear()
    assert table.amend("a", 11, "patched") is False
    assert table.amend("b", 11, "patched") is True
    assert told == [("b", "old b", "patched")]


def test_list_drops_what_is_gone_before_what_is_new(table: Table[str], told: Told) -> None:
    """Another object may have taken the name."""
    table.replace([("c", 20, "new c"), ("b", 7, "old b")], 21)
    assert told == [("a", "old a", None), ("c", None, "new c")]


def test_list_that_is_older_than_a_fact_does_not_undo_it(table: Table[str], told: Told) -> None:
    """Our write was answered while the list was read."""
    table.put("a", 30, "patched")
    table.replace([("a", 5, "old a")], 25)
    assert table.get("a") == "patched"


def test_restored_store_starts_again(table: Table[str], told: Told) -> None:
    """Versions went back, so no fact is newer than the list."""
    table.replace([("a", 2, "restored a")], 3)
    assert told == [("b", "old b", None), ("a", "old a", "restored a")]


def test_objects_of_no_interest_are_known_and_not_told(table: Table[str], told: Told) -> None:
    """A pod that becomes one (finished) goes."""
    table.put("d", 11, None)
    table.put("a", 12, None)
    assert (table.get("d"), told) == (None, [("a", "old a", None)])


# --- the join --------------------------------------------------------------------------------------------------------

READERS: dict[str, Any] = {
    "nodes": convert.read_node,
    "pods": convert.read_pod,
    "budgets": convert.read_budget,
    "attachments": convert.read_attachment,
}


def take(join: Join, **objects: list[Json]) -> dict[str, Node]:
    """Put objects into the tables of that name; the nodes of the view afterwards."""
    for name, raws in objects.items():
        for raw in raws:
            getattr(join, name).put(convert.key_of(raw), int(convert.version_of(raw)), READERS[name](raw, NO_SHIFT))
    return join.view()[0]


def drop(join: Join, table: str, raw: Json, version: int = 99) -> dict[str, Node]:
    getattr(join, table).drop(convert.key_of(raw), version)
    return join.view()[0]


def budgets_of(nodes: dict[str, Node]) -> dict[str, tuple[str, ...]]:
    return {each.name: each.budgets for node in nodes.values() for each in node.pods}


def test_node_has_its_pods_and_attachments_sorted() -> None:
    """Whatever came first."""
    nodes = take(
        Join(),
        pods=[pod("b"), pod("a"), pod("c", "n2")],
        attachments=[attachment("v2"), attachment("v1")],
        nodes=[node("n1"), node("n2")],
    )
    assert [each.name for each in nodes["n1"].pods] == ["a", "b"]
    assert (nodes["n1"].attachments, [each.name for each in nodes["n2"].pods]) == (("v1", "v2"), ["c"])


def test_only_nodes_that_changed_are_other_objects() -> None:
    """And a view without a change is the same dictionary."""
    join = Join()
    before = take(join, nodes=[node("n1"), node("n2")], pods=[pod("a", "n1"), pod("b", "n2")])
    after = take(join, pods=[pod("a", "n1", 2, labels={"new": "label"}), pod("c", "n2", 3)])
    assert after["n1"] is before["n1"]
    assert after["n2"] is not before["n2"]
    assert [each.name for each in before["n2"].pods] == ["b"]
    assert join.view()[0] is after


def test_pods_and_attachments_go() -> None:
    """With the events that say so."""
    join, a, v1 = Join(), pod("a"), attachment("v1")
    take(join, nodes=[node("n1")], pods=[a], attachments=[v1])
    drop(join, "pods", a)
    nodes = drop(join, "attachments", v1)
    assert (nodes["n1"].pods, nodes["n1"].attachments) == ((), ())


def test_node_made_anew_under_its_name() -> None:
    """Another UID, and the pods that are there already are its."""
    join, first = Join(), node("n1", uid="u1")
    take(join, nodes=[first], pods=[pod("a")])
    assert drop(join, "nodes", first) == {}
    nodes = take(join, nodes=[node("n1", 100, uid="u2")])
    assert (nodes["n1"].uid, len(nodes["n1"].pods)) == ("u2", 1)


def test_pods_are_matched_with_budgets_whichever_comes_first() -> None:
    """By namespace and selector."""
    join = Join()
    take(join, nodes=[node("n1")], pods=[pod("before", labels={"app": "web"})], budgets=[budget("web"), budget("db", app="db")])
    nodes = take(join, pods=[pod("after", labels={"app": "web"}), pod("other")])
    assert budgets_of(nodes) == {"before": ("shop/web",), "after": ("shop/web",), "other": ()}


def test_budget_that_goes_or_selects_others_frees_its_pods() -> None:
    """Selectors of PDBs may change since policy/v1."""
    join, web = Join(), budget("web")
    take(join, nodes=[node("n1")], pods=[pod("a", labels={"app": "web"})], budgets=[web])
    assert budgets_of(take(join, budgets=[budget("web", 2, app="db")])) == {"a": ()}
    assert budgets_of(take(join, budgets=[budget("web", 3)])) == {"a": ("shop/web",)}
    assert budgets_of(drop(join, "budgets", web)) == {"a": ()}
    assert join.view()[1] == {}


def test_numbers_of_a_budget_make_no_node_another_object() -> None:
    """They change with each pod that comes or goes; the view shows them beside the nodes."""
    join = Join()
    before = take(join, nodes=[node("n1")], pods=[pod("a", labels={"app": "web"})], budgets=[budget("web", healthy=2)])
    after = take(join, budgets=[budget("web", 2, healthy=3)])
    assert after["n1"] is before["n1"]
    assert join.view()[1]["shop/web"].allowed == 1


def test_FM02_unready_pod_is_guarded_only_while_too_few_are_healthy() -> None:
    """It follows the budget's numbers; a ready pod does not."""
    join, labels = Join(), {"app": "web"}
    pods = [pod("sick", labels=labels, ready=False), pod("well", labels=labels)]
    nodes = take(join, nodes=[node("n1")], pods=pods, budgets=[budget("web", healthy=1)])
    assert budgets_of(nodes) == {"sick": ("shop/web",), "well": ("shop/web",)}
    assert budgets_of(take(join, budgets=[budget("web", 2, healthy=2)])) == {"sick": (), "well": ("shop/web",)}


def test_FM03_two_budgets_are_shown_for_an_unready_pod_too() -> None:
    """The API server refuses it before it looks at its readiness."""
    always = {"unhealthyPodEvictionPolicy": "AlwaysAllow"}
    nodes = take(
        Join(),
        nodes=[node("n1")],
        pods=[pod("sick", labels={"app": "web"}, ready=False)],
        budgets=[budget("one", **always), budget("two", **always)],
    )
    assert budgets_of(nodes) == {"sick": ("shop/one", "shop/two")}


def test_pending_pod_has_no_budget() -> None:
    """It is evicted without asking."""
    nodes = take(Join(), nodes=[node("n1")], pods=[pod("new", labels={"app": "web"}, phase="Pending")], budgets=[budget("web")])
    assert budgets_of(nodes) == {"new": ()}


def test_pod_of_a_daemon_set_is_listed_once_that_is_gone() -> None:
    """Orphaned, it must leave like any other."""
    join = Join()
    join.daemon_sets.put("ds", 1, "shop/agent")
    assert take(join, nodes=[node("n1")], pods=[pod("agent", owner=("DaemonSet", "ds"))])["n1"].pods == ()
    join.daemon_sets.drop("ds", 2)
    assert [each.name for each in join.view()[0]["n1"].pods] == ["agent"]


def test_pod_is_there_by_uid() -> None:
    """A StatefulSet's next pod has the same name."""
    join = Join()
    nodes = take(join, nodes=[node("n1")], pods=[pod("db-0", uid="first")])
    (first,) = nodes["n1"].pods
    assert join.is_there(first)
    drop(join, "pods", pod("db-0", uid="first"))
    take(join, pods=[pod("db-0", "n2", 100, uid="second")])
    assert not join.is_there(first)


def test_times_of_taints_are_kept_beside_the_node() -> None:
    """For a patch that writes the list as a whole."""
    join = Join()
    take(join, nodes=[node("n1", taints=[{"key": "k", "effect": "NoExecute", "timeAdded": MADE}, {"key": "l", "effect": "NoSchedule"}])])
    assert (join.taint_times("n1"), join.taint_times("n2")) == ({("k", "NoExecute"): MADE}, {})
