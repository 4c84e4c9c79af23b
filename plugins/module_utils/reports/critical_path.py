# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run's duration was made of: the chain of steps that ends with the last one, each begun when the one before it ended.

Events don't say what a step waited for, so the chain is found backwards: a machine's steps follow one another, and a machine's first step
waited for whatever ended last before it. With tokens that is the rule itself: a drain waits for a new machine to be available, a create
for an old one to be gone. A gap between the two is called waiting.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.immutable.fleet.plugins.module_utils.reports.timeline import COMING, LEAVING, Row, Segment

WAIT = "wait"
SLACK_SECONDS = 1.0  # events are dated to the second


@dataclass(frozen=True, slots=True)
class Link:
    """One step of the path; `machine` is "" while nothing moved."""

    machine: str
    step: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class _Chain:
    """Steps of one machine without a pause between them."""

    machine: str
    segments: tuple[Segment, ...]

    @property
    def begin(self) -> float:
        return self.segments[0].begin

    @property
    def end(self) -> float:
        return self.segments[-1].end


def critical_path(rows: Sequence[Row], until: float = 0.0) -> list[Link]:
    """The links, the first one first; none where nothing moved. What is left up to `until`, the run's end, is waiting, too.

    O(n log n) in segments.
    """
    chains = sorted((chain for row in rows for chain in _chains(row)), key=lambda chain: (chain.end, chain.begin))
    ends = [chain.end for chain in chains]
    links: list[Link] = []
    current = chains[-1] if chains else None
    if current is not None and until - current.end > SLACK_SECONDS:
        links.append(Link("", WAIT, current.end, until))
    while current is not None:
        links += [Link(current.machine, segment.step, segment.begin, segment.end) for segment in reversed(current.segments)]
        before = _before(current, chains, ends)
        ended_at = before.end if before is not None else 0.0
        if current.begin - ended_at > SLACK_SECONDS:
            links.append(Link("", WAIT, ended_at, current.begin))
        current = before
    return [link for link in reversed(links) if link.end > link.begin]


def _before(chain: _Chain, chains: Sequence[_Chain], ends: Sequence[float]) -> _Chain | None:
    """The chain that ended last before this one began. Its beginning lies further back, so that the path has an end."""
    for index in range(bisect_right(ends, chain.begin + SLACK_SECONDS) - 1, -1, -1):
        candidate = chains[index]
        if candidate.begin < chain.begin and candidate.machine != chain.machine:
            return candidate
    return None


def _chains(row: Row) -> list[_Chain]:
    chains: list[_Chain] = []
    open_segments: list[Segment] = []
    for segment in row.segments:
        if segment.step in COMING or segment.step in LEAVING:
            open_segments.append(segment)
        elif open_segments:
            chains.append(_Chain(row.name, tuple(open_segments)))
            open_segments = []
    if open_segments:
        chains.append(_Chain(row.name, tuple(open_segments)))
    return chains


def spent_by_step(links: Sequence[Link]) -> dict[str, float]:
    """`{step: seconds}` of the path, the longest first."""
    spent: dict[str, float] = {}
    for link in links:
        spent[link.step] = spent.get(link.step, 0.0) + link.end - link.begin
    return dict(sorted(spent.items(), key=lambda item: -item[1]))
