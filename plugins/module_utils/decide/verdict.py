# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a run is over, and how: done, blocked, out of resources, stalled (rule 10 of semantics section 3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.decide import brake
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
from ansible_collections.immutable.fleet.plugins.module_utils.decide.turn import Turn
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import PRESERVED, Blocker, Decision, key_of, ways_on
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Blocked,
    Exhausted,
    FleetError,
    GivenUp,
    Stalled,
    Stopped,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import FAIL, ROLL_BACK, Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_count, say_duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord, Refusal
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import ANY
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Steering

AGAIN = "run the same playbook again"
BLOCKERS_SHOWN = 5
LEFT_ALONE = ("unhealthy", "person", "unlisted", "half_owned")  # somebody else's business: named by a check of health, no failure of it


def _found_by(turn: Turn) -> Decision:
    """What the turn found, without a judgement on whether all is done."""
    snapshot, census = turn.snapshot, turn.census
    return Decision(
        actions=tuple(action for action in turn.actions if not snapshot.busy or key_of(action) not in snapshot.busy),
        blockers=tuple(turn.blockers),
        wake_at=turn.wake_at,
        tally=census.tally(creating=len(snapshot.creating), existing=turn.existing, pods_left=turn.pods_left),
        record=turn.record,
    )


def conclude(turn: Turn, *, is_idle: bool) -> Decision:
    """The turn's decision with its end, if this is one. A run ends only when no call is in flight and none is wanted.

    `is_idle` False: something is wanted, though it may be held off for a moment after a refusal.
    """
    decision, pool, snapshot, census = _found_by(turn), turn.pool, turn.snapshot, turn.census
    progressed_at = snapshot.progressed_at or snapshot.began_at
    deadline = max(progressed_at, turn.patient_until or progressed_at) + pool.strategy.progress_deadline
    if snapshot.at >= deadline and turn.brake is None:
        return _over(decision, _stalled(decision, pool, snapshot, census))
    overdue = [blocker for blocker in decision.blockers if blocker.code == "overdue"]
    if overdue and pool.drain.on_timeout == FAIL:
        return _over(decision, _blocked(overdue, "drain.on_timeout is fail"))

    wake_at = deadline if decision.wake_at is None else min(decision.wake_at, deadline)
    waiting = replace(decision, wake_at=wake_at)
    if decision.record is not None:
        return waiting  # nothing rests on a record before it is written
    if not is_idle or snapshot.stale or not snapshot.is_settled or census.of(GOING):
        return waiting
    if any(machine.vm.status == vm_states.DELETING for machine in census.of(QUARANTINED)):
        return waiting  # its pods are gone, and it will be in a moment
    if snapshot.troubles.fatal:
        return _over(decision, _exhausted(pool, snapshot))
    if pool.probes and any(machine.is_being_asked for kind in (NOT_READY, BOOTING) for machine in census.of(kind)):
        return waiting  # its probes are about to say whether anything is left to do
    if _is_done(turn):
        return _well_done(turn, waiting)
    if turn.brake is not None:
        return _braked(turn, turn.brake, waiting, deadline)
    lasting = [blocker for blocker in decision.blockers if blocker.code not in ("step", PRESERVED)]
    if lasting and decision.wake_at is None and all(blocker.code == "protected" for blocker in lasting):
        return replace(_over(waiting, None), pending="; ".join(f"{blocker.where}: {blocker.what}" for blocker in lasting))
    if lasting and decision.wake_at is None and not snapshot.creating:
        return _over(decision, _blocked(lasting, "everything else is done"))
    return waiting


def _is_done(turn: Turn) -> bool:
    census = turn.census
    total = sum(len(census.of(kind)) for kind in (FAILED, NOT_READY, BOOTING, AVAILABLE))
    return len(census.current[AVAILABLE]) == total == turn.limits.replicas and not turn.snapshot.creating


def _well_done(turn: Turn, waiting: Decision) -> Decision:
    """All is as it should be, once the record says so, too: a pin that stays would hold the image's name to its old meaning."""
    record, image = turn.snapshot.record, turn.pool.revision.image
    has_changed = bool(record.current) and record.current.get("digest") != image.get("digest", record.current.get("digest"))
    if record.pinned or record.lost or record.climbing or record.vacated or record.leaving or has_changed:
        return replace(waiting, record=record.completed(image))
    if turn.census.of(QUARANTINED):
        return _over(waiting, _quarantined(turn))
    refusal = brake.refusal_of(turn.pool, turn.asked, turn.snapshot)
    if refusal is not None:
        return _over(waiting, _refused(turn, refusal))
    return replace(_over(waiting, None), pending=_of_another_revision(turn))


def _of_another_revision(turn: Turn) -> str:
    """What `on_delete` leaves as it is; "" where all is as asked for."""
    wanted = turn.pool.revision.id
    others = [machine.name for machine in turn.census.current[AVAILABLE] if wanted not in (machine.vm.revision, ANY.id)]
    if not others:
        return ""
    what = f"{say_count(len(others), 'machine')} of another revision, and strategy.type is on_delete"
    how = brake.control(turn.pool, "replaced", machine=min(others), then="and so for each, then run the same playbook again")
    return f"{what}; delete the VM, or ask for its replacement: {how}"


def _braked(turn: Turn, on: brake.Brake, waiting: Decision, deadline: datetime) -> Decision:
    """Only the brake is in the way. One that was put on during the run may be lifted during the run."""
    is_aborted = on.blocker.code == brake.ABORTED and not on.stood_before
    if on.blocker.code == brake.HEALING:
        begun_here = any(machine.vm.created_at >= turn.snapshot.began_at for machine in turn.census.of(BOOTING))
        return waiting if begun_here or turn.snapshot.creating else _healed(turn, waiting)
    if (turn.census.of(BOOTING) or turn.snapshot.creating) and not is_aborted:
        return waiting
    if on.blocker.code == brake.REFUSED:
        refusal = brake.refusal_of(turn.pool, turn.asked, turn.snapshot)
        is_rolled_back = turn.pool.strategy.on_breach == ROLL_BACK and turn.snapshot.record.current
        if refusal is None or is_rolled_back:
            return waiting  # the loop is about to resolve the image to go back to
        return _over(waiting, _refused(turn, refusal))
    if is_aborted:
        return _over(waiting, _aborted(turn, on.blocker))
    refusal = brake.refusal_of(turn.pool, turn.asked, turn.snapshot)
    if refusal is not None and (on.stood_before or turn.snapshot.at >= deadline):
        return _over(waiting, _refused(turn, refusal))  # on its way back, and held: that is no good end
    if on.stood_before or turn.snapshot.at >= deadline:
        return replace(_over(waiting, None), pending=_held(turn, on))
    return waiting


def _healed(turn: Turn, waiting: Decision) -> Decision:
    """Nothing more can be healed in this pass. What waits for its time or turn is another pass's; what does not is named."""
    if turn.census.of(QUARANTINED):
        return _over(waiting, _quarantined(turn))
    stuck = [blocker for blocker in waiting.blockers if not blocker.is_wait and blocker.code not in LEFT_ALONE]
    if stuck:
        return _over(waiting, _blocked(stuck, "everything else is healed"))
    left = [f"{blocker.where}: {blocker.what}" for blocker in waiting.blockers if blocker.code in ("remediation", *LEFT_ALONE)]
    return replace(_over(waiting, None), pending="; ".join(left[:BLOCKERS_SHOWN]))


def _held(turn: Turn, on: brake.Brake) -> str:
    """What a brake that stays leaves undone; where a person put it on, with what takes it off."""
    are = "is" if turn.old == 1 else "are"
    what = f"{on.blocker.what}: {say_count(turn.old, 'machine')} {are} not as asked for"
    if on.blocker.code not in (brake.PAUSED, brake.ABORTED):
        return what
    return f"{what}; to go on: {brake.control(turn.pool, 'resumed', then=brake.THEN_AGAIN)}"


def _over(decision: Decision, failure: FleetError | None) -> Decision:
    return replace(decision, finished=True, failure=failure, actions=(), wake_at=None)


def _quarantined(turn: Turn) -> FleetError:
    census, snapshot = turn.census, turn.snapshot
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
        back=brake.control(turn.pool, "released", machine=census.of(QUARANTINED)[0].name, then=_others(len(parts) - 1)),
    )


def _others(count: int) -> str:
    return f"and so for {count} more" if count else ""


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
        forward=ways_on(unique) + AGAIN,
        back="nothing is half done: what was not started is as it was",
    )


def _refused(turn: Turn, refusal: Refusal) -> FleetError:
    pool, is_back = turn.pool, turn.pool.revision.id != turn.asked.id
    return GivenUp(
        what=refusal.what + ("; rolled back" if is_back else "; no more machines are made of it"),
        where=", ".join([*(f"machine {name}" for name in refusal.machines[-1:]), f"pool {pool.name}", f"image {refusal.image}"]),
        since=refusal.at,
        forward=f"mend the image and {AGAIN}; or try this one again: {brake.control(pool, 'resumed', then=brake.THEN_AGAIN)}",
        back="it is on the image from before already" if is_back else brake.way_back(pool, turn.snapshot.record, turn.snapshot.steering),
    )


def _aborted(turn: Turn, blocker: Blocker) -> FleetError:
    return Stopped(
        what=f"{blocker.what}: this run has failed; later ones roll nothing and end well, pending, until it is resumed",
        where=blocker.where,
        since=blocker.since,
        forward=brake.control(turn.pool, "resumed", then=brake.THEN_AGAIN),
        back=brake.way_back(turn.pool, turn.snapshot.record, turn.snapshot.steering),
    )


def stopped(what: str, pool: Pool | None, record: PoolRecord, steering: Steering, since: datetime) -> FleetError:
    """A run that was asked to end, or whose time is over, since `since`. `pool` None: of nodes without one."""
    return Stopped(
        what=what,
        where=f"pool {pool.name}" if pool is not None else "",
        since=since,
        forward=f"{AGAIN}: it goes on from the facts",
        back=brake.way_back(pool, record, steering) if pool is not None else "run the same task with state uncordoned",
    )


def _exhausted(pool: Pool, snapshot: Snapshot) -> FleetError:
    troubles = snapshot.troubles
    return Exhausted(
        what=f"gave up after {say_count(troubles.count, 'failed create')}: {troubles.what}",
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
        forward=f"{AGAIN} once that has changed",
        back=brake.way_back(pool, snapshot.record, snapshot.steering),
    )
