# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios of machines that were ready and are not well: who is replaced, when, and when nobody is. One row each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.health import HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Fault
from ansible_collections.immutable.fleet.tests.unit.stories.runner import Ask, Run, Scenario

WATCHED: dict[str, Any] = {"health": HealthPolicy(), "tolerates": "floor"}
TWENTY: dict[str, Any] = {**WATCHED, "began_with": 20}

RESETS: dict[str, Any] = {"health": HealthPolicy(reboot=timedelta(minutes=5)), "tolerates": "floor"}


def as_is(replicas: int, **more: Any) -> Run:
    """A run that asks for what is there."""
    return Run("v1", replicas, **more)


def stops(target: str, after: float = 0, minutes: float | None = None, count: int = 1) -> Fault:
    """Machines stop to report; the cloud goes on saying that they run."""
    lasts = timedelta(minutes=minutes) if minutes is not None else None
    return Fault(kind="vm_lost", target=target, delay=timedelta(seconds=after), lasts=lasts, count=count)


UNHEALTHY = (
    Scenario(
        "stops-reporting",
        "FM17: 20 machines, one stops reporting: replaced after its 5 minutes and not before, once",
        (as_is(20, begins_at=60), as_is(20)),
        **TWENTY,
        faults=(stops("web-7-*"),),
    ),
    Scenario(
        "stops-reporting-with-pods",
        "one stops reporting with pods on it whose PDB allows nothing: it is switched off, which proves that none of them runs",
        (as_is(6, begins_at=60),),
        6,
        **WATCHED,
        furnish=lambda estate: estate.workload("cart", 6, min_available="100%"),
        faults=(stops("web-3-*"),),
    ),
    Scenario(
        "reset",
        "one stops reporting, and is to be reset first: well again after that, and not replaced",
        (as_is(6, begins_at=60), as_is(6)),
        6,
        **RESETS,
        faults=(stops("web-3-*"),),
    ),
    Scenario(
        "reset-in-vain",
        "the same, and its image does not come up again: replaced when the time is over, and reset once",
        (as_is(6, begins_at=60), as_is(6)),
        6,
        **RESETS,
        faults=tuple(stops("web-3-*", after) for after in (0, 345, 700)),
    ),
    Scenario(
        "reset-and-killed",
        "the run is killed when it has reset one, which stops again: the next run does not reset it a second time, and replaces it",
        (as_is(6, begins_at=60, killed_after=281), as_is(6)),
        6,
        **RESETS,
        faults=(stops("web-3-*"), stops("web-3-*", 345)),
    ),
    Scenario(
        "kept-for-a-look",
        "one stops reporting and is to be kept, then another one: the first is emptied and stays, the second is deleted",
        (as_is(3, begins_at=60), as_is(3, begins_at=700)),
        3,
        health=HealthPolicy(preserve_on_fail=1),
        tolerates="floor",
        furnish=lambda estate: estate.workload("cart", 3),
        faults=(stops("web-1-*"), stops("web-2-*", 650)),
    ),
    Scenario(
        "most-stop-reporting",
        "FM17, FM19: 12 of 20 stop at once: none is touched, and the message says why",
        (as_is(20, begins_at=60), as_is(20, begins_at=900)),
        **TWENTY,
        faults=(stops("web-*", count=12),),
        ends="blocked",
    ),
    Scenario(
        "most-come-back",
        "FM17: 12 of 20 stop at once and 9 come back: a cooldown, then one at a time",
        (as_is(20, begins_at=600), as_is(20, begins_at=1000)),
        **TWENTY,
        faults=(stops("web-1[0-8]-*", minutes=15, count=9), stops("web-[012]-*", count=3)),
    ),
    Scenario(
        "api-cut-off",
        "FM17: while one is about to be replaced the API server is cut off for 10 minutes: nothing is deleted meanwhile",
        (as_is(20, begins_at=60),),
        **TWENTY,
        faults=(stops("web-7-*"), Fault(kind="unreachable", target="cluster", delay=timedelta(seconds=200), lasts=timedelta(minutes=10))),
    ),
    Scenario(
        "zone-gone",
        "9 machines in 3 failure domains, of which one is gone: one outage, and no machine is replaced",
        (as_is(9, begins_at=60), as_is(9, begins_at=900)),
        9,
        domains=3,
        **WATCHED,
        faults=(Fault(kind="domain_down", target="az1"),),
        ends="blocked",
    ),
    Scenario(
        "in-vain",
        "FM18: the machine of one slot becomes unhealthy again and again: three replacements, then suspended until somebody resumes",
        (
            *(as_is(4, begins_at=at) for at in (60, 660, 1260, 1860)),
            as_is(4, begins_at=2500, asks=(Ask(0, "resumed"),)),
            as_is(4, begins_at=2600),
        ),
        4,
        **WATCHED,
        faults=tuple(stops("web-1-*", after) for after in (0, 600, 1200, 1800)),
    ),
    Scenario(
        "flapping",
        "a node that is silent for a minute, and again, and again: never for 5 minutes, so it stays",
        tuple(as_is(4, begins_at=at) for at in (60, 260, 460, 660)),
        4,
        **WATCHED,
        faults=tuple(stops("web-1-*", after, minutes=2) for after in (0, 200, 400, 600)),
    ),
    Scenario(
        "shut-off-under-a-budget",
        "somebody shuts a machine off whose pods' PDB allows nothing: proven dead, so they run elsewhere within a minute",
        (as_is(3, begins_at=45),),
        **WATCHED,
        furnish=lambda estate: estate.workload("cart", 3, min_available="100%"),
        faults=(Fault(kind="vm_stopped", target="web-1-*"),),
    ),
    Scenario(
        "unhealthy-in-mid-roll",
        "in mid-roll an up-to-date machine stops reporting: replaced under the same floor and ceiling",
        (Run(replicas=4), Run(replicas=4, begins_at=400)),
        4,
        **WATCHED,
        faults=(stops("web-0-*", 100),),
    ),
)
