# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts what a description says into a world, new or old."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.describe import BackendWish, Description
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.pods import BLOCKED
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import PER_NODE, BudgetRow, Workload
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World

_SETTINGS = ("machines_max", "ports_max", "pods_per_node_max", "has_cluster", "pushes", "labels_nodes", "deletes_nodes")


def world_from(description: Description, now: datetime) -> World:
    """A new world in memory, its faults injected."""
    world = World(now, description.seed or 0)
    furnish(world, description)
    for fault in description.faults:
        world.inject(replace(fault))
    return world


def furnish(world: World, description: Description) -> list[str]:
    """Add and change what is described, faults left out; nothing is taken away. What changed, one phrase each.

    Described again, nothing changes. Raises `Invalid` for a workload that would have to shrink or change its kind.
    """
    changes: list[str] = []
    state = world.state
    for name in _SETTINGS:
        wanted = getattr(description, name)
        if wanted is not None and wanted != getattr(state.settings, name):
            setattr(state.settings, name, wanted)
            changes.append(f"{name} {wanted}")
    profile: Profile = replace(state.profile, **description.durations)
    if profile != state.profile:
        state.profile = profile
        changes.append("durations")
    for image in description.images:
        known = state.images.get(image.digest)
        if known is None or replace(known, order=0) != image:
            state.images.put(image.digest, replace(image, order=state.next_serial()))  # the newest of its name
            changes.append(f"image {image.name}")
    for domain in description.domains:
        there = state.domains.get(domain.name)
        if there is None or there.machines_max != domain.machines_max:
            state.domains.put(domain.name, replace(domain, is_down=there is not None and there.is_down))
            changes.append(f"failure domain {domain.name}")
    for name, failure_domain in description.nodes:  # before the workloads, so that these spread over them
        if name not in state.members:
            world.nodes.stand_alone(name, failure_domain)
            changes.append(f"node {name}")
    changes += _furnish_budgets(world, description)
    changes += _furnish_backends(world, description.backends)
    for workload in description.workloads:
        if _furnish_workload(world, workload):
            changes.append(f"workload {workload.key}")
    return changes


def _furnish_backends(world: World, wishes: Iterable[BackendWish]) -> list[str]:
    state, changes = world.state, []
    for wish in wishes:
        name = wish.backend.name
        row = state.backends.get(name)
        after = wish.backend if row is None else replace(wish.backend, cut=row.cut, pending=row.pending)
        if after != row:
            state.backends.put(name, replace(after))
            state.balancer_changed(name)
            changes.append(f"backend {name}")
        there = {member.name for member in state.backend_members.values() if member.backend == name}
        for member, address in wish.members:
            if member not in there:
                world.balancers.add(name, member, address)
                changes.append(f"member {member} of backend {name}")
    return changes


def _furnish_budgets(world: World, description: Description) -> list[str]:
    state, changes = world.state, []
    if any(workload.blocked_share for workload in description.workloads) and BLOCKED not in state.budgets:
        state.budgets.put(BLOCKED, BudgetRow(BLOCKED, state.now, max_unavailable="0", scale=-1))
    for wish in description.budgets:
        row = state.budgets.get(wish.name)
        if row is None:
            row = BudgetRow(wish.name, state.now)
            state.budgets.put(wish.name, row)
        elif (row.min_available, row.max_unavailable) == (wish.min_available, wish.max_unavailable):
            continue
        row.min_available, row.max_unavailable = wish.min_available, wish.max_unavailable
        state.budget_changed(wish.name)
        changes.append(f"budget {wish.name}")
    return changes


def _furnish_workload(world: World, wish: Workload) -> bool:
    """Whether anything is different now."""
    row = world.state.workloads.get(wish.key)
    if row is None:
        row = replace(wish)
        world.state.workloads.put(row.key, row)
        if row.kind == PER_NODE:
            world.nodes.bring_own_pods(row)
        elif not row.after_nodes and row.wanted:
            world.pods.scale(row, row.wanted)
        world.nodes.bring_pods()
        return True
    if wish.kind != row.kind or wish.wanted < row.wanted or wish.budgets != row.budgets:
        raise Invalid(
            what=f"is a {row.kind} of {row.wanted} replicas; a workload of a world can grow and change its durations, nothing else",
            where=f"workload {wish.key}",
        )
    after = replace(wish, replicas=row.replicas, made=row.made)
    if after == row:
        return False
    world.state.workloads.put(row.key, after)
    if after.wanted > after.replicas and not after.after_nodes:
        world.pods.scale(after, after.wanted)
    world.nodes.bring_pods()
    return True
