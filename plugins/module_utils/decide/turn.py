# SPDX-License-Identifier: GPL-3.0-or-later
"""One turn of the rollout rule: the rules of semantics section 3 by their numbers, on counts that move with each decision.

Rule 4 is in decide/failing.py, rule 7 in decide/surplus.py, rule 9 in decide/creation.py, rule 10 in decide/verdict.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.decide import (
    brake,
    drain,
    going,
    ladder,
    leftovers,
    order,
    recreation,
    untouchable,
)
from ansible_collections.immutable.fleet.plugins.module_utils.decide.asked import Counted
from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import (
    AVAILABLE,
    BOOTING,
    FAILED,
    GOING,
    NOT_READY,
    QUARANTINED,
    Census,
)
from ansible_collections.immutable.fleet.plugins.module_utils.decide.target import standing_override
from ansible_collections.immutable.fleet.plugins.module_utils.decide.withdrawal import withdrawals
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import (
    Action,
    Blocker,
    Power,
    Wish,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import NEWEST, RECREATE, Limits, Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import ROLLBACK

if TYPE_CHECKING:
    from ansible_collections.immutable.fleet.plugins.module_utils.decide.remediate.admission import Round

STAYING = (NOT_READY, BOOTING, AVAILABLE)  # serve, will serve, or may come back


class Turn:
    """The counts of one turn, falling and rising with each decision. A = available, E = existing, G = going."""

    def __init__(
        self,
        pool: Pool,
        limits: Limits,
        snapshot: Snapshot,
        census: Census,
        asked: Revision,
        counted: Counted,
        remedy: Round | None = None,
        *,
        only_heals: bool = False,
    ) -> None:
        self.pool, self.limits, self.snapshot, self.census, self.asked = pool, limits, snapshot, census, asked
        self._counted = counted
        self.brake = brake.brake(pool, asked, snapshot, only_heals=only_heals)
        self.rung = ladder.rung(pool, snapshot, census)
        self.record = self.rung.record
        self.actions: list[Action] = []
        self.blockers: list[Blocker] = []
        self.chosen_now: set[str] = set()
        self.wake_at = census.wake_at
        self.available = len(census.of(AVAILABLE))
        self.going = len(census.of(GOING))
        self.quarantined = len(census.of(QUARANTINED))
        self.setting_aside = sum(1 for machine in census.of(GOING) if machine.setting_aside)
        self.creating = len(snapshot.creating)
        self.existing = len(snapshot.machines) - self.quarantined + self.creating + len(snapshot.half_owned)
        draining = {
            pod.uid: pod for machine in census.of(GOING) + census.of(QUARANTINED) if machine.node is not None for pod in machine.node.pods
        }
        self.pods_left = len(draining)
        self.left = drain.allowances(snapshot.budgets, snapshot.evictions, draining) if draining else {}
        # A ready kubelet whose VM is in no list: the list is wrong (a cell that is down leaves its servers out).
        self._unlisted = {node.name for node in snapshot.nodes.values() if node.ready and node.chosen is None} - snapshot.deleted
        self.wishes: dict[str, Wish] = {}  # of the balancer, by machine
        self._unlisted_members: list[str] = []
        if snapshot.backend is not None:
            from ansible_collections.immutable.fleet.plugins.module_utils.decide import members  # few pools have a balancer

            gone, self._unlisted_members = members.strays(snapshot.backend)
            self.wish(gone)
        self.existing += len(self._unlisted) + len(self._unlisted_members)
        self.staying = sum(len(census.current[kind]) for kind in STAYING) + len(self._unlisted) + len(self._unlisted_members)
        self.old = sum(len(census.outdated[kind]) for kind in STAYING)
        self._given_back: set[str] = set()
        self.has_leftovers = False  # that cannot be cleared yet
        self.is_losing = False  # a loss goes on record first: it may be the one too many
        # Budgets of the calendar: so many old ones may be on their way out, and so many new ones surge.
        self.at_once = brake.most_at_once(pool, snapshot.at)
        self._leaving = len(census.outdated[GOING])
        surge = limits.surge if self.at_once is None or not self.old else min(limits.surge, self.at_once)
        self.ceiling = limits.replicas + surge
        self._seconds = self._in_taken_slots() if snapshot.creating else 0
        self._push = going.Push()
        self.doubles: set[str] = set()  # second machines of a slot, known once rule 7 has looked
        self.patient_until: datetime | None = self.rung.soaks_until  # a timer that was asked for is no lack of progress
        self.remedy = remedy
        self._take_remedy()
        if self.brake is not None:
            self.blockers += [self.brake.blocker] if self.brake.blocker.code != brake.HEALING else []
        elif self.rung.waits_for and self.staying + self.creating >= self.rung.most:
            self.blockers.append(Blocker(code="step", what=self.rung.waits_for))
            if self.rung.soaks_until is not None and self.rung.soaks_until > snapshot.at:
                self.wake(self.rung.soaks_until)
            self.wake(self.rung.wake_at)
            if self.rung.ask is not None:
                self.actions.append(self.rung.ask)

    def _take_remedy(self) -> None:
        """What remediation holds back, waits for, and wants to be on record."""
        if self.remedy is not None:
            self.blockers += self.remedy.blockers
            self.wake(self.remedy.wake_at)
            for name in sorted(self.remedy.resets):
                what = f"unhealthy: {self.remedy.findings[name].what}: reset before it is replaced"
                self.actions.append(Power(self.snapshot.machines[name], vm_states.REBOOT, what))
            if self.remedy.record is not None:
                self.record = replace(self.record or self.snapshot.record, health=self.remedy.record.dump())

    @property
    def may_replace(self) -> bool:
        """Whether taking a machine away for the sake of a new one makes sense: not while creates are held back."""
        troubles = self.snapshot.troubles
        is_held_off = troubles.fatal or (troubles.after is not None and self.snapshot.at < troubles.after)
        return self.brake is None and not is_held_off

    # What operators take back ------------------------------------------------------------------------------------------
    def give_back(self) -> None:
        """Withdraw marks that operators took back."""
        machines = self.census.of(GOING) + self.census.of(QUARANTINED)
        found = withdrawals(machines, self.snapshot.steering)
        self._given_back = set(found)
        self.actions += found.values()
        if self.snapshot.backend is not None:
            from ansible_collections.immutable.fleet.plugins.module_utils.decide import members

            self._given_back |= members.give_back(self, machines)
        self.old += len(self._given_back)  # they serve again

    # Rules 2 and 3 --------------------------------------------------------------------------------------------------
    def push_those_going(self) -> None:
        """Rule 2: every machine that is going or set aside moves one step. Nothing ever stops this."""
        machines = [m for m in self.census.of(GOING) + self.census.of(QUARANTINED) if m.name not in self._given_back]
        self._push = going.push(machines, self.snapshot, self.pool, self.left, self.remedy.silent if self.remedy else ())
        self.actions += self._push.actions
        self.blockers += self._push.blockers
        self.wish(self._push.wishes)
        self.wake(self._push.wake_at)
        self.be_patient(self._push.patient_until)

    def set_aside_the_overdue(self) -> None:
        """Rule 3: a machine past its timeout is quarantined while there is room; else it keeps its token."""
        room = self.limits.blocked - self.quarantined - self.setting_aside
        marks, blockers = going.set_aside(self._push.overdue, self.pool, self.snapshot.at, room, self.quarantined, self.limits.blocked)
        self.setting_aside += len(marks)  # their tokens are free only once the marks are seen
        self.actions += marks
        self.blockers += blockers

    # Rules 5, 6 and 8: marks ----------------------------------------------------------------------------------------------
    def mark_outdated_booting(self) -> None:
        """Rule 5: free if never ready; if ready, only while the available keep the floor."""
        for machine in self.not_held(self.census.outdated[BOOTING]):
            if self._may_leave_the_old:
                self._count_old_out(self.choose_booting(machine, "outdated"))

    def mark_outdated_not_ready(self) -> None:
        """Rule 6: outdated and not ready goes early, unless so many are sick that the new revision must first prove itself."""
        sick = len(self.census.of(NOT_READY)) + len(self.census.of(FAILED))
        proven = bool(self.census.current[AVAILABLE])
        for machine in self.told_not_ready(self.census.outdated[NOT_READY]):
            if sick > self.limits.unhealthy and not proven and (self.limits.surge > 0 or self.going > 0):
                what = f"machines not ready: {sick} > max_unhealthy_total {self.limits.unhealthy}"
                self.blockers.append(Blocker(code="unhealthy", what=f"{what}, and none of the new revision was available yet"))
                return
            if self.going < self.limits.going and self._may_leave_the_old and self.can_leave(machine):
                self._count_old_out(1)
                self.choose(machine, f"outdated and not ready; {self.going} going < {self.limits.going}")

    def mark_available(self) -> None:
        """Rule 8: outdated ones in order, then surplus, while one less still keeps the floor."""
        if self.available - 1 < self.limits.floor:
            return
        outdated = self.census.outdated[AVAILABLE] if self.may_replace else []
        self._count_old_out(self._choose_available(outdated, "outdated", min(len(outdated), self._spare)))
        if self.brake is not None:  # else they went as outdated
            self.old -= self._choose_surplus(self.census.outdated[AVAILABLE])
        self.staying -= self._choose_surplus(self.census.current[AVAILABLE])

    # What is left of machines ------------------------------------------------------------------------------------------
    def keep_places(self) -> None:
        """With `recreate`, where a machine is to come back is on record before its delete is sent."""
        if self.pool.strategy.type == RECREATE:
            record, missing = self.record or self.snapshot.record, self.limits.replicas - self.staying - self.old - self.creating
            self.actions, kept = recreation.keep_places(self.actions, record, self.snapshot, missing, self.pool.failure_domains)
            self.record = kept if kept != record else self.record

    def clear_leftovers(self) -> None:
        """What carries our mark and belongs to no machine, at once: we hold the lock."""
        vacated = recreation.vacated(self.pool, self.snapshot)
        found = leftovers.clear(self.snapshot, self._unlisted, {*vacated.free, *vacated.waiting})
        if self.snapshot.may_create:
            self.actions += found
        else:
            self.has_leftovers = bool(found)  # a run that ended now would leave them behind
            self.wake(self.snapshot.settled_at)

    def change_members(self) -> None:
        """Everything that is wished of the balancer now."""
        if self.snapshot.backend is not None:
            from ansible_collections.immutable.fleet.plugins.module_utils.decide import members

            members.change(self, self.snapshot.backend)

    def name_the_untouchable(self) -> None:
        """Say which machines are somebody else's business."""
        found, heard_out_at = untouchable.name(self.census, self.snapshot, self.chosen_now, self._unlisted)
        self.blockers += found + untouchable.name_members(self._unlisted_members)
        self.wake(heard_out_at)

    @property
    def surplus(self) -> int:
        """Machines of the wanted revision that are too many. Under a brake old ones count, and those that surge may stay.

        Not those in flight whose slot a machine has by now, as one that came back from being failed: they go themselves, once listed.
        """
        coming = self.creating - self._seconds
        if self.brake is not None:
            return self.staying + self.old + coming - self.limits.ceiling
        return self.staying + coming - self.limits.replicas

    @property
    def missing(self) -> int:
        """Machines of the wanted revision to make; no more than the ladder's step has room for. Creates in flight count."""
        if self.brake is not None:
            return self.limits.replicas - self.staying - self.old - self.creating
        return self.rung.most - self.staying - self.creating

    @property
    def _spare(self) -> int:
        """Old machines that may begin to leave: those that the ladder's step does not keep, as far as budgets allow."""
        beyond_the_step = self.old - (self.limits.replicas - self.rung.most)
        return beyond_the_step if self.at_once is None else min(beyond_the_step, self.at_once - self._leaving)

    @property
    def _may_leave_the_old(self) -> bool:
        return self._spare > 0

    def _in_taken_slots(self) -> int:
        """How many creates in flight will be the second machine of a slot."""
        taken = {machine.vm.slot for kind in STAYING for machine in self.census.current[kind]}
        return sum(1 for sent in self.snapshot.creating if sent.slot in taken)

    def _count_old_out(self, count: int) -> None:
        self.old -= count
        self._leaving += count

    def by_domain(self) -> Counter[str]:
        """Of what surplus is taken from, how many stay in each failure domain; creates in flight will."""
        flying = [sent.failure_domain for sent in self.snapshot.creating]
        return Counter(flying + [machine.failure_domain for kind in STAYING for machine in self.candidates(kind)])

    def candidates(self, kind: str) -> list[Machine]:
        """Surplus of a class: those of the wanted revision; under a brake old ones, and these first."""
        found = self.census.current[kind] if self.brake is None else self.census.of(kind)
        return [machine for machine in found if machine.name not in self.chosen_now]

    def _choose_surplus(self, machines: list[Machine]) -> int:
        if self.surplus <= 0:
            return 0
        return self._choose_available(machines, "surplus", self.surplus, self.doubles, self.by_domain())

    def _choose_available(
        self, machines: list[Machine], why: str, most: int, doubles: set[str] | None = None, have: Counter[str] | None = None
    ) -> int:
        """Mark up to `most` of `machines` in order while the floor is kept; how many were marked."""
        if not machines or most <= 0:
            return 0
        busy = order.budgets_in_use(self.census.of(GOING))
        chosen = 0
        budgets, own_node = self.snapshot.budgets, self.snapshot.own_node
        for machine in order.in_order(machines, budgets, busy, own_node, self._order, doubles, self._counted, have):
            if chosen >= most or self.available - 1 < self._least_available:
                break
            if self.can_leave(machine):
                self.choose(machine, f"{why}; {self.available} available > floor {self.limits.floor}")
                self.available -= 1
                chosen += 1
        return chosen

    @property
    def _least_available(self) -> int:
        """The floor; at least one while more exist than the ceiling allows: until they are gone nothing new comes for their pods."""
        is_crowded = self.limits.replicas > 0 and self.existing > self.limits.ceiling
        return max(1, self.limits.floor) if is_crowded else self.limits.floor

    @property
    def _order(self) -> str:
        """A rollback takes the newest first: they are what it goes back from."""
        override = standing_override(self.snapshot.steering, self.asked)
        is_back = override is not None and override.kind == ROLLBACK
        return NEWEST if is_back else self.pool.strategy.order

    def can_leave(self, machine: Machine) -> bool:
        """Whether a drain could succeed by what is known; if not, the reasons are blockers and it is not started."""
        if self._is_protected(machine):
            return False
        if machine.node is None or going.is_proven_dead(machine):
            return True
        found = drain.blockers_of(machine.node, self.snapshot.budgets, self.pool.drain)
        self.blockers += found
        return not found

    def not_held(self, machines: list[Machine]) -> list[Machine]:
        """Those of `machines` that no person has cordoned; all of them with `include_cordoned`."""
        all_of_them = self.pool.drain.include_cordoned
        waits_for_answers = self.pool.probes and self.pool.replicas  # who is removed altogether need not be well
        free = [m for m in machines if (all_of_them or not m.is_held) and not (waits_for_answers and m.is_unknown)]
        return [m for m in free if not self._is_protected(m)]

    def told_not_ready(self, machines: list[Machine]) -> list[Machine]:
        """Those of `machines` that may leave without the floor, since somebody said that they are not ready.

        Of one whose node is ready and whose probes have not answered yet nobody did: it may well serve.
        """
        free = self.not_held(machines)
        return [machine for machine in free if not machine.is_unheard] if self.pool.probes and self.pool.replicas else free

    def _is_protected(self, machine: Machine) -> bool:
        """An operator wants it to stay for now."""
        protection = self.snapshot.steering.protect.get(machine.name)
        if protection is None or self.snapshot.at >= protection.until:
            return False
        what = f"protected until {say_instant(protection.until)} {protection.asked}"
        self.blockers.append(Blocker(code="protected", what=what, where=machine.where, since=protection.asked.at))
        if protection.until - self.snapshot.at <= self.pool.strategy.progress_deadline:  # later is another run's business
            self.wake(protection.until)
            self.be_patient(protection.until)
        return True

    def choose_booting(self, machine: Machine, why: str) -> bool:
        if not machine.was_ready:
            self.choose(machine, f"{why} and never ready")
            return True
        if self.available >= self.limits.floor and self.can_leave(machine):
            self.choose(machine, f"{why} and not yet available; {self.available} available >= floor {self.limits.floor}")
            return True
        return False

    def choose(self, machine: Machine, reason: str) -> None:
        """Mark it: by cordon where there is a node, on record where it is a member, by its delete where it is neither."""
        self.chosen_now.add(machine.name)
        self.going += 1
        if machine.service is not None and not machine.is_unused:
            from ansible_collections.immutable.fleet.plugins.module_utils.decide import members

            self.record = members.marked(self.record or self.snapshot.record, machine, reason, self.snapshot)
            return
        actions, wake_at = going.leave(machine, reason, self.snapshot)
        self.actions += actions
        self.wake(wake_at)

    def wish(self, wishes: Iterable[Wish]) -> None:
        """The first wish for a machine holds."""
        for wish in wishes:
            self.wishes.setdefault(wish.machine, wish)

    def be_patient(self, until: datetime | None) -> None:
        """A timer that was asked for runs until then: meanwhile nothing has to change."""
        if until is not None:
            self.patient_until = max(self.patient_until or until, until)

    def wake(self, instant: datetime | None) -> None:
        """Ask again at `instant` at the latest."""
        if instant is not None and (self.wake_at is None or instant < self.wake_at):
            self.wake_at = instant
