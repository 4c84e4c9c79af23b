# SPDX-License-Identifier: GPL-3.0-or-later
"""The canary ladder: so many new machines at most, until those have served long enough.

A step is passed when its machines have been available, and the pods on them ready, for the soak: a node that is ready says nothing
about the workload on it, and a pod that is ready now nothing about the minutes before (FM14). Pods on their way out are not asked,
nor those that end by themselves, as a Job's. A pod that flaps puts the soak off, but not the end of a run: `progress_deadline`
counts from when the machines alone have soaked. Which steps are passed is written in the pool record before the next one begins, so
that a run that is killed does not soak again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import AVAILABLE, BOOTING, GOING, NOT_READY, Census
from ansible_collections.immutable.fleet.plugins.module_utils.decide.gates import passage
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import AskGate
from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import Question
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import count_of, say_count, say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot

FAILED_NEW_LATER = "5%"  # once the first step is passed
PODS_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """Where the rollout stands. `most`: new machines that may exist now. `record`: what to write for the next step to begin.

    `soaks_until` is the soak of the machines alone, which no pod puts off: so long a wait is no lack of progress.
    """

    most: int
    waits_for: str = ""
    soaks_until: datetime | None = None
    record: PoolRecord | None = None
    ask: AskGate | None = None
    wake_at: datetime | None = None


def sizes(pool: Pool) -> list[int]:
    """Machines of the new revision after each step; the last step is the whole pool."""
    steps = [count_of(step, pool.replicas, round_up=True, option="strategy.steps") for step in pool.strategy.steps]
    below = sorted({step for step in steps if 0 < step < pool.replicas})
    return [*below, pool.replicas]


def passed(pool: Pool, record: PoolRecord) -> int:
    """Steps that the wanted revision has behind it."""
    return record.passed if record.climbing == pool.revision.id else 0


def rung(pool: Pool, snapshot: Snapshot, census: Census) -> Rung:
    """The step that the rollout is on. A pool without an outdated machine climbs nothing: there is no old one to go back to."""
    outdated = any(census.outdated.values())
    steps, behind = sizes(pool), passed(pool, snapshot.record)
    if not outdated or behind >= len(steps) - 1:
        return Rung(most=pool.replicas)
    size = steps[behind]
    step = f"step {behind + 1} of {len(steps)}"
    there = census.current[AVAILABLE]
    old = sum(len(census.outdated[kind]) for kind in (GOING, NOT_READY, BOOTING, AVAILABLE))
    if len(there) < size:
        return Rung(most=size, waits_for=f"{step}: {len(there)} of {say_count(size, 'new machine')} available")
    if old > pool.replicas - size:
        left = old - pool.replicas + size
        return Rung(most=size, waits_for=f"{step}: {say_count(size, 'new machine')} available, old ones still to leave: {left}")
    soaks_until = max(map(_available_since, there)) + pool.strategy.soak
    pods = [pod for machine in there if machine.node is not None for pod in machine.node.pods if pod.is_to_serve]
    unready = [pod.full_name for pod in pods if not pod.is_ready]
    if unready:
        more = f" and {len(unready) - PODS_NAMED} more" if len(unready) > PODS_NAMED else ""
        names = ", ".join(unready[:PODS_NAMED]) + more
        return Rung(most=size, waits_for=f"{step}: pods on its machines are not ready: {names}", soaks_until=soaks_until)
    until = max([soaks_until, *(pod.ready_since + pool.strategy.soak for pod in pods if pod.ready_since is not None)])
    if snapshot.at < until:
        what = "its machines soak" if until == soaks_until else "the pods on its machines soak"
        return Rung(most=size, waits_for=f"{step}: {what} until {say_instant(until)}", soaks_until=soaks_until, wake_at=until)
    question = Question(pool=pool.name, step=str(behind + 1), revision=pool.revision.id)
    gate = passage(pool.strategy.gate, snapshot.gates.get((question.step, "")), snapshot.at)
    if not gate.is_free:
        ask = AskGate(question, f"{step} has soaked") if gate.ask else None
        said = f"its gate does not pass: {gate.what}" if (question.step, "") in snapshot.gates else "its gate is asked"
        return Rung(most=size, waits_for=f"{step}: {said}", soaks_until=soaks_until, ask=ask, wake_at=gate.ask_at)
    return Rung(most=size, record=replace(snapshot.record, climbing=pool.revision.id, passed=behind + 1))


def failed_new_limit(pool: Pool, record: PoolRecord) -> int:
    """How many new machines may be lost before the revision is refused, at least 1 (FM18)."""
    given = pool.strategy.max_failed_new
    if given is None:
        is_first = not pool.strategy.steps or passed(pool, record) == 0
        given = 1 if is_first else FAILED_NEW_LATER
    return max(1, count_of(given, pool.replicas, round_up=False, option="strategy.max_failed_new"))


def _available_since(machine: Machine) -> datetime:
    if machine.service is not None:
        return machine.service.since
    node = machine.node
    return (node.ready_since or node.created_at) if node is not None else machine.vm.created_at
