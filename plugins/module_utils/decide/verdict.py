# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a run is over, and how: done, blocked, out of resources, stalled (rule 10 of semantics section 3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import (
    AVAILABLE,
    BOOTING,
    FAILED,
    GOING,
    NOT_READY,
    QUARANTINED,
    Census,
)
from ansible_collections.immutable.fleet.plugins.module_utils.decide.drain import waiting_for
from ansible_collections.immutable.fleet.plugins.module_utils.decide.turn import LOST_NEW_MAX
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker, Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Blocked,
    Exhausted,
    FleetError,
    GivenUp,
    Stalled,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import FAIL, Limits, Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot

AGAIN = "run the same playbook again"
BLOCKERS_SHOWN = 5


def conclude(decision: Decision, pool: Pool, limits: Limits, snapshot: Snapshot, census: Census, *, is_idle: bool) -> Decision:
    """`decision` with its end, if this is one. A run ends only when no call is in flight and none is wanted.

    `is_idle` False: something is wanted, though it may be held off for a moment after a refusal.
    """
    deadline = (snapshot.progressed_at or snapshot.began_at) + pool.strategy.progress_deadline
    if snapshot.at >= deadline:
        return _over(decision, _stalled(decision, pool, snapshot, census))
    overdue = [blocker for blocker in decision.blockers if blocker.code == "overdue"]
    if overdue and pool.drain.on_timeout == FAIL:
        return _over(decision, _blocked(overdue, "drain.on_timeout is fail"))

    wake_at = deadline if decision.wake_at is None else min(decision.wake_at, deadline)
    waiting = replace(decision, wake_at=wake_at)
    if not is_idle or snapshot.stale or not snapshot.is_settled or census.of(GOING):
        return waiting
    if any(machine.vm.status == vm_states.DELETING for machine in census.of(QUARANTINED)):
        return waiting  # its pods are gone, and it will be in a moment
    if snapshot.troubles.fatal or snapshot.troubles.lost_new >= LOST_NEW_MAX:
        return _over(decision, _given_up(pool, snapshot))
    if _is_done(limits, snapshot, census):
        aside = census.of(QUARANTINED)
        return _over(decision, _quarantined(census, snapshot) if aside else None)
    if decision.blockers and decision.wake_at is None and not snapshot.creating:
        return _over(decision, _blocked(decision.blockers, "everything else is done"))
    return waiting


def _is_done(limits: Limits, snapshot: Snapshot, census: Census) -> bool:
    total = sum(len(census.of(kind)) for kind in (FAILED, NOT_READY, BOOTING, AVAILABLE))
    return len(census.current[AVAILABLE]) == total == limits.replicas and not snapshot.creating


def _over(decision: Decision, failure: FleetError | None) -> Decision:
    return replace(decision, finished=True, failure=failure, actions=(), wake_at=None)


def _quarantined(census: Census, snapshot: Snapshot) -> FleetError:
    parts, since = [], None
    for machine in census.of(QUARANTINED):
        note = machine.node.quarantined if machine.node else None
        left = waiting_for(machine.node, snapshot.budgets) if machine.node else ""
        parts.append(f"{machine.name}: {left}")
        since = min(filter(None, (since, note.at if note else None)), default=None)
    names = ", ".join(machine.where for machine in census.of(QUARANTINED))
    return Blocked(
        what="not drained: " + "; ".join(parts),
        where=f"{names}; quarantined and cordoned by us",
        since=since,
        forward=f"{AGAIN} once the pods can leave: a quarantined machine is deleted as soon as it is empty",
        back=_release(census.of(QUARANTINED)[0]),
    )


def _release(machine: Machine) -> str:
    """The command that gives a machine back to the pool: its marks go with the cordon, else the next run cordons it again."""
    name = machine.node.name if machine.node is not None else machine.name
    return f"kubectl annotate node {name} {marks.NODE_CHOSEN}- {marks.NODE_QUARANTINED}- && kubectl uncordon {name}"


def _blocked(blockers: Iterable[Blocker], why: str) -> FleetError:
    unique = list({(blocker.what, blocker.where): blocker for blocker in blockers}.values())
    shown = [f"{blocker.what} ({blocker.where})" if blocker.where else blocker.what for blocker in unique[:BLOCKERS_SHOWN]]
    more = f"; and {len(unique) - BLOCKERS_SHOWN} more" if len(unique) > BLOCKERS_SHOWN else ""
    if len(unique) == 1:
        shown = [unique[0].what]
    return Blocked(
        what=f"blocked ({why}): " + "; ".join(shown) + more,
        where=unique[0].where if len(unique) == 1 else "",
        since=min((blocker.since for blocker in unique if blocker.since), default=None),
        forward=f"{AGAIN} once that is removed",
        back="nothing is half done: what was not started is as it was",
    )


def _given_up(pool: Pool, snapshot: Snapshot) -> FleetError:
    troubles = snapshot.troubles
    if troubles.lost_new >= LOST_NEW_MAX:
        image = pool.revision.fields.get("image", "")
        return GivenUp(
            what=f"{troubles.lost_new} new machines never became ready within {say_duration(pool.strategy.startup_timeout)}",
            where=f"pool {pool.name}, revision {pool.revision.id}" + (f", image {image}" if image else ""),
            since=troubles.since,
            forward=f"mend the image or the user data, then {AGAIN}",
            back="give the previous image and run the playbook: machines of it are kept",
        )
    return Exhausted(
        what=f"gave up after {troubles.count} failed creates: {troubles.what}",
        where=f"pool {pool.name}",
        since=troubles.since,
        forward=f"{AGAIN} once there is room",
        back="nothing is half done: no machine was taken away for one that could not be made",
    )


def _stalled(decision: Decision, pool: Pool, snapshot: Snapshot, census: Census) -> FleetError:
    whats = [f"{blocker.what} ({blocker.where})" if blocker.where else blocker.what for blocker in decision.blockers]
    whats += [f"no news from the {source}" for source in snapshot.stale]
    if not whats:
        nodes = {machine.name: machine.node for machine in census.of(GOING)}
        whats = [f"{name}: {waiting_for(node, snapshot.budgets)}" for name, node in nodes.items() if node is not None]
    return Stalled(
        what=f"no progress for {say_duration(pool.strategy.progress_deadline)}: " + ("; ".join(whats) or "nothing says why"),
        where=f"pool {pool.name}",
        since=snapshot.progressed_at or snapshot.began_at,
        forward=f"{AGAIN} once that is removed",
        back=f"{AGAIN} with the previous image",
    )
