# SPDX-License-Identifier: GPL-3.0-or-later
"""`node_pool_control`: read the pool's lock, write what is asked, on condition that nobody wrote in between."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.decide.control import Wish, in_force, steered
from ansible_collections.immutable.fleet.plugins.module_utils.decide.known import doubt
from ansible_collections.immutable.fleet.plugins.module_utils.entry.parse import exactly_one, pool_name, who
from ansible_collections.immutable.fleet.plugins.module_utils.entry.reach import reach_of
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Denied, Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import count_of, duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Asked, Steering, changes
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Lock

Params = Mapping[str, Any]
Nodes = Callable[[], Mapping[str, str]]  # {node: pool}, of plain machines {machine: pool}

OF_A_MACHINE = ("released", "replaced", "protected")
TRIES_MAX = 5  # the holder writes every few seconds: a second conflict in a row is rare


def refuse_nonsense(params: Params) -> None:
    """Raises `Invalid` for options that no pool could follow, before a connection is looked for."""
    exactly_one(params, "kubernetes", "openstack", "simulated")
    pool, state, machine = pool_name(params["name"]), params["state"], params["machine"] or ""
    if machine and marks.slot_of(pool, machine) is None:
        raise Invalid(what=f"{machine!r} is no machine of pool {pool}; expected a name such as {pool}-3-x7k2p", where="machine")
    if machine and state not in OF_A_MACHINE:
        what = f"state {state} is about the whole pool; expected a machine with {', '.join(OF_A_MACHINE)} only"
        raise Invalid(what=what, where="machine")
    if params["image"] and state != "retargeted":
        raise Invalid(what=f"state {state} takes no image; expected one with state retargeted only", where="image")
    if params["replicas"] is not None and state != "scaled":
        raise Invalid(what=f"state {state} takes no replicas; expected them with state scaled only", where="replicas")
    if params["replicas"] is not None and params["replicas"] < 1:
        what = f"{params['replicas']} is no number of machines to scale to; expected 1 or more, for state absent ends a pool"
        raise Invalid(what=what, where="replicas")
    count_of(params["max_scale_down"], 100, round_up=True, option="max_scale_down")
    duration(params["lasts"], "lasts")


def wish(params: Params, now: datetime) -> Wish:
    """The wish in the options."""
    return Wish(
        pool=params["name"],
        state=params["state"],
        asked=Asked(who(os.environ), now.replace(microsecond=0)),
        machine=params["machine"] or "",
        image=params["image"] or "",
        replicas=params["replicas"],
        max_scale_down=params["max_scale_down"],
        lasts=duration(params["lasts"], "lasts"),
        reach=reach_of(params),
    )


def steer(lock: Lock, wish: Wish, nodes: Nodes, *, check: bool) -> dict[str, Any]:
    """The module's answer. `nodes` is asked only where the lock leaves something open.

    Raises `Invalid` for a name that is not there, `Refused`, and `Conflict` when somebody else writes all the time.
    """
    seen = lock.read()
    warnings = _doubts(seen, wish, nodes)
    for _attempt in range(TRIES_MAX):
        wanted = steered(seen, wish)
        if check or wanted == in_force(seen.steering, wish.asked.at):  # that something is over is no reason to write
            return _answer(seen, wish, wanted, warnings)
        try:
            lock.steer(seen, wanted)
        except Conflict:
            seen = lock.read()
            continue
        return _answer(seen, wish, wanted, warnings)
    raise Conflict(what=f"the lock changed {TRIES_MAX} times while it was written", where=f"pool {wish.pool}")


def _doubts(seen: LockFact, wish: Wish, nodes: Nodes) -> list[str]:
    elsewhere = [_no_lock(wish.pool)] if wish.reach.provider == "openstack" and not seen.token else []
    if seen.version and not wish.machine:
        return elsewhere
    try:
        said = doubt(seen, wish, nodes())
    except Denied as error:  # leases are enough to steer; then a wrong name is not noticed
        said = f"whether there is such a pool and machine was not looked up: {error}"
    return [*([said] if said else []), *elsewhere]


def _no_lock(pool: str) -> str:
    """A pool with a cluster has machines in the project as well, and its runs read wishes in the cluster alone."""
    what = f"no run has had a lock of pool {pool} in this project, so that no run may ever read this"
    return f"{what}: where the pool has a cluster, its lock is there, and kubernetes is to be given instead of openstack"


def _answer(seen: LockFact, wish: Wish, wanted: Steering, warnings: list[str]) -> dict[str, Any]:
    before = in_force(seen.steering, wish.asked.at)
    answer = {
        "name": wish.pool,
        "changed": wanted != before,
        "changes": changes(before, wanted),
        "steering": json.loads(wanted.dump()),
        "lock": {"holder": seen.holder, "since": seen.since if seen.holder else ""},
    }
    return {**answer, "warnings": warnings} if warnings else answer  # Ansible shows them as its own
