# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done next of a builder, of its disk's image, and of what others left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.building import ABSENT, CAPTURED, OPENED, Seen, Wanted, next_step
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import FAILED, MAKING, WHOLE, Capture
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import BUILDING, DELETING, ERROR, RUNNING, STOPPED, Leftover, Vm
from ansible_collections.immutable.fleet.tests.unit.builders import NOW

OLD = timedelta(hours=5)


def machine(name: str = "mine", status: str = RUNNING, *, age: timedelta = timedelta(0), **more: Any) -> Vm:
    return Vm(id=f"id-{name}", name=name, status=status, created_at=NOW - age, **{"addresses": ("10.0.0.7",), **more})


def port(builder: str = "mine", age: timedelta = timedelta(0)) -> Leftover:
    return Leftover(kind="port", id=f"port-{builder}", name=f"{builder}-0", machine=builder, created_at=NOW - age)


def copy(builder: str = "mine", status: str = MAKING, age: timedelta = timedelta(0)) -> Capture:
    return Capture(id=f"image-{builder}", builder=builder, status=status, created_at=NOW - age)


def ago(verb: str, thing: str, seconds: float) -> dict[str, Any]:
    return {"sent": {(verb, thing): NOW - timedelta(seconds=seconds)}}


def step(seen: Seen, state: str, builder: str = "mine") -> tuple[str, str]:
    """`(verb, id of what)`."""
    found = next_step(seen, Wanted(state=state, builder=builder, max_age=timedelta(hours=4)), NOW)
    return found.verb, found.thing.id if found.thing is not None else ""


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(Seen(), ("create", ""), id="nothing there"),
        pytest.param(Seen(vms=(machine("another"),)), ("create", ""), id="another's is left alone"),
        pytest.param(Seen(**ago("create", "mine", 100)), ("wait", ""), id="not listed yet, or its answer was lost"),
        pytest.param(Seen(**ago("create", "mine", 121)), ("wrong", ""), id="never listed"),
        pytest.param(Seen(vms=(machine(status=BUILDING),)), ("wait", ""), id="the cloud builds it"),
        pytest.param(Seen(vms=(machine(addresses=()),)), ("wait", ""), id="it runs and has no address yet"),
        pytest.param(Seen(vms=(machine(status=ERROR),)), ("wrong", ""), id="in ERROR"),
        pytest.param(Seen(vms=(machine(),)), ("done", "id-mine"), id="it runs"),
    ],
)
def test_a_builder_is_opened(seen: Seen, expected: tuple[str, str]) -> None:
    """Once: a create without an answer is looked up by its name."""
    assert step(seen, OPENED) == expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(Seen(), ("wrong", ""), id="no such builder"),
        pytest.param(Seen(vms=(machine(status=ERROR),)), ("wrong", ""), id="in ERROR"),
        pytest.param(Seen(vms=(machine(proofs=1),)), ("wrong", ""), id="not ours by enough of our marks"),
        pytest.param(Seen(vms=(machine(),)), ("power off", "id-mine"), id="it runs"),
        pytest.param(Seen(vms=(machine(),), **ago("power off", "id-mine", 20)), ("wait", ""), id="it shuts down"),
        pytest.param(Seen(vms=(machine(),), **ago("power off", "id-mine", 31)), ("power off", "id-mine"), id="it never shut down"),
        pytest.param(Seen(vms=(machine(status=STOPPED),)), ("capture", "id-mine"), id="it is off"),
        pytest.param(Seen(vms=(machine(status=STOPPED),), **ago("capture", "id-mine", 5)), ("wait", ""), id="its image is not listed yet"),
        pytest.param(Seen(vms=(machine(status=STOPPED),), **ago("capture", "id-mine", 121)), ("wrong", ""), id="it was never listed"),
        pytest.param(Seen(vms=(machine(status=STOPPED),), captures=(copy(),)), ("wait", ""), id="its disk is copied"),
        pytest.param(Seen(vms=(machine(status=STOPPED),), captures=(copy("another", WHOLE),)), ("capture", "id-mine"), id="another's copy"),
        pytest.param(Seen(captures=(copy(status=FAILED),)), ("wrong", ""), id="it could not be copied"),
        pytest.param(Seen(captures=(copy(status=WHOLE),)), ("fetch", "image-mine"), id="the copy is whole, also without its machine"),
        pytest.param(Seen(captures=(copy(status=WHOLE),), has_file=True), ("done", ""), id="it is here"),
    ],
)
def test_a_builders_disk_is_captured(seen: Seen, expected: tuple[str, str]) -> None:
    """While it is off, and once."""
    assert step(seen, CAPTURED) == expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(Seen(), ("done", ""), id="nothing there"),
        pytest.param(Seen(vms=(machine(),), captures=(copy(),)), ("delete", "id-mine"), id="its machine first"),
        pytest.param(Seen(vms=(machine(),), **ago("delete", "id-mine", 5)), ("wait", ""), id="asked for"),
        pytest.param(Seen(vms=(machine(status=DELETING),), captures=(copy(),)), ("remove", "image-mine"), id="the copy meanwhile"),
        pytest.param(Seen(vms=(machine(status=DELETING),)), ("wait", ""), id="the cloud deletes it"),
        pytest.param(Seen(leftovers=(port(),)), ("clear", "port-mine"), id="its port"),
        pytest.param(Seen(leftovers=(port(),), **ago("clear", "port-mine", 5)), ("wait", ""), id="the port is still listed"),
        pytest.param(Seen(vms=(machine("another"),), leftovers=(port("another"),)), ("done", ""), id="another's is left alone"),
        pytest.param(Seen(vms=(machine(proofs=1),)), ("done", ""), id="not ours by enough of our marks"),
    ],
)
def test_nothing_of_a_builder_stays(seen: Seen, expected: tuple[str, str]) -> None:
    """Machine, copy, port; until a list shows none of them."""
    assert step(seen, ABSENT) == expected


def test_without_a_name_nothing_of_any_builder_stays() -> None:
    assert step(Seen(vms=(machine("another"),)), ABSENT, "") == ("delete", "id-another")


@pytest.mark.parametrize("state", [OPENED, CAPTURED, ABSENT])
@pytest.mark.parametrize(
    ("left", "expected"),
    [
        pytest.param(Seen(vms=(machine("another", age=OLD),)), ("delete", "id-another"), id="a machine"),
        pytest.param(Seen(leftovers=(port("another", OLD),)), ("clear", "port-another"), id="a port"),
        pytest.param(Seen(captures=(copy("another", WHOLE, OLD),)), ("remove", "image-another"), id="a copy"),
    ],
)
def test_what_is_older_than_anyone_builds_is_swept_first(state: str, left: Seen, expected: tuple[str, str]) -> None:
    """Whoever made it was killed, or its build hung."""
    assert step(left, state) == expected


def test_ones_own_is_never_too_old() -> None:
    """A build that takes longer than max_age is swept by others, not by itself."""
    assert step(Seen(vms=(machine(age=OLD),)), OPENED) == ("done", "id-mine")
