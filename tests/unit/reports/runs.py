# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of real runs in simulated worlds, as the event file has them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import DrainPolicy, Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile, lognormal
from ansible_collections.immutable.fleet.tests.simulation.estate import PLAIN, Estate

UNEVEN = Profile(
    create=lognormal(20, 0.4), ready=lognormal(45, 0.4), delete=lognormal(10, 0.4), pod_stop=lognormal(12, 0.6), pod_start=lognormal(5, 0.3)
)


class Told:
    """Keeps the events of the runs it is handed to."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def tell(self, event: Event) -> None:
        self.events.append(json.loads(json.dumps(event.as_json())))


def roll(count: int = 12, *, surge: int = 3, pods: int = 32, blocked: bool = True, profile: Profile = UNEVEN) -> list[dict[str, Any]]:
    """A pool of `count` goes from v1 to v2; where `blocked`, two machines hold pods that may never leave."""
    estate = Estate(seed=3, profile=profile).domains("az1", "az2", "az3")
    strategy = Strategy(max_surge=surge)
    estate.run(estate.pool(count, strategy=strategy))
    estate.workload("cart", pods, max_unavailable="10%")
    if blocked:
        estate.workload("rock", 2, min_available="2")
    estate.image = "v2"
    told = Told()
    estate.run(estate.pool(count, strategy=strategy, drain=DrainPolicy(timeout=timedelta(minutes=4))), told)
    return told.events


def provision(count: int = 3) -> list[dict[str, Any]]:
    """A pool is made: 10 s to be built, 8 s to be ready, 30 s to be available."""
    told = Told()
    estate = Estate(profile=PLAIN)
    estate.run(estate.pool(count), told)
    return told.events
