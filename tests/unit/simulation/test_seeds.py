# SPDX-License-Identifier: GPL-3.0-or-later
"""Promises of the world under random treatment: what is counted agrees with what is there, whatever happened."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from datetime import timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.cloud import SimulatedCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.cluster import SimulatedCluster
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import PortError
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import NodeChange
from ansible_collections.immutable.fleet.plugins.module_utils.simulation import codec
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.describe import fault_of
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import VirtualSession
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World
from ansible_collections.immutable.fleet.tests.unit.simulation.worlds import POOL, new_machine, nodes, world

STEPS = 150
FAULTS = (
    {"kind": "vm_lost", "lasts": "2m"},
    {"kind": "vm_gone"},
    {"kind": "vm_error"},
    {"kind": "never_joins"},
    {"kind": "pod_sticks"},
    {"kind": "domain_down", "target": "az1", "lasts": "90s"},
    {"kind": "cordon"},
    {"kind": "stale", "target": "cluster", "age": "20s", "lasts": "1m"},
)
WORKLOADS = [
    {"name": "cart", "replicas": 6, "budget": {"max_unavailable": 2}, "stop": {"min": 1, "max": 60}},
    {"name": "db", "kind": "StatefulSet", "replicas": 3, "volume": True, "budget": {"min_available": 2}},
    {"name": "load", "kind": "PerNode", "blocked_share": 0.3, "stuck_share": 0.2},
    {"name": "lone", "kind": "Pod", "replicas": 2},
]


class Treatment:
    """Random calls and faults, from a seed."""

    def __init__(self, it: World, seed: int) -> None:
        self.world = it
        self.chance = random.Random(seed)
        session = VirtualSession(it)
        self.cloud = SimulatedCloud(session, POOL, "v1")
        self.cluster = SimulatedCluster(session, POOL)
        self.made = 0

    def step(self) -> None:
        """One call or fault, then some time."""
        with suppress(PortError):
            self.chance.choice([self.create, self.delete, self.evict, self.evict, self.cordon, self.delete_node, self.fault])()
        self.world.advance(self.world.now + timedelta(seconds=self.chance.choice([0, 1, 5, 30, 120])))

    def create(self) -> None:
        self.made += 1
        self.cloud.create(new_machine(f"web-{self.made}-aaaaa", failure_domain=self.chance.choice(["az1", "az2"])))

    def delete(self) -> None:
        vms = self.cloud.list_vms(None, with_leftovers=False).vms
        if len(vms) > 2:
            self.cloud.delete(self.chance.choice(vms))

    def evict(self) -> None:
        pods = [pod for node in self.cluster.view().nodes.values() for pod in node.pods]
        if pods:
            grace = self.chance.choice([None, timedelta(0), timedelta(seconds=3)])
            self.chance.choice([self.cluster.evict, self.cluster.evict, self.cluster.remove])(self.chance.choice(pods), grace)

    def cordon(self) -> None:
        seen = self.cluster.view().nodes
        if seen:
            node = self.chance.choice(list(seen.values()))
            self.cluster.change(NodeChange(node=node.name, uid=node.uid, schedulable=not node.schedulable))

    def delete_node(self) -> None:
        silent = [node for node in self.cluster.view().nodes.values() if node.ready is None]
        if silent:
            self.cluster.delete_node(silent[0])

    def fault(self) -> None:
        self.world.inject(fault_of(self.chance.choice(FAULTS)))


def treated(seed: int) -> World:
    """A world after a random treatment, checked after each step."""
    it = world(seed=seed, failure_domains=["az1", "az2"], workloads=WORKLOADS)
    treatment = Treatment(it, seed)
    for _step in range(STEPS):
        treatment.step()
        check(it)
    return it


def check(it: World) -> None:
    """Indexes and counters, computed anew from the rows."""
    state = it.state
    placed = {uid: row.node for uid, row in state.pods.items() if row.node}
    assert {uid: name for name, uids in it.pods.on.items() for uid in uids} == placed
    for name, budget in state.budgets.items():
        pods = [row for row in state.pods.values() if name in row.pod.budgets]
        healthy = sum(1 for row in pods if row.ready and row.pod.terminating_since is None and row.spent_until is None)
        assert (budget.pods, budget.healthy) == (len(pods), healthy), name
    for workload in state.workloads.values():
        living = [row for row in state.pods.values() if row.workload == workload.key and row.pod.terminating_since is None]
        if workload.kind == "Deployment":
            assert len(living) == workload.replicas
    names = [row.pod.full_name for row in state.pods.values()]
    assert len(names) == len(set(names))
    for volume in state.volumes.values():
        assert volume.claim in it.pods.volumes.on[volume.node]
    assert set(nodes(it)) == set(state.members)
    assert {vm_id: vm for vms in it.hypervisor.vms.values() for vm_id, vm in vms.items()} == {
        vm_id: host.vm for vm_id, host in state.hosts.items()
    }


def written(it: World) -> str:
    """The whole world as text."""
    return json.dumps({kind: {key: codec.dump(row) for key, row in table.items()} for kind, table in it.state.tables.items()})


@pytest.mark.parametrize("treatment", range(20))
def test_what_is_counted_is_there(treatment: int) -> None:
    """Whatever was called, broke and came back."""
    treated(treatment)


def test_a_seed_replays_exactly() -> None:
    """Row for row; another seed is another world."""
    assert written(treated(4)) == written(treated(4))
    assert written(treated(4)) != written(treated(5))


def test_rows_are_all_there_is() -> None:
    """A world that went through a file at every step lives the same life as one in memory."""
    it = treated(7)
    copy = world(seed=7, failure_domains=["az1", "az2"], workloads=WORKLOADS)
    treatment = Treatment(copy, 7)
    for _step in range(STEPS):
        treatment.step()
        for table in copy.state.tables.values():
            texts = {key: codec.dump(row) for key, row in table.items()}
            table.clear()
            table |= {key: codec.load(text) for key, text in texts.items()}
        copy.reload()
    assert written(copy) == written(it)
