# SPDX-License-Identifier: GPL-3.0-or-later
"""How many clones a vCenter is asked for at once: additive increase, multiplicative decrease, by its own task queue. Pure.

vCenter runs as many as the host and the datastore bear, at most eight of a host (https://docs.vmware.com/en/VMware-vSphere/6.7/
com.vmware.vsphere.vcenterhost.doc/GUID-25EA5833-03B5-4EDD-A167-87578B8009B3.html) and 640 in all, and queues the rest. The queue is
everybody's: what waits in it for a pool keeps a person's clone waiting, and its tasks may time out. So no more is asked for than is run
until the next look, and as much again, so that nothing ever runs dry. What a clone needs, in the words here its lanes, are: vCenter as a
whole, the host that its template is registered at (it does the copying), and the datastore that it goes to.

| what a look shows of a lane whose limit is in force        | its limit                                   |
|------------------------------------------------------------|---------------------------------------------|
| more than BEHIND times as many wait as run, or as ended    | halved                                      |
| those that ended took SLOWER times as long as the quickest | halved: the storage has as much as it bears |
| all that may be under way was, and nothing waits           | grows by as many as ended, 1 at least       |
| anything else                                              | stays                                       |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

BEGIN = 16  # eight that run, and eight that wait for them
FEWEST, MOST = 2, 128
BEHIND = 2
SLOWER = 2
LOOK = timedelta(seconds=2)  # one look at least takes as long: what is told between is one look with it
SAMPLES = 3  # of one look: fewer are no evidence
TELLING = timedelta(seconds=1)  # what is shorter is no measure of a storage's load

Lanes = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """What was learned of one: how many clones it may have under way, and how long one took at best."""

    limit: int = BEGIN
    quickest: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look showed of a lane: clones by their tasks' state, and how long each took that ended well since the look before."""

    queued: int = 0
    running: int = 0
    took: tuple[timedelta, ...] = ()


def adapt(lane: Lane, seen: Seen) -> Lane:
    """The lane after a look. While more is under way than may be, a cut is still taking effect, and none follows it."""
    under_way, ended = seen.queued + seen.running, len(seen.took)
    usual = sorted(seen.took)[ended // 2] if seen.took else None
    quickest = min((each for each in (usual, lane.quickest) if each is not None), default=None)
    lane = replace(lane, quickest=quickest)
    if under_way > lane.limit:
        return lane
    is_behind = seen.queued > BEHIND * max(seen.running, ended)
    is_slow = ended >= SAMPLES and usual is not None and quickest is not None and usual >= max(SLOWER * quickest, TELLING)
    if is_behind or is_slow:
        return replace(lane, limit=max(FEWEST, lane.limit // 2))
    if not seen.queued and under_way + ended >= lane.limit:
        return replace(lane, limit=min(MOST, lane.limit + max(1, ended)))
    return lane


def see(clones: Iterable[tuple[Lanes, str, timedelta | None]]) -> dict[str, Seen]:
    """What a look showed, by lane. A clone is its lanes, its task's state, and how long it took if it ended well."""
    found: dict[str, Seen] = {}
    for lanes, state, took in clones:
        for lane in lanes:
            seen = found.get(lane, Seen())
            if state == "success":
                found[lane] = replace(seen, took=(*seen.took, took)) if took is not None else seen
            elif state == "queued":
                found[lane] = replace(seen, queued=seen.queued + 1)
            elif state != "error":  # running, or nobody knows yet
                found[lane] = replace(seen, running=seen.running + 1)
    return found


def together(earlier: Mapping[str, Seen], later: Mapping[str, Seen]) -> dict[str, Seen]:
    """Two looks as one: who waits and who runs by the later one, who ended by both."""
    found = dict(later)
    for lane, seen in earlier.items():
        here = found.get(lane, Seen())
        found[lane] = replace(here, took=(*seen.took, *here.took))
    return found


def left(lanes: Mapping[str, Lane], lane: str, under_way: Sequence[Lanes]) -> int:
    """How many more the lane may have under way."""
    return max(0, lanes.get(lane, Lane()).limit - sum(lane in each for each in under_way))
