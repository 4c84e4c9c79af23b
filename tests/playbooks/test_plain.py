# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool of plain machines behind a balancer as a playbook tells it."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.immutable.fleet.tests.playbooks.conftest import SPEED, Site

SHOP: dict[str, Any] = {"name": "shop", "port": 8080, "sessions": 4, "members": ["legacy-1"]}
PLAIN: dict[str, Any] = {
    "balancer": {"simulated": {"backend": "shop"}},
    "health": {"probes": [{"type": "http", "port": 8080, "path": "/health", "interval": "5s"}]},
    "strategy": {"max_surge": 2},
    "drain": {"timeout": "5m"},
}


def test_a_plain_pool_lives_and_goes(site: Site) -> None:
    """Provisioned, left alone, foreseen, rolled, removed: each machine a member while it serves, nobody cut off, others' members kept."""
    run = site.run(
        [
            site.make_world(backends=[SHOP], cluster=False),
            site.pool("v1", register="made", **PLAIN),
            site.pool("v1", register="again", **PLAIN),
            {**site.pool("v2", register="foreseen", **PLAIN), "check_mode": True},
            site.pool("v2", register="rolled", **PLAIN),
            site.change_world() | {"register": "world"},
            site.task(
                "node_pool_info", {"name": "web", "simulated": {"world": str(site.world)}, "balancer": PLAIN["balancer"]}, register="info"
            ),
            site.pool("v2", register="removed", state="absent", **PLAIN),
            site.change_world() | {"register": "end"},
        ]
    )
    assert run.code == 0, run.text
    names = ("made", "again", "foreseen", "rolled", "removed")
    assert [run[name]["changed"] for name in names] == [True, False, True, True, True]
    assert {machine["phase"] for machine in run["rolled"]["machines"]} == {"available"}
    assert run["info"]["counts"] == {"available": 3}
    verbs = [step["verb"] for step in run["foreseen"]["plan"]]
    assert {verb: verbs.count(verb) for verb in {*verbs} - {"waits"}} == {"create": 3, "join": 3, "drain": 3, "remove": 3, "delete": 3}
    assert run["foreseen"]["forecast"]["failures"] == 0
    capacity = run["foreseen"]["forecast"]["capacity"]
    assert sum(dip["now"] for dip in capacity.values()) == 3
    (backend,) = run["world"]["backends"]
    members = {member["name"]: (member["state"], member["sessions"]) for member in backend["members"]}
    assert members == {"legacy-1": ("serving", 4), **{machine["name"]: ("serving", 4) for machine in run["rolled"]["machines"]}}
    (backend,) = run["end"]["backends"]
    assert ([member["name"] for member in backend["members"]], backend["cut"]) == (["legacy-1"], 0)


def test_a_backend_that_is_not_there_is_refused(site: Site) -> None:
    """FM34: with the option's path, before anything is touched."""
    wrong = {**PLAIN, "balancer": {"simulated": {"backend": "shoe"}}}
    run = site.run([site.make_world(backends=[SHOP], cluster=False), site.pool("v1", register="made", failing=True, **wrong)])
    assert "the simulated balancer has no backend 'shoe'; it has: shop\nwhere:   balancer.simulated.backend" in run["made"]["msg"]


def test_the_demo_says_what_happened(site: Site) -> None:
    """playbooks/demo_plain.yml as it stands, faster: all machines come and go, and nobody is cut off but by the power."""
    run = site.run_named("immutable.fleet.demo_plain", variables={"demo_folder": str(site.folder), "demo_speed": SPEED})
    assert run.code == 0, run.text
    assert re.search(r'"provision   6 machines in ', run.text), run.text
    assert re.search(r'"roll        6 made, 6 deleted in .*; 0 sessions cut"', run.text), run.text
    assert re.search(r'"repair      1 made, 1 deleted in .*; 4 sessions were cut by the power"', run.text), run.text
    assert "7 members, 6 of the pool's" in run.text
    assert (site.folder / "shop.html").stat().st_size > 0
