# SPDX-License-Identifier: GPL-3.0-or-later
"""The bare state of a simulated world: its tables, its clock, what is to come, and who listens.

hypervisor, nodes, pods, budgets, volumes and balancers are written over it; world.py puts them together. Events are data (instant,
number, kind, key), never closures, so that a world can be kept in a file. One that has lost its object does nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.simulation.beats import Beats
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Chance, Profile
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import (
    Backend,
    BackendMember,
    BudgetRow,
    Copy,
    Domain,
    Due,
    Fault,
    Host,
    Image,
    Lease,
    Member,
    PodRow,
    Port,
    Promoted,
    Published,
    Settings,
    Table,
    Token,
    Volume,
    Workload,
)

VMS = "vms"
CLUSTER = "cluster"
BALANCER = "balancer"
COPIED = "copied"  # an event of a copy
Listener = Callable[[str, str], None]


class State:
    """Tables, clock, agenda, chance, listeners. `touched_*` are what facts.py has to show anew, in order of change."""

    def __init__(self, now: datetime, seed: int = 0, profile: Profile | None = None) -> None:
        self.now = now
        self.serial = 0
        self.chance = Chance(seed)
        self.profile = profile or Profile()
        self.settings = Settings()
        self.beats: Beats | None = None  # what instants events fall on; None: on any
        self.images: Table[Image] = Table()  # by digest
        self.published: Table[Published] = Table()
        self.promoted: Table[Promoted] = Table()  # by "image/channel/number"
        self.domains: Table[Domain] = Table()
        self.hosts: Table[Host] = Table()  # by VM id
        self.ports: Table[Port] = Table()
        self.copies: Table[Copy] = Table()  # by image id
        self.members: Table[Member] = Table()  # by node name
        self.workloads: Table[Workload] = Table()  # by namespace/name
        self.pods: Table[PodRow] = Table()  # by UID
        self.budgets: Table[BudgetRow] = Table()  # by namespace/name
        self.volumes: Table[Volume] = Table()  # by claim
        self.tokens: Table[Token] = Table()
        self.leases: Table[Lease] = Table()  # by pool
        self.backends: Table[Backend] = Table()
        self.backend_members: Table[BackendMember] = Table()
        self.faults: Table[Fault] = Table()
        self.agenda: Table[Due] = Table()  # by number
        self._heap: list[tuple[datetime, int]] = []
        self._listeners: list[Listener] = []
        self.touched_nodes: dict[str, None] = {}
        self.touched_budgets: dict[str, None] = {}

    @property
    def tables(self) -> dict[str, Table[Any]]:
        """All tables by name, as a world file keeps them."""
        return {
            "image": self.images,
            "published": self.published,
            "promoted": self.promoted,
            "domain": self.domains,
            "host": self.hosts,
            "port": self.ports,
            "copy": self.copies,
            "member": self.members,
            "workload": self.workloads,
            "pod": self.pods,
            "budget": self.budgets,
            "volume": self.volumes,
            "token": self.tokens,
            "lease": self.leases,
            "backend": self.backends,
            "backend_member": self.backend_members,
            "fault": self.faults,
            "due": self.agenda,
        }

    def use_up(self, key: str, fault: Fault) -> Fault:
        """One use of a fault; used up, it is gone."""
        fault.count -= 1
        self.faults.touch(key)
        if fault.count <= 0:
            self.faults.drop(key)
        return fault

    def next_serial(self) -> int:
        """A number that was never given before: for ids, versions and the order of events."""
        self.serial += 1
        return self.serial

    def due_after(self, delay: timedelta) -> datetime:
        """When an event is due that takes `delay` from now."""
        due = self.now + delay
        return due if self.beats is None else self.beats.moved(due, self.now)

    def plan(self, delay: timedelta, kind: str, key: str) -> datetime:
        """Put an event on the agenda; when it is due."""
        number = self.next_serial()
        due = self.due_after(delay)
        self.agenda.put(str(number), Due(due, kind, key))
        heapq.heappush(self._heap, (due, number))
        return due

    def next_due(self) -> datetime | None:
        """When the next event is due; None when nothing is to come."""
        heap, agenda = self._heap, self.agenda
        while heap and str(heap[0][1]) not in agenda:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def pop_due(self, to: datetime) -> Due | None:
        """Take the next event that is due at `to`, and set the clock to it."""
        heap = self._heap
        while heap and heap[0][0] <= to:
            row = self.agenda.drop(str(heapq.heappop(heap)[1]))
            if row is not None:
                self.now = max(self.now, row.at)
                return row
        return None

    def reload_agenda(self) -> None:
        """Build the queue anew after rows came from a file."""
        self._heap = [(row.at, int(number)) for number, row in self.agenda.items()]
        heapq.heapify(self._heap)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(kind, name)` after every change, kind "vms", "cluster" or "balancer"; the result ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tell(self, kind: str, name: str) -> None:
        """Tell the listeners that something is different."""
        for listener in self._listeners:
            listener(kind, name)

    def vm_changed(self, name: str) -> None:
        """A VM, or something made for it, is different."""
        self.tell(VMS, name)

    def node_changed(self, name: str) -> None:
        """Show this node anew, and tell."""
        self.touched_nodes[name] = None
        self.tell(CLUSTER, name)

    def balancer_changed(self, backend: str) -> None:
        """A member of this backend is different."""
        self.tell(BALANCER, backend)

    def budget_changed(self, name: str) -> None:
        """Show this budget anew, and tell: an eviction may become possible by nothing else."""
        self.touched_budgets[name] = None
        self.budgets.touch(name)
        self.tell(CLUSTER, name)
