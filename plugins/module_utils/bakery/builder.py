# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop of a builder's life: look at the cloud, have `decide/building` say what comes next, start that.

Promises: each call is short, and only this loop waits. What a call without an answer did shows in the next list.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ansible_collections.immutable.fleet.plugins.module_utils.decide import building
from ansible_collections.immutable.fleet.plugins.module_utils.decide.building import Seen, Step, Wanted
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import Capture
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Conflict,
    InvariantViolated,
    Refused,
    Stopped,
    Throttled,
    Transient,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import OFF, Leftover, NewMachine, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Captures, Cloud

PAUSE_SECONDS = 2.0  # between two looks, a list of a few things each


class Host(Protocol):
    """What the loop needs of where it runs."""

    def now(self) -> datetime: ...

    def tell(self, event: Event) -> None: ...

    def stop_reason(self) -> str: ...

    def wait(self, seconds: float) -> None: ...


class BuildFailed(Refused):
    """The builder cannot become what it was to be."""

    code = "builder"


@dataclass(kw_only=True)
class Site:
    """Where builders are: the cloud, its images of their disks, the machine to be made, and the file that an image goes to."""

    cloud: Cloud
    captures: Captures
    machine: NewMachine | None = None
    file: Path | None = None
    sent: dict[tuple[str, str], datetime] = field(default_factory=dict)
    has_file: bool = False


def bring_about(wanted: Wanted, site: Site, host: Host, done: list[Step]) -> Vm | None:
    """It is as `wanted` afterwards: the builder where it is opened. `done` grows by each step that changed something.

    Raises `BuildFailed`, `Denied`, `Exhausted`, `Invalid`; `Stopped` when `host` has a reason to stop.
    """
    while True:
        step = _next_step(wanted, site, host)
        if step.verb == building.DONE:
            return step.thing if isinstance(step.thing, Vm) else None
        if step.verb == building.WRONG:
            raise BuildFailed(what=step.why, where=f"builder {wanted.builder}", forward="run the whole build again: it makes another one")
        if reason := host.stop_reason():
            raise Stopped(what=f"stopped: {reason}; {step.why}", where=f"builder {wanted.builder}")
        if step.verb != building.WAIT:
            _tell(step, wanted, host)
            _take(step, wanted, site, host)
            done.append(step)
        host.wait(PAUSE_SECONDS)


def _next_step(wanted: Wanted, site: Site, host: Host) -> Step:
    """Of what is there now. What cannot be listed may be in a moment."""
    try:
        listing = site.cloud.list_vms(None, with_leftovers=True)
        captures = site.captures.list()
    except (Transient, Throttled) as error:
        return Step(verb=building.WAIT, why=error.what)
    if listing.leftovers is None:
        return Step(verb=building.WAIT, why="what is left over cannot be listed")
    seen = Seen(vms=listing.vms, leftovers=listing.leftovers, captures=captures, sent=site.sent, has_file=site.has_file)
    return building.next_step(seen, wanted, host.now())


def _take(step: Step, wanted: Wanted, site: Site, host: Host) -> None:
    """One call. What did not answer is looked up; what was refused for now, or came second, had no effect and was not sent.

    What cannot be removed for a conflict, as a server that somebody locked, is asked for again later, and keeps no build waiting.
    """
    thing = step.thing
    sent = (step.verb, thing.id if thing is not None else wanted.builder)
    site.sent[sent] = host.now()
    try:
        if step.verb == building.CREATE and site.machine is not None:
            site.cloud.create(site.machine)
        elif isinstance(thing, Vm):
            _take_of_machine(step.verb, thing, site)
        elif isinstance(thing, Leftover):
            site.cloud.clear(thing)
        elif isinstance(thing, Capture) and step.verb == building.FETCH and site.file is not None:
            site.captures.fetch(thing, site.file)
            site.has_file = True
        elif isinstance(thing, Capture) and step.verb == building.REMOVE:
            site.captures.remove(thing)
        else:
            raise InvariantViolated(what=f"nobody knows how to {step.verb} {thing}")
    except Throttled:
        site.sent.pop(sent)
    except Conflict:
        if step.verb not in building.REMOVALS:
            site.sent.pop(sent)
    except Transient:
        return


def _take_of_machine(verb: str, machine: Vm, site: Site) -> None:
    if verb == building.DELETE:
        site.cloud.delete(machine)
    elif verb == building.POWER_OFF:
        site.cloud.power(machine, OFF)
    else:
        site.captures.begin(machine)


def _tell(step: Step, wanted: Wanted, host: Host) -> None:
    name = getattr(step.thing, "builder", "") or getattr(step.thing, "machine", "") or getattr(step.thing, "name", "") or wanted.builder
    host.tell(Event(at=host.now(), kind="builder", machine=name, text=f"{step.verb}: {step.why}", data={}))
