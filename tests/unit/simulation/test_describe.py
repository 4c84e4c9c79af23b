# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.describe import describe, fault_of
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import constant, lognormal, uniform
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.furnish import furnish, world_from
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Fault
from ansible_collections.immutable.fleet.tests.unit.simulation.worlds import DAWN, after, budget, pods_on, world

ALL = {
    "seed": 3,
    "failure_domains": ["az1", {"name": "az2", "machines_max": 3}],
    "images": {"golden-v1": None, "bad": {"joins": "no"}, "broken": {"fault": "kernel panic", "digest": "sha512:x"}},
    "quotas": {"machines": 10, "ports": "20"},
    "nodes": ["n1", {"name": "n2", "failure_domain": "az1"}],
    "workloads": [{"name": "cart", "namespace": "shop", "replicas": 3, "budget": {"max_unavailable": 1}, "stop": "1m", "volume": True}],
    "backends": ["api", {"name": "shop", "port": 8080, "sessions": 20, "members": ["legacy-1"]}],
    "durations": {"create": "25s", "ready": {"median": "1m", "sigma": 0.4}, "delete": {"min": 5, "max": 15}},
    "faults": [{"kind": "vm_lost", "target": "web-3-*", "after": "10m"}],
    "pods_per_node_max": 30,
    "cluster": True,
    "pushes": False,
}


@pytest.mark.parametrize(
    ("raw", "where", "words"),
    [
        pytest.param({"imagse": {}}, "imagse", "unknown option", id="a misspelt option"),
        pytest.param({"images": {"a": {"jions": False}}}, "images.a.jions", "unknown option", id="a misspelt option deep down"),
        pytest.param({"quotas": {"machines": "many"}}, "quotas.machines", "whole number", id="no number"),
        pytest.param({"workloads": [{"replicas": 1}]}, "workloads[0].name", "missing", id="no name"),
        pytest.param({"workloads": [{"name": "a"}]}, "workloads[0].replicas", "no pods", id="no pods"),
        pytest.param({"workloads": [{"name": "a", "replicas": 1, "kind": "Job"}]}, "workloads[0].kind", "expected one of", id="kind"),
        pytest.param({"workloads": [{"name": "a", "replicas": 1}] * 2}, "workloads", "twice", id="described twice"),
        pytest.param(
            {"workloads": [{"name": "a", "replicas": 1, "budget": {"min_available": 1, "max_unavailable": 1}}]},
            "workloads[0].budget[0]",
            "exactly one",
            id="both sides of a budget",
        ),
        pytest.param(
            {"workloads": [{"name": "a", "replicas": 1, "budget": {"min_available": "half"}}]},
            "workloads[0].budget[0].min_available",
            "not a count",
            id="no count",
        ),
        pytest.param({"durations": {"create": "soon"}}, "durations.create", "not a duration", id="no duration"),
        pytest.param({"durations": {"create": {"min": 1}}}, "durations.create", "min and max", id="half a range"),
        pytest.param({"durations": {"brew": 1}}, "durations.brew", "unknown option", id="no such duration"),
        pytest.param({"faults": [{"kind": "earthquake"}]}, "faults[0].kind", "expected one of", id="no such fault"),
        pytest.param({"faults": [{"kind": "fail", "target": "creat"}]}, "faults[0].target", "no call", id="no such verb"),
        pytest.param({"faults": [{"kind": "stale", "target": "cloud"}]}, "faults[0].age", "needs both", id="stale without age"),
        pytest.param({"faults": [{"kind": "unreachable"}]}, "faults[0].target", "cannot be cut off", id="outage of nothing"),
        pytest.param({"nodes": {"n1": {}}}, "nodes[0].name", "missing", id="a dictionary for a list"),
        pytest.param({"backends": [{"port": 80}]}, "backends[0].name", "missing", id="a backend without a name"),
        pytest.param({"backends": ["a", "a"]}, "backends", "twice", id="a backend described twice"),
        pytest.param(
            {"backends": [{"name": "a", "members": [{"address": "b"}]}]}, "backends[0].members[0].name", "missing", id="no member"
        ),
        pytest.param({"images": ["a"]}, "images", "not a dictionary", id="a list for a dictionary"),
    ],
)
def test_refusals_name_the_option(raw: dict[str, Any], where: str, words: str) -> None:
    with pytest.raises(Invalid, match=words) as refusal:
        describe(raw)
    assert refusal.value.where == where


def test_everything_at_once() -> None:
    found = describe(ALL)
    assert found.durations == {"create": constant(25), "ready": lognormal(60, 0.4), "delete": uniform(5, 15)}
    assert [(image.name, image.joins, image.fault) for image in found.images] == [
        ("golden-v1", True, ""),
        ("bad", False, ""),
        ("broken", True, "kernel panic"),
    ]
    assert found.faults == (Fault(kind="vm_lost", target="web-3-*", delay=timedelta(minutes=10)),)
    it = after(world_from(found, DAWN), 10)
    (legacy,) = it.balancers.members("shop", "web")
    assert (legacy.name, legacy.address, legacy.port, legacy.sessions) == ("legacy-1", "192.0.2.1", 8080, 20)
    assert (len(pods_on(it, "n1")), len(pods_on(it, "n2")), budget(it, "shop/cart").allowed) == (2, 1, 1)
    assert (it.state.settings.machines_max, it.state.settings.pushes, list(it.state.domains)) == (10, False, ["az1", "az2"])


def test_described_again_nothing_changes() -> None:
    it = world_from(describe(ALL), DAWN)
    assert furnish(it, describe(ALL)) == []


def test_a_world_grows() -> None:
    """What is added or changed is told; what is not described stays."""
    it = after(world(nodes=["n1"], workloads=[{"name": "cart", "replicas": 1}]), 10)
    more = {
        "images": {"v2": {}},
        "workloads": [{"name": "cart", "replicas": 2}],
        "durations": {"create": 1},
        "failure_domains": ["az1"],
        "quotas": {"machines": 3},
        "nodes": ["n2"],
        "backends": [{"name": "shop", "members": ["legacy-1"]}],
    }
    assert furnish(it, describe(more)) == [
        "machines_max 3",
        "durations",
        "image v2",
        "failure domain az1",
        "node n2",
        "backend shop",
        "member legacy-1 of backend shop",
        "workload default/cart",
    ]
    assert pods_on(it, "n2") == ["cart-00001"]


def test_a_workload_does_not_shrink() -> None:
    it = world(workloads=[{"name": "cart", "replicas": 2}])
    with pytest.raises(Invalid, match="can grow"):
        furnish(it, describe({"workloads": [{"name": "cart", "replicas": 1}]}))


def test_one_fault_alone() -> None:
    assert fault_of({"kind": "fail", "target": "create", "after_effect": "yes", "count": 3}) == Fault(
        kind="fail", target="create", after_effect=True, count=3
    )
