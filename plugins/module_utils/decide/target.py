# SPDX-License-Identifier: GPL-3.0-or-later
"""Which image a pool is made of now: the one that the variables ask for, or another that stands for it.

An operator's override comes first; then, where the asked revision broke its budget and `on_breach` is rollback, the image of
the last rollout that was completed. Both hold while the variables ask for the same: changed variables supersede them.
"""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import ROLL_BACK, Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import Image, PoolRecord, Refusal
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Override, Steering


def standing_override(steering: Steering, asked: Revision) -> Override | None:
    """The operator's image, while the variables ask for what they asked for then."""
    override = steering.override
    if override is None or override.image.get("asked") != asked.image.get("asked"):
        return None
    return override


def replicas_of(asked: int, steering: Steering) -> int:
    """How many machines the pool is to have: an operator's number, while the variables ask for what they asked for then."""
    scale = steering.scale
    return scale.replicas if scale is not None and asked and scale.instead_of == asked else asked


def standing_refusal(record: PoolRecord, steering: Steering, revision: str) -> Refusal | None:
    """Why no machine of `revision` is made; None where it broke no budget, or an operator resumed since."""
    refusal = record.refused.get(revision)
    if refusal is None or (steering.resumed is not None and steering.resumed.at != refusal.resumed):
        return None
    return refusal


def image_before(record: PoolRecord) -> Image:
    """What a rollback goes to: the last completed image while a rollout is under way, else the one before it; empty: none known."""
    return record.current if record.pinned or record.given_up else record.previous


def image_instead(pool: Pool, asked: Revision, record: PoolRecord, steering: Steering) -> Image:
    """What stands for the asked image, as `Cloud.resolve` takes it; empty: nothing does."""
    override = standing_override(steering, asked)
    if override is not None:
        return override.image
    is_refused = standing_refusal(record, steering, asked.id) is not None
    if is_refused and pool.strategy.on_breach == ROLL_BACK and record.current:
        return {**record.current, "asked": asked.image.get("asked", "")}
    return {}
