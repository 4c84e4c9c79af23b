# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at a pool: the same facts, joined in the same way as the loop does, and nothing decided."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.decide.control import in_force
from ansible_collections.immutable.fleet.plugins.module_utils.decide.target import standing_refusal
from ansible_collections.immutable.fleet.plugins.module_utils.engine.world import World
from ansible_collections.immutable.fleet.plugins.module_utils.entry import answers
from ansible_collections.immutable.fleet.plugins.module_utils.entry.observing import Seen, observe
from ansible_collections.immutable.fleet.plugins.module_utils.entry.parse import InfoRequest
from ansible_collections.immutable.fleet.plugins.module_utils.entry.wiring import Kit
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import Health
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_duration, say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact, PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import changed_fields
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot

CALL_TIMEOUT = timedelta(seconds=20)
ORPHANS_MAX = 200


def look(request: InfoRequest, kit: Kit) -> dict[str, Any]:
    """The answer of `node_pool_info`. One list, one view or one listing of members, one read of the lock."""
    cloud, pool = kit.ports.cloud, request.pool
    if request.is_described and cloud is not None:
        pool = replace(pool, revision=cloud.resolve(None))
    facts = observe(kit.ports, kit.runtime)
    seen = _joined(facts, pool.name)
    answer: dict[str, Any] = {
        "name": pool.name,
        "machines": answers.machines_of(seen.machines, pool, seen.at),
        "counts": _counts(seen, pool),
        "orphans": _orphans(seen),
        "half_owned": list(seen.half_owned),
    }
    if request.is_described:
        answer["revision"] = {"id": pool.revision.id, "fields": dict(pool.revision.fields)}
        answer["drift"] = _drift(seen, pool)
    if facts.lock is not None:
        answer |= _of_the_lock(facts.lock, seen.at)
    return answer


def _of_the_lock(lock: LockFact, now: datetime) -> dict[str, Any]:
    """`{lock, steering, record}`: who works on it, what operators ask of it, what runs left to the next one."""
    record = lock.record
    images = {name: dict(image) for name in ("current", "previous", "pinned") if (image := getattr(record, name))}
    refused = [
        {"revision": revision, "image": one.image, "since": say_instant(one.at), "what": one.what}
        for revision, one in record.refused.items()
        if standing_refusal(record, lock.steering, revision) is not None
    ]
    lost = [
        {"machine": one.machine, "revision": revision, "at": say_instant(one.at), "what": one.what}
        for revision, machines in record.lost.items()
        for one in machines
    ]
    climbing = {"revision": record.climbing, "steps_passed": record.passed} if record.climbing else {}
    return {
        "lock": {"holder": lock.holder, "since": lock.since if lock.holder else ""},
        "steering": json.loads(in_force(lock.steering, now).dump()),
        "record": {**images, "refused": refused, "lost": lost, **({"ladder": climbing} if climbing else {})},
    }


def _joined(facts: Seen, pool: str) -> Snapshot:
    """VMs, and nodes or members, brought together as the loop does it."""
    has_cloud, has_cluster, has_balancer = facts.listing is not None, facts.view is not None, facts.members is not None
    world = World(
        pool=pool, began_at=facts.at, call_timeout=CALL_TIMEOUT, has_cloud=has_cloud, has_cluster=has_cluster, has_balancer=has_balancer
    )
    if facts.view is not None:
        world.take_view(facts.view, facts.at)
    if facts.listing is not None:
        world.take_listing(facts.listing)
    if facts.members is not None:
        world.services.take_listing(facts.members)
        # Nobody asks the machines here, so that a member is as well as its balancer finds it.
        world.services.health = {vm_id: Health(healthy=None, since=facts.at, is_untarnished=True) for vm_id in world.vms}
    record = facts.lock.record if facts.lock is not None else PoolRecord()  # it carries the marks of plain machines
    return world.snapshot(facts.at, max_staleness=timedelta.max, settled_at=None, own_node="", progressed_at=facts.at, record=record)


def _counts(seen: Snapshot, pool: Pool) -> dict[str, int]:
    counts: dict[str, int] = {}
    for machine in seen.machines.values():
        phase = answers.phase_of(machine, pool, seen.at)
        counts[phase] = counts.get(phase, 0) + 1
    return counts


def _drift(seen: Snapshot, pool: Pool) -> dict[str, Any]:
    """`{field: {"wanted": value, "found": {value: machines}}}` of machines that are not what they should be."""
    drift: dict[str, Any] = {}
    for machine in seen.machines.values():
        if machine.vm.revision == pool.revision.id:
            continue
        for name, (found, wanted) in changed_fields(machine.vm.fields, pool.revision.fields).items():
            values = drift.setdefault(name, {"wanted": wanted, "found": {}})["found"]
            values[found] = values.get(found, 0) + 1
    return drift


def _orphans(seen: Snapshot) -> list[dict[str, str]]:
    """What carries the pool's mark and belongs to none of its machines."""
    return [
        {
            "kind": leftover.kind,
            "name": leftover.name,
            "machine": leftover.machine,
            "age": _age(leftover.created_at, seen.at),
        }
        for leftover in seen.leftovers
        if leftover.machine not in seen.machines
    ][:ORPHANS_MAX]


def _age(created_at: datetime, now: datetime) -> str:
    return say_duration(now - created_at)
