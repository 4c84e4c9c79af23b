# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool of plain machines behind a real Octavia: rolled, with one update for what several machines need."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import LOAD_BALANCER
from ansible_collections.immutable.fleet.plugins.module_utils.reports.subject import subject_of
from ansible_collections.immutable.fleet.tests.conformance.on_octavia import Shop
from ansible_collections.immutable.fleet.tests.labs.openstack.site import Site
from ansible_collections.immutable.fleet.tests.system import openstack_lab
from ansible_collections.immutable.fleet.tests.system.plain_estate import PlainEstate, plain_estate

pytestmark = [*openstack_lab.MARKS, pytest.mark.story]

MACHINES = 2
DRAIN = {"timeout": "4s"}  # Octavia counts no sessions by member: each drain takes its time
CHANGE = re.compile(r" (?P<method>PUT|POST|DELETE) /\S*/lbaas/pools/(?P<pool>[0-9a-f-]{36})/members\S* (?P<status>\d+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PlainEstate, Shop]]:
    shop = Shop()
    try:
        with plain_estate("lbaas", tmp_path_factory.mktemp("lbaas")) as pool:
            pool.balancer = {"octavia": {"pool": shop.name, "port": pool.port, "weight": 5}}
            yield pool, shop
    finally:
        shop.delete()


class Changes:
    """What was asked of the members of one pool of Octavia's since, by the access log of its API: the statuses of all writes."""

    def __init__(self, pool_id: str) -> None:
        self._pool_id = pool_id
        self._log: Path = Site.from_environment().home / "log/octavia-access.log"
        self._mark = self._log.stat().st_size

    def statuses(self) -> list[int]:
        with self._log.open("rb") as log:
            log.seek(self._mark)
            found = CHANGE.finditer(log.read().decode(errors="replace"))
            return [int(each["status"]) for each in found if each["pool"] == self._pool_id]


def members(shop: Shop) -> dict[str, int]:
    """`{name: weight}`."""
    path = f"/lbaas/pools/{shop.one('pools')['id']}/members"
    return {member["name"]: member["weight"] for member in shop.raw.request("GET", LOAD_BALANCER, path)["members"]}


def test_machines_join_in_one_update(site: tuple[PlainEstate, Shop]) -> None:
    pool, shop = site
    pool.present(replicas=MACHINES, drain=DRAIN)
    assert members(shop) == dict.fromkeys(pool.names(), 5)
    assert len(pool.names()) == MACHINES


def test_a_roll_goes_by_few_updates_and_none_is_refused(site: tuple[PlainEstate, Shop]) -> None:
    """New ones in, old ones to weight 0, old ones out: of several machines at once, and only once the last is in effect."""
    pool, shop = site
    before, changes = pool.names(), Changes(shop.one("pools")["id"])
    rolled = pool.present("golden-v2", replicas=MACHINES, drain=DRAIN)
    statuses = changes.statuses()
    print(f"\nwrites to Octavia: {statuses}")
    assert set(statuses) == {202}, "the load balancer was ACTIVE each time"
    assert 3 <= len(statuses) <= 3 * MACHINES
    assert members(shop) == dict.fromkeys(pool.names(), 5)
    assert set(pool.names()).isdisjoint(before)
    waits = [event for event in rolled.events if event["kind"] == "waits" and event["code"] == "sessions"]
    assert {subject_of(event["machine"]) for event in waits} == set(before)
    assert all("sessions are not counted: drains until" in event["text"] for event in waits)


def test_a_pool_that_is_removed_leaves_nobody_behind(site: tuple[PlainEstate, Shop]) -> None:
    pool, shop = site
    pool.absent(drain=DRAIN)
    assert (pool.names(), members(shop)) == ([], {})
