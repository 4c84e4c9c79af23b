# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real Octavia does beside the port's contract: one update for several members, refusals that no waiting cures, names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.balancers.octavia.balancer import OctaviaBalancer
from ansible_collections.immutable.fleet.plugins.module_utils.balancers.octavia.options import Options
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import LOAD_BALANCER
from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import DRAINING, REMOVED, SERVING, MemberChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid, Throttled
from ansible_collections.immutable.fleet.tests.conformance.on_octavia import Shop
from ansible_collections.immutable.fleet.tests.system.openstack_lab import MARKS, Recording, now

pytestmark = MARKS


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.delete()


def balancer(shop: Shop, **options: Any) -> tuple[OctaviaBalancer, Recording]:
    transport = Recording("user")
    given = Options(**{"pool": shop.name, "port": 8080, "weight": 5, **options})
    return OctaviaBalancer("web", given, transport=transport, now=now), transport


def new(number: int) -> MemberChange:
    return MemberChange(name=f"web-{number}-aaaaa", to=SERVING, address=f"127.9.9.{number}")


def test_members_change_in_one_update(shop: Shop) -> None:
    """Three come in one; then one drains, one goes and one more comes in another."""
    it, transport = balancer(shop)
    it.change_members([new(1), new(2), new(3)])
    shop.until(lambda: not it.list_members().is_busy, "the members are there")
    ids = {member.name: member.id for member in it.list_members().members}
    drains = MemberChange(name="web-1-aaaaa", to=DRAINING, id=ids["web-1-aaaaa"])
    goes = MemberChange(name="web-2-aaaaa", to=REMOVED, id=ids["web-2-aaaaa"])
    it.change_members([drains, goes, new(4)])
    shop.until(lambda: not it.list_members().is_busy, "and are changed")
    found = {member.name: (member.state, member.weight) for member in it.list_members().members}
    assert found == {"web-1-aaaaa": (DRAINING, 0), "web-3-aaaaa": (SERVING, 5), "web-4-aaaaa": (SERVING, 5)}
    assert len(transport.writes()) == 2
    shop.empty()


def test_a_pool_is_found_by_its_id(shop: Shop) -> None:
    it, _transport = balancer(shop, pool=shop.one("pools")["id"])
    it.find_backend()
    assert it.list_members().members == ()


def test_two_pools_of_one_name_are_refused_with_their_ids(shop: Shop) -> None:
    whole = shop.one("pools")["loadbalancers"][0]["id"]
    body = {"pool": {"name": shop.name, "loadbalancer_id": whole, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}}
    twin = shop.raw.request("POST", LOAD_BALANCER, "/lbaas/pools", body=body)["pool"]["id"]
    shop.until_active()
    it, _transport = balancer(shop)
    with pytest.raises(Invalid, match=twin) as refusal:
        it.find_backend()
    assert refusal.value.where == "balancer.octavia.pool"
    shop.raw.request("DELETE", LOAD_BALANCER, f"/lbaas/pools/{twin}")
    shop.until_active()


def test_a_pool_in_error_is_a_fault_that_is_told(shop: Shop) -> None:
    """Its load balancer is ACTIVE again, and it refuses changes for ever, in words that say "later": only the listing can say why."""
    it, _transport = balancer(shop)
    it.find_backend()
    pool = shop.one("pools")["id"]
    shop.raw.request("PUT", LOAD_BALANCER, f"/lbaas/pools/{pool}", body={"pool": {"name": "lab_fail"}})
    shop.until_active()
    listing = it.list_members()
    assert (listing.is_busy, listing.fault) == (False, "pool lab_fail is in ERROR")
    with pytest.raises(Throttled, match="immutable"):
        it.change_members([new(1)])
