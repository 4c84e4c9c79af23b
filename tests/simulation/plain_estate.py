# SPDX-License-Identifier: GPL-3.0-or-later
"""An estate without a cluster: plain machines behind a balancer, and a witness of what happens to their users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.balancers.simulated.balancer import SimulatedBalancer
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.cloud import SimulatedCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.lock import SimulatedLock
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports
from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import DRAINING, REMOVED, SERVING, MemberChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import ServiceProbe
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import count_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact, PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import RUNNING, NewMachine, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.probes.simulated import SimulatedProber
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Backend, BackendMember
from ansible_collections.immutable.fleet.tests.simulation.estate import DAWN, Estate
from ansible_collections.immutable.fleet.tests.simulation.witnesses import Broken, Witness

BACKEND = "shop"
PROBE = ServiceProbe(kind="http", port=80, interval=timedelta(seconds=5), consecutive_ok=2, consecutive_failed=2)


@dataclass
class PlainEstate(Estate):
    """One world with one plain pool behind one backend, whose members have so many sessions each."""

    sessions: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        self.world.state.settings.has_cluster = False
        self.world.state.backends.put(BACKEND, Backend(name=BACKEND, sessions=self.sessions))

    def ports(self) -> Ports:
        return Ports(
            cloud=SimulatedCloud(self.session, self.name, self.image),
            balancer=SimulatedBalancer(self.session, self.name, BACKEND),
            lock=SimulatedLock(self.session, self.name),
            prober=SimulatedProber(self.session),
            probes=self.probes,
        )

    def pool(self, replicas: int, **options: Any) -> Pool:
        return super().pool(replicas, **{"probes": (PROBE,), **options})

    @property
    def cut(self) -> int:
        """Sessions that did not end by themselves."""
        return self.world.state.backends[BACKEND].cut


@dataclass
class PlainWitness(Witness):
    """The same promises where users are behind a balancer: floor by members that serve, nobody cut off before the time is over."""

    joined_at: dict[str, datetime] = field(default_factory=dict)  # by member
    draining_since: dict[str, datetime] = field(default_factory=dict)  # by member
    has_sick: bool = False  # a fault may make a machine ill between a good answer and the change that rests on it
    cuts_expected: int = 0
    run_began_at: datetime = DAWN
    known: set[str] = field(default_factory=set)  # ids of members before the change that is under way
    marks: Mapping[str, Note] = field(default_factory=dict)  # on the pool's record, by machine

    def around(self, ports: Ports) -> Ports:
        return replace(ports, cloud=_Cloud(self, ports.cloud), balancer=_Balancer(self, ports.balancer), lock=_Lock(self, ports.lock))

    def members(self) -> dict[str, BackendMember]:
        """Ours, by machine."""
        return {row.name: row for row in self.world.state.backend_members.values() if row.name.startswith(f"{self.pool.name}-")}

    def serving(self) -> set[str]:
        """Machines that take sessions and answer, whatever their age."""
        vms, members = self.vms(), self.members()
        return {
            name
            for name, row in members.items()
            if row.state == SERVING and name in vms and vms[name].status == RUNNING and self.world.nodes.answers(vms[name].id)
        }

    def available(self) -> set[str]:
        return {name for name in self.serving() if self._is_old_enough(self.joined_at.get(self.members()[name].id))}

    def _is_old_enough(self, joined_at: datetime | None) -> bool:
        """A balancer does not tell since when: a run counts those that it finds as members since long."""
        return joined_at is None or joined_at <= self.run_began_at or joined_at + self.pool.strategy.min_ready <= self.world.now

    def quarantined(self) -> set[str]:
        return set()

    def marked(self) -> set[str]:
        """Machines whose mark is on the record; with `recreate` a machine may have the name of the one that was marked."""
        vms = self.vms()
        return {name for name, note in self.marks.items() if name in vms and vms[name].created_at <= note.at}

    def before_record(self, record: PoolRecord) -> None:
        """A record is about to be written. The marks on it are the marks of such a pool, as a cordon is that of a node."""
        available = self.available() - self.marked()
        excused = self.excused_until is not None and self.world.now < self.excused_until
        for name in sorted(name for name, note in record.leaving.items() if self.marks.get(name) != note):
            if name in available and len(available) - 1 < self.floor and not excused:
                raise Broken(f"{self.world.now}: {name} marked, {len(available)} available, floor {self.floor}")
            available.discard(name)
        ill = [name for name, note in record.leaving.items() if note.why.startswith("unhealthy") and name in self.vms()]
        if self.pool.health is not None and len(ill) > self.healed_at_once:
            raise Broken(f"{self.world.now}: {ill} marked for being unhealthy, at most {self.healed_at_once}")

    @property
    def healed_at_once(self) -> int:
        """By the policy."""
        policy = self.pool.health
        return max(1, count_of(policy.max_in_flight, self.pool.replicas, round_up=False)) if policy is not None else 0

    def before_members(self, changes: Sequence[MemberChange]) -> None:
        """A change of members is about to have its effect."""
        rows = {row.id: row for row in self.members().values()}
        vms, marked = self.vms(), self.marked()
        self.known = set(rows)
        for change in changes:
            row = rows.get(change.id)
            if change.to == SERVING and row is None:
                self._before_join(change)
            elif row is not None and change.to == DRAINING and row.state == SERVING:
                if row.name in vms and row.name not in marked:
                    raise Broken(f"{self.world.now}: {row.name} drains without a mark")
                self.draining_since[row.id] = self.world.now
            elif row is not None and change.to == REMOVED:
                self._before_remove(row)

    def _before_join(self, change: MemberChange) -> None:
        vm = self.vms().get(change.name)
        if vm is None and not self.has_sick:
            raise Broken(f"{self.world.now}: {change.name} joins, and there is no such machine")
        if vm is not None and not self.world.nodes.answers(vm.id) and not self.has_sick:
            raise Broken(f"{self.world.now}: {change.name} joins, and does not answer")

    def _before_remove(self, row: BackendMember) -> None:
        left = self.world.balancers._sessions(row)
        since = self.draining_since.get(row.id)
        if row.state == SERVING and left:
            raise Broken(f"{self.world.now}: {row.name} is taken out while it serves {left} sessions")
        if left and (since is None or self.world.now - since < self.pool.drain.timeout - timedelta(seconds=20)):
            raise Broken(f"{self.world.now}: {row.name} is taken out with {left} sessions, draining since {since}")
        self.cuts_expected += left

    def after_members(self) -> None:
        """A change of members has had its effect."""
        for row in self.members().values():
            if row.id not in self.known:
                self.joined_at.setdefault(row.id, self.world.now)

    def before_delete(self, vm: Vm) -> None:
        now = next((other for other in self.vms().values() if other.id == vm.id), None)
        if now is not None and now.proofs < 2:
            raise Broken(f"{self.world.now}: {vm.name} is not ours and was deleted")
        row = self.members().get(vm.name)
        if now is not None and row is not None and row.host == vm.id:
            raise Broken(f"{self.world.now}: {vm.name} deleted while it is a member, {row.state}")

    def converged(self) -> list[str]:
        vms, members = self.vms(), self.members()
        wrong = []
        outdated = [vm.name for vm in vms.values() if vm.revision != self.pool.revision.id]
        if len(vms) != self.pool.replicas or outdated:
            wrong.append(f"{len(vms)} machines of {self.pool.replicas}, outdated {outdated}")
        if members.keys() != vms.keys():
            wrong.append(f"members {sorted(members)} for machines {sorted(vms)}")
        wrong += [f"{row.name} is {row.state}" for row in members.values() if row.state != SERVING]
        if len(self.world.hypervisor.leftovers(self.pool.name)) != len(vms):
            wrong.append("ports are left")
        return wrong


class _Cloud:
    """The cloud, with a witness at each write."""

    def __init__(self, witness: PlainWitness, cloud: Any) -> None:
        self._witness, self._cloud = witness, cloud

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._cloud, verb)

    def create(self, machine: NewMachine) -> None:
        if machine.name in self._witness.vms():
            raise Broken(f"{machine.name} made while a VM has that name")
        try:
            self._cloud.create(machine)
        finally:
            self._witness.after_create()

    def delete(self, vm: Vm) -> None:
        self._witness.before_delete(vm)
        self._cloud.delete(vm)


class _Lock:
    """The lock, with a witness at each write of a record."""

    def __init__(self, witness: PlainWitness, lock: Any) -> None:
        self._witness, self._lock = witness, lock

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._lock, verb)

    def acquire(self, seen: LockFact, holder: str, ttl: timedelta) -> LockFact:
        return self._written(seen.record, lambda: self._lock.acquire(seen, holder, ttl))

    def renew(self, held: LockFact) -> LockFact:
        return self._written(held.record, lambda: self._lock.renew(held))

    def release(self, held: LockFact) -> None:
        self._written(held.record, lambda: self._lock.release(held))

    def _written(self, record: PoolRecord, write: Callable[[], Any]) -> Any:
        self._witness.before_record(record)
        answer = write()
        self._witness.marks = self._lock.read().record.leaving  # a lock that is another's now is left as it was
        return answer


class _Balancer:
    """The balancer, with a witness at each change."""

    def __init__(self, witness: PlainWitness, balancer: Any) -> None:
        self._witness, self._balancer = witness, balancer

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._balancer, verb)

    def change_members(self, changes: Sequence[MemberChange]) -> None:
        self._witness.before_members(changes)
        try:
            self._balancer.change_members(changes)
        finally:
            self._witness.after_members()
