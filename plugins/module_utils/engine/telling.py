# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells while it works: one event per action and per change of a machine, a summary now and then.

docs/events.md has the schema. Promises: whoever reads the events can draw the run: each phase of a machine, each pod that left, what
blocked and until when, how many were available against which floor. Costs a comparison for each machine a turn, and nothing where
nobody listens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.engine.pace import left_of, say_about, time_left
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import (
    Action,
    Blocker,
    ChangeNode,
    Create,
    Decision,
    DeleteNode,
    Evict,
    Power,
    Tally,
    Wish,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import FleetError, PortError
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool, limits_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_count, say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Steering, changes
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Reporter

SUMMARY_EVERY = timedelta(seconds=10)  # at most; whoever shows them may thin them out further
SUMMARY_AT_LEAST_EVERY = timedelta(seconds=60)  # also where nothing changes: silence would look like a hang
WHY_SHOWN = 90  # characters of a blocker in a summary; it was told in full when it appeared

# What an operator calls a machine's state: the first line that fits. Derived from facts each time, stored nowhere.
PHASES: tuple[tuple[str, Callable[[Machine], bool]], ...] = (
    ("quarantined", lambda m: m.node is not None and m.node.quarantined is not None),
    ("deleting", lambda m: m.vm.status == vm_states.DELETING or m.deleting),
    ("detaching", lambda m: m.is_going and m.node is not None and not m.node.pods and bool(m.node.attachments)),
    ("draining", lambda m: m.is_going and (bool(m.node.pods) if m.node is not None else m.is_member)),
    ("drained", lambda m: m.is_going),
    ("error", lambda m: m.vm.status == vm_states.ERROR),
    ("stopped", lambda m: m.vm.status == vm_states.STOPPED),
    ("building", lambda m: m.vm.status == vm_states.BUILDING),
    ("booting", lambda m: m.node is None and not m.was_ready),
    ("cordoned", lambda m: m.is_held),
    ("ready", lambda m: m.service.ready is True if m.service is not None else m.node is not None and m.node.ready is True),
    ("not ready", lambda m: m.was_ready and (m.service is None or m.is_member)),
    ("joining", lambda m: m.service is not None or not m.was_ready),
)


def phase_of(machine: Machine) -> str:
    """The machine's phase, in one word or two."""
    return next(name for name, fits in PHASES if fits(machine))


def verb_of(action: Action) -> str:
    """What an action is called in plans, events and stories."""
    if isinstance(action, ChangeNode):
        return action.verb
    if isinstance(action, DeleteNode):
        return "delete node"
    if isinstance(action, Power):
        return action.wanted
    if isinstance(action, Evict) and action.by_force:
        return "remove pod"
    return {"lookat": "look", "askgate": "ask", "changemembers": "change members", "copydisk": "capture"}.get(
        type(action).__name__.lower(), type(action).__name__.lower()
    )


def node_phase_of(node: Node, *, evicts: bool) -> str:
    """The same for a node of `node_drain`, which has no machine. `evicts`: this run has asked pods of it to leave."""
    if node.schedulable:
        return "not ready" if node.ready is False else "ready"
    if not evicts:
        return "cordoned"
    return "draining" if node.pods else "drained"


def told_of(blocker: Blocker, at: datetime, *, is_over: bool = False) -> Event:
    """What is told of something that blocks or is waited for, when it is met and when it is over."""
    kind = ("waits", "waited") if blocker.is_wait else ("blocked", "unblocked")
    data = {"code": blocker.code, "since": say_instant(blocker.since) if blocker.since else ""}
    return Event(at=at, kind=kind[is_over], machine=blocker.where, text=blocker.what, data=data)


class Teller:
    """Turns decisions and changes of facts into events. Does nothing at all when nobody listens."""

    def __init__(self, reporter: Reporter | None, pool: Pool | None) -> None:
        self._reporter = reporter
        self._pool = pool
        self._has_begun = False
        self._machines: Mapping[str, Machine] = {}
        self._nodes_seen: Mapping[str, Node] = {}
        self._nodes: dict[str, Node] = {}  # of node_drain: those that something was done to
        self._evicting: set[str] = set()  # nodes that this run has evicted from
        self._phases: dict[str, str] = {}
        self._tally = Tally()
        self._capacity = (-1, -1)
        self._history: list[tuple[datetime, int]] = []
        self._summary_at: datetime | None = None
        self._blockers: dict[tuple[str, str], Blocker] = {}
        self._told: Sequence[Blocker] = ()  # as they came

    def turn(self, snapshot: Snapshot, decision: Decision, now: datetime) -> None:
        """Tell what changed since the last turn."""
        if self._reporter is None:
            return
        if not self._has_begun:
            self._has_begun = True
            self._tell(Event(at=now, kind="begin", text=_aim(self._pool), data=_wanted(self._pool)))
        if snapshot.machines is not self._machines:
            self._machines_turn(snapshot.machines, now)
        self._nodes_seen = snapshot.nodes
        for name in [name for name in self._nodes if name in snapshot.nodes]:
            self._node_turn(name, snapshot.nodes[name], now)
        if decision.blockers is not self._told:
            self._told = decision.blockers
            self._tell_blockers(decision, now)
        self._tell_numbers(decision, now)

    def _machines_turn(self, machines: Mapping[str, Machine], now: datetime) -> None:
        """Which of them changed, came or went."""
        for name, machine in machines.items():
            before = self._machines.get(name)
            if before is not machine:
                self._pods_gone(before.node if before is not None and before.is_going else None, machine.node, name, now)
                facts = {"revision": machine.vm.revision, "failure_domain": machine.failure_domain}
                self._changed(name, phase_of(machine), facts, now)
        for name in [name for name in self._machines if name not in machines]:
            self._phases.pop(name, None)
            self._tell(Event(at=now, kind="gone", machine=name, text="the VM is gone"))
        self._machines = machines

    def acted(self, action: Action, name: str, now: datetime) -> None:
        """An action was started."""
        if self._reporter is None:
            return
        data: dict[str, object] = {}
        if isinstance(action, Create):
            data = {"slot": action.slot, "failure_domain": action.failure_domain}
        elif isinstance(action, Evict):
            data = {"pod": action.pod.full_name}
        if self._pool is None and name in self._nodes_seen and name not in self._nodes:
            self._nodes[name] = self._nodes_seen[name]
            self._node_phase(self._nodes[name], now)  # as this run found it
        if isinstance(action, Evict):
            self._evicting.add(name)
        self._tell(Event(at=now, kind=verb_of(action), machine=name, text=action.reason, data=data))

    def wished(self, wish: Wish, now: datetime) -> None:
        """A change of a member was sent."""
        self._tell(Event(at=now, kind=wish.verb, machine=wish.machine, text=wish.reason))

    def refused(self, action: Action, name: str, error: PortError, now: datetime) -> None:
        """A call failed; the loop goes on, looks, and tries again where that may help."""
        if self._reporter is None:
            return
        data = {"verb": verb_of(action), "code": error.code, "pod": action.pod.full_name if isinstance(action, Evict) else ""}
        self._tell(Event(at=now, kind="refused", machine=name, text=f"{verb_of(action)}: {error}", data=data))

    def steered(self, before: Steering, after: Steering, now: datetime) -> None:
        """Operators asked for something, or took it back."""
        for text in changes(before, after) if before != after else ():
            self._tell(Event(at=now, kind="steering", text=text))

    def retargeted(self, revision: Revision, now: datetime) -> None:
        """Machines are made of something else from now on."""
        if self._pool is not None:
            self._pool = replace(self._pool, revision=revision)
        text = f"image {revision.image_name}, revision {revision.id}"
        self._tell(Event(at=now, kind="retarget", text=text, data=_wanted(self._pool)))

    def scaled(self, replicas: int, now: datetime) -> None:
        """There are to be so many machines from now on."""
        if self._pool is not None and self._pool.replicas != replicas:
            self._pool = replace(self._pool, replicas=replicas)
            if self._has_begun:  # else the first line says it
                self._tell(Event(at=now, kind="scale", text=say_count(replicas, "machine"), data=_wanted(self._pool)))

    def ended(self, failure: FleetError | None, pending: str, now: datetime) -> None:
        """The run is over; `pending` says why it leaves machines that are not as asked for."""
        if self._reporter is None:
            return
        if failure is None:
            self._tell(
                Event(at=now, kind="end", text=f"pending: {pending}" if pending else "done", data={"code": "ok", "pending": pending})
            )
            return
        data = {
            "code": failure.code,
            "pending": "",
            "what": failure.what,
            "where": failure.where,
            "since": say_instant(failure.since) if failure.since else "",
            "forward": failure.forward,
            "back": failure.back,
        }
        self._tell(Event(at=now, kind="end", text=str(failure), data=data))

    def _changed(self, name: str, phase: str, facts: Mapping[str, str], now: datetime) -> None:
        before = self._phases.get(name)
        if phase != before:
            self._phases[name] = phase
            self._tell(Event(at=now, kind="phase", machine=name, text=phase, data={**facts, "before": before or ""}))

    def _node_turn(self, name: str, node: Node, now: datetime) -> None:
        before = self._nodes[name]
        if node is not before:
            self._pods_gone(before if name in self._evicting else None, node, name, now)
            self._nodes[name] = node
            self._node_phase(node, now)

    def _node_phase(self, node: Node, now: datetime) -> None:
        facts = {"revision": node.revision, "failure_domain": node.failure_domain}
        self._changed(node.name, node_phase_of(node, evicts=node.name in self._evicting), facts, now)

    def _pods_gone(self, before: Node | None, after: Node | None, name: str, now: datetime) -> None:
        """Pods that have left a node that is being emptied."""
        if before is None or after is None or before.pods is after.pods:
            return
        here = {pod.uid for pod in after.pods}
        for pod in before.pods:
            if pod.uid not in here:
                self._tell(Event(at=now, kind="pod gone", machine=name, text=f"{pod.full_name} is gone", data={"pod": pod.full_name}))

    def _tell_blockers(self, decision: Decision, now: datetime) -> None:
        current = {(blocker.what, blocker.where): blocker for blocker in decision.blockers}
        for blocker in [blocker for key, blocker in self._blockers.items() if key not in current]:
            self._tell(told_of(blocker, now, is_over=True))
        for blocker in [blocker for key, blocker in current.items() if key not in self._blockers]:
            self._tell(told_of(blocker, now))
        self._blockers = current

    def _tell_numbers(self, decision: Decision, now: datetime) -> None:
        tally = decision.tally
        if self._pool is not None and self._capacity != (tally.available, tally.existing):
            self._capacity = (tally.available, tally.existing)
            data = {"available": tally.available, "existing": tally.existing}
            self._tell(Event(at=now, kind="capacity", text=f"{tally.available} available, {tally.existing} existing", data=data))
        left = left_of(tally, self._pool.replicas if self._pool is not None else None)
        if not self._history or self._history[-1][1] != left:
            self._history.append((now, left))
        since = now - self._summary_at if self._summary_at is not None else SUMMARY_AT_LEAST_EVERY
        if since >= SUMMARY_AT_LEAST_EVERY or (tally != self._tally and since >= SUMMARY_EVERY):
            self._summary_at, self._tally = now, tally
            self._tell(self._summary(decision, left, now))

    def _summary(self, decision: Decision, left: int, now: datetime) -> Event:
        tally, pool = decision.tally, self._pool
        total = max(pool.replicas if pool is not None else tally.existing, *(rows for _at, rows in self._history))
        remaining = time_left(self._history, now)
        numbers = {
            "available": tally.available if pool is not None else 0,
            "coming": tally.creating + tally.booting,
            "going": tally.going if pool is not None else 0,
            "pods left": tally.pods_left,
            "not ready": tally.not_ready,
            "failed": tally.failed,
            "set aside": tally.quarantined,
        }
        parts = [f"{total - left}/{total} done", *(f"{count} {name}" for name, count in numbers.items() if count)]
        parts += [f"about {say_about(remaining)} left"] if remaining is not None else []
        text = ", ".join(parts) + _why(decision.blockers)
        data = {
            **{name: getattr(tally, name) for name in tally.__dataclass_fields__},
            "replicas": pool.replicas if pool is not None else 0,
            "blocked": sum(1 for blocker in decision.blockers if not blocker.is_wait),
            "waiting": sum(1 for blocker in decision.blockers if blocker.is_wait),
            "done": total - left,
            "total": total,
            "in_flight": tally.creating + tally.booting + tally.going,
            "expected_end": say_instant(now + remaining) if remaining is not None else "",
        }
        return Event(at=now, kind="summary", text=text, data=data)

    def _tell(self, event: Event) -> None:
        if self._reporter is not None:
            self._reporter.tell(event)


def _aim(pool: Pool | None) -> str:
    return (
        f"pool {pool.name}: {say_count(pool.replicas, 'machine')} of revision {pool.revision.id}" if pool is not None else "existing nodes"
    )


def _wanted(pool: Pool | None) -> dict[str, object]:
    """What a run is to bring about, and the bounds it has to keep; zeros and empty texts where there is no pool."""
    limits = limits_of(pool) if pool is not None else None
    return {
        "pool": pool.name if pool is not None else "",
        "replicas": limits.replicas if limits is not None else 0,
        "floor": limits.floor if limits is not None else 0,
        "ceiling": limits.ceiling if limits is not None else 0,
        "min_ready_seconds": pool.strategy.min_ready.total_seconds() if pool is not None else 0,
        "revision": pool.revision.id if pool is not None else "",
        "image": pool.revision.image_name if pool is not None else "",
    }


def _why(blockers: Sequence[Blocker]) -> str:
    """The first thing that blocks, or else that is waited for, and how many more."""
    blocking = [blocker for blocker in blockers if not blocker.is_wait]
    told = blocking or blockers
    if not told:
        return ""
    first = f"{told[0].what} ({told[0].where})" if told[0].where else told[0].what
    first = first if len(first) <= WHY_SHOWN else first[: WHY_SHOWN - 3] + "..."
    return f"; {'blocked' if blocking else 'waits'}: {first}" + (f", and {len(told) - 1} more" if len(told) > 1 else "")
