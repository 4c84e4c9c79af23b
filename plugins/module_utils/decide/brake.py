# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds a rollout back while everything else goes on: a pause, an abort, a refused revision, a closed window.

A brake stops what is done for the sake of new machines. Machines that are going go on to their end, failed ones are removed,
missing ones are made, fewer replicas are taken away (semantics section 3). Which commands lift it stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.decide.target import image_before, standing_override, standing_refusal
from ansible_collections.immutable.fleet.plugins.module_utils.model import reach
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_duration, say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord, Refusal
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import ANY, Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import ROLLBACK, Steering

PAUSED = "paused"
ABORTED = "aborted"
REFUSED = "refused"
CLOSED = "window"
HEALING = "healing"  # a check of the machines' health rolls nothing

THEN_AGAIN = "then run the same playbook again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Brake:
    """Why no machine is replaced now. `stood_before` the run began; `creates` is whether missing machines are made all the same."""

    blocker: Blocker
    stood_before: bool = True
    creates: bool = True


def brake(pool: Pool, asked: Revision, snapshot: Snapshot, *, only_heals: bool = False) -> Brake | None:
    """The brake that is on; None where the rollout may go on. `only_heals`: nothing is to be rolled, whoever asks."""
    if asked.id == ANY.id:
        return None  # a removal is no rollout
    steering, where = snapshot.steering, f"pool {pool.name}"
    if steering.abort is not None:
        since = steering.abort.at
        blocker = Blocker(code=ABORTED, what=f"aborted {steering.abort}", where=where, since=since)
        return Brake(blocker=blocker, stood_before=since < snapshot.began_at)
    if steering.pause is not None:
        since = steering.pause.at
        blocker = Blocker(code=PAUSED, what=f"paused {steering.pause}", where=where, since=since)
        return Brake(blocker=blocker, stood_before=since < snapshot.began_at)
    refusal = refusal_of(pool, asked, snapshot)
    if refusal is not None and pool.revision.id == asked.id:
        return Brake(blocker=Blocker(code=REFUSED, what=refusal.what, where=where, since=refusal.at), creates=False)
    if only_heals:
        return Brake(blocker=Blocker(code=HEALING, what="only the machines' health is looked after", where=where))
    what = _closed(pool, snapshot.at)
    return Brake(blocker=Blocker(code=CLOSED, what=what, where=where)) if what else None


def most_at_once(pool: Pool, now: datetime) -> int | None:
    """How many machines may be on their way out for a new one, by the calendar; None: no limit now."""
    if not pool.strategy.budgets:
        return None
    from ansible_collections.immutable.fleet.plugins.module_utils.decide import calendar

    return calendar.most_at_once(pool.strategy.budgets, pool.replicas, now)[0]


def _closed(pool: Pool, now: datetime) -> str:
    """Why no replacement may begin by the calendar; what has begun goes on, and the next run in the window with it."""
    strategy = pool.strategy
    if not strategy.windows and not strategy.budgets:
        return ""
    from ansible_collections.immutable.fleet.plugins.module_utils.decide import calendar  # few pools have one

    open_now, changes_at = calendar.is_open(strategy.windows, now)
    if not open_now:
        return "outside of strategy.windows" + (f"; the next opens at {say_instant(changes_at)}" if changes_at else "")
    most, changes_at = calendar.most_at_once(strategy.budgets, pool.replicas, now)
    if most == 0:
        return "strategy.budgets allow no replacement now" + (f"; that changes at {say_instant(changes_at)}" if changes_at else "")
    return ""


def refusal_of(pool: Pool, asked: Revision, snapshot: Snapshot) -> Refusal | None:
    """Why the revision that the variables ask for is not made, where no operator overrides it."""
    if standing_override(snapshot.steering, asked) is not None:
        return standing_refusal(snapshot.record, snapshot.steering, pool.revision.id)
    return standing_refusal(snapshot.record, snapshot.steering, asked.id)


def say_loss(machine: str, startup_timeout: timedelta, pool: Pool, now: datetime) -> str:
    """Of a machine that ran and never became ready: what is kept in the record."""
    what = f"machine {machine} of image {pool.revision.image_name} was not ready {say_duration(startup_timeout)} after its creation"
    return f"{what}, at {say_instant(now)}"


def control(pool: Pool, state: str, *, then: str = "", **options: str) -> str:
    """The command that an operator runs for this pool, as a line for a shell."""
    return reach.control(pool.name, pool.reach, state, then=then, **options)


def way_back(pool: Pool, record: PoolRecord, steering: Steering) -> str:
    """The command that goes back to the image before; where the pool is going back already, or none is on record, that."""
    if pool.revision.id == ANY.id:
        return "declare the pool with state present: what is left of it is kept, what is missing is made"
    override = steering.override
    if override is not None and override.kind == ROLLBACK and override.image.get("digest") == pool.revision.image.get("digest"):
        return f"it goes back already, to image {pool.revision.image_name}: run the same playbook again"
    before = image_before(record)
    if not before:
        return "no image from before is on record, so there is none to go back to; what is there goes on serving"
    return control(pool, "rolled_back", then=f"to image {before.get('name') or before.get('digest', '')}; {THEN_AGAIN}")
