# SPDX-License-Identifier: GPL-3.0-or-later
"""The Cluster port over a simulated world: in memory or in a file, in virtual or in real time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Look, Node, NodeChange, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import ClusterView
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.faults import CLUSTER
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import Session
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import CLUSTER as CLUSTER_CHANGES
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World


class SimulatedCluster:
    """The workload cluster, with the bootstrap tokens of one pool."""

    def __init__(self, session: Session, pool: str) -> None:
        self._session = session
        self._pool = pool
        self._seen: ClusterView | None = None
        self._stop_watching: Callable[[], None] | None = None

    def start(self, on_change: Callable[[], None]) -> None:
        """See ports.Cluster."""
        with self._session.world() as world, world.calls.around(CLUSTER, "start"):
            self._seen = self._look_around(world)
        self._stop_watching = self._session.watch(lambda kind: on_change() if kind == CLUSTER_CHANGES else None)

    def view(self) -> ClusterView:
        """See ports.Cluster. Cut off, it is the last view, with the reason."""
        with self._session.world() as world:
            if self._seen is not None and world.calls.is_cut_off(CLUSTER):
                return replace(self._seen, error="the simulated cluster does not answer")
            self._seen = self._look_around(world)
            return self._seen

    def pools_of_nodes(self) -> dict[str, str]:
        """`{node: pool}` of the nodes that belong to a pool."""
        return {name: node.pool for name, node in self.view().nodes.items() if node.pool}

    def change(self, change: NodeChange) -> None:
        """See ports.Cluster."""
        with self._session.world() as world, world.calls.around(CLUSTER, "change"):
            world.nodes.change(change)

    def evict(self, pod: Pod, grace: timedelta | None) -> None:
        """See ports.Cluster."""
        with self._session.world() as world, world.calls.around(CLUSTER, "evict"):
            world.pods.evict(pod, grace)

    def remove(self, pod: Pod, grace: timedelta | None) -> None:
        """See ports.Cluster."""
        with self._session.world() as world, world.calls.around(CLUSTER, "remove"):
            world.pods.remove(pod, grace)

    def look(self, node: str) -> Look:
        """See ports.Cluster."""
        with self._session.world() as world, world.calls.around(CLUSTER, "look"):
            return world.nodes.look(node)

    def look_for_node(self, vm: Vm) -> Look:
        """See ports.Cluster."""
        with self._session.world() as world, world.calls.around(CLUSTER, "look"):
            name = world.nodes.name_of(vm.id)
            is_news = self._seen is None or name not in self._seen.nodes
            return Look(begun_at=world.now, node=name if is_news else "")

    def delete_node(self, node: Node) -> None:
        """See ports.Cluster."""
        with self._session.world() as world, world.calls.around(CLUSTER, "delete_node"):
            world.nodes.delete(node.name, node.uid)

    def mint_token(self, machine: str, ttl: timedelta) -> str:
        """See ports.Cluster."""
        with self._session.world() as world, world.calls.around(CLUSTER, "mint_token"):
            return world.tokens.mint(self._pool, machine, ttl)

    def delete_token(self, token: Leftover) -> None:
        """See ports.Cluster."""
        with self._session.world() as world, world.calls.around(CLUSTER, "delete_token"):
            world.tokens.delete(token.id)

    def join_values(self) -> dict[str, str]:
        """See ports.Cluster. Well-formed, and good for nothing."""
        return {"api_server": "simulated.invalid:6443", "ca_hash": "sha256:" + hashlib.sha256(b"simulated").hexdigest()}

    def stop(self) -> None:
        """See ports.Cluster."""
        if self._stop_watching is not None:
            self._stop_watching()
            self._stop_watching = None

    def _look_around(self, world: World) -> ClusterView:
        facts = world.facts
        facts.refresh()
        tokens = world.tokens.of(self._pool)
        age = world.calls.age_of(CLUSTER)
        if not age:
            return ClusterView(as_of=world.now, nodes=facts.nodes, budgets=facts.budgets, tokens=tokens)
        then = world.now - age
        as_of, nodes = facts.past_nodes.as_of(then, facts.nodes)
        as_of_budgets, budgets = facts.past_budgets.as_of(then, facts.budgets)
        return ClusterView(as_of=min(as_of, as_of_budgets), nodes=nodes, budgets=budgets, tokens=tokens)
