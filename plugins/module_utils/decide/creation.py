# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule 9 of the rollout rule: which machines are made now, and what holds the others back (semantics section 3)."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.immutable.fleet.plugins.module_utils.decide import recreation
from ansible_collections.immutable.fleet.plugins.module_utils.decide.placement import Places
from ansible_collections.immutable.fleet.plugins.module_utils.decide.turn import STAYING, Turn
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker, Create
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import RECREATE
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Creating, Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Starts


def create(turn: Turn) -> None:
    """Rule 9: as many as are missing, while what exists stays under the ceiling.

    No more at once than the cloud says it can begin (`Snapshot.starts`): what it would only queue is asked for when it gets there.
    After a failed create one at a time, until one is available: Nova counts its quota again when a server is built, so that of
    two that want the last place each may refuse the other, however often they are sent together.
    """
    missing, tries = turn.missing, turn.snapshot.troubles.count
    if missing <= 0 or turn.existing >= turn.ceiling or _is_held_back(turn):
        return
    vacated = recreation.vacated(turn.pool, turn.snapshot)
    room = turn.ceiling - len(vacated.waiting)
    leaving = [machine for kind in STAYING for machine in turn.census.outdated[kind]]
    places = Places(turn.pool.failure_domains, _staying(turn), leaving, turn.snapshot.creating, vacated.free)
    starts = _Starts(turn.snapshot.starts, turn.snapshot.creating)
    while missing > 0 and turn.existing < room:
        slot, domain, name = places.take()
        if not starts.take(domain):
            missing, room = missing - 1, room - 1  # its place is kept for it
            continue
        reason = f"{turn.existing} exist < ceiling {turn.ceiling}"
        turn.actions.append(Create(slot, domain, 1 + tries, reason, name, recreated=bool(name)))
        turn.existing += 1
        turn.creating += 1
        missing = 0 if tries else missing - 1


class _Starts:
    """What is left of the cloud's leave to begin while creates are handed out; those that no list shows yet count."""

    def __init__(self, given: Starts | None, creating: Iterable[Creating]) -> None:
        self._given = given
        self._domains = [sent.failure_domain for sent in creating]

    def take(self, domain: str) -> bool:
        """Whether one more may begin in the domain; it counts from then on."""
        given = self._given
        if given is not None and len(self._domains) >= given.total:
            return False
        if given is not None and self._domains.count(domain) >= given.by_domain.get(domain, given.total):
            return False
        self._domains.append(domain)
        return True


def _is_held_back(turn: Turn) -> bool:
    """By a brake or a loss, by quota and errors, or by the last calls of a run that died; what only time removes is told."""
    snapshot, troubles = turn.snapshot, turn.snapshot.troubles
    if troubles.fatal or turn.is_losing or (turn.brake is not None and not turn.brake.creates):
        return True
    if troubles.after is not None and snapshot.at < troubles.after:
        turn.blockers.append(Blocker(code="exhausted", what=troubles.what, since=troubles.since))
        turn.wake(troubles.after)
        return True
    if not snapshot.may_create:
        turn.blockers.append(Blocker(code="settling", what="a silent holder's last calls may still arrive: no create yet"))
        turn.wake(snapshot.settled_at)
        return True
    return bool(troubles.count) and _is_building(snapshot)


def _is_building(snapshot: Snapshot) -> bool:
    """Whether the cloud has yet to say of a create that it worked."""
    return bool(snapshot.creating) or any(machine.vm.status == vm_states.BUILDING for machine in snapshot.machines.values())


def _staying(turn: Turn) -> list[Machine]:
    """Those that keep their slots: new ones; old ones, too, where no new one comes beside them."""
    is_rolling = turn.brake is None and turn.pool.strategy.type != RECREATE
    kept = turn.census.current if is_rolling else {kind: turn.census.of(kind) for kind in STAYING}
    return [machine for kind in STAYING for machine in kept[kind] if machine.name not in turn.chosen_now]
