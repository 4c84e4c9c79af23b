# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a run is, and about how long it will still take: from its own pace, nothing else is known here.

Pure. Why the whole run's mean and not the last minutes': tokens make machines come in bunches, and a bunch that just came says
nothing of the pace. Where nothing was finished yet, or for longer than ever before, there is no estimate rather than a wrong one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Tally
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_duration

PATIENCE = 2  # a pause that is so many times as long as the longest one before is no pace any more
# up to so long, to so much: a reader of "about" wants no seconds of an hour
ROUNDING = ((timedelta(seconds=90), 10), (timedelta(hours=1), 60), (timedelta(days=1), 300))
COARSEST_SECONDS = 3600


def left_of(tally: Tally, replicas: int | None) -> int:
    """Machines that are not yet as asked for: missing ones or surplus ones, whichever are more. `replicas` None: nodes to drain."""
    if replicas is None:
        return tally.going
    return max(0, replicas - tally.up_to_date, tally.existing - replicas)


def time_left(history: Sequence[tuple[datetime, int]], now: datetime) -> timedelta | None:
    """What is left at the pace so far. `history` is (since when, how many were left), a row for each change, the oldest first.

    Counted from the last time that the most was left: a scaled or retargeted pool begins anew. None: nothing to go by.
    """
    if not history:
        return None
    most = max(left for _at, left in history)
    start = max(index for index, (_at, left) in enumerate(history) if left == most)
    instants = [at for at, _left in history[start:]]
    left = history[-1][1]
    done = most - left
    if not done or not left:
        return None
    idle = now - instants[-1]
    longest = max(after - before for before, after in pairwise(instants))
    if idle > PATIENCE * longest:
        return None
    each = (instants[-1] - instants[0]) / done
    return max(each * left - idle, each)


def say_about(span: timedelta) -> str:
    """`span` as "40s", "9m", "1h25m": rounded up to what an estimate may claim."""
    unit = next((seconds for limit, seconds in ROUNDING if span <= limit), COARSEST_SECONDS)
    return say_duration(timedelta(seconds=max(1, -(-span.total_seconds() // unit)) * unit))
