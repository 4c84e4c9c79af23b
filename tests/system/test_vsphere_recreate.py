# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategy `recreate` on a vCenter: machines come back under their own names, in their clusters, with their static addresses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Kube
from ansible_collections.immutable.fleet.tests.system.vsphere_estate import VsphereEstate, marks_of, vsphere_estate

pytestmark = pytest.mark.lab

REPLICAS = 3
V1, V2 = "golden-base-v1", "golden-base-v2"
RECREATE = {"type": "recreate", "min_ready": "1s", "max_unavailable": 2}
STATIC = {"name": "pg-nodes", "addresses": ["10.60.1.10-10.60.1.13"], "prefix_length": 24, "gateway": "10.60.1.1"}


@pytest.fixture(scope="module")
def pool(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VsphereEstate]:
    """One pool for all, provisioned."""
    options: dict[str, Any] = {
        "replicas": REPLICAS,
        "lock_ttl": "10s",
        "call_timeout": "4s",
        "vsphere": {"networks": [STATIC], "stable_addresses": True},
    }
    with vsphere_estate("vagain", kube, tmp_path_factory.mktemp("vagain"), **options) as made:
        made.present(V1, strategy=RECREATE)
        yield made


def places(pool: VsphereEstate) -> dict[str, tuple[str, str]]:
    """`{name: (cluster, static address)}`."""
    return {server["name"]: (server["cluster"], marks_of(server)["immutable.fleet.addresses"]) for server in pool.servers()}


def test_names_clusters_and_addresses_stay(pool: VsphereEstate) -> None:
    """Other VMs of another template, and nothing else differs; the guests have the addresses, and no two ever had one."""
    before, uuids = places(pool), {server["uuid"] for server in pool.servers()}
    assert sorted(address for _cluster, address in before.values()) == ["10.60.1.10", "10.60.1.11", "10.60.1.12"]
    assert pool.present(V2, strategy=RECREATE).changed
    pool.assert_settled(REPLICAS, V2)
    assert places(pool) == before
    assert {server["name"]: server["ip"] for server in pool.servers()} == {name: address for name, (_cluster, address) in before.items()}
    assert uuids.isdisjoint(server["uuid"] for server in pool.servers())
    assert pool.simulator.conflicts() == []
    assert not pool.present(V2, strategy=RECREATE).changed


def test_a_kill_between_delete_and_create_loses_neither_name_nor_address(pool: VsphereEstate) -> None:
    """The place was on record before the VM went."""
    before = places(pool)
    run = pool.start(V1, strategy=RECREATE)
    assert run.until("delete", lambda event: event["kind"] == "delete") is not None, run.text()
    run.kill_module()
    pool.present(V1, strategy=RECREATE)
    pool.assert_settled(REPLICAS, V1)
    assert places(pool) == before
    assert pool.simulator.conflicts() == []


def test_a_surge_with_addresses_that_stay_is_refused(pool: VsphereEstate) -> None:
    """Before anything is touched."""
    pool.writes()
    refused = pool.present(V2, strategy={"max_surge": 1}, fails=True)
    assert refused.failure["code"] == "invalid"
    assert "vsphere.stable_addresses, strategy.max_surge" in refused.text
    assert pool.writes() == {}
