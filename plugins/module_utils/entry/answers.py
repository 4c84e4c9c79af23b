# SPDX-License-Identifier: GPL-3.0-or-later
"""Values to what a task returns: plain dictionaries, small, with the same words everywhere.

Promises: results stay small (AWX drops large ones): lists end at a bound that `summary` and a last line tell; the whole is in the
event file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.decide import classes
from ansible_collections.immutable.fleet.plugins.module_utils.engine import telling
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Result, Step
from ansible_collections.immutable.fleet.plugins.module_utils.entry.jobs import Watched
from ansible_collections.immutable.fleet.plugins.module_utils.entry.parse import DrainRequest, PoolRequest
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_count, say_duration, say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import changed_fields

MACHINES_MAX = 500  # 150 bytes each; a larger pool is told in numbers, and one by one in the event file
PLAN_MAX = 1000
BLOCKERS_MAX = 50
PODS_MAX = 20
FIELD_SHOWN = 40  # characters of a revision's field in a diff
QUIET_VERBS = ("evict", "look", "label", "clear")  # a plan for people: a pod's eviction is part of its node's drain


def of_pool(job: Watched, request: PoolRequest, result: Result, *, check: bool) -> dict[str, Any]:
    """The answer of `node_pool`."""
    pool = job.pool or request.pool
    seen = job.first if check else job.last  # check mode: as it is now, not as the forecast leaves it
    answer: dict[str, Any] = {
        "changed": result.changed,
        "name": pool.name,
        "machines": machines_of(seen.machines, pool, seen.at) if seen is not None else [],
        "summary": summary_of(result, pool),
        "blockers": blocker_facts(blocker for blocker in result.blockers if not blocker.is_wait),
        "waits": blocker_facts(blocker for blocker in result.blockers if blocker.is_wait),
    }
    if result.pending:
        answer["pending"] = result.pending
    if not request.is_absent:
        answer["revision"] = {"id": pool.revision.id, "fields": dict(pool.revision.fields)}
    if job.forecast is not None:
        answer["plan"] = plan_of(job.forecast.steps, job.forecast.met)
        from ansible_collections.immutable.fleet.plugins.module_utils.entry.outlook import facts_of

        answer["forecast"] = facts_of(job.forecast)
    if job.first is not None:
        answer["diff"] = revision_diff(job.first.machines, pool, is_absent=request.is_absent)
    return answer


def of_health(job: Watched, request: PoolRequest, result: Result) -> dict[str, Any]:
    """The answer of `node_health`, of one pass."""
    pool, seen = job.pool or request.pool, job.last
    answer: dict[str, Any] = {
        "name": pool.name,
        "machines": machines_of(seen.machines, pool, seen.at) if seen is not None else [],
        "blockers": blocker_facts(blocker for blocker in result.blockers if not blocker.is_wait),
        "waits": blocker_facts(blocker for blocker in result.blockers if blocker.is_wait),
    }
    return answer | ({"pending": result.pending} if result.pending else {})


def of_nodes(job: Watched, request: DrainRequest, result: Result, *, check: bool) -> dict[str, Any]:
    """The answer of `node_drain`."""
    snapshot = job.first if check else job.last
    seen = snapshot.nodes if snapshot is not None else {}
    nodes = [node_facts(seen[name]) for name in request.nodes if name in seen]
    answer: dict[str, Any] = {
        "changed": result.changed,
        "nodes": nodes,
        "summary": {
            "nodes": len(request.nodes),
            "empty": sum(1 for node in nodes if not node["pods_left_count"]),
            "evicted": counts_of(result.steps).get("evict", 0),
            "duration": say_duration(result.duration),
        },
        "blockers": blocker_facts(result.blockers),
    }
    if job.forecast is not None:
        answer["plan"] = plan_of(job.forecast.steps, job.forecast.met)
    return answer


def node_facts(node: Node) -> dict[str, Any]:
    """`{name, schedulable, ready, pods_left, pods_left_count, volumes_attached}` of one node."""
    return {
        "name": node.name,
        "schedulable": node.schedulable,
        "ready": node.ready,
        "pods_left": [pod.full_name for pod in node.pods[:PODS_MAX]],
        "pods_left_count": len(node.pods),
        "volumes_attached": len(node.attachments),
    }


def machine_facts(machine: Machine, pool: Pool, now: datetime) -> dict[str, Any]:
    """`{name, slot, phase, revision, outdated, failure_domain, age, node}` of one machine."""
    vm, node = machine.vm, machine.node
    facts: dict[str, Any] = {
        "name": machine.name,
        "slot": vm.slot,
        "phase": phase_of(machine, pool, now),
        "revision": vm.revision,
        "failure_domain": machine.failure_domain,
        "age": say_duration(now - vm.created_at),
        "node": node.name if node is not None else "",
    }
    if pool.revision.fields:
        facts["outdated"] = vm.revision != pool.revision.id
    if vm.fault:
        facts["fault"] = vm.fault
    return facts


def phase_of(machine: Machine, pool: Pool, now: datetime) -> str:
    """Where the machine stands, in the events' words; "available" and "failed" are the rollout rule's judgement on top."""
    kind, _until = classes.classify(machine, pool, now)
    return kind if kind in (classes.AVAILABLE, classes.FAILED) else telling.phase_of(machine)


def machines_of(machines: Mapping[str, Machine], pool: Pool, now: datetime) -> list[dict[str, Any]]:
    """All machines by slot, up to `MACHINES_MAX`."""
    facts = [machine_facts(machine, pool, now) for machine in machines.values()]
    facts.sort(key=lambda fact: (fact["slot"] is None, fact["slot"] or 0, fact["name"]))
    return facts[:MACHINES_MAX]


def plan_of(steps: Iterable[Step], met: Iterable[tuple[timedelta, Blocker]] = ()) -> list[dict[str, Any]]:
    """What a person plans with, in order: `{after, verb, machine, reason, slot?, failure_domain?}`.

    The verb of what is waited for is "waits", of what is in the way "blocked".
    """
    timed = [(step.after, _line_of(step)) for step in steps if step.verb not in QUIET_VERBS]
    for after, blocker in met:
        verb = "waits" if blocker.is_wait else "blocked"
        timed.append((after, {"after": say_duration(after), "verb": verb, "machine": blocker.where, "reason": blocker.what}))
    timed.sort(key=lambda each: each[0])
    lines, left_out = [line for _after, line in timed], len(timed) - PLAN_MAX
    return lines if left_out <= 0 else [*lines[:PLAN_MAX], {"verb": "and so on", "reason": say_count(left_out, "more step")}]


def _line_of(step: Step) -> dict[str, Any]:
    line: dict[str, Any] = {"after": say_duration(step.after), "verb": step.verb, "machine": step.machine, "reason": step.reason}
    if step.slot is not None:
        line["slot"] = step.slot
    if step.failure_domain:
        line["failure_domain"] = step.failure_domain
    return line


def counts_of(steps: Iterable[Step]) -> dict[str, int]:
    """`{verb: how many}` of what was started."""
    counts: dict[str, int] = {}
    for step in steps:
        counts[step.verb] = counts.get(step.verb, 0) + 1
    return counts


def blocker_facts(blockers: Iterable[Blocker]) -> list[dict[str, str]]:
    """`{code, what, where, since, forward}` of what prevents something, each once."""
    unique = {(blocker.code, blocker.what, blocker.where): blocker for blocker in blockers}
    return [
        {
            "code": blocker.code,
            "what": blocker.what,
            "where": blocker.where,
            "since": say_instant(blocker.since) if blocker.since else "",
            "forward": blocker.forward,
        }
        for blocker in list(unique.values())[:BLOCKERS_MAX]
    ]


def summary_of(result: Result, pool: Pool) -> dict[str, Any]:
    """The outcome in numbers; `duration` is the run's, and in check mode an estimate of what it would be."""
    tally, counts = result.tally, counts_of(result.steps)
    return {
        "replicas": pool.replicas,
        "available": tally.available,
        "up_to_date": tally.up_to_date,
        "booting": tally.booting,
        "not_ready": tally.not_ready,
        "failed": tally.failed,
        "going": tally.going,
        "quarantined": tally.quarantined,
        "created": counts.get("create", 0),
        "deleted": counts.get("delete", 0),
        "evicted": counts.get("evict", 0),
        "duration": say_duration(result.duration),
    }


def revision_diff(before: Mapping[str, Machine], pool: Pool, *, is_absent: bool) -> dict[str, str]:
    """What `--diff` shows: how many machines there are of what, and which fields of the revision differ.

    `{before, after, before_header, after_header}` as texts; empty when nothing differs.
    """
    vms = [machine.vm for machine in before.values() if not machine.is_going]
    wanted = {} if is_absent else pool.revision.fields
    groups: dict[str, int] = {}
    fields: dict[str, Mapping[str, str]] = {}
    for vm in vms:
        groups[vm.revision] = groups.get(vm.revision, 0) + 1
        fields[vm.revision] = vm.fields
    was, will = [f"machines: {len(vms)}"], [f"machines: {pool.replicas}"]
    for revision, count in sorted(groups.items()):
        if revision == pool.revision.id and not is_absent:
            continue
        for name, (old, new) in changed_fields(fields[revision], wanted).items():
            was.append(f"{name}: {_short(old)}  ({say_count(count, 'machine')})")
            will.append(f"{name}: {_short(new)}{_asked(name, pool)}")
    if not vms and not is_absent:
        will += [f"{name}: {_short(value)}{_asked(name, pool)}" for name, value in sorted(wanted.items())]
    if was == will:
        return {}
    return {
        "before_header": f"pool {pool.name}",
        "after_header": f"pool {pool.name}",
        "before": "\n".join(was) + "\n",
        "after": "\n".join(dict.fromkeys(will)) + "\n",
    }


def _short(value: str) -> str:
    """A digest is told apart by its first digits; "-" is a field that is not set, or that nobody wrote down."""
    if not value:
        return "-"
    return value if len(value) <= FIELD_SHOWN else value[:FIELD_SHOWN] + "..."


def _asked(name: str, pool: Pool) -> str:
    """The image's name beside its digest."""
    called = pool.revision.image_name
    return f"  ({called})" if name == "image" and called != pool.revision.fields.get("image") else ""
