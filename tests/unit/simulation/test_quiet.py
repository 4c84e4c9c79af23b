# SPDX-License-Identifier: GPL-3.0-or-later
"""A quiet world tells what a decision could rest on, and leaves the rest unsaid."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.simulation.quiet import QuietSession
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World
from ansible_collections.immutable.fleet.tests.unit.simulation.worlds import after, cordon, create, node, world

CART = {"name": "cart", "namespace": "shop", "replicas": 4, "after_nodes": 2, "budget": {"max_unavailable": 1}}


def shop(order: int = 0) -> World:
    it = world(workloads=[{**CART, "order": order}])
    create(it, "web-0-aaaaa")
    create(it, "web-1-bbbbb")
    return after(it, 120)


@dataclass
class Listener:
    """Somebody who watches, and what he was told since he last looked."""

    world: World
    heard: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.session = QuietSession(self.world)
        self.session.watch(self.heard.append)

    def told(self, seconds: float = 0) -> list[str]:
        """What is told now, and in the next `seconds`."""
        self.session.advance(self.world.now + timedelta(seconds=seconds))
        heard, self.heard[:] = list(self.heard), []
        return heard


def stop(it: World, name: str, pods: int) -> None:
    """Let so many pods of a node end."""
    for pod in node(it, name).pods[:pods]:
        it.pods.terminate(pod.uid, it.state.pods[pod.uid], None)


def test_one_pod_less_on_a_node_that_is_not_empty_yet() -> None:
    it = shop()
    cordon(it, "web-0-aaaaa")
    listener = Listener(it)
    stop(it, "web-0-aaaaa", 1)
    assert listener.told() == []


def test_the_last_pod_gone_is_told() -> None:
    it = shop()
    cordon(it, "web-0-aaaaa")
    listener = Listener(it)
    stop(it, "web-0-aaaaa", 2)
    assert (listener.told(), listener.told(20), node(it, "web-0-aaaaa").pods) == ([], ["cluster"], ())


def test_a_node_that_is_written_to_is_told() -> None:
    it = shop()
    listener = Listener(it)
    cordon(it, "web-0-aaaaa")
    assert (listener.told(), listener.told()) == (["cluster"], [])


def test_a_budget_that_opens_again_is_told() -> None:
    """Pods may wait for it; one that was never closed lets nobody wait."""
    it = shop()
    cordon(it, "web-0-aaaaa")
    listener = Listener(it)
    it.pods.evict(node(it, "web-0-aaaaa").pods[0], None)
    assert (listener.told(), listener.told(5.5)) == ([], ["cluster"])


def test_a_machine_under_way_is_told() -> None:
    it = shop()
    listener = Listener(it)
    create(it, "web-2-ccccc")
    assert (listener.told(), listener.told(25), listener.told(100)) == (["vms"], ["vms"], ["cluster"])


def test_groups_of_pods_that_leave_one_after_the_other() -> None:
    """Each pod that goes may be the last of its group: all of them are told, where a workload has an order."""
    it = shop(order=1)
    cordon(it, "web-0-aaaaa")
    listener = Listener(it)
    stop(it, "web-0-aaaaa", 1)
    assert listener.told() == ["cluster"]


def test_all_who_watch_are_told() -> None:
    """The adapters of cloud and cluster watch one session, and what matters is known by comparison with what was told before."""
    it = shop()
    listener, other = Listener(it), []
    listener.session.watch(other.append)
    cordon(it, "web-0-aaaaa")
    assert listener.told() == other == ["cluster"]


def test_FM14_a_node_that_has_all_its_pods_ready_is_told() -> None:
    """A step of a ladder waits for that; in a world without one it is not even shown."""
    for shows in (True, False):
        it = shop()
        it.state.settings.shows_readiness = shows
        it.pods.node_is_silent("web-0-aaaaa")
        listener = Listener(it)
        it.pods.node_is_back("web-0-aaaaa")
        assert listener.told(20) == (["cluster"] if shows else [])
