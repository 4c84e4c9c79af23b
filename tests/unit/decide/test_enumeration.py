# SPDX-License-Identifier: GPL-3.0-or-later
"""Pools of up to three machines, all of them: the guards hold, nothing is repeated, and nobody waits without a reason.

Every multiset of (kind, outdated or not), with every number of replicas from 0 to 3 and four strategies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations_with_replacement, product

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import (
    AVAILABLE,
    BOOTING,
    FAILED,
    GOING,
    NOT_READY,
    QUARANTINED,
)
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import (
    Action,
    ChangeNode,
    Choose,
    Create,
    Decision,
    Delete,
    key_of,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool, limits_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.tests.unit.builders import (
    HELD,
    JOINED,
    NEW,
    NOW,
    OLD,
    YOUNG,
    creating,
    machine,
    pool,
    say,
    snapshot,
)

pytestmark = pytest.mark.once

KINDS = (AVAILABLE, BOOTING, JOINED, YOUNG, NOT_READY, HELD, FAILED, GOING, QUARANTINED)
STRATEGIES = ((1, 0), (0, 1), (1, 1), (2, 0))
Makeup = tuple[tuple[str, str], ...]  # ((kind, revision), ...)

every_pool = pytest.mark.parametrize(
    ("size", "replicas", "surge", "unavailable"),
    [(size, replicas, *strategy) for size, replicas, strategy in product(range(4), range(4), STRATEGIES)],
    ids=str,
)


def makeups(size: int) -> Iterator[Makeup]:
    """Every pool of so many machines."""
    return combinations_with_replacement(list(product(KINDS, (OLD, NEW))), size)


def world_of(makeup: Makeup) -> Snapshot:
    return snapshot(*(made(f"m{number}", revision, kind) for number, (kind, revision) in enumerate(makeup)))


@cache
def made(name: str, revision: str, kind: str) -> Machine:
    """Each kind of machine once: there are 54 of them, in 21,280 worlds."""
    return machine(name, revision, kind)


def laid_over(world: Snapshot, actions: tuple[Action, ...]) -> Snapshot:
    """The world of the next turn, with every action in flight."""
    machines = dict(world.machines)
    sent = []
    for action in actions:
        if isinstance(action, Choose):
            machines[action.machine.name] = replace(machines[action.machine.name], choosing=True)
        elif isinstance(action, Delete):
            machines[action.machine.name] = replace(machines[action.machine.name], deleting=True)
        elif isinstance(action, ChangeNode) and action.verb == "quarantine":
            machines[action.change.node] = replace(machines[action.change.node], setting_aside=True)
        elif isinstance(action, Create):
            sent.append(creating(f"web-{action.slot}-{len(sent)}", action.slot, action.failure_domain))
    busy = frozenset(key_of(action) for action in actions)
    return replace(world, machines=machines, creating=tuple(sent), busy=busy, is_settled=not actions)


def taken_away(decision: Decision) -> set[str]:
    return {action.machine.name for action in decision.actions if isinstance(action, Choose | Delete)}


def breaches(world: Snapshot, wanted: Pool, decision: Decision) -> Iterator[str]:
    """What a decision does that no decision may do."""
    limits = limits_of(wanted)
    available = {name for name, each in world.machines.items() if is_available(each)}
    lost = taken_away(decision) & available
    if lost and len(available - lost) < limits.floor:
        yield f"{sorted(lost)} marked of {len(available)} available, floor {limits.floor}"
    existing = sum(1 for each in world.machines.values() if each.node is None or each.node.quarantined is None)
    creates = sum(1 for action in decision.actions if isinstance(action, Create))
    if creates and existing + len(world.creating) + creates > limits.ceiling:
        yield f"{creates} creates where {existing} exist, ceiling {limits.ceiling}"
    held = {name for name, each in world.machines.items() if each.node is not None and each.node.is_held}
    yield from (f"{name}, which a person cordoned, is taken away" for name in taken_away(decision) & held)


def is_available(each: Machine) -> bool:
    return each is made(each.name, each.vm.revision, AVAILABLE)


def silence(wanted: Pool, decision: Decision) -> Iterator[str]:
    """Why a person would not know what this run waits for."""
    deadline = NOW + wanted.strategy.progress_deadline
    if not decision.actions and not decision.finished and not decision.blockers and decision.wake_at in (None, deadline):
        yield "waits for nothing, and says nothing"
    if decision.finished and decision.actions:
        yield "is finished and has actions"


def wrong_end(world: Snapshot, wanted: Pool, decision: Decision) -> Iterator[str]:
    is_done = len(world.machines) == wanted.replicas and all(
        is_available(each) and each.vm.revision == NEW for each in world.machines.values()
    )
    if is_done != (decision.finished and decision.failure is None):
        yield f"{'is' if is_done else 'is not'} done, finished {decision.finished} with {decision.failure}"


def repeated(world: Snapshot, wanted: Pool, first: Decision) -> Iterator[str]:
    """What is started again while its first call is in flight, and what the guards say to the second turn."""
    flying = laid_over(world, first.actions)
    second = Rollout(wanted).decide(flying, NOW)
    keys = {key_of(action) for action in first.actions if not isinstance(action, Create)}
    yield from (f"{say(action)} again" for action in second.actions if key_of(action) in keys)
    yield from (f"{say(action)} in the second turn" for action in second.actions if isinstance(action, Create))
    yield from breaches(flying, wanted, second)
    if first.actions and second.finished:
        yield "is finished with calls in flight"


def judged(size: int, wanted: Pool) -> list[str]:
    """Everything that is wrong with any pool of this size, each with its makeup."""
    found = []
    for makeup in makeups(size):
        world = world_of(makeup)
        decision = Rollout(wanted).decide(world, NOW)
        wrong = [*breaches(world, wanted, decision), *silence(wanted, decision), *wrong_end(world, wanted, decision)]
        wrong += repeated(world, wanted, decision)
        found += [f"{makeup}: {what}" for what in wrong]
    return found


@every_pool
def test_every_small_pool_keeps_the_guards_repeats_nothing_and_says_what_it_waits_for(
    size: int, replicas: int, surge: int, unavailable: int
) -> None:
    """No mark below the floor, no create above the ceiling, no touch of a person's cordon, no repetition, no silent wait."""
    assert judged(size, pool(replicas, surge, unavailable)) == []
