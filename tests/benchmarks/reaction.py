# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the engine takes from a fact to the next call that it allows, measured at the ports.

A fact's instant is the first news that its adapter gave since the loop last looked, so it may be earlier than the fact
itself and never later; for an answer it is the return of the call. The call's instant is when the adapter is handed it. In
between lie gathering, one turn of the loop, and the queue for a thread.

| fact | next call |
|---|---|
| a new node is ready | the mark on the next old one, first come first served |
| the mark is answered | the first eviction of that node |
| the last pod is gone | the direct look at that node |
| the look is answered, and empty | the delete of that VM |
| the VM is gone | the delete of that node |
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Look, Node, NodeChange, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Room
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, NewMachine, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Cloud, Cluster, ClusterView, Listing

MARK, EVICT, LOOK, DELETE, DELETE_NODE = "mark", "evict", "look", "delete", "delete node"


class Stopwatch:
    """Facts that wait for their call, and the milliseconds of those that had it. For many threads."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, list[float]] = {}
        self._waiting: dict[tuple[str, str], deque[float]] = {}
        self._lock = threading.Lock()

    def fact(self, allows: str, about: str, at: float) -> None:
        """From `at` on, a call `allows` about this is possible."""
        with self._lock:
            self._waiting.setdefault((allows, about), deque()).append(at)

    def call(self, verb: str, about: str) -> None:
        """It is handed to its adapter now. One that no fact waits for, such as a pod's second eviction, counts nothing."""
        now = time.monotonic()
        with self._lock:
            waiting = self._waiting.get((verb, about))
            if waiting:
                self.milliseconds.setdefault(verb, []).append((now - waiting.popleft()) * 1000)


class News:
    """When an adapter first told something since it was last asked."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._lock = threading.Lock()

    def told(self) -> None:
        """Something changed."""
        with self._lock:
            self._first = time.monotonic() if self._first is None else self._first

    def take(self) -> float:
        """The instant; begins anew."""
        with self._lock:
            first, self._first = self._first, None
        return time.monotonic() if first is None else first


class TimedCluster:
    """Stands before a Cluster."""

    def __init__(self, cluster: Cluster, watch: Stopwatch) -> None:
        self._cluster, self._watch = cluster, watch
        self._news = News()
        self._nodes: Mapping[str, Node] = {}
        self._places: dict[str, str] = {}  # pod UID -> node
        self._ready: set[str] = set()  # UIDs of new nodes

    def start(self, on_change: Callable[[], None]) -> None:
        def told() -> None:
            self._news.told()
            on_change()

        self._cluster.start(told)
        self._nodes = self._cluster.view().nodes
        self._places = {pod.uid: node.name for node in self._nodes.values() for pod in node.pods}

    def view(self) -> ClusterView:
        at = self._news.take()
        view = self._cluster.view()
        for name, node in view.nodes.items():
            before = self._nodes.get(name)
            if node is not before:
                self._compare(before, node, at)
        self._nodes = view.nodes
        return view

    def change(self, change: NodeChange) -> None:
        is_mark = marks.NODE_CHOSEN in change.annotations
        if is_mark:
            self._watch.call(MARK, "")
        self._cluster.change(change)
        if is_mark:
            self._watch.fact(EVICT, change.node, time.monotonic())

    def evict(self, pod: Pod, grace: timedelta | None) -> None:
        self._watch.call(EVICT, self._places.get(pod.uid, ""))
        self._cluster.evict(pod, grace)

    def remove(self, pod: Pod, grace: timedelta | None) -> None:
        self._cluster.remove(pod, grace)

    def look(self, node: str) -> Look:
        self._watch.call(LOOK, node)
        look = self._cluster.look(node)
        if look.is_empty:
            self._watch.fact(DELETE, node, time.monotonic())
        return look

    def look_for_node(self, vm: Vm) -> Look:
        return self._cluster.look_for_node(vm)

    def delete_node(self, node: Node) -> None:
        self._watch.call(DELETE_NODE, node.name)
        self._cluster.delete_node(node)

    def mint_token(self, machine: str, ttl: timedelta) -> str:
        return self._cluster.mint_token(machine, ttl)

    def delete_token(self, token: Leftover) -> None:
        self._cluster.delete_token(token)

    def join_values(self) -> dict[str, str]:
        return self._cluster.join_values()

    def stop(self) -> None:
        self._cluster.stop()

    def _compare(self, before: Node | None, node: Node, at: float) -> None:
        self._places.update((pod.uid, node.name) for pod in node.pods)
        if node.ready and not node.was_ready and node.uid not in self._ready:
            self._ready.add(node.uid)  # one that is not ready for a moment allows no second mark
            self._watch.fact(MARK, "", at)
        if before is not None and before.pods and not node.pods and node.chosen is not None:
            self._watch.fact(LOOK, node.name, at)


class TimedCloud:
    """Stands before a Cloud."""

    def __init__(self, cloud: Cloud, watch: Stopwatch) -> None:
        self._cloud, self._watch = cloud, watch
        self._news = News()
        self._names: dict[str, str] = {}

    def resolve(self, pinned: Mapping[str, str] | None = None) -> Revision:
        return self._cloud.resolve(pinned)

    def watch(self, on_change: Callable[[], None]) -> bool:
        def told() -> None:
            self._news.told()
            on_change()

        return self._cloud.watch(told)

    def list_vms(self, since: datetime | None, *, with_leftovers: bool) -> Listing:
        at = self._news.take()
        listing = self._cloud.list_vms(since, with_leftovers=with_leftovers)
        seen = {vm.id: vm.name for vm in listing.vms}
        gone = self._names.keys() - seen.keys() if listing.is_full else self._names.keys() & set(listing.gone)
        for vm_id in gone:
            self._watch.fact(DELETE_NODE, self._names[vm_id], at)
        self._names = {key: name for key, name in {**self._names, **seen}.items() if key not in gone}
        return listing

    def create(self, machine: NewMachine) -> None:
        self._cloud.create(machine)

    def delete(self, vm: Vm) -> None:
        self._watch.call(DELETE, vm.name)
        self._cloud.delete(vm)

    def room(self) -> Room:
        return self._cloud.room()

    def clear(self, leftover: Leftover) -> None:
        self._cloud.clear(leftover)
