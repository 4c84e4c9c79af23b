# SPDX-License-Identifier: GPL-3.0-or-later
"""`node_pool_control`: read the pool's lock, write what is asked, on condition that nobody wrote in between."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.decide.control import Wish, steered
from ansible_collections.immutable.fleet.plugins.module_utils.entry.parse import exactly_one, pool_name, who
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import count_of, duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Asked, Steering, changes
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Lock

Params = Mapping[str, Any]

TRIES_MAX = 5  # the holder writes every few seconds: a second conflict in a row is rare


def refuse_nonsense(params: Params) -> None:
    """Raises `Invalid` for options that no pool could follow, before a connection is looked for."""
    exactly_one(params, "kubernetes", "simulated")
    pool, state, machine = pool_name(params["name"]), params["state"], params["machine"] or ""
    if machine and marks.slot_of(pool, machine) is None:
        raise Invalid(what=f"{machine!r} is no machine of pool {pool}; expected a name such as {pool}-3-x7k2p", where="machine")
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
    )


def steer(lock: Lock, wish: Wish, *, check: bool) -> dict[str, Any]:
    """The module's answer. Raises `Refused`, and `Conflict` when somebody else writes all the time."""
    for _attempt in range(TRIES_MAX):
        seen = lock.read()
        wanted = steered(seen, wish)
        if wanted == seen.steering or check:
            return _answer(seen, wish, wanted)
        try:
            lock.steer(seen, wanted)
        except Conflict:
            continue
        return _answer(seen, wish, wanted)
    raise Conflict(what=f"the lock changed {TRIES_MAX} times while it was written", where=f"pool {wish.pool}")


def _answer(seen: LockFact, wish: Wish, wanted: Steering) -> dict[str, Any]:
    return {
        "name": wish.pool,
        "changed": wanted != seen.steering,
        "changes": changes(seen.steering, wanted),
        "steering": json.loads(wanted.dump()),
        "lock": {"holder": seen.holder, "since": seen.since if seen.holder else ""},
    }
