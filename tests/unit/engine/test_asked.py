# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run remembers of what it asked for, where no list shows it, or not at once."""

from __future__ import annotations

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.engine.asked import Asked
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import MAKING, Capture
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Action, Choose, Clear, CopyDisk, Delete, Fetch, Power
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import OFF, REBOOT
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, machine

CAPTURE = Capture(id="i1", builder="m1", status=MAKING, created_at=NOW)
M1 = machine("m1")


@pytest.mark.parametrize(
    ("action", "when_sent", "when_refused"),
    [
        pytest.param(Power(M1, OFF, ""), True, False, id="a switch that was refused was never asked for"),
        pytest.param(CopyDisk(M1, ""), True, False, id="nor was a copy"),
        pytest.param(Delete(M1, ""), True, True, id="what cannot be deleted now is not asked for at once again"),
        pytest.param(Clear(CAPTURE.leftover, ""), True, True, id="nor what cannot be cleared"),
        pytest.param(Choose(M1, ""), False, False, id="a mark shows in the next view"),
    ],
)
def test_what_is_remembered(action: Action, when_sent: bool, when_refused: bool) -> None:
    asked = Asked()
    asked.sent("key", action, "m1", NOW)
    assert (asked.at.get("key") == NOW) is when_sent
    asked.refused("key", action, "m1")
    assert ("key" in asked.at) is when_refused


def test_of_a_reset_nothing_is_seen() -> None:
    """So it is remembered by the machine, unless it was refused."""
    asked = Asked()
    asked.sent("key", Power(M1, REBOOT, ""), "m1", NOW)
    assert asked.reset == {"m1"}
    asked.refused("key", Power(M1, REBOOT, ""), "m1")
    assert not asked.reset


def test_bytes_that_came_are_here() -> None:
    asked = Asked()
    asked.answered(Fetch(CAPTURE, "/disk", ""))
    assert asked.fetched == {"i1"}
