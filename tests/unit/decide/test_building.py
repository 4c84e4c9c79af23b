# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done next of a builder, of its disk's image, and of what others left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.building import ABSENT, CAPTURED, OPENED, Building, Wanted
from ansible_collections.immutable.fleet.plugins.module_utils.engine.telling import verb_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import FAILED, MAKING, WHOLE, Capture
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Clear, CopyDisk, Create, Decision, Delete, Fetch, Power
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Creating, Snapshot, Troubles
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import BUILDING, DELETING, ERROR, RUNNING, STOPPED, Leftover, Vm
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, ago, later

OLD = timedelta(hours=5)
CREATING = Creating(name="mine", slot=0, failure_domain="", sent_at=NOW)


def machine(name: str = "mine", status: str = RUNNING, *, age: timedelta = timedelta(0), **more: Any) -> Machine:
    vm = Vm(id=f"id-{name}", name=name, status=status, created_at=NOW - age, **{"addresses": ("10.0.0.7",), **more})
    return Machine(name=name, vm=vm)


def port(builder: str = "mine", age: timedelta = timedelta(0)) -> Leftover:
    return Leftover(kind="port", id=f"port-{builder}", name=f"{builder}-0", machine=builder, created_at=NOW - age)


def copy(builder: str = "mine", status: str = MAKING, age: timedelta = timedelta(0)) -> Capture:
    return Capture(id=f"image-{builder}", builder=builder, status=status, created_at=NOW - age)


def seen(*machines: Machine, asked: dict[str, float] | None = None, **more: Any) -> Snapshot:
    """What is there. `asked`: how many seconds ago this run asked for what."""
    sent = {key: ago(seconds) for key, seconds in (asked or {}).items()}
    given: dict[str, Any] = {"leftovers_at": NOW, **more}
    return Snapshot(at=NOW, began_at=ago(600), machines={each.name: each for each in machines}, asked=sent, **given)


def decided(snapshot: Snapshot, state: str, builder: str = "mine") -> Decision:
    wanted = Wanted(state=state, mark="bake-web", builder=builder, max_age=timedelta(hours=4), path="/disk")
    return Building(wanted).decide(snapshot, NOW)


def said(decision: Decision) -> str:
    """In words: what is sent, of what; how it ended; or what is waited for."""
    if decision.finished:
        return f"failed: {decision.failure.what}" if decision.failure is not None else "done"
    sent = []
    for action in decision.actions:
        assert isinstance(action, Create | Delete | Power | CopyDisk | Clear | Fetch)
        if isinstance(action, Create):
            thing = action.name
        elif isinstance(action, Clear):
            thing = action.leftover.id
        else:
            thing = action.capture.id if isinstance(action, Fetch) else action.machine.name
        sent.append(f"{verb_of(action)} {thing}")
    return ", ".join(sent) or "waits"


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        pytest.param(seen(), "create mine", id="nothing there"),
        pytest.param(seen(machine("another")), "create mine", id="another's is left alone"),
        pytest.param(seen(creating=(CREATING,)), "waits", id="not listed yet, or its answer was lost"),
        pytest.param(seen(creating=(CREATING,), leftovers=(port(),)), "waits", id="its port came first"),
        pytest.param(seen(leftovers=(port(),)), "clear port-mine", id="its create died half-way, and it is made anew after that"),
        pytest.param(seen(leftovers=(port("another"),)), "create mine", id="of another's create that is under way"),
        pytest.param(seen(busy=frozenset({"create mine"})), "waits", id="refused for now"),
        pytest.param(seen(troubles=Troubles(after=later(5), what="no room", count=1)), "waits", id="no room now"),
        pytest.param(
            seen(troubles=Troubles(what="no room", count=5, fatal=True)), "failed: gave up after 5 failed creates: no room", id="no room"
        ),
        pytest.param(seen(machine(status=BUILDING)), "waits", id="the cloud builds it"),
        pytest.param(seen(machine(addresses=())), "waits", id="it runs and has no address yet"),
        pytest.param(seen(machine(status=ERROR, fault="no host")), "failed: the cloud put it to ERROR: no host", id="in ERROR"),
        pytest.param(seen(half_owned=("mine",)), "failed: a machine has its name, and not enough of its marks", id="not ours"),
        pytest.param(seen(machine()), "done", id="it runs"),
        pytest.param(seen(stale={"cloud": ago(70)}), "waits", id="the cloud is silent"),
    ],
)
def test_a_builder_is_opened(there: Snapshot, expected: str) -> None:
    """Once: a create without an answer exists until a list that must show it does not."""
    assert said(decided(there, OPENED)) == expected


OFF = "power mine"
ASKED = "copydisk mine"


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        pytest.param(seen(), "failed: there is no such builder", id="no such builder"),
        pytest.param(seen(machine(status=DELETING)), "failed: there is no such builder", id="it goes"),
        pytest.param(seen(half_owned=("mine",)), "failed: a machine has its name, and not enough of its marks", id="not ours"),
        pytest.param(seen(machine(status=ERROR)), "failed: the cloud put it to ERROR: without a word", id="in ERROR"),
        pytest.param(seen(machine()), "power off mine", id="it runs"),
        pytest.param(seen(machine(), busy=frozenset({OFF})), "waits", id="the call is under way"),
        pytest.param(seen(machine(), asked={OFF: 20}), "waits", id="it shuts down"),
        pytest.param(seen(machine(), asked={OFF: 31}), "power off mine", id="it never shut down"),
        pytest.param(seen(machine(status=BUILDING)), "waits", id="it is being built"),
        pytest.param(seen(machine(status=STOPPED)), "capture mine", id="it is off"),
        pytest.param(seen(machine(status=STOPPED), busy=frozenset({ASKED})), "waits", id="refused for now"),
        pytest.param(seen(machine(status=STOPPED), asked={ASKED: 5}), "waits", id="its image is not listed yet"),
        pytest.param(
            seen(machine(status=STOPPED), asked={ASKED: 120}), "failed: the cloud could not copy its disk", id="it was never listed"
        ),
        pytest.param(seen(machine(status=STOPPED), captures=(copy(),)), "waits", id="its disk is copied"),
        pytest.param(seen(machine(status=STOPPED), captures=(copy("another", WHOLE),)), "capture mine", id="another's copy"),
        pytest.param(seen(captures=(copy(status=FAILED),)), "failed: the cloud could not copy its disk", id="it could not be copied"),
        pytest.param(seen(captures=(copy(status=WHOLE),)), "fetch image-mine", id="the copy is whole, also without its machine"),
        pytest.param(seen(captures=(copy(status=WHOLE),), busy=frozenset({"fetch image-mine"})), "waits", id="its bytes come"),
        pytest.param(seen(captures=(copy(status=WHOLE),), fetched=frozenset({"image-mine"})), "done", id="it is here"),
        pytest.param(seen(machine(status=STOPPED), stale={"cloud": ago(70)}), "waits", id="somebody may have started it meanwhile"),
    ],
)
def test_a_builders_disk_is_captured(there: Snapshot, expected: str) -> None:
    """While it is off, and once."""
    assert said(decided(there, CAPTURED)) == expected


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        pytest.param(seen(), "done", id="nothing there"),
        pytest.param(seen(leftovers_at=None), "waits", id="a list without ports does not say that there are none"),
        pytest.param(seen(is_settled=False), "waits", id="a call is under way"),
        pytest.param(seen(machine(), captures=(copy(),)), "delete mine, clear image-mine", id="its machine and its copy"),
        pytest.param(seen(machine(), asked={"delete mine": 5}), "waits", id="asked for"),
        pytest.param(seen(machine(), asked={"delete mine": 31}), "delete mine", id="asked for in vain"),
        pytest.param(seen(machine(status=DELETING), captures=(copy(),)), "clear image-mine", id="the copy meanwhile"),
        pytest.param(seen(machine(status=DELETING)), "waits", id="the cloud deletes it"),
        pytest.param(
            seen(machine(status=DELETING, delete_again=True), asked={"delete mine": 5}), "delete mine", id="a deletion with steps"
        ),
        pytest.param(seen(leftovers=(port(),)), "clear port-mine", id="its port"),
        pytest.param(seen(leftovers=(port(),), asked={"clear port port-mine": 5}), "waits", id="the port is still listed"),
        pytest.param(seen(machine("another"), leftovers=(port("another"),)), "done", id="another's is left alone"),
        pytest.param(seen(half_owned=("mine",)), "done", id="not ours by enough of our marks"),
    ],
)
def test_nothing_of_a_builder_stays(there: Snapshot, expected: str) -> None:
    """Machine, copy, port; until a list shows none of them."""
    assert said(decided(there, ABSENT)) == expected


def test_without_a_name_nothing_of_any_builder_stays() -> None:
    assert said(decided(seen(machine("another")), ABSENT, "")) == "delete another"


@pytest.mark.parametrize("state", [OPENED, CAPTURED, ABSENT])
@pytest.mark.parametrize(
    ("left", "expected"),
    [
        pytest.param({"machines": [machine("another", age=OLD)]}, "delete another", id="a machine"),
        pytest.param({"leftovers": (port("another", OLD),)}, "clear port-another", id="a port"),
        pytest.param({"captures": (copy("another", WHOLE, OLD),)}, "clear image-another", id="a copy"),
    ],
)
def test_what_is_older_than_anyone_builds_is_swept_first(state: str, left: dict[str, Any], expected: str) -> None:
    """Whoever made it was killed, or its build hung. It takes the room that a builder needs."""
    own = [machine(status=STOPPED)] if state == CAPTURED else []
    there = seen(*left.get("machines", ()), *own, **{key: value for key, value in left.items() if key != "machines"})
    assert said(decided(there, state)).startswith(expected)


def test_what_cannot_be_swept_keeps_nobody_from_building() -> None:
    """A server that somebody locked, of a build that was killed: its deletion is refused each time."""
    locked = machine("another", age=OLD)
    assert said(decided(seen(locked, asked={"delete another": 3}), OPENED)) == "create mine"


def test_ones_own_is_never_too_old() -> None:
    """A build that takes longer than max_age is swept by others, not by itself."""
    assert said(decided(seen(machine(age=OLD)), OPENED)) == "done"
