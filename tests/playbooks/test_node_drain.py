# SPDX-License-Identifier: GPL-3.0-or-later
"""Existing nodes, with no pool: cordoned, drained, uncordoned, and refused where it can't work."""

from __future__ import annotations

from typing import Any

from ansible_collections.immutable.fleet.tests.playbooks.conftest import Site

NODES = ["worker-1", "worker-2", "worker-3"]
EASY = {"name": "search", "namespace": "shop", "replicas": 9, "stop": "5s"}
TIGHT = {"name": "cart", "namespace": "shop", "replicas": 3, "budget": {"min_available": 3}}


def drain(site: Site, *nodes: str, register: str, failing: bool = False, **options: Any) -> dict[str, Any]:
    arguments = {"nodes": list(nodes), "simulated": {"world": str(site.world)}, **options}
    return site.task("node_drain", arguments, register=register, failing=failing)


def test_nodes_are_emptied_and_come_back(site: Site) -> None:
    """Two of three at once; again changes nothing; a cordon of ours is taken back."""
    run = site.run(
        [
            site.make_world(nodes=NODES, workloads=[EASY]),
            drain(site, "worker-1", "worker-2", register="drained"),
            drain(site, "worker-1", "worker-2", register="again"),
            drain(site, "worker-1", register="back", state="uncordoned"),
            drain(site, "worker-3", register="cordoned", state="cordoned"),
            {**site.change_world(), "register": "world"},
        ]
    )
    assert run.code == 0, run.text
    assert [run[name]["changed"] for name in ("drained", "again", "back", "cordoned")] == [True, False, True, True]
    assert [(node["name"], node["pods_left_count"], node["schedulable"]) for node in run["drained"]["nodes"]] == [
        ("worker-1", 0, False),
        ("worker-2", 0, False),
    ]
    assert run["drained"]["summary"]["evicted"] > 0
    assert {node["name"]: node["schedulable"] for node in run["world"]["nodes"]} == {
        "worker-1": True,
        "worker-2": False,
        "worker-3": False,
    }
    assert run["world"]["pods"] == {"all": 9, "ready": 9, "waiting": 0}


def test_FM06_a_drain_that_is_given_up_leaves_no_cordon(site: Site) -> None:
    """The budget and the pod are named, and the node takes pods again."""
    run = site.run(
        [
            site.make_world(nodes=NODES, workloads=[TIGHT]),
            drain(site, *NODES, register="drained", failing=True, drain={"timeout": "1m"}),
            {**site.change_world(), "register": "world"},
        ]
    )
    failure = run["drained"]["failure"]
    assert "PDB shop/cart" in failure["what"]
    assert failure["code"] == "blocked"
    assert all(node["schedulable"] for node in run["world"]["nodes"])
    assert run["world"]["pods"]["ready"] == 3


def test_an_unknown_node_is_refused(site: Site) -> None:
    """By name, before anything is touched: the other node stays as it is."""
    run = site.run(
        [
            site.make_world(nodes=NODES),
            drain(site, "worker-1", "worker-9", register="drained", failing=True),
            {**site.change_world(), "register": "world"},
        ]
    )
    assert "worker-9" in run["drained"]["failure"]["what"]
    assert run["drained"]["changed"] is False
    assert all(node["schedulable"] for node in run["world"]["nodes"])
