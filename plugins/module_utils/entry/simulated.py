# SPDX-License-Identifier: GPL-3.0-or-later
"""What `simulated_world` does: make a world file, change it, let something go wrong in it, tell what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import duration, say_duration, say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.describe import Description, describe
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.furnish import furnish, world_from
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.store import StoreSession, create_world, open_world
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World

Params = Mapping[str, Any]

DESCRIBING = (
    "seed",
    "failure_domains",
    "images",
    "quotas",
    "nodes",
    "workloads",
    "backends",
    "durations",
    "faults",
    "pods_per_node_max",
    "cluster",
    "pushes",
    "labels_nodes",
    "deletes_nodes",
)
MACHINES_MAX = 500


def bring_about(params: Params, *, check: bool) -> dict[str, Any]:
    """The answer of `simulated_world`. Raises `Invalid` for a wrong description before anything is touched."""
    path = params["world"]
    if params["state"] == "absent":
        return _remove(path, check=check)
    description = describe({name: params[name] for name in DESCRIBING if params[name] is not None})
    jump = duration(params["skip"], "skip") if params["skip"] is not None else timedelta(0)
    if Path(path).exists():
        return _change(path, description, jump, check=check)
    return _make(params, description, jump, check=check)


def _make(params: Params, description: Description, jump: timedelta, *, check: bool) -> dict[str, Any]:
    path = params["world"]
    if not Path(path).absolute().parent.is_dir():
        raise Invalid(what=f"there is no folder for {path}; expected one that exists", where="world")
    if params["speed"] <= 0:
        raise Invalid(what=f"{params['speed']:g} is no speed; expected a number above 0", where="speed")
    answer: dict[str, Any] = {"changed": True, "world": path, "changes": [f"world {path}"]}
    world = world_from(description, datetime.now(UTC))
    if check:
        return answer | _contents(world, params["speed"])
    session = create_world(path, world, speed=params["speed"])
    return answer | _after(session, jump)


class _Rehearsal(BaseException):
    """Ends a transaction of check mode: everything in it is taken back."""


def _change(path: str, description: Description, jump: timedelta, *, check: bool) -> dict[str, Any]:
    session = open_world(path)
    changes: list[str] = []
    with suppress(_Rehearsal), session.world() as world:
        changes += furnish(world, description)
        for fault in description.faults:
            world.inject(fault)
            changes.append(f"fault {fault.kind}" + (f" of {fault.target}" if fault.target else ""))
        if check:
            raise _Rehearsal
    if jump:
        changes.append(f"time skipped: {say_duration(jump)}")
    answer = {"changed": bool(changes), "world": path, "changes": changes}
    return answer | _after(session, timedelta(0) if check else jump)


def _after(session: StoreSession, jump: timedelta) -> dict[str, Any]:
    if jump:
        session.skip(jump)
    with session.world() as world:
        contents = _contents(world, session.speed)
    session.close()
    return contents


def _remove(path: str, *, check: bool) -> dict[str, Any]:
    exists = Path(path).exists()
    if exists and not check:
        open_world(path).close()  # for its refusal: only a world file is deleted
        Path(path).unlink()
    return {"changed": exists, "world": path, "changes": [f"removed {path}"] if exists else []}


def _contents(world: World, speed: float) -> dict[str, Any]:
    """What is in the world: `{now, speed, machines, nodes, pods, images, backends}`; machines up to a bound, the rest in numbers."""
    state = world.state
    hosts = sorted(state.hosts.values(), key=lambda host: host.vm.name)
    machines = [
        {
            "name": host.vm.name,
            "pool": host.pool,
            "status": host.vm.status,
            "runs": host.runs,
            "image": host.image,
            "failure_domain": host.vm.failure_domain,
            "age": say_duration(world.now - host.vm.created_at),
        }
        for host in hosts[:MACHINES_MAX]
    ]
    waiting = sum(1 for row in state.pods.values() if not row.node)
    nodes = [
        {"name": member.name, "ready": member.ready, "schedulable": member.schedulable}
        for member in sorted(state.members.values(), key=lambda member: member.name)[:MACHINES_MAX]
    ]
    return {
        "now": say_instant(world.now),
        "speed": speed,
        "machines": machines,
        "nodes": nodes,
        "pods": {"all": len(state.pods), "ready": sum(1 for row in state.pods.values() if row.ready), "waiting": waiting},
        "images": sorted({image.name for image in state.images.values()}),
        "backends": [_backend(world, name) for name in sorted(state.backends)],
    }


def _backend(world: World, name: str) -> dict[str, Any]:
    members = [
        {"name": member.name, "address": member.address, "state": member.state, "healthy": member.healthy, "sessions": member.sessions}
        for member in sorted(world.balancers.members(name, ""), key=lambda member: member.name)[:MACHINES_MAX]
    ]
    return {"name": name, "cut": world.balancers.backend(name).cut, "members": members}
