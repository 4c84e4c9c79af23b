# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkers of what holds a rollout back: calendar, ladder and gate, hooks, protections, and who goes first.

They stand outside as the witness does, and look at the world itself: at the instant a call of ours takes effect, or, where several
fly and may overtake each other, at the instant a run says that it sends one. Wishes of others may be as old as a run may get unseen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.decide import calendar, ladder
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import Question
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact, PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import DELETING, ERROR, RUNNING, NewMachine, Vm
from ansible_collections.immutable.fleet.tests.simulation.witnesses import SEEN_WITHIN, Broken, Witness

ON_ITS_WAY = timedelta(seconds=9)  # a call that was sent so short a time ago is laid over the facts, whatever became of it


@dataclass
class Restraints(Witness):
    """A witness that knows the calendar, too, and hears what gates and hooks answer."""

    passed: set[tuple[str, str]] = field(default_factory=set)  # (step, machine) that a gate let through
    annotated_at: dict[str, datetime] = field(default_factory=dict)  # node -> since when it is to go first
    sent_at: dict[str, datetime] = field(default_factory=dict)  # machine -> when this run marked it

    def around(self, ports: Ports) -> Ports:
        seen = super().around(ports)
        probes = {name: _Heard(self, probe) for name, probe in ports.probes.items()}
        return replace(
            seen, cloud=_Cloud(self, seen.cloud), cluster=_Cluster(self, seen.cluster), lock=_Lock(self, ports.lock), probes=probes
        )

    # A mark, when it is decided ---------------------------------------------------------------------------------------
    def tell(self, event: Event) -> None:
        """The run's reporter: what it decided, at that instant. On the way to the server one mark may overtake another."""
        if event.kind == "begin":
            self.sent_at = {}
        elif event.kind == "refused" and event.data["verb"] == "choose":
            self.sent_at.pop(event.machine, None)
        elif event.kind in ("choose", "delete"):
            self._marked(event.machine, event.at, event.text)

    def _marked(self, name: str, at: datetime, reason: str) -> None:
        if reason.startswith(("outdated", "surplus", "failed")):
            self._unless_protected(name, at)
        if reason.startswith("outdated"):
            self._within_the_calendar(name, at)
        if reason.startswith("outdated;"):
            self._first_come_those_that_go_first(name, at)
        self.sent_at[name] = at

    def _unless_protected(self, name: str, at: datetime) -> None:
        protection = self.world.leases.read(self.pool.name).steering.protect.get(name)
        if protection is not None and protection.asked.at + SEEN_WITHIN < at < protection.until:
            raise Broken(f"{at}: {name} marked, protected since {protection.asked.at} until {protection.until}")

    def _within_the_calendar(self, name: str, at: datetime) -> None:
        """Open, and no more on their way out than allowed."""
        if not self._is_open(at):
            raise Broken(f"{at}: {name} marked, outside of its windows")
        allowed, _changes_at = calendar.most_at_once(self.pool.strategy.budgets, self.pool.replicas, at)
        leaving = self._leaving() | {name for name, sent_at in self.sent_at.items() if at - sent_at < ON_ITS_WAY}
        old = {vm.name for vm in self.vms().values() if vm.revision != self.pool.revision.id}  # an earlier run may have marked others
        leaving = (leaving & old) - {name}
        if allowed is not None and len(leaving) + 1 > allowed:
            raise Broken(f"{at}: {name} marked, budget {allowed}, on their way out: {sorted(leaving)}")

    def _first_come_those_that_go_first(self, marked: str, at: datetime) -> None:
        nodes, vms, available = self.nodes(), self.vms(), self.available()
        if marked not in nodes or marks.DELETE_FIRST in nodes[marked].annotations:
            return
        protected = self.world.leases.read(self.pool.name).steering.protect
        for node, since in self.annotated_at.items():
            name = self._machine_of(node)
            if name not in available or name in protected or name in self.sent_at or vms[name].revision == self.pool.revision.id:
                continue
            is_first = marks.DELETE_FIRST in nodes[name].annotations and nodes[name].chosen is None
            if is_first and since + SEEN_WITHIN < at:
                raise Broken(f"{at}: {marked} marked before {name}, which is to go first since {since}")

    def _is_open(self, instant: datetime) -> bool:
        strategy = self.pool.strategy
        is_open, _changes_at = calendar.is_open(strategy.windows, instant)
        return is_open and calendar.most_at_once(strategy.budgets, self.pool.replicas, instant)[0] != 0

    def _leaving(self) -> set[str]:
        """Old machines on their way out."""
        nodes, wanted = self.nodes(), self.pool.revision.id
        return {
            name
            for name, vm in self.vms().items()
            if vm.revision != wanted
            and (vm.status == DELETING or ((node := nodes.get(name)) is not None and node.chosen is not None))
            and not ((node := nodes.get(name)) is not None and node.quarantined is not None)
        }

    # A create ---------------------------------------------------------------------------------------------------------
    def before_step(self, machine: NewMachine) -> None:
        """A machine is about to be made."""
        vms, nodes, wanted = self.vms(), self.nodes(), self.pool.revision.id
        old = [vm for vm in vms.values() if vm.revision != wanted]
        if not old or machine.revision != wanted:
            return  # a pool without an old machine climbs nothing
        before = {name: vm for name, vm in vms.items() if vm.created_at < machine.created_at}  # a later one may have overtaken it
        serving = [name for name, vm in before.items() if vm.status not in (DELETING, ERROR) and _stays(nodes.get(name))]
        if not self._is_open(machine.created_at):
            if len(serving) >= max(self.pool.replicas, self.replicas_before):
                raise Broken(f"{self.world.now}: {machine.name} made beyond {len(serving)} machines, outside of its windows")
            return  # one that is missing is made, though the ladder has no room for it: a brake stops no healing
        record = self.world.leases.read(self.pool.name).record
        most = _sizes(self.pool, record)
        new = sorted(name for name in serving if vms[name].revision == wanted)
        if len(new) + 1 > most:
            raise Broken(f"{self.world.now}: {machine.name} made beside {new}, {most} until the step is passed")

    @property
    def replicas_before(self) -> int:
        return self.ceiling_before - self.limits.surge

    def before_record(self, record: PoolRecord) -> None:
        """The record is about to say which steps are passed."""
        known = ladder.passed(self.pool, self.world.leases.read(self.pool.name).record)
        for step in range(known, ladder.passed(self.pool, record)):
            self._is_passed(step)

    def _is_passed(self, step: int) -> None:
        size, strategy, nodes, now = ladder.sizes(self.pool)[step], self.pool.strategy, self.nodes(), self.world.now
        new = [nodes[name] for name in self.available() if self.vms()[name].revision == self.pool.revision.id]
        soaked = [node for node in new if node.ready_since is not None and node.ready_since + strategy.soak <= now]
        soaked = [node for node in soaked if all(_has_soaked(pod, strategy.soak, now) for pod in node.pods)]
        if len(soaked) < size:
            raise Broken(f"{now}: step {step + 1} passed with {len(soaked)} of {size} machines that have soaked")
        if strategy.gate is not None and (str(step + 1), "") not in self.passed:
            raise Broken(f"{now}: step {step + 1} passed, its gate did not let it")

    # Hooks ------------------------------------------------------------------------------------------------------------
    def before_evict(self, pod: Pod) -> None:
        """A pod is about to be evicted."""
        name = next((name for name, node in self.nodes().items() if any(other.uid == pod.uid for other in node.pods)), None)
        if name is not None and self.pool.strategy.before_drain is not None and ("before_drain", name) not in self.passed:
            raise Broken(f"{self.world.now}: {pod.full_name} evicted from {name}, whose hook before the drain did not pass")

    def before_hooked_delete(self, vm: Vm) -> None:
        """A VM is about to be deleted."""
        now = self.vms().get(vm.name)
        node = self.nodes().get(vm.name)
        if now is None or now.id != vm.id or now.status != RUNNING or node is None or node.chosen is None:
            return  # one that never joined has no mark, and no hook is asked for it
        if self.pool.strategy.before_delete is not None and ("before_delete", vm.name) not in self.passed:
            raise Broken(f"{self.world.now}: {vm.name} deleted, its hook before that did not pass")


def _has_soaked(pod: Pod, soak: timedelta, now: datetime) -> bool:
    """As far as a run could see: that it came, or became ready or unready, may not have been seen yet."""
    if not pod.is_to_serve or pod.ready_since is None or pod.ready_since + SEEN_WITHIN > now:
        return True
    return pod.is_ready and pod.ready_since + soak <= now


def _stays(node: Node | None) -> bool:
    return node is None or (node.chosen is None and node.quarantined is None)


def _sizes(pool: Any, record: PoolRecord) -> int:
    """Machines of the new revision that the record lets exist."""
    sizes = ladder.sizes(pool)
    return sizes[min(ladder.passed(pool, record), len(sizes) - 1)]


class _Heard:
    """A gate, with a witness that hears its answers."""

    def __init__(self, witness: Restraints, probe: Any) -> None:
        self._witness, self._probe = witness, probe

    def ask(self, question: Question) -> tuple[bool, str]:
        passed, what = self._probe.ask(question)
        if passed:
            self._witness.passed.add((question.step, question.machine))
        return passed, what


class _Port:
    """A port with a witness beside it."""

    def __init__(self, witness: Restraints, port: Any) -> None:
        self._witness, self._port = witness, port

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._port, verb)


class _Cloud(_Port):
    def create(self, machine: NewMachine) -> None:
        self._witness.before_step(machine)
        self._port.create(machine)

    def delete(self, vm: Vm) -> None:
        self._witness.before_hooked_delete(vm)
        self._port.delete(vm)


class _Cluster(_Port):
    def evict(self, pod: Pod, grace: timedelta | None) -> None:
        self._witness.before_evict(pod)
        self._port.evict(pod, grace)


class _Lock(_Port):
    def acquire(self, seen: LockFact, holder: str, ttl: timedelta) -> LockFact:
        self._witness.before_record(seen.record)
        found: LockFact = self._port.acquire(seen, holder, ttl)
        return found

    def renew(self, held: LockFact) -> LockFact:
        self._witness.before_record(held.record)
        found: LockFact = self._port.renew(held)
        return found

    def release(self, held: LockFact) -> None:
        self._witness.before_record(held.record)
        self._port.release(held)


def names_of(pool: str, nodes: Iterable[str]) -> list[str]:
    """Nodes of a pool, by the names that it gives."""
    return sorted(name for name in nodes if marks.slot_of(pool, name) is not None)
