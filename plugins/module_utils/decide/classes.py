# SPDX-License-Identifier: GPL-3.0-or-later
"""Which class each machine is in: the first line of the table that fits (semantics section 3).

A class is derived from facts each time and stored nowhere. Where it will change by time alone, the instant is given
beside it, so that the loop can sleep until then and a census need not judge unchanged machines again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Tally
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import ON_DELETE, Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import ANY

if TYPE_CHECKING:  # few pools have a balancer
    from ansible_collections.immutable.fleet.plugins.module_utils.model.service import Service

QUARANTINED = "quarantined"  # Q  set aside (the mark is seen, not just sent): keeps its mark until its VM is gone
GOING = "going"  # G  marked, or its delete was sent: one way only
FAILED = "failed"  # X  VM in ERROR, or not ready for longer than startup_timeout
NOT_READY = "not ready"  # K  was ready and is not, or a person cordoned it
BOOTING = "booting"  # B  not ready yet, or ready for less than min_ready
AVAILABLE = "available"  # A

JOINED_LONG_AGO = 2  # startup timeouts: a machine that never joined is removed after the first

# (machine, class, until when, outdated): judged once, valid while the machine is the same object and `until` is ahead.
Verdict = tuple[Machine, str, "datetime | None", bool]
NOT_JUDGED = (None, "", None, False)


def classify(machine: Machine, pool: Pool, now: datetime) -> tuple[str, datetime | None]:
    """The machine's class, and when it changes with no new fact (None: never).

    Facts come overlaid with expectations: a mark in flight is GOING already.
    """
    node, vm, strategy = machine.node, machine.vm, pool.strategy
    if node is not None and node.quarantined is not None:
        return QUARANTINED, None
    if machine.is_going:
        return GOING, None
    is_watched = pool.health is not None and machine.was_ready  # then remediation says when it has failed
    if vm.status == vm_states.ERROR and not is_watched:
        return FAILED, None

    if machine.service is not None:
        return _class_of_plain(machine, machine.service, pool, now)

    ready, since = _readiness(machine, pool)
    if not ready and is_watched:
        return NOT_READY, None
    if not ready:
        if machine.was_ready and pool.probes and (machine.health is None or machine.health.healthy is None):
            return NOT_READY, None  # nobody knows, which is neither available nor failed: an answer will tell
        since = max(since, vm.created_at)
        gives_up = since + strategy.startup_timeout
        if now >= gives_up:
            return (NOT_READY if must_have_joined(machine, pool, now) else FAILED), None
        return (NOT_READY if machine.was_ready else BOOTING), gives_up
    if node is not None and node.is_held:
        return NOT_READY, None
    counts_from = since + strategy.min_ready
    return (BOOTING, counts_from) if now < counts_from else (AVAILABLE, None)


def must_have_joined(machine: Machine, pool: Pool, now: datetime) -> bool:
    """Whether a machine that runs, and has no Node or is no member, must have had it once: else a run would have removed it.

    Only where remediation looks after the pool, which then says when the machine has failed. A plain machine may be off, too: a balancer
    forgets its members, while a Node stays when its VM is off.
    """
    is_in_question = machine.vm.status == vm_states.RUNNING or (machine.service is not None and machine.vm.status == vm_states.STOPPED)
    return is_in_question and has_outlived_its_start(machine, pool, now)


def has_outlived_its_start(machine: Machine, pool: Pool, now: datetime) -> bool:
    """Whether a machine without a Node or member is so old that it cannot be one that never came up, where remediation looks after it."""
    if pool.health is None or not machine.is_unused:
        return False
    return now - machine.vm.created_at >= JOINED_LONG_AGO * pool.strategy.startup_timeout


def _class_of_plain(machine: Machine, service: Service, pool: Pool, now: datetime) -> tuple[str, datetime | None]:
    """The class of a machine without a node: its service takes the node's place."""
    strategy = pool.strategy
    if service.ready:
        counts_from = service.since + strategy.min_ready
        return (BOOTING, counts_from) if now < counts_from else (AVAILABLE, None)
    kind = BOOTING if service.member is None else NOT_READY
    # Nobody knows how it is; a person holds it; or it is well, and not the one to blame that it is no member yet.
    if service.ready is None or service.is_held or (service.is_well and service.member is None):
        return kind, None
    if pool.health is not None and service.was_ready:
        return NOT_READY, None
    gives_up = (service.since if service.was_ready else machine.vm.created_at) + strategy.startup_timeout
    if now < gives_up:
        return kind, gives_up
    return (NOT_READY if must_have_joined(machine, pool, now) else FAILED), None


def _readiness(machine: Machine, pool: Pool) -> tuple[bool, datetime]:
    """Whether it is ready now, and since when that is so; one that never was ready is not since its creation."""
    node, vm = machine.node, machine.vm
    if node is None or not machine.was_ready:
        return False, vm.created_at
    ready, since = node.ready is True, node.ready_since or node.created_at
    if not ready or not pool.probes:
        return ready, since
    is_well, found_at = _wellness(machine, was_well=node.was_ready)
    return is_well, since if found_at is None else max(since, found_at)


def _wellness(machine: Machine, *, was_well: bool) -> tuple[bool, datetime | None]:
    """What its probes say, and since when; None: since before this run, for all that it has answered to this run was good."""
    health = machine.health
    if health is None:
        return False, None
    if was_well and health.is_untarnished:
        return True, None
    return health.healthy is True, health.since


class Census:
    """Every machine of one instant in its class; within a class outdated and up-to-date ones apart.

    `memo` is handed on from turn to turn and may be lost: it only spares judging a machine that did not change. `replaced`
    are machines that count as outdated whatever they are made of, because an operator asked; with `on_delete` only these do.
    `unhealthy` are those that remediation lets go now: they have failed.
    """

    __slots__ = ("current", "fresh", "outdated", "wake_at")

    def __init__(
        self,
        machines: Mapping[str, Machine],
        pool: Pool,
        now: datetime,
        memo: dict[str, Verdict],
        replaced: Collection[str] = (),
        unhealthy: Collection[str] = (),
    ) -> None:
        self.current: dict[str, list[Machine]] = _empty()
        self.outdated: dict[str, list[Machine]] = _empty()
        self.wake_at: datetime | None = None
        self.fresh: list[str] = []  # machines that had to be judged anew, by name
        wanted, rolls = pool.revision.id, pool.strategy.type != ON_DELETE
        for name, machine in machines.items():
            judged, kind, until, is_outdated = memo.get(name, NOT_JUDGED)
            if judged is not machine or (until is not None and now >= until):
                kind, until = classify(machine, pool, now)
                if name in unhealthy and kind not in (QUARANTINED, GOING):
                    kind, until = FAILED, None
                is_outdated = name in replaced or (rolls and wanted not in (machine.vm.revision, ANY.id))
                self.fresh.append(name)
                memo[name] = (machine, kind, until, is_outdated)
            if until is not None and (self.wake_at is None or until < self.wake_at):
                self.wake_at = until
            (self.outdated if is_outdated else self.current)[kind].append(machine)
        if len(memo) > 2 * len(machines) + 16:  # names are never reused, so the memo of the dead would only grow
            for name in memo.keys() - machines.keys():
                del memo[name]

    def of(self, kind: str) -> list[Machine]:
        """All machines of a class, outdated first."""
        return self.outdated[kind] + self.current[kind]

    def tally(self, *, creating: int, existing: int, pods_left: int) -> Tally:
        """The classes in numbers, with those that no class counts."""
        return Tally(
            available=len(self.of(AVAILABLE)),
            up_to_date=len(self.current[AVAILABLE]),
            booting=len(self.of(BOOTING)),
            not_ready=len(self.of(NOT_READY)),
            failed=len(self.of(FAILED)),
            going=len(self.of(GOING)),
            quarantined=len(self.of(QUARANTINED)),
            creating=creating,
            existing=existing,
            pods_left=pods_left,
        )


def _empty() -> dict[str, list[Machine]]:
    return {kind: [] for kind in (QUARANTINED, GOING, FAILED, NOT_READY, BOOTING, AVAILABLE)}
