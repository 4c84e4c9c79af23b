# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios of plain machines behind a balancer. Their stories are in golden/plain, reviewed like code."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.health import HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import BackendMember, Fault
from ansible_collections.immutable.fleet.tests.simulation.estate import Estate
from ansible_collections.immutable.fleet.tests.simulation.plain_estate import BACKEND
from ansible_collections.immutable.fleet.tests.unit.stories.runner import Ask, Run, Scenario

WATCHED: dict[str, Any] = {"health": HealthPolicy(), "tolerates": "floor", "sessions": 1, "began_with": 20}
SHORT = {"timeout": timedelta(seconds=20)}


def last_for_ever(estate: Estate) -> None:
    """Sessions of a member that drains do not end by themselves."""
    estate.world.state.profile = replace(estate.world.state.profile, session=replace(estate.world.state.profile.session, a=3600))


def taken_out(estate: Estate) -> None:
    """A person has put the first machine into maintenance."""
    rows = estate.world.state.backend_members
    row = next(row for row in rows.values() if row.name.startswith("web-0-"))
    row.state = "out"
    rows.touch(row.id)


def stray(estate: Estate) -> None:
    """A member of ours is left of a machine that somebody deleted."""
    row = BackendMember(id=f"{BACKEND}/stray", backend=BACKEND, name="web-9-stray", address="10.9.9.9", healthy=False, is_sick=True)
    estate.world.state.backend_members.put(row.id, row)


PLAIN_SCENARIOS = (
    Scenario("provision", "no machine, 3 wanted: each joins once its probes find it well", began_with=0, sessions=2),
    Scenario("roll", "3 machines with 2 sessions each, max_surge 1: drained, taken out, deleted", sessions=2),
    Scenario("unchanged", "3 machines, all as wanted: nothing is written, no lock is taken", (Run("v1"),), sessions=2),
    Scenario("unavailable-1", "3 machines, max_surge 0, max_unavailable 1", surge=0, unavailable=1, sessions=2),
    Scenario(
        "drain-timeout", "sessions that do not end: taken out when the drain's time is over", drain=SHORT, furnish=last_for_ever, sessions=2
    ),
    Scenario(
        "drain-timeout-fails",
        "FM5: the same with on_timeout fail: nobody is cut off, and the run ends",
        drain={**SHORT, "on_timeout": "fail"},
        furnish=last_for_ever,
        sessions=2,
        ends="blocked",
    ),
    Scenario(
        "killed-in-mid-drain",
        "FM9: killed while one drains: the next run knows whose drain it is",
        (Run(killed_after=66), Run()),
        sessions=2,
    ),
    Scenario("scale-down", "5 machines, 3 wanted", (Run("v1"),), began_with=5, sessions=1),
    Scenario("removal", "3 machines, removed", (Run("v1", removes=True),), sessions=1),
    Scenario(
        "taken-out-by-hand",
        "FM10: a person has put one into maintenance: left alone, and named",
        furnish=taken_out,
        sessions=1,
        ends="blocked",
        tolerates="floor",
    ),
    Scenario("stray", "a member of ours without a machine is taken out", (Run("v1"),), furnish=stray, sessions=1),
    Scenario(
        "lost",
        "up to date; a machine dies, the cloud goes on saying that it runs: made anew once it is late",
        (Run("v1"),),
        strategy={"startup_timeout": timedelta(minutes=2)},
        faults=(Fault(kind="vm_lost", target="web-1-*"),),
        tolerates="floor",
        sessions=1,
    ),
    Scenario(
        "stops-serving",
        "20 machines, one does not serve any more: replaced after its 5 minutes and not before, once",
        (Run("v1", 20, begins_at=60), Run("v1", 20)),
        faults=(Fault(kind="vm_lost", target="web-7-*"),),
        **WATCHED,
    ),
    Scenario(
        "most-stop-serving",
        "FM17, FM19: 12 of 20 do not serve any more: none is touched, and the message says why",
        (Run("v1", 20, begins_at=60), Run("v1", 20, begins_at=900)),
        faults=(Fault(kind="vm_lost", target="web-*", count=12),),
        ends="blocked",
        **WATCHED,
    ),
    Scenario(
        "most-serve-again",
        "FM17: 12 of 20 do not serve, and 9 are well again: a cooldown, then one at a time",
        (Run("v1", 20, begins_at=600), Run("v1", 20, begins_at=1000)),
        faults=(
            Fault(kind="vm_lost", target="web-1[0-8]-*", count=9, lasts=timedelta(minutes=15)),
            Fault(kind="vm_lost", target="web-[012]-*", count=3),
        ),
        **WATCHED,
    ),
    Scenario(
        "shut-off",
        "somebody shuts a machine off: replaced as soon as that has outlasted a reboot",
        (Run("v1", 3, begins_at=45),),
        faults=(Fault(kind="vm_stopped", target="web-1-*"),),
        **{**WATCHED, "began_with": 3},
    ),
    Scenario(
        "aborted",
        "aborted while one drains: it serves again, and the mark goes last",
        (Run(asks=(Ask(66, "aborted"),)),),
        furnish=last_for_ever,
        sessions=1,
        ends="stopped",
    ),
)
