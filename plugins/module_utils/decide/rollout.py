# SPDX-License-Identifier: GPL-3.0-or-later
"""The rollout rule: which machines to make, mark and push now.

Promises: no mark of ours takes the available below the floor known when it is sent; no create of ours takes the existing
above the ceiling. A machine lost to a fault, fewer replicas or a new target may breach either; then the rule only heals.
Why so: tokens, not batches: one stuck drain would hold its whole batch. Rejected: giving the token back when the drain
starts; new machines would outrun the pods (FM13). Counts fall and rise with each decision of the same turn.
Sources: semantics section 3, whose rule numbers the methods carry; FM1, FM8, FM13, FM39, FM48, FM49.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.decide import verdict
from ansible_collections.immutable.fleet.plugins.module_utils.decide.asked import Counted
from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import AVAILABLE, Census, Verdict
from ansible_collections.immutable.fleet.plugins.module_utils.decide.creation import create
from ansible_collections.immutable.fleet.plugins.module_utils.decide.dress import dress, labels_of
from ansible_collections.immutable.fleet.plugins.module_utils.decide.failing import mark_failed
from ansible_collections.immutable.fleet.plugins.module_utils.decide.order import goes_first
from ansible_collections.immutable.fleet.plugins.module_utils.decide.surplus import mark_surplus
from ansible_collections.immutable.fleet.plugins.module_utils.decide.target import replicas_of
from ansible_collections.immutable.fleet.plugins.module_utils.decide.turn import STAYING, Turn
from ansible_collections.immutable.fleet.plugins.module_utils.decide.ward import Ward
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Action, Blocker, Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import ON_DELETE, RECREATE, Pool, limits_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot

if TYPE_CHECKING:
    from ansible_collections.immutable.fleet.plugins.module_utils.decide.remediate.admission import Round

HOLDS_MOST = timedelta(seconds=30)  # durations are told in texts, and what is due in hours names no time to wake


class Rollout:
    """The job of converging one pool. `decide` is pure; what it keeps between turns only spares work."""

    def __init__(self, pool: Pool, *, only_heals: bool = False) -> None:
        self.pool, self._only_heals = pool, only_heals
        self.policy = pool.drain
        self.limits = limits_of(pool)
        self.asked, self._replicas = pool.revision, pool.replicas  # by the variables, whatever is made instead
        self._last_replaced: frozenset[str] = frozenset()
        self._verdicts: dict[str, Verdict] = {}
        self._undressed: list[str] = []
        self._counted = Counted()
        self._ward = Ward(pool.health) if pool.health is not None else None
        self._unhealthy: frozenset[str] = frozenset()
        self._waiting: tuple[Snapshot, Decision] | None = None  # the last decision that was to wait, and on what facts

    def retarget(self, revision: Revision) -> None:
        """Make `revision` from now on: an operator or a breach put it in the place of the one asked for."""
        self.pool = replace(self.pool, revision=revision)
        self._judge_anew()

    def decide(self, snapshot: Snapshot, now: datetime) -> Decision:
        """Actions that may start now, most urgent first; when there are none, `blockers` and `wake_at` say why and until when.

        O(n log n) in machines. Asked about the world its actions produced, it repeats none of them. Most turns bring nothing
        new (a lock was renewed, a list read again): they get the decision before, as long as that was to wait.
        """
        if self._waiting is not None and self._still_holds(*self._waiting, snapshot):
            return self._waiting[1]
        decision = self._decide(snapshot, now)
        is_to_wait = not decision.actions and not decision.finished and decision.record is None
        self._waiting = (snapshot, decision) if is_to_wait and not self._goes_by_dates else None
        return decision

    def _still_holds(self, facts: Snapshot, decision: Decision, snapshot: Snapshot) -> bool:
        """Whether a decision to wait is the one of `snapshot`, too: the same facts, before the time to wake."""
        is_soon = snapshot.at - facts.at < HOLDS_MOST
        return is_soon and (decision.wake_at is None or snapshot.at < decision.wake_at) and snapshot == facts

    @property
    def _goes_by_dates(self) -> bool:
        """Whether calendar or age may let something begin at an instant that no decision names."""
        strategy = self.pool.strategy
        return bool(strategy.windows or strategy.budgets or strategy.max_age is not None)

    def _decide(self, snapshot: Snapshot, now: datetime) -> Decision:
        self._scale(replicas_of(self._replicas, snapshot.steering))
        kept: list[Blocker] = []
        if snapshot.record.preserved:
            from ansible_collections.immutable.fleet.plugins.module_utils.decide import preserve  # few pools ask for it

            whole = snapshot
            snapshot, apart = preserve.set_apart(whole, self.limits.preserved)
            kept = preserve.told(apart, whole)
        replaced = self._replaced(snapshot, now)
        if replaced != self._last_replaced:
            self._last_replaced = replaced
            self._judge_anew()
        remedy = self._remedy(snapshot)
        census = Census(snapshot.machines, self.pool, now, self._verdicts, replaced, self._unhealthy)
        turn = Turn(self.pool, self.limits, snapshot, census, self.asked, self._counted, remedy, only_heals=self._only_heals)
        turn.blockers += kept
        if snapshot.record.preserved and not snapshot.stale:
            _forget_the_well(turn)
        if snapshot.stale.keys().isdisjoint(("cluster", "balancer")):
            turn.give_back()
            turn.push_those_going()
            turn.set_aside_the_overdue()
            if "cloud" not in snapshot.stale:
                mark_failed(turn)
                if turn.may_replace:
                    turn.mark_outdated_booting()
                    turn.mark_outdated_not_ready()
                mark_surplus(turn)
                turn.mark_available()
                create(turn)
                turn.clear_leftovers()
            turn.keep_places()
            turn.change_members()
            turn.name_the_untouchable()
            turn.actions += self._dress(turn, now)
        return verdict.conclude(turn, is_idle=not turn.actions and not turn.has_leftovers)

    def _scale(self, replicas: int) -> None:
        if replicas != self.pool.replicas:
            self.pool = replace(self.pool, replicas=replicas)
            self.limits = limits_of(self.pool)

    def _remedy(self, snapshot: Snapshot) -> Round | None:
        """What remediation does in this turn. Who is let go, or no longer is, is judged anew."""
        remedy = self._ward.look(self.pool, snapshot) if self._ward is not None else None
        unhealthy = remedy.admitted if remedy is not None else frozenset()
        for name in unhealthy ^ self._unhealthy:
            self._verdicts.pop(name, None)
        self._unhealthy = unhealthy
        return remedy

    def _replaced(self, snapshot: Snapshot, now: datetime) -> frozenset[str]:
        """Machines that count as outdated whatever they are made of: an operator asked, or they are too old."""
        asked = frozenset(snapshot.steering.replace)
        if asked and self.pool.strategy.type == RECREATE:  # the next machine has the same name, and is not meant
            made = {name: machine.vm.created_at for name, machine in snapshot.machines.items()}
            asked = frozenset(name for name, one in snapshot.steering.replace.items() if name in made and made[name] < one.at)
        if self.pool.strategy.type == ON_DELETE:
            asked |= {machine.name for machine in snapshot.machines.values() if goes_first(machine)}
        max_age, wanted = self.pool.strategy.max_age, self.pool.revision.id
        if max_age is None:
            return asked
        from ansible_collections.immutable.fleet.plugins.module_utils.decide.age import outdated_by_age  # few pools ask for it

        machines = snapshot.machines.values()
        left_out = {name for name, one in snapshot.steering.protect.items() if now < one.until}
        left_out |= {machine.name for machine in machines if machine.is_held}
        up_to_date = (machine for machine in machines if machine.vm.revision == wanted)
        return asked | outdated_by_age(up_to_date, max_age, self.pool.replicas, now, left_out).names

    def _judge_anew(self) -> None:
        self._waiting = None
        self._verdicts.clear()
        self._undressed.clear()

    def _dress(self, turn: Turn, now: datetime) -> list[Action]:
        """Labels and taints that are missing on nodes that stay; a node that was found in order is not compared again."""
        found: dict[str, Action] = {}
        waiting: list[str] = []
        labels: dict[str, Mapping[str, str]] = {}  # by revision
        for name in dict.fromkeys((*self._undressed, *turn.census.fresh)):  # in the order of the machines, as they lie in memory
            judged = self._verdicts.get(name)
            if judged is None:
                continue
            machine, kind, _until, is_outdated = judged
            if is_outdated and turn.brake is not None:
                waiting.append(name)  # while nothing is replaced, pods are not kept off old machines either
                continue
            # One that goes is left out for good: as soon as anything of it changes it is judged anew.
            if machine.node is None or kind not in STAYING or name in turn.chosen_now:
                continue
            revision = machine.vm.revision
            if revision not in labels:
                labels[revision] = labels_of(self.pool, revision)
            change = dress(machine.node, self.pool, labels[revision], is_outdated=is_outdated, now=now)
            if change is not None:
                found[name] = change
        self._undressed = [*waiting, *found]
        return [found[name] for name in sorted(found)]


def _forget_the_well(turn: Turn) -> None:
    """Of machines that were to be kept for a look."""
    from ansible_collections.immutable.fleet.plugins.module_utils.decide import preserve  # few pools ask for it

    ill: Collection[str] = turn.remedy.findings if turn.remedy is not None else ()
    turn.record = preserve.without_the_well(turn.record or turn.snapshot.record, turn.census.of(AVAILABLE), ill) or turn.record
