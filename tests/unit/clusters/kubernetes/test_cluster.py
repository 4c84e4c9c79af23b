# SPDX-License-Identifier: GPL-3.0-or-later
"""What the adapter makes of a direct list beside what its watch shows; all else of it is tested against the lab."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes import convert
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.cluster import KubernetesCluster
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.skew import Skew
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Look
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, vm
from ansible_collections.immutable.fleet.tests.unit.clusters.kubernetes.worlds import Json, node


class Slow:
    """Lists nothing, once `answers` is set, and refuses one of the lists where it is told to. Remembers what it was asked."""

    def __init__(self, refused: str = "") -> None:
        self.skew, self.asked = Skew(), list[str]()
        self.begun, self.answers = threading.Event(), threading.Event()
        self._refused = refused

    def now(self) -> datetime:
        return NOW

    def pages(self, path: str, **_given: Any) -> Iterator[Json]:
        self.asked.append(path.rpartition("/")[2])
        self.begun.set()
        self.answers.wait()
        if self.asked[-1] == self._refused:
            raise Denied(what="no")
        yield {"metadata": {"resourceVersion": "7"}}

    def stream(self, _path: str, **_given: Any) -> Any:
        raise Transient(what="no watch here")


def test_the_first_lists_begin_at_once_and_are_those_that_start_waits_for() -> None:
    """DaemonSets after the pods, none twice; the view is as old as they are."""
    server: Any = Slow()
    cluster = KubernetesCluster(server, pool="web")
    cluster.look_ahead()
    assert server.begun.wait(10)
    server.answers.set()
    cluster.start(lambda: None)
    cluster.stop()
    assert server.asked == ["nodes", "poddisruptionbudgets", "volumeattachments", "pods", "daemonsets"]
    assert cluster.view().as_of == NOW


def test_what_a_list_ahead_was_refused_is_raised_by_start() -> None:
    """A run without a right learns it where it would have without haste."""
    server: Any = Slow(refused="pods")
    server.answers.set()
    cluster = KubernetesCluster(server, pool="web")
    cluster.look_ahead()
    with pytest.raises(Denied):
        cluster.start(lambda: None)


class Server:
    """Lists these nodes, a second after it is asked."""

    def __init__(self, *nodes: Json) -> None:
        self.skew = Skew()
        self._nodes, self._now = nodes, NOW

    def now(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now

    def pages(self, path: str, **_given: Any) -> Iterator[Json]:
        assert path == "/api/v1/nodes"
        yield {"items": list(self._nodes)}


@pytest.mark.parametrize(
    ("there", "watched", "expected"),
    [
        pytest.param([], [], "", id="no node at all"),
        pytest.param([node("n1")], [node("n1")], "", id="all of them are in the view: it is none of these"),
        pytest.param([node("n1"), node("m1")], [node("n1")], "m1", id="one that the watch lacks may be its node, whatever its name"),
        pytest.param([node("m1", uid="second")], [node("m1", uid="first")], "m1", id="another node of a name that is known"),
    ],
)
def test_a_machine_has_not_joined_where_the_watch_lacks_no_node(there: list[Json], watched: list[Json], expected: str) -> None:
    """And that is so as of the beginning of the read."""
    server: Any = Server(*there)
    cluster = KubernetesCluster(server, pool="web")
    for raw in watched:
        cluster._join.nodes.put(convert.key_of(raw), 1, convert.read_node(raw, timedelta(0), frozenset()))
    assert cluster.look_for_node(vm("m1")) == Look(begun_at=NOW + timedelta(seconds=1), node=expected)
