# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated world: a hypervisor, a Kubernetes cluster and a load balancer as a discrete-event simulation.

Promises: deterministic (seed and calls decide everything), no clock, no thread, no wait; time moves only in `advance`.
Cost: a few tens of microseconds per event, `facts.refresh` O(changes). Everything it consists of is rows (rows.py), so a
world can be kept in a file (store.py). Not for several threads at once: session.py lends it to one at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.simulation import balancers, leases, nodes, pods, volumes
from ansible_collections.immutable.fleet.plugins.module_utils.simulation import hypervisor as vms
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.facts import Facts
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.faults import CLUSTER, Calls
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Fault
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import COPIED, Listener, State

if TYPE_CHECKING:
    from ansible_collections.immutable.fleet.plugins.module_utils.simulation.copies import Copies
    from ansible_collections.immutable.fleet.plugins.module_utils.simulation.images import Images
    from ansible_collections.immutable.fleet.plugins.module_utils.simulation.mishaps import Mishaps


class World:
    """The parts over one state. Verbs: `hypervisor`, `images`, `nodes`, `pods`, `balancers`, `leases`, `tokens`; what is seen: `facts`."""

    def __init__(self, now: datetime, seed: int = 0, profile: Profile | None = None) -> None:
        self.state = State(now, seed, profile)
        self.pods = pods.Pods(self.state)
        self.nodes = nodes.Nodes(self.state, self.pods)
        self.balancers = balancers.Balancers(self.state)
        self.hypervisor = vms.Hypervisor(self.state, self.nodes, self.balancers)
        self.leases = leases.Leases(self.state)
        self.tokens = leases.Tokens(self.state)
        self.calls = Calls(self.state)
        self.facts = Facts(self.state, self.pods)
        self._handlers: dict[str, Callable[[str], None]] = {
            vms.BUILT: self.hypervisor.built,
            vms.VM_GONE: self.hypervisor.gone,
            COPIED: self._copied,
            nodes.JOIN: self.nodes.join,
            nodes.READY: self.nodes.ready,
            nodes.SILENT: self.nodes.silent,
            nodes.ABANDON: self.nodes.abandon,
            nodes.COLLECT: self.nodes.collect,
            pods.POD_READY: self.pods.ready,
            pods.POD_GONE: self.pods.gone,
            pods.SPENT_OVER: self.pods.spent_over,
            volumes.DETACHED: self.pods.detached,
            balancers.CHANGED: self.balancers.changed,
            balancers.UP: self.balancers.up,
            balancers.DOWN: self.balancers.down,
            balancers.SESSIONS_OVER: self.balancers.sessions_over,
            balancers.WELL: self.balancers.well,
            leases.EXPIRED: self.tokens.delete,
        }

    @cached_property
    def mishaps(self) -> Mishaps:
        """Faults that begin and end; most worlds know none."""
        from ansible_collections.immutable.fleet.plugins.module_utils.simulation.mishaps import Mishaps

        return Mishaps(self.state, self.hypervisor, self.nodes, self.pods, self.balancers, self.facts)

    @cached_property
    def copies(self) -> Copies:
        """Images of VMs' disks; only builders have any."""
        from ansible_collections.immutable.fleet.plugins.module_utils.simulation.copies import Copies

        return Copies(self.state)

    @cached_property
    def images(self) -> Images:
        """The image store; few runs ask it."""
        from ansible_collections.immutable.fleet.plugins.module_utils.simulation.images import Images

        return Images(self.state)

    @property
    def now(self) -> datetime:
        """The world's clock."""
        return self.state.now

    def next_due(self) -> datetime | None:
        """When something will happen by itself; None: nothing will."""
        return self.state.next_due()

    def advance(self, to: datetime) -> None:
        """Play all events that are due at `to`, in order, and set the clock to it. Never goes back."""
        state, handlers = self.state, self._handlers
        self._note_for_stale_views()
        while (due := state.pop_due(to)) is not None:
            handler = handlers.get(due.kind) or self.mishaps.handlers[due.kind]
            handler(due.key)
            self._note_for_stale_views()
        state.now = max(state.now, to)

    def _copied(self, key: str) -> None:
        self.copies.copied(key)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(kind, name)` after every change: ("vms", machine), ("cluster", node) or ("balancer", backend).

        The result ends that. From within a verb or `advance`: a listener notes what it was told, and does not call the world.
        """
        return self.state.listen(listener)

    def inject(self, fault: Fault) -> str:
        """Let something go wrong, now or after `fault.delay`. The key names it in `state.faults` until it is over."""
        return self.mishaps.inject(fault)

    def _note_for_stale_views(self) -> None:
        """A view that lags behind has to know when each change was."""
        if self.state.faults and self.calls.age_of(CLUSTER):
            self.facts.refresh()

    def reload(self) -> None:
        """Rows were replaced from outside: build every index anew, and keep the values that are still true."""
        self.state.reload_agenda()
        self.pods.reload()
        self.hypervisor.reload()
        self.leases.reload()
        self.facts.reload()
