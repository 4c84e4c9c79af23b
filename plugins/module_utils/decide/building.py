# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done next of a builder: a machine of a cloud that roles are applied to, and whose disk becomes an image.

Promises: pure, one step at a time, decided from what the cloud lists and from one name, which was chosen before the first call. So a
call without an answer is looked up, a run that was killed is swept by the next one, and nothing is kept beside the cloud.
A run leaves the builders of others alone until they are older than anyone builds: it cannot see whether whoever made them is alive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model import capture as captures
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import Capture
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, Vm

OPENED, CAPTURED, ABSENT = "opened", "captured", "absent"

CREATE, DELETE, CLEAR, POWER_OFF, CAPTURE, FETCH, REMOVE = "create", "delete", "clear", "power off", "capture", "fetch", "remove"
REMOVALS = (DELETE, CLEAR, REMOVE)
WAIT, DONE, WRONG = "wait", "done", "wrong"

UNSEEN = timedelta(minutes=2)  # a cloud lists what it was asked for within seconds; after that it was not taken
AGAIN = timedelta(seconds=30)  # until something that was asked for, and shows in no list, is asked for once more


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """`builder` is the machine's name; "" with ABSENT means all of the image's. What is older than `max_age` is nobody's any more."""

    state: str
    builder: str
    max_age: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All with the marks of the image's builders. `sent`: what this run asked for, and when, `{(verb, id or name): instant}`."""

    vms: tuple[Vm, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    captures: tuple[Capture, ...] = ()
    sent: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    has_file: bool = False  # the image was fetched


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`verb` is what to do, of `thing`; `why` is for people."""

    verb: str
    why: str
    thing: Vm | Leftover | Capture | None = None


def next_step(seen: Seen, wanted: Wanted, now: datetime) -> Step:
    """What others left comes first: it costs money, and takes the room that a builder needs."""
    clearing = _clearing(seen, wanted, now)
    if clearing is not None:
        return clearing
    if wanted.state == OPENED:
        return _opening(seen, wanted, now)
    if wanted.state == CAPTURED:
        return _capturing(seen, wanted, now)
    going = any(_is_due(thing, builder, wanted, now) for _verb, thing, builder in _all_of(seen))
    return Step(verb=WAIT, why="the cloud deletes it") if going else Step(verb=DONE, why="nothing is left")


def _all_of(seen: Seen) -> list[tuple[str, Vm | Leftover | Capture, str]]:
    """`(how it is removed, the thing, its builder)` of all that may be touched."""
    return [
        *((DELETE, machine, machine.name) for machine in seen.vms if machine.is_ours),
        *((CLEAR, leftover, leftover.machine) for leftover in seen.leftovers),
        *((REMOVE, capture, capture.builder) for capture in seen.captures),
    ]


def _clearing(seen: Seen, wanted: Wanted, now: datetime) -> Step | None:
    """The first thing that has to go and was not asked to just now."""
    for verb, thing, builder in _all_of(seen):
        if isinstance(thing, Vm) and thing.status == vm.DELETING:
            continue
        why = _is_due(thing, builder, wanted, now)
        if why and not _was_sent(seen, verb, thing.id, now):
            return Step(verb=verb, why=why, thing=thing)
    return None


def _is_due(thing: Vm | Leftover | Capture, builder: str, wanted: Wanted, now: datetime) -> str:
    """Why something of a builder has to go, "" where it stays."""
    if wanted.state == ABSENT and wanted.builder in ("", builder):
        return "it was asked for"
    if builder != wanted.builder and now - thing.created_at > wanted.max_age:
        return f"older than max_age, {say_duration(wanted.max_age)}"
    return ""


def _opening(seen: Seen, wanted: Wanted, now: datetime) -> Step:
    machine, asked_at = _named(seen.vms, wanted.builder), seen.sent.get((CREATE, wanted.builder))
    if machine is None and asked_at is None:
        return Step(verb=CREATE, why="there is none yet")
    if machine is None:
        is_lost = asked_at is not None and now - asked_at > UNSEEN
        return Step(verb=WRONG, why="the cloud never listed it") if is_lost else Step(verb=WAIT, why="it is not listed yet")
    if machine.status == vm.ERROR:
        return _in_error(machine)
    if machine.status == vm.RUNNING and machine.addresses:
        return Step(verb=DONE, why="it runs", thing=machine)
    return Step(verb=WAIT, why="the cloud builds it")


def _capturing(seen: Seen, wanted: Wanted, now: datetime) -> Step:
    """Its disk is whole only while it is off."""
    if seen.has_file:
        return Step(verb=DONE, why="its image is here")
    capture = next((each for each in seen.captures if each.builder == wanted.builder), None)
    if capture is not None:
        return _copying(capture)
    machine = _named(seen.vms, wanted.builder)
    if machine is None:
        return Step(verb=WRONG, why="there is no such builder")
    if not machine.is_ours:
        return Step(verb=WRONG, why="a machine has its name, and not enough of its marks")
    if machine.status == vm.ERROR:
        return _in_error(machine)
    if machine.status == vm.RUNNING and not _was_sent(seen, POWER_OFF, machine.id, now):
        return Step(verb=POWER_OFF, why="its disk is whole only while it is off", thing=machine)
    if machine.status != vm.STOPPED:
        return Step(verb=WAIT, why="it is not off yet")
    asked_at = seen.sent.get((CAPTURE, machine.id))
    if asked_at is None:
        return Step(verb=CAPTURE, why="it is off", thing=machine)
    if now - asked_at > UNSEEN:  # Nova, for one, takes the image away where it cannot copy the disk
        return Step(verb=WRONG, why="the cloud could not copy its disk")
    return Step(verb=WAIT, why="its image is not listed yet")


def _copying(capture: Capture) -> Step:
    if capture.status == captures.FAILED:
        return Step(verb=WRONG, why="the cloud could not copy its disk")
    if capture.status == captures.WHOLE:
        return Step(verb=FETCH, why="its disk is copied", thing=capture)
    return Step(verb=WAIT, why="the cloud copies its disk")


def _in_error(machine: Vm) -> Step:
    return Step(verb=WRONG, why=f"the cloud put it to ERROR: {machine.fault or 'without a word'}")


def _was_sent(seen: Seen, verb: str, thing_id: str, now: datetime) -> bool:
    at = seen.sent.get((verb, thing_id))
    return at is not None and now - at <= AGAIN


def _named(machines: Iterable[Vm], name: str) -> Vm | None:
    return next((machine for machine in machines if machine.name == name and machine.status != vm.DELETING), None)
