# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run teaches about drains and deletes, read off its steps when it has ended. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Step
from ansible_collections.immutable.fleet.plugins.module_utils.model.durations import KEPT, Past, load_past
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord


def with_past(record: PoolRecord, steps: Sequence[Step]) -> PoolRecord:
    """`record` with what a run taught in it."""
    return replace(record, past=load_past(record.past).then(past_of(steps)).dump())


def past_of(steps: Iterable[Step]) -> Past:
    """The durations of one run. A drain that was forced or set aside teaches nothing: its length was ours to choose.

    Only where node and machine have one name; where they have not, a step of one does not lead to the other.
    """
    evicted: dict[str, float] = {}
    deleted: dict[str, float] = {}
    untypical: set[str] = set()
    empty, gone = [], []
    for step in steps:
        after = step.after.total_seconds()
        if step.verb == "evict":
            evicted[step.machine] = after
        elif step.verb in ("remove pod", "quarantine"):
            untypical.add(step.machine)
        elif step.verb == "delete":
            deleted[step.machine] = after
            if step.machine in evicted and step.machine not in untypical:
                empty.append(after - evicted[step.machine])
        elif step.verb == "delete node" and step.machine in deleted:
            gone.append(after - deleted.pop(step.machine))
    return Past(empty=tuple(empty[-KEPT:]), delete=tuple(gone[-KEPT:]))
