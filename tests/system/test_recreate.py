# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategy `recreate` on real servers: machines come back under their own names and addresses, also after a kill."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Kube
from ansible_collections.immutable.fleet.tests.system import openstack_lab
from ansible_collections.immutable.fleet.tests.system.estate import Estate, estate

pytestmark = openstack_lab.MARKS

REPLICAS = 3
RECREATE = {"type": "recreate", "min_ready": "1s", "max_unavailable": 2}


@pytest.fixture(scope="module")
def pool(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """One pool for all, provisioned."""
    with pytest.MonkeyPatch.context() as environment:
        openstack_lab.use_or_skip(environment)
        options: dict[str, Any] = {"replicas": REPLICAS, "lock_ttl": "10s", "call_timeout": "4s"}
        with estate("again", kube, tmp_path_factory.mktemp("again"), **options) as made:
            made.present("golden-v1", strategy=RECREATE)
            yield made


def addresses(pool: Estate) -> dict[str, list[str]]:
    """`{name: fixed addresses}`."""
    return {server["name"]: sorted(one["addr"] for network in server["addresses"].values() for one in network) for server in pool.servers()}


def test_names_zones_and_addresses_stay(pool: Estate) -> None:
    """Other servers of another image, and nothing else differs."""
    before, ids = addresses(pool), {server["id"] for server in pool.servers()}
    zones = {server["name"]: server["OS-EXT-AZ:availability_zone"] for server in pool.servers()}
    outcome = pool.present("golden-v2", strategy=RECREATE)
    assert outcome.changed
    pool.assert_settled(REPLICAS, "golden-v2")
    assert addresses(pool) == before
    assert {server["name"]: server["OS-EXT-AZ:availability_zone"] for server in pool.servers()} == zones
    assert ids.isdisjoint(server["id"] for server in pool.servers())
    assert not pool.present("golden-v2", strategy=RECREATE).changed


def test_a_kill_between_delete_and_create_loses_neither_name_nor_address(pool: Estate) -> None:
    """The place was on record before the server went."""
    before = addresses(pool)
    run = pool.start("golden-v1", strategy=RECREATE)
    assert run.until("delete", lambda event: event["kind"] == "delete") is not None, run.text()
    run.kill()
    pool.present("golden-v1", strategy=RECREATE)
    pool.assert_settled(REPLICAS, "golden-v1")
    assert addresses(pool) == before
