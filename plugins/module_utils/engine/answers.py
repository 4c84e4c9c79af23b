# SPDX-License-Identifier: GPL-3.0-or-later
"""What an answer, a refusal or a silence means for what may be sent next. The error's class alone decides about repeating."""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.engine.world import Sent, World
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import (
    AskGate,
    Clear,
    Create,
    Delete,
    DeleteNode,
    Evict,
    Fetch,
    LookAt,
    Power,
    look_key,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Conflict,
    Denied,
    Exhausted,
    FleetError,
    Invalid,
    NotFound,
    PortError,
    Throttled,
    Transient,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import EvictionTry, Look
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Troubles

EVICTION_RETRY = timedelta(seconds=5)  # after a 429 without Retry-After, as kubectl drain
EVICTION_JITTER_MS = 1000
EVICTION_REFUSED_RETRY = timedelta(seconds=60)  # a refusal that waiting alone does not cure
CONFLICT_RETRY = timedelta(seconds=1)  # the watch needs a moment to show what was in the way
BACK_OFF_FIRST = timedelta(seconds=5)
BACK_OFF_MOST = timedelta(minutes=5)
CREATE_TRIES_MAX = 5  # failed creates in a row, before the run says what is short


def take_answer(world: World, key: str, result: object, now: datetime) -> None:
    """A call worked."""
    sent = world.calls.get(key)
    if sent is None:
        return
    if isinstance(result, Look) and isinstance(sent.action, LookAt):
        world.looked(look_key(sent.action.subject), result)
    if isinstance(sent.action, AskGate) and isinstance(result, tuple):
        world.asked(sent.action.question, result, now)
    world.answered(key, now)


def take_error(world: World, key: str, error: PortError, now: datetime) -> FleetError | None:
    """A call failed. Returns an error that ends the run, where nobody but the user can help."""
    sent = world.calls.get(key)
    if sent is None:
        return None
    if isinstance(sent.action, Evict):
        return _eviction_refused(world, key, sent, sent.action, error, now)
    if isinstance(error, NotFound) and isinstance(sent.action, Delete | Power | DeleteNode | Clear):
        world.answered(key, now)
    elif isinstance(error, Transient) and not isinstance(sent.action, Fetch):  # of bytes that did not come nothing is left
        world.unknown(key, now)
    elif isinstance(error, Denied | Invalid):
        world.refused(key, now + BACK_OFF_MOST)
        return error
    elif isinstance(error, Exhausted) and isinstance(sent.action, Create):
        world.refused(key, now)
        create_failed(world, str(error), now)
    else:
        again_at = now + _pause(error)
        world.refused(key, again_at)
        if isinstance(sent.action, Create):  # the next one has another name, hence another key
            world.troubles = replace(world.troubles, after=again_at, what=str(error), since=world.troubles.since or now)
    return None


def _pause(error: PortError) -> timedelta:
    """How long a call that had no effect is not repeated."""
    if isinstance(error, Throttled):
        return error.after or EVICTION_RETRY
    return CONFLICT_RETRY if isinstance(error, Conflict | NotFound) else BACK_OFF_FIRST


def create_failed(world: World, what: str, now: datetime) -> None:
    """The cloud had no room, or put the VM to ERROR: creates are held back for longer each time, and at last given up."""
    troubles = world.troubles
    count = troubles.count + 1
    if troubles.after is not None and now < troubles.after:
        count = max(1, troubles.count)  # one of several that flew together: they count as one
    back_off = min(BACK_OFF_FIRST * 2 ** (count - 1), BACK_OFF_MOST)
    world.troubles = replace(
        troubles,
        after=now + back_off,
        what=what,
        since=troubles.since or now,
        count=count,
        fatal=count >= CREATE_TRIES_MAX,
    )


def create_worked(world: World) -> None:
    """A new machine runs, or became available: what went wrong before is over."""
    if world.troubles.count:
        world.troubles = Troubles()


def _eviction_refused(world: World, key: str, sent: Sent, action: Evict, error: PortError, now: datetime) -> FleetError | None:
    world.calls.pop(key, None)
    uid = action.pod.uid
    if isinstance(error, NotFound):
        return None  # gone: the try stays remembered as accepted until the watch shows it
    if isinstance(error, Throttled):
        wait = _pause_of_429(world, action, error)
    elif isinstance(error, Invalid):
        wait = EVICTION_REFUSED_RETRY
    elif isinstance(error, Conflict):
        wait = 2 * EVICTION_RETRY  # FM50: the budget is spent, and only time gives it back
    elif isinstance(error, Denied):
        return error
    else:
        wait = EVICTION_RETRY
    world.evictions[uid] = EvictionTry(sent_at=sent.sent_at, retry_at=now + wait, refusal=str(error))
    return None


def _pause_of_429(world: World, action: Evict, error: Throttled) -> timedelta:
    """No pause where the watch shows the budget closed: it will show it open, too, and until then nothing is sent."""
    budgets = world.view.budgets if world.view is not None else {}
    if any(name in budgets and budgets[name].allowed == 0 for name in action.pod.budgets):
        return timedelta(0)
    jitter = timedelta(milliseconds=zlib.crc32(action.pod.uid.encode()) % EVICTION_JITTER_MS)
    return error.after or EVICTION_RETRY + jitter
