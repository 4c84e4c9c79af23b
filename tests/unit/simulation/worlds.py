# SPDX-License-Identifier: GPL-3.0-or-later
"""Builders for tests of the simulated world: a described world, machines in it, and short questions to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget, Node, NodeChange, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import NewMachine, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.describe import describe
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.furnish import world_from
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import PodRow
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World

DAWN = datetime(2026, 11, 21, 4, 0, 0, tzinfo=UTC)
POOL = "web"

# Round numbers, so that a test can say after how many seconds something is.
DURATIONS = {"create": 20, "ready": 60, "delete": 10, "pod_start": 5, "pod_stop": 5, "detach": 8}


def world(**description: Any) -> World:
    """A world with the image "v1" and what is described."""
    images = {"v1": {}} | description.pop("images", {})
    durations = DURATIONS | description.pop("durations", {})
    return world_from(describe({"images": images, "durations": durations, **description}), DAWN)


def after(world: World, seconds: float) -> World:
    """The same world, later."""
    world.advance(world.now + timedelta(seconds=seconds))
    return world


def new_machine(name: str = "web-0-aaaaa", *, failure_domain: str = "") -> NewMachine:
    return NewMachine(
        name=name,
        slot=0,
        failure_domain=failure_domain,
        revision="rev1",
        fields={"flavor": "m1"},
        attempt=1,
        created_at=DAWN,
    )


def create(world: World, name: str = "web-0-aaaaa", *, image: str = "v1", failure_domain: str = "") -> None:
    world.hypervisor.create(POOL, image, new_machine(name, failure_domain=failure_domain))


def vm(world: World, name: str = "web-0-aaaaa") -> Vm:
    (found,) = [each for each in world.hypervisor.vms[POOL].values() if each.name == name]
    return found


def names_of_vms(world: World) -> list[str]:
    return [each.name for each in world.hypervisor.vms.get(POOL, {}).values()]


def nodes(world: World) -> dict[str, Node]:
    world.facts.refresh()
    return world.facts.nodes


def node(world: World, name: str) -> Node:
    return nodes(world)[name]


def budget(world: World, name: str) -> Budget:
    world.facts.refresh()
    return world.facts.budgets[name]


def pods_on(world: World, name: str) -> list[str]:
    return [pod.name for pod in node(world, name).pods]


def pod(world: World, name: str) -> Pod:
    """The pod of this name, as its node shows it."""
    return row(world, name).pod


def row(world: World, name: str) -> PodRow:
    (found,) = [each for each in world.state.pods.values() if each.pod.name == name]
    return found


def cordon(world: World, name: str) -> None:
    seen = node(world, name)
    world.nodes.change(NodeChange(node=name, uid=seen.uid, version=seen.version, schedulable=False))
