# SPDX-License-Identifier: GPL-3.0-or-later
"""`node_health`: passes of the loop that only heal, one or as many as fit into a given time.

Each pass is a run of its own, with fresh adapters: between two of them the lock is free, so that a rollout need not wait for a check
that has nothing to do. What a pass has to know of those before it, the API server dates, or the pool's record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Result
from ansible_collections.immutable.fleet.plugins.module_utils.entry import answers, jobs, parse, wiring
from ansible_collections.immutable.fleet.plugins.module_utils.entry.faces import Face
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import FleetError, Invalid, LockHeld, Throttled, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import duration, say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact

Params = Mapping[str, Any]
REPLACED_MAX = 200
FEWER_BY = "give the pool's own replicas; fewer machines are made by node_pool"
MAX_SCALE_DOWN = "50%"  # as `node_pool` has it: a pass for the wrong pool, with another's replicas, is refused


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRequest:
    """The pool as it is declared, and for how long to look at it; None: once."""

    request: parse.PoolRequest
    lasts: timedelta | None
    every: timedelta


def health_request(params: Params) -> HealthRequest:
    """The request of `node_health`. Raises `Invalid`."""
    of_a_pool = {**params, "state": "present", "allow_scale_to_zero": False, "max_scale_down": MAX_SCALE_DOWN}
    request = parse.pool_request(of_a_pool)
    every = duration(params["every"], "every")
    if not every:
        raise Invalid(what="0 leaves no time between passes; expected more", where="every")
    if not params["wait"]:
        raise Invalid(what="a pass that leaves what it began is none; expected true", where="wait")
    lasts = duration(params["lasts"], "lasts") if params["lasts"] is not None else None
    return HealthRequest(request=request, lasts=lasts, every=every)


def look_after(asked: HealthRequest, params: Params, face: Face, *, check: bool) -> tuple[dict[str, Any], FleetError | None]:
    """`(answer, failure)` of all passes; what stands in the answer beside counts is the last one's."""
    passes, ends_at, replaced, changed, kit = 0, None, [], False, None
    while True:
        began_at = kit.runtime.now() if kit is not None else None
        try:
            kit = wiring.pool_kit(params, asked.request.pool, asked.request.user_data, asked.request.settings.call_timeout)
            began_at = kit.runtime.now()
            ends_at = ends_at or (began_at + asked.lasts if asked.lasts is not None else began_at)
            seen, job, result = _pass(asked.request, kit, face, check=check)
        except (Transient, Throttled):  # before the loop, which bears with them itself
            if kit is None or began_at is None or ends_at is None or check or face.stops() or began_at + asked.every > ends_at:
                raise
            _wait(kit, began_at + asked.every, face)
            continue
        passes, changed = passes + 1, changed or result.changed
        replaced += _replaced(job, result)
        next_at = began_at + asked.every
        if check or face.stops() or next_at > ends_at or _is_final(result):
            break
        _wait(kit, next_at, face)
    answer = answers.of_health(job, asked.request, result)
    answer |= {"passes": passes, "changed": changed, "replaced": replaced[:REPLACED_MAX]}
    if isinstance(result.failure, LockHeld):
        since = result.failure.since
        return answer | {"run": {"what": result.failure.what, "since": say_instant(since) if since else ""}}, None
    if seen.holder and not result.changed:
        answer["run"] = {"what": f"another run holds the pool: {seen.holder}", "since": seen.since}
    return answer, result.failure


def _replaced(job: jobs.Watched, result: Result) -> list[dict[str, str]]:
    """`{machine, reason}` of those that a pass let go for being unhealthy: by a step of theirs, or by the record's mark."""
    steps = [(step.machine, step.reason) for step in result.steps if step.verb in ("choose", "delete")]
    found = {**job.unhealthy, **{machine: reason for machine, reason in steps if reason.startswith("unhealthy")}}
    return [{"machine": machine, "reason": reason} for machine, reason in found.items()]


def _wait(kit: wiring.Kit, until: datetime, face: Face) -> None:
    while kit.runtime.now() < until and not face.stops():
        kit.runtime.wait(until)


def _pass(request: parse.PoolRequest, kit: wiring.Kit, face: Face, *, check: bool) -> tuple[LockFact, jobs.Watched, Result]:
    seen = jobs.seen_lock(kit.ports)
    if kit.ports.balancer is not None:
        kit.ports.balancer.find_backend()
    pool = request.pool
    if kit.ports.cloud is not None:
        pool = replace(pool, revision=kit.ports.cloud.resolve(seen.record.pinned))
    guarded = jobs.ScaleGuard(Rollout(pool, only_heals=True), pool, request.max_scale_down, forward=FEWER_BY)
    job = jobs.Watched(guarded, only_heals=True)
    return seen, job, jobs.run(job, kit, request.settings, face, check=check, seen=seen)


def _is_final(result: Result) -> bool:
    """A failure that another pass would only meet again, after asking for the same."""
    return result.failure is not None and result.failure.code in ("invalid", "denied", "stopped", "bug", "library_missing")
