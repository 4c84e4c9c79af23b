# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator's wish makes of the steering of a pool. Pure: the lock as read in, the steering to write out.

A wish that holds already changes nothing, so it may be said twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.decide.scaling import too_many_to_go
from ansible_collections.immutable.fleet.plugins.module_utils.decide.target import image_before, replicas_of, standing_refusal
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Refused
from ansible_collections.immutable.fleet.plugins.module_utils.model.reach import CURRENT_CONTEXT, Reach, control
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact, PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import (
    RETARGET,
    ROLLBACK,
    Asked,
    Override,
    Protection,
    Scale,
    Steering,
)

WISHES_KEPT = timedelta(days=30)  # for single machines: names do not come again (but with `recreate`), so an old wish is about nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """`state` is what the pool, or `machine`, should be. `image` "" and `replicas` None go back to what the variables ask for."""

    pool: str
    state: str  # paused | resumed | aborted | retargeted | rolled_back | scaled | released | replaced | protected
    asked: Asked
    machine: str = ""
    image: str = ""
    replicas: int | None = None
    max_scale_down: int | str = "50%"
    lasts: timedelta = timedelta(hours=1)  # of a protection; 0 takes it back, and a wish to replace
    reach: Reach = CURRENT_CONTEXT  # of the pool, for the commands in a refusal


def steered(seen: LockFact, wish: Wish) -> Steering:
    """The steering with the wish in it. Raises `Refused` where the pool's record does not know what is asked."""
    now, steering = wish.asked.at, in_force(seen.steering, wish.asked.at)
    if wish.state == "paused":
        return replace(steering, pause=steering.pause or wish.asked)
    if wish.state == "resumed":
        return _resumed(seen.record, steering, wish.asked)
    if wish.state == "aborted":
        return replace(steering, abort=steering.abort or wish.asked)
    if wish.state == "retargeted":
        return replace(steering, override=_retarget(seen.record, steering, wish), abort=None)
    if wish.state == "rolled_back":
        return replace(steering, override=_rollback(seen.record, steering, wish), abort=None)
    if wish.state == "scaled":
        return replace(steering, scale=_scale(seen.record, steering, wish))
    if wish.state == "replaced":
        others = {name: asked for name, asked in steering.replace.items() if name != wish.machine}
        kept = {wish.machine: steering.replace.get(wish.machine, wish.asked)} if wish.lasts else {}
        return replace(steering, replace={**kept, **others})
    protect = {**steering.protect, wish.machine: Protection(now + wish.lasts, wish.asked)}
    if not wish.lasts:
        del protect[wish.machine]
    release = {**steering.release, wish.machine: wish.asked} if wish.state == "released" else steering.release
    return replace(steering, protect=protect, release=release)


def _resumed(record: PoolRecord, steering: Steering, asked: Asked) -> Steering:
    """Neither paused nor aborted, and what was refused or suspended is tried again; a retarget or a rollback stays."""
    last = steering.resumed
    is_stopped = any(standing_refusal(record, steering, revision) for revision in record.refused) or _is_suspended(record, last)
    if steering.pause is None and steering.abort is None and not is_stopped:
        return steering
    # Another instant than the last one, whatever the operators' clocks say: by that it is told from it.
    at = asked.at if last is None else max(asked.at, last.at + timedelta(seconds=1))
    return replace(steering, pause=None, abort=None, resumed=replace(asked, at=at))


def _is_suspended(record: PoolRecord, last: Asked | None) -> bool:
    """Whether remediation was suspended, and no operator has resumed since."""
    if not record.health:
        return False
    from ansible_collections.immutable.fleet.plugins.module_utils.model.remedies import load_remedies

    suspended = load_remedies(record.health).suspended
    return suspended is not None and (last is None or last.at == suspended.resumed)


def _retarget(record: PoolRecord, steering: Steering, wish: Wish) -> Override | None:
    if not wish.image:
        return None
    image = {"asked": _asked_image(record, wish.pool), "name": wish.image}
    return _unless_held(steering, Override(kind=RETARGET, image=image, asked=wish.asked))


def _rollback(record: PoolRecord, steering: Steering, wish: Wish) -> Override:
    asked, before = _asked_image(record, wish.pool), image_before(record)
    if steering.override is not None and steering.override.kind == ROLLBACK:
        return steering.override  # twice would be forward again
    if not before:
        raise Refused(
            what="the pool's record knows no image from before",
            where=f"pool {wish.pool}",
            forward=f"name the image to go back to: {control(wish.pool, wish.reach, 'retargeted', image='NAME')}",
            back="nothing was changed",
        )
    return Override(kind=ROLLBACK, image={**before, "asked": asked}, asked=wish.asked)


def _scale(record: PoolRecord, steering: Steering, wish: Wish) -> Scale | None:
    """Guarded as `replicas` in the variables are: a typo must not empty a pool."""
    if wish.replicas is None:
        return None
    if not record.replicas:
        raise _unknown(wish.pool, "no run of this pool is on record, so there is nothing to scale")
    refusal = too_many_to_go(replicas_of(record.replicas, steering), wish.replicas, wish.max_scale_down)
    if refusal is not None:
        raise refusal
    held = steering.scale
    is_held = held is not None and (held.replicas, held.instead_of) == (wish.replicas, record.replicas)
    return held if is_held else Scale(replicas=wish.replicas, instead_of=record.replicas, asked=wish.asked)


def _asked_image(record: PoolRecord, pool: str) -> str:
    """What the variables ask for, as the last run saw them: an override holds while they ask for the same."""
    for image in (record.pinned, record.given_up, record.current):
        if image.get("asked"):
            return image["asked"]
    raise _unknown(pool, "no rollout of this pool is on record, so there is nothing to retarget")


def _unknown(pool: str, what: str) -> Refused:
    forward = "run node_pool once: it records what the pool is made of, and of how many machines"
    return Refused(what=what, where=f"pool {pool}", forward=forward, back="nothing was changed")


def _unless_held(steering: Steering, override: Override) -> Override:
    held = steering.override
    return held if held is not None and (held.kind, held.image) == (override.kind, override.image) else override


def in_force(steering: Steering, now: datetime) -> Steering:
    """What is asked now, without protections that are over and wishes about machines of long ago."""

    def young(wishes: Mapping[str, Asked]) -> dict[str, Asked]:
        return {name: asked for name, asked in wishes.items() if now - asked.at < WISHES_KEPT}

    protect = {name: one for name, one in steering.protect.items() if one.until > now}
    return replace(steering, replace=young(steering.replace), release=young(steering.release), protect=protect)
