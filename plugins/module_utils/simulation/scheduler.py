# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a pending pod goes: a ready, schedulable node without a repelling taint, the least loaded one.

PreferNoSchedule nodes come after all others (so an outdated machine that is not cordoned yet gets pods only when no other
takes them); ties go to the node that joined first.
"""

from __future__ import annotations

import heapq

from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Member
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import State

PREFER_NO_SCHEDULE = "PreferNoSchedule"
REPELLING = ("NoSchedule", "NoExecute")
_STALE_ENTRIES_PER_NODE_MAX = 8

_Entry = tuple[int, int, int, str]  # disliked, load, order of joining, name


class Scheduler:
    """A heap of (disliked, load, order, node) with entries that may be outdated: whoever changes a node offers it again.

    An entry is made when a place is looked for next: a node that thirty pods have left by then gets one, and not thirty.
    """

    def __init__(self, state: State, pods_on: dict[str, dict[str, None]]) -> None:
        self._state = state
        self._pods_on = pods_on
        self._heap: list[_Entry] = []
        self._offered: dict[str, None] = {}  # nodes whose entries are outdated

    def offer(self, name: str) -> None:
        """The node is new or different, or has more or fewer pods."""
        self._offered[name] = None

    def reload(self) -> None:
        """Build the heap anew: rows came from a file, or too many entries are outdated."""
        entries = (self._entry(member) for member in self._state.members.values())
        self._heap = [entry for entry in entries if entry is not None]
        heapq.heapify(self._heap)
        self._offered.clear()

    def best(self) -> str | None:
        """The node that takes the next pod; None when no node does."""
        self._take_offers()
        heap = self._heap
        while heap:
            member = self._state.members.get(heap[0][3])
            if member is not None and self._entry(member) == heap[0]:
                return member.name
            heapq.heappop(heap)
        return None

    def _take_offers(self) -> None:
        if len(self._heap) > 64 + _STALE_ENTRIES_PER_NODE_MAX * len(self._state.members):
            self.reload()
        for name in self._offered:
            member = self._state.members.get(name)
            entry = self._entry(member) if member is not None else None
            if entry is not None:
                heapq.heappush(self._heap, entry)
        self._offered.clear()

    def _entry(self, member: Member) -> _Entry | None:
        """None where the node takes no pods."""
        if member.ready is not True or not member.schedulable:
            return None
        load = len(self._pods_on.get(member.name, ()))
        if load >= self._state.settings.pods_per_node_max:
            return None
        disliked = 0
        for taint in member.taints:
            if taint.effect in REPELLING:
                return None
            if taint.effect == PREFER_NO_SCHEDULE:
                disliked = 1
        return (disliked, load, member.order, member.name)
