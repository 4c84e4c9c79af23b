# SPDX-License-Identifier: GPL-3.0-or-later
"""Pools behind a balancer as given in a task: what is refused before anything is touched."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.entry import parse, specs
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.reach import Reach
from ansible_collections.immutable.fleet.tests.unit.entry.test_parse import POOL

OPTIONS = specs.HEALTH.options["health"]["options"]["probes"]["options"]
TCP = {name: option.get("default") for name, option in OPTIONS.items()} | {"type": "tcp", "port": 80}
PLAIN: dict[str, Any] = {**POOL, "balancer": {"simulated": {"backend": "shop"}}, "health": {**POOL["health"], "probes": [TCP]}}

HAPROXY: dict[str, Any] = {"socket": "/run/haproxy/admin.sock", "backend": "shop", "port": 80, "weight": 1}
OCTAVIA: dict[str, Any] = {"pool": "shop", "port": 80, "weight": 1}
KINDS = "balancer.haproxy, balancer.octavia, balancer.simulated"
REAL: dict[str, Any] = {"simulated": None, "openstack": {"cloud": "production"}}


def asked(**given: Any) -> parse.PoolRequest:
    return parse.pool_request({**copy.deepcopy(PLAIN), **given})


def test_a_plain_pool_is_taken() -> None:
    """With its probes."""
    assert [probe.port for probe in asked().pool.probes] == [80]


@pytest.mark.parametrize("balancer", [{"haproxy": HAPROXY}, {"octavia": OCTAVIA}])
def test_a_real_one_is_steered_in_its_project(balancer: dict[str, Any]) -> None:
    """Where its lock is."""
    assert asked(**REAL, balancer=balancer).pool.reach == Reach("openstack", {"cloud": "production"})


def test_one_that_is_removed_needs_no_probes() -> None:
    """Nobody asks whether it is well."""
    assert asked(state="absent", health={**POOL["health"], "probes": []}).pool.replicas == 0


@pytest.mark.parametrize(
    ("given", "where", "expected"),
    [
        pytest.param({"balancer": {"simulated": None}}, KINDS, "exactly one", id="none of the kinds"),
        pytest.param({"kubernetes": {}}, "balancer", "expected one of the two", id="a cluster, too"),
        pytest.param(
            {"health": {**POOL["health"], "probes": []}}, "health.probes", "expected at least one", id="nobody says when a machine is well"
        ),
        pytest.param({"simulated": None, "openstack": {}}, "balancer.simulated", "machines of that world", id="machines of another kind"),
        pytest.param({**REAL, "balancer": {"haproxy": HAPROXY, "octavia": OCTAVIA}}, KINDS, "exactly one", id="two balancers"),
        pytest.param({"balancer": {"octavia": OCTAVIA}}, "balancer.octavia", "is a real balancer", id="machines that nobody reaches"),
        pytest.param(
            {"simulated": None, "vsphere": {}, "balancer": {"haproxy": HAPROXY}}, "vsphere, balancer", "expected openstack", id="vSphere"
        ),
        pytest.param(
            {**REAL, "balancer": {"haproxy": {**HAPROXY, "socket": "admin"}}},
            "balancer.haproxy.socket",
            "expected its absolute path, or host:port",
            id="an option of HAProxy's",
        ),
        pytest.param({**REAL, "balancer": {"octavia": {**OCTAVIA, "pool": ""}}}, "balancer.octavia.pool", "missing", id="one of Octavia's"),
        pytest.param({"labels": {"tier": "web"}}, "labels", "are a node's", id="labels"),
        pytest.param({"taints": [{"key": "a", "value": "", "effect": "NoSchedule"}]}, "taints", "are a node's", id="taints"),
        pytest.param({"annotations": {"a": "b"}}, "annotations", "are a node's", id="annotations"),
        pytest.param({"user_data": "join ${api_server}"}, "user_data", "expected ${failure_domain}", id="user data for a cluster"),
    ],
)
def test_what_has_no_meaning_is_refused(given: dict[str, Any], where: str, expected: str) -> None:
    """With the path of the option and what was expected."""
    with pytest.raises(Invalid) as refused:
        asked(**given)
    assert refused.value.where == where
    assert expected in refused.value.what
