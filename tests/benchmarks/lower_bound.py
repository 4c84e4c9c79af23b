# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a roll takes at least, whoever schedules it, given the durations that were drawn in it.

With k surge tokens held from create until the old VM is gone, u drains at once and c creates at once:

    LB = max(sum(p)/c, sum(d)/u, sum(p + r + d + x)/k, max(p + r + d + x))

p create, r ready, d drain, x delete of one replacement. The rule bounds creates and drains by the tokens alone: c = u = k.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.immutable.fleet.plugins.module_utils.simulation.hypervisor import BUILT, VM_GONE
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.nodes import READY
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.pods import POD_GONE
from ansible_collections.immutable.fleet.tests.benchmarks.virtual_fleet import DRAIN_TIMEOUT, Diary, Roll, pod_uid, vm_id


class Replacement(NamedTuple):
    """What one token is held for, in seconds."""

    create: float
    ready: float
    drain: float
    delete: float


def bound_seconds(replacements: list[Replacement], *, tokens: int, creates: int, drains: int) -> float:
    """The formula. `tokens` is k, `creates` is c, `drains` is u."""
    return max(
        sum(one.create for one in replacements) / creates,
        sum(one.drain for one in replacements) / drains,
        sum(map(sum, replacements)) / tokens,
        *map(sum, replacements),
    )


def ratio(roll: Roll) -> float:
    """Makespan over lower bound."""
    tokens = roll.surge
    return roll.makespan_seconds / bound_seconds(replacements(roll), tokens=tokens, creates=tokens, drains=tokens)


def replacements(roll: Roll) -> list[Replacement]:
    """The n-th machine that was made with the n-th that was marked.

    Machines that were made and replaced nothing (a visible block keeps its old machine) count nowhere: the bound is lower
    for it, so the ratio higher.
    """
    diary, steps = roll.diary, roll.result.steps
    aside = {step.machine for step in steps if step.verb == "quarantine"}
    leaving = list(dict.fromkeys(step.machine for step in steps if step.verb == "choose"))
    made = list(diary.of(BUILT).items())[: len(leaving)]
    return [
        Replacement(create, diary.of(READY)[new], *_leaving(diary, _number(old), is_aside=old in aside))
        for (new, create), old in zip(made, leaving, strict=True)
    ]


def _leaving(diary: Diary, number: int, *, is_aside: bool) -> tuple[float, float]:
    """`(drain, delete)`. One that is set aside holds its token until the timeout, and no longer."""
    if is_aside:
        return DRAIN_TIMEOUT.total_seconds(), 0.0
    return diary.of(POD_GONE)[pod_uid(number, 0)], diary.of(VM_GONE)[vm_id(number)]


def _number(machine: str) -> int:
    """Of an old machine, by its name."""
    return int(machine.rsplit("-", 1)[-1])
