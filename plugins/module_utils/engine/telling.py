# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells while it works: one event per action and per change of a machine, a summary now and then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import (
    Action,
    ChangeNode,
    Create,
    Decision,
    DeleteNode,
    Evict,
    Tally,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import FleetError, PortError
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Steering, changes
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Reporter

SUMMARY_EVERY = timedelta(seconds=10)  # at most; whoever shows them may thin them out further

# What an operator calls a machine's state: the first line that fits. Derived from facts each time, stored nowhere.
PHASES: tuple[tuple[str, Callable[[Machine], bool]], ...] = (
    ("quarantined", lambda m: m.node is not None and m.node.quarantined is not None),
    ("deleting", lambda m: m.vm.status == vm_states.DELETING or m.deleting),
    ("detaching", lambda m: m.is_going and m.node is not None and not m.node.pods and bool(m.node.attachments)),
    ("draining", lambda m: m.is_going and m.node is not None and bool(m.node.pods)),
    ("drained", lambda m: m.is_going),
    ("error", lambda m: m.vm.status == vm_states.ERROR),
    ("stopped", lambda m: m.vm.status == vm_states.STOPPED),
    ("building", lambda m: m.vm.status == vm_states.BUILDING),
    ("booting", lambda m: m.node is None),
    ("cordoned", lambda m: m.node is not None and m.node.is_held),
    ("ready", lambda m: m.node is not None and m.node.ready is True),
    ("not ready", lambda m: m.was_ready),
    ("joining", lambda m: not m.was_ready),
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
    if isinstance(action, Evict) and action.by_force:
        return "remove pod"
    return {"lookat": "look", "askgate": "ask"}.get(type(action).__name__.lower(), type(action).__name__.lower())


class Teller:
    """Turns decisions and changes of facts into events. Does nothing at all when nobody listens."""

    def __init__(self, reporter: Reporter | None, pool: Pool | None) -> None:
        self._reporter = reporter
        self._pool = pool
        self._machines: dict[str, Machine] = {}
        self._phases: dict[str, str] = {}
        self._tally = Tally()
        self._summary_at: datetime | None = None
        self._blockers: set[tuple[str, str]] = set()

    def turn(self, snapshot: Snapshot, decision: Decision, now: datetime) -> None:
        """Tell what changed since the last turn."""
        if self._reporter is None:
            return
        for name, machine in snapshot.machines.items():
            if self._machines.get(name) is not machine:
                self._changed(name, machine, now)
        for name in [name for name in self._machines if name not in snapshot.machines]:
            self._phases.pop(name, None)
            self._tell(Event(at=now, kind="gone", machine=name, text="the VM is gone"))
        self._machines = dict(snapshot.machines)
        self._tell_blockers(decision, now)
        due = self._summary_at is None or now - self._summary_at >= SUMMARY_EVERY
        if decision.tally != self._tally and due:
            self._summary_at, self._tally = now, decision.tally
            self._tell(self._summary(decision, now))

    def acted(self, action: Action, name: str, now: datetime) -> None:
        """An action was started."""
        if self._reporter is None:
            return
        data: dict[str, object] = {}
        if isinstance(action, Create):
            data = {"slot": action.slot, "failure_domain": action.failure_domain}
        elif isinstance(action, Evict):
            data = {"pod": action.pod.full_name}
        self._tell(Event(at=now, kind=verb_of(action), machine=name, text=action.reason, data=data))

    def refused(self, action: Action, name: str, error: PortError, now: datetime) -> None:
        """A call failed; the loop goes on, looks, and tries again where that may help."""
        if self._reporter is None:
            return
        data = {"verb": verb_of(action), "code": error.code}
        self._tell(Event(at=now, kind="refused", machine=name, text=f"{verb_of(action)}: {error}", data=data))

    def steered(self, before: Steering, after: Steering, now: datetime) -> None:
        """Operators asked for something, or took it back."""
        for text in changes(before, after) if before != after else ():
            self._tell(Event(at=now, kind="steering", text=text))

    def retargeted(self, revision: Revision, now: datetime) -> None:
        """Machines are made of something else from now on."""
        image = revision.image.get("asked", "")
        text = f"revision {revision.id}, image {revision.fields.get('image', image)}"
        self._tell(Event(at=now, kind="retarget", text=text, data={"revision": revision.id}))

    def ended(self, failure: FleetError | None, pending: str, now: datetime) -> None:
        """The run is over; `pending` says why it leaves machines that are not as asked for."""
        if self._reporter is not None:
            done = f"done for now: {pending}" if pending else "done"
            text = done if failure is None else str(failure)
            self._tell(Event(at=now, kind="end", text=text, data={"code": failure.code if failure else "ok"}))

    def _changed(self, name: str, machine: Machine, now: datetime) -> None:
        phase = phase_of(machine)
        before = self._phases.get(name)
        if phase != before:
            self._phases[name] = phase
            data = {"revision": machine.vm.revision, "failure_domain": machine.failure_domain, "before": before or ""}
            self._tell(Event(at=now, kind="phase", machine=name, text=phase, data=data))

    def _tell_blockers(self, decision: Decision, now: datetime) -> None:
        current = {(blocker.what, blocker.where): blocker for blocker in decision.blockers}
        for blocker in [blocker for key, blocker in current.items() if key not in self._blockers]:
            data = {"code": blocker.code}
            self._tell(Event(at=now, kind="blocked", machine=blocker.where, text=blocker.what, data=data))
        self._blockers = set(current)

    def _summary(self, decision: Decision, now: datetime) -> Event:
        tally = decision.tally
        wanted = self._pool.replicas if self._pool else 0
        data = {name: getattr(tally, name) for name in tally.__dataclass_fields__}
        text = f"{tally.up_to_date}/{wanted} up to date and available, {tally.available} available, {tally.going} going"
        return Event(at=now, kind="summary", text=text, data={**data, "replicas": wanted, "blocked": len(decision.blockers)})

    def _tell(self, event: Event) -> None:
        if self._reporter is not None:
            self._reporter.tell(event)
