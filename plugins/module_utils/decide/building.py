# SPDX-License-Identifier: GPL-3.0-or-later
"""The job of `golden_image_builder`: a machine of a cloud that roles are applied to, and whose disk becomes an image.

Promises: decided from what the cloud lists and from one name, which was chosen before the first call. So a call without an answer is
looked up, a run that was killed is swept by the next one, and nothing is kept beside the cloud.
A run leaves the builders of others alone until they are older than anyone builds: it cannot see whether whoever made them is alive.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model import capture as captures
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import Capture
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import (
    Action,
    Blocker,
    Clear,
    CopyDisk,
    Create,
    Decision,
    Delete,
    Fetch,
    Power,
    Tally,
    key_of,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Exhausted, FleetError, Refused
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import DrainPolicy, Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_count, say_duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import ANY, Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover

OPENED, CAPTURED, ABSENT = "opened", "captured", "absent"

UNSEEN = timedelta(minutes=2)  # a cloud lists what it was asked for within seconds; after that it was not taken
AGAIN = timedelta(seconds=30)  # until something that was asked for, and does not show in a list, is asked for once more

MAKE_ANOTHER = "run the whole build again: it makes another one"


class BuildFailed(Refused):
    """The builder cannot become what it was to be."""

    code = "builder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """`mark` is that of all builders of the image, `builder` a machine's name; "" with ABSENT means all of them.

    What is older than `max_age` is nobody's any more. `path`: the file that the image goes to.
    """

    state: str
    mark: str
    builder: str
    max_age: timedelta
    path: str = ""

    def removal_of(self, builder: str, created_at: datetime, now: datetime) -> str:
        """Why something of this builder has to go, "" where it stays."""
        if self.state == ABSENT and self.builder in ("", builder):
            return "it was asked for"
        if builder != self.builder and now - created_at > self.max_age:
            return f"older than max_age, {say_duration(self.max_age)}"
        return ""


class Building:
    """The job. What others left goes first: it costs money, and takes the room that a builder needs."""

    policy = DrainPolicy()

    def __init__(self, wanted: Wanted, revision: Revision = ANY) -> None:
        self.wanted = wanted
        self.pool = Pool(name=wanted.mark, replicas=0 if wanted.state == ABSENT else 1, revision=revision)

    def retarget(self, revision: Revision) -> None:
        """A builder is made once, of what was asked for."""

    def decide(self, snapshot: Snapshot, now: datetime) -> Decision:
        """One step of the builder's own, beside all removals. With news too old nothing is sent."""
        if "cloud" in snapshot.stale:
            return _waits("no news from the cloud", Tally())
        removals = _removals(snapshot, self.wanted, now)
        if self.wanted.state == ABSENT:
            step = self._absent(removals, snapshot)
        elif self.wanted.state == OPENED:
            step = self._opened(snapshot, now)
        else:
            step = self._captured(snapshot, now)
        if step.finished:
            return step
        sweeps, again_at = _to_send(removals, snapshot, now)
        wake_at = min((each for each in (step.wake_at, again_at) if each is not None), default=None)
        return replace(step, actions=sweeps or step.actions, wake_at=wake_at)

    def _absent(self, removals: list[Delete | Clear], snapshot: Snapshot) -> Decision:
        if removals:
            there = sum(1 for action in removals if isinstance(action, Delete))
            return _waits("the cloud deletes it", Tally(existing=there, going=len(removals)))
        if snapshot.leftovers_at is None or not snapshot.is_settled:
            return _waits("what is left over cannot be listed", Tally(going=1))
        return Decision(finished=True)

    def _opened(self, snapshot: Snapshot, now: datetime) -> Decision:
        machine = _named(snapshot, self.wanted.builder)
        if machine is None:
            return self._made(snapshot, now)
        if machine.vm.status == vm.ERROR:
            return self._failed(_in_error(machine))
        if machine.vm.status == vm.RUNNING and machine.vm.addresses:
            return Decision(finished=True, tally=Tally(available=1, up_to_date=1, existing=1))
        return _waits("the cloud builds it", Tally(booting=1, existing=1))

    def _made(self, snapshot: Snapshot, now: datetime) -> Decision:
        """Once: a create without an answer is looked up by its name, and until that is settled it exists."""
        builder, troubles = self.wanted.builder, snapshot.troubles
        if builder in snapshot.half_owned:
            return self._failed("a machine has its name, and not enough of its marks")
        if snapshot.creating:
            return _waits("it is not listed yet", Tally(creating=1, existing=1))
        if troubles.fatal:
            what = f"gave up after {say_count(troubles.count, 'failed create')}: {troubles.what}"
            failure = Exhausted(what=what, where=self._where, since=troubles.since, forward="make room, then run the whole build again")
            return Decision(finished=True, failure=failure)
        create = Create(0, "", 1, "there is none yet", name=builder)
        if key_of(create) in snapshot.busy or (troubles.after is not None and now < troubles.after):
            return replace(_waits(troubles.what, Tally()), wake_at=troubles.after)
        return Decision(actions=(create,))

    def _captured(self, snapshot: Snapshot, now: datetime) -> Decision:
        """Its disk is whole only while it is off."""
        builder = self.wanted.builder
        if snapshot.fetched:
            return Decision(finished=True, tally=Tally(available=1, up_to_date=1, existing=1))
        capture = next((each for each in snapshot.captures if each.builder == builder), None)
        if capture is not None:
            return self._copied(capture, snapshot)
        machine = _named(snapshot, builder)
        if machine is None:
            is_anothers = builder in snapshot.half_owned
            return self._failed("a machine has its name, and not enough of its marks" if is_anothers else "there is no such builder")
        if machine.vm.status == vm.ERROR:
            return self._failed(_in_error(machine))
        if machine.vm.status == vm.STOPPED:
            return self._copy(machine, snapshot, now)
        waits = _waits("it is not off yet", Tally(not_ready=1, existing=1))
        if machine.vm.status != vm.RUNNING:
            return waits
        off, again_at = _to_send([Power(machine, vm.OFF, "its disk is whole only while it is off")], snapshot, now)
        return replace(waits, actions=off, wake_at=again_at)

    def _copy(self, machine: Machine, snapshot: Snapshot, now: datetime) -> Decision:
        copy = CopyDisk(machine, "it is off")
        asked_at = snapshot.asked.get(key_of(copy))
        waits = _waits("its image is not listed yet", Tally(not_ready=1, existing=1))
        if asked_at is None:
            return replace(waits, actions=() if key_of(copy) in snapshot.busy else (copy,))
        if now - asked_at >= UNSEEN:  # Nova, for one, takes the image away where it cannot copy the disk
            return self._failed("the cloud could not copy its disk")
        return replace(waits, wake_at=asked_at + UNSEEN)

    def _copied(self, capture: Capture, snapshot: Snapshot) -> Decision:
        if capture.status == captures.FAILED:
            return self._failed("the cloud could not copy its disk")
        waits = _waits("the cloud copies its disk", Tally(not_ready=1, existing=1))
        fetch = Fetch(capture, self.wanted.path, "its disk is copied")
        if capture.status != captures.WHOLE or key_of(fetch) in snapshot.busy:
            return waits
        return replace(waits, actions=(fetch,))

    @property
    def _where(self) -> str:
        return f"builder {self.wanted.builder}"

    def _failed(self, why: str) -> Decision:
        failure: FleetError = BuildFailed(what=why, where=self._where, forward=MAKE_ANOTHER)
        return Decision(finished=True, failure=failure)


def _removals(snapshot: Snapshot, wanted: Wanted, now: datetime) -> list[Delete | Clear]:
    """One for each thing of builders that has to go, whether it was asked for already or not."""
    creating = {sent.name for sent in snapshot.creating}
    things = [leftover for leftover in snapshot.leftovers if leftover.machine not in creating]
    things += [capture.leftover for capture in snapshot.captures]
    machines = [(machine, wanted.removal_of(machine.vm.name, machine.vm.created_at, now)) for machine in snapshot.machines.values()]
    idle = [(thing, _removal_of(thing, wanted, now)) for thing in things]
    return [*(Delete(machine, why) for machine, why in machines if why), *(Clear(thing, why) for thing, why in idle if why)]


def _removal_of(leftover: Leftover, wanted: Wanted, now: datetime) -> str:
    """As of a machine; what a create of our own left half-way is in the way of the next one."""
    if wanted.state == OPENED and leftover.machine == wanted.builder:
        return "its machine was not made"
    return wanted.removal_of(leftover.machine, leftover.created_at, now)


def _to_send(wished: list[Delete | Clear] | list[Power], snapshot: Snapshot, now: datetime) -> tuple[tuple[Action, ...], datetime | None]:
    """Those that are under way neither here nor there, and when the next of them may be asked for again."""
    ready: list[Action] = []
    again: list[datetime] = []
    for action in wished:
        key, goes_on = key_of(action), False
        if isinstance(action, Delete):
            goes_on = action.machine.vm.delete_again
            if action.machine.vm.status == vm.DELETING and not goes_on:
                continue
        asked_at = snapshot.asked.get(key)
        if key in snapshot.busy:
            continue
        if goes_on or asked_at is None or now - asked_at >= AGAIN:
            ready.append(action)
        else:
            again.append(asked_at + AGAIN)
    return tuple(ready), min(again, default=None)


def _named(snapshot: Snapshot, name: str) -> Machine | None:
    found = (machine for machine in snapshot.machines.values() if machine.vm.name == name and not machine.is_going)
    return next(found, None)


def _in_error(machine: Machine) -> str:
    return f"the cloud put it to ERROR: {machine.vm.fault or 'without a word'}"


def _waits(what: str, tally: Tally) -> Decision:
    return Decision(blockers=(Blocker(code="builder", what=what),), tally=tally)
