# SPDX-License-Identifier: GPL-3.0-or-later
"""Which unhealthy machines go now: gate, cooldown, rate, and a slot that was replaced too often (semantics section 5).

Promises: a machine goes only after the record says so, hence never more than the rate is under way, over any runs and kills; a
slot whose replacements fail again and again suspends the pool's remediation. Nothing here holds back a machine that is outdated:
it goes by the rollout's own rules.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.decide.brake import THEN_AGAIN, control
from ansible_collections.immutable.fleet.plugins.module_utils.decide.remediate import reset
from ansible_collections.immutable.fleet.plugins.module_utils.decide.remediate.gate import Gate, gate
from ansible_collections.immutable.fleet.plugins.module_utils.decide.remediate.judging import UNDATED, Finding
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker
from ansible_collections.immutable.fleet.plugins.module_utils.model.health import READY, HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import count_of, say_count, say_duration, say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.remedies import Remedies, Remedy, Storm, Suspension
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot

Seen = Mapping[str, datetime]  # by kind of finding, in the loop's clock

WAIT = "remediation"
SUSPENDED = "suspended"
ILL = "unhealthy"
FAILS_SOON = timedelta(hours=2)  # a machine that is unhealthy again so soon after its predecessor was replaced: it did not help


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One turn of remediation. `admitted` go now. `record` is what the pool's record should say of it; None leaves it as it is.

    `gate` is shut for machines that only wait for their time, too. `silent` are machines on their way out whose kubelets have been
    silent for long while the cloud does not say that they are off: they are switched off. `resets` are reset now.
    """

    findings: Mapping[str, Finding] = field(default_factory=dict)
    admitted: frozenset[str] = frozenset()
    blockers: tuple[Blocker, ...] = ()
    wake_at: datetime | None = None
    record: Remedies | None = None
    gate: Gate = field(default_factory=Gate)
    silent: frozenset[str] = frozenset()
    resets: frozenset[str] = frozenset()


def admit(
    findings: Mapping[str, Finding],
    seen: Mapping[str, Seen],
    pool: Pool,
    policy: HealthPolicy,
    snapshot: Snapshot,
    known: Remedies,
    to_reset: Collection[str] = (),
) -> Round:
    """Who goes now of the machines in `findings`, which are not well. O(machines).

    `seen` is since when, by machine and kind, of those that are looked at; `known` is what the record says. `to_reset` were noted there
    by this run.
    """
    now, server_now = snapshot.at, (snapshot.at - snapshot.ahead).replace(microsecond=0)
    staying = [machine for machine in snapshot.machines.values() if not machine.is_going and not _is_set_aside(machine)]
    ill = {machine.name: findings[machine.name] for machine in staying if machine.name in findings}
    unhealthy = {name for name, finding in ill.items() if finding.is_unhealthy(now)}
    record = reset.remembered(with_first_seen(known, seen, snapshot), snapshot.machines, policy, server_now)
    wake_at = min((at for finding in findings.values() if (at := finding.unhealthy_at) is not None and at > now), default=None)
    shown = gate(staying, ill, policy.max_unhealthy, pool.name) if ill else Gate()
    blockers = [*(shown.blockers if unhealthy else ()), *_waits(ill, snapshot, now)]
    silences = _silences(findings, pool, policy, snapshot, shown) if policy.remediate else {}
    silent = frozenset(name for name, at in silences.items() if at <= now)
    wake_at = min((at for at in (wake_at, *silences.values()) if at is not None and at > now), default=None)
    found = Round(findings=findings, wake_at=wake_at, gate=shown, silent=silent)

    candidates = [machine for machine in staying if machine.name in unhealthy and machine.failure_domain not in shown.shut]
    if not policy.remediate:
        blockers += [_only_told(machine, ill[machine.name]) for machine in staying if machine.name in unhealthy]
        return replace(found, blockers=tuple(blockers), record=_changed(record, known))
    if unhealthy:
        record = replace(record, storm=_storm(record.storm, shown, server_now))
    if record.storm is not None and shown.is_open and candidates:
        over = (record.storm.over or server_now) + policy.cooldown
        if server_now < over:
            blockers.append(Blocker(code=WAIT, what=f"cooldown after a storm, until {say_instant(over)}", where=f"pool {pool.name}"))
            wake_at = min(filter(None, (wake_at, over + snapshot.ahead)))
            return replace(found, blockers=tuple(blockers), record=_changed(record, known), wake_at=wake_at)
        record = replace(record, storm=None)
    suspended = _standing(record.suspended, snapshot)
    if suspended is None and candidates:
        awaited = reset.awaited([machine for machine in staying if machine.name in ill], policy, record, server_now)
        record, admitted, waiting = _by_rate(candidates, awaited, ill, pool, policy, snapshot, record, server_now)
        wake_at = min(filter(None, (wake_at, *(until + snapshot.ahead for until in awaited.values()))), default=None)
        free = {machine.name for machine in candidates if reset.may_be_reset(machine) and not _is_kept(machine, pool, snapshot)}
        # What was noted a moment ago may be otherwise now: it serves again, somebody keeps it, the gate is shut.
        found = replace(found, wake_at=wake_at, resets=frozenset(awaited.keys() & set(to_reset) & free) - snapshot.reset)
        blockers += waiting
        suspended = _standing(record.suspended, snapshot)
        if suspended is None:
            return replace(found, blockers=tuple(blockers), record=_changed(record, known), admitted=admitted)
    if suspended is not None and unhealthy:
        forward = control(pool, "resumed", then=THEN_AGAIN)
        blockers.append(
            Blocker(code=SUSPENDED, what=suspended.what, where=f"pool {pool.name}", since=suspended.at + snapshot.ahead, forward=forward)
        )
    return replace(found, blockers=tuple(blockers), record=_changed(record, known))


def _silences(findings: Mapping[str, Finding], pool: Pool, policy: HealthPolicy, snapshot: Snapshot, shown: Gate) -> dict[str, datetime]:
    """Machines on their way out whose kubelets are silent, and from when that is so for long enough to switch them off.

    No other finding makes that time shorter: pods may run beside a kubelet that has been silent for seconds.
    """
    timeouts = (check.timeout for check in policy.conditions if (check.type, check.status) == (READY, "Unknown"))
    timeout = min(timeouts, default=pool.strategy.startup_timeout)
    return {
        machine.name: machine.node.ready_since + timeout
        for machine in map(snapshot.machines.__getitem__, findings)
        if machine.is_going
        and machine.node is not None
        and machine.node.ready is None
        and machine.node.ready_since is not None
        and machine.vm.status in (vm_states.RUNNING, vm_states.ERROR)
        and findings[machine.name].unhealthy_at is not None
        and machine.failure_domain not in shown.shut
    }


def _by_rate(
    candidates: list[Machine],
    awaited: Collection[str],
    ill: Mapping[str, Finding],
    pool: Pool,
    policy: HealthPolicy,
    snapshot: Snapshot,
    record: Remedies,
    now: datetime,
) -> tuple[Remedies, frozenset[str], list[Blocker]]:
    """`(the record, who goes, what waits)`. Who is new in the record goes, or is reset, in the turn that finds it there.

    `awaited` were reset, and may be well in a moment; they are under way.
    """
    most = max(1, count_of(policy.max_in_flight, pool.replicas, round_up=False, option="health.max_in_flight"))
    under_way = slots_under_way(record, pool, ill, snapshot, now) - {slot_of(machine) for machine in candidates}
    under_way |= {slot_of(snapshot.machines[name]) for name in awaited}
    free = most - len(under_way)
    resumed = snapshot.steering.resumed.at if snapshot.steering.resumed is not None else None
    slots, resets, admitted = dict(record.slots), dict(record.resets), set()
    waiting = [reset.waits(machine, ill[machine.name], policy) for machine in candidates if machine.name in awaited]
    # Those that are noted come first. One that had been kept, and may go now, may find its place taken.
    going = [machine for machine in candidates if machine.name not in awaited]
    order = sorted(going, key=lambda machine: (not _is_noted(machine, record), ill[machine.name].since, machine.name))
    for machine in order:
        slot, is_noted = slot_of(machine), _is_noted(machine, record)
        if is_noted and (free > 0 or _is_kept(machine, pool, snapshot)):
            admitted.add(machine.name)  # one that is kept is told so as a failed one is, and takes no place
            free -= not _is_kept(machine, pool, snapshot)
            continue
        if _is_cordoned(machine, pool):
            continue
        if free <= 0:
            what = f"{ill[machine.name].what}: waits its turn, {most - free} of {most} under way"
            waiting.append(Blocker(code=WAIT, what=what, where=machine.where, since=ill[machine.name].since))
            continue
        if reset.comes_first(machine, policy, record) and not _is_kept(machine, pool, snapshot):
            resets[machine.name], free = now, free - 1
            continue
        count = _tries(slots.get(slot), machine, snapshot, now) + 1
        if count > policy.suspend_after:
            return replace(record, suspended=Suspension(now, _in_vain(machine, slot, policy), resumed)), frozenset(), []
        slots[slot], free = Remedy(machine.name, now, count, resumed), free - 1
    young = {slot: one for slot, one in slots.items() if now - one.at <= FAILS_SOON}
    return replace(record, slots=young, resets=resets, suspended=None), frozenset(admitted), waiting


def slots_under_way(record: Remedies, pool: Pool, ill: Mapping[str, Finding], snapshot: Snapshot, now: datetime) -> set[str]:
    """Slots whose machine was told to go and is still there, or whose replacement is not there, or not ready yet.

    One that is noted and does not leave, because it is well again or somebody keeps it, holds up nobody else.
    """
    machines = snapshot.machines
    of_slot: dict[str, list[Machine]] = {}
    for machine in machines.values():
        of_slot.setdefault(slot_of(machine), []).append(machine)
    is_missing = sum(1 for machine in machines.values() if not machine.is_going and not _is_set_aside(machine)) < pool.replicas
    found = set()
    for slot, remedy in record.slots.items():
        old = machines.get(remedy.machine)
        others = [machine for machine in of_slot.get(slot, ()) if machine.name != remedy.machine and not _is_set_aside(machine)]
        if old is not None and not old.is_going and not _is_set_aside(old):
            is_under_way = old.name in ill and not _is_kept(old, pool, snapshot)
        else:
            is_leaving = old is not None and not _is_set_aside(old)
            is_under_way = is_leaving or (not any(machine.was_ready for machine in others) and (bool(others) or is_missing))
        if is_under_way and now - remedy.at <= FAILS_SOON:
            found.add(slot)
    return found


def slot_of(machine: Machine) -> str:
    """By which the record knows a machine's place; one that was adopted without a slot is a place of its own."""
    return machine.name if machine.vm.slot is None else str(machine.vm.slot)


def _is_noted(machine: Machine, record: Remedies) -> bool:
    remedy = record.slots.get(slot_of(machine))
    return remedy is not None and remedy.machine == machine.name


def _tries(last: Remedy | None, machine: Machine, snapshot: Snapshot, now: datetime) -> int:
    """How many replacements of the slot in a row have failed so far; those before an operator resumed do not count."""
    if last is None or last.machine == machine.name or now - last.at > FAILS_SOON:
        return 0
    return 0 if _has_resumed_since(last, snapshot) else last.count


def _has_resumed_since(noted: Remedy | Suspension, snapshot: Snapshot) -> bool:
    """By identity and not by time: operators' clocks are not the API server's (FM40)."""
    resumed = snapshot.steering.resumed
    return resumed is not None and resumed.at != noted.resumed


def _in_vain(machine: Machine, slot: str, policy: HealthPolicy) -> str:
    times = say_count(policy.suspend_after, "time")
    what = f"slot {slot} was replaced {times} for being unhealthy, and its machine {machine.name} is unhealthy again"
    return f"{what}: remediation of the pool is suspended"


def _storm(known: Storm | None, shown: Gate, now: datetime) -> Storm | None:
    """The storm as the record should have it: it begins when the gate shuts, and is over when that is open again."""
    if not shown.is_open:
        return Storm(known.since) if known is not None else Storm(now)
    return replace(known, over=known.over or now) if known is not None else None


def _standing(suspended: Suspension | None, snapshot: Snapshot) -> Suspension | None:
    return None if suspended is None or _has_resumed_since(suspended, snapshot) else suspended


def with_first_seen(record: Remedies, seen: Mapping[str, Seen], snapshot: Snapshot) -> Remedies:
    """Since when machines have what no server dates; that of machines that are well, go, or are gone is forgotten."""
    kept: dict[str, Seen] = {}
    for name, kinds in seen.items():
        known, machine = record.first_seen.get(name, {}), snapshot.machines[name]
        dates = {kind: known.get(kind, _of_server(at, snapshot)) for kind, at in kinds.items() if kind in UNDATED}
        if dates and not machine.is_going and not _is_set_aside(machine):
            kept[name] = dates
    return record if kept == record.first_seen else replace(record, first_seen=kept)


def _of_server(at: datetime, snapshot: Snapshot) -> datetime:
    return (at - snapshot.ahead).replace(microsecond=0)


def _waits(ill: Mapping[str, Finding], snapshot: Snapshot, now: datetime) -> list[Blocker]:
    """Machines that are not well, and not unhealthy yet or not for sure."""
    found = []
    for name, finding in ill.items():
        where, at = snapshot.machines[name].where, finding.unhealthy_at
        if finding.is_open:
            found.append(Blocker(code=WAIT, what=finding.what, where=where, since=finding.since))
        elif at is None:
            found.append(Blocker(code=ILL, what=f"{finding.what}: left alone", where=where, since=finding.since))
        elif at > now:
            what = f"{finding.what}: unhealthy after {say_duration(at - finding.since)}"
            found.append(Blocker(code=WAIT, what=what, where=where, since=finding.since))
    return found


def _only_told(machine: Machine, finding: Finding) -> Blocker:
    what = f"unhealthy, {finding.what}; health.remediate is false, so it is left as it is"
    return Blocker(code=ILL, what=what, where=machine.where, since=finding.since, forward="set health.remediate")


def _is_cordoned(machine: Machine, pool: Pool) -> bool:
    return machine.is_held and not pool.drain.include_cordoned


def _is_kept(machine: Machine, pool: Pool, snapshot: Snapshot) -> bool:
    """A person cordoned it, or protects it for now."""
    protection = snapshot.steering.protect.get(machine.name)
    return _is_cordoned(machine, pool) or (protection is not None and snapshot.at < protection.until)


def _is_set_aside(machine: Machine) -> bool:
    return machine.node is not None and machine.node.quarantined is not None


def _changed(record: Remedies, known: Remedies) -> Remedies | None:
    return record if record != known else None
