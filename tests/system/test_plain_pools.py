# SPDX-License-Identifier: GPL-3.0-or-later
"""Pools of plain machines on OpenStack behind a real HAProxy: made, refused, rolled under load, steered, removed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.immutable.fleet.tests.labs.haproxy.load import Load
from ansible_collections.immutable.fleet.tests.labs.haproxy.server import Haproxy
from ansible_collections.immutable.fleet.tests.system import openstack_lab
from ansible_collections.immutable.fleet.tests.system.plain_estate import BACKEND, PlainEstate, behind_haproxy, rows_of

pytestmark = [*openstack_lab.MARKS, pytest.mark.story]

MACHINES = 2
PER_SECOND = 600

Shop = tuple[PlainEstate, Haproxy]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with behind_haproxy("plain", tmp_path_factory.mktemp("plain")) as made:
        yield made


def haproxy(pool: PlainEstate, **options: Any) -> dict[str, Any]:
    return pool.task(replicas=MACHINES, balancer={"haproxy": {**pool.balancer["haproxy"], **options}})


def test_a_wrong_option_is_refused_before_anything_is_touched(shop: Shop) -> None:
    """FM34: with its path, and what was expected or found."""
    pool, server = shop
    octavia = {"octavia": {"pool": "nowhere", "port": 80}}
    wrong = [
        (haproxy(pool, backend="shoe"), "invalid", "balancer.haproxy.backend", f"it has: {BACKEND}, slots"),
        (haproxy(pool, socket="/run/nowhere.sock"), "unreachable", "balancer.haproxy.socket", "/run/nowhere.sock gave no answer"),
        (haproxy(pool, socket=server.user_socket), "denied", "balancer.haproxy.socket", "level user; expected admin"),
        (haproxy(pool, slots="web", server_options=None), "invalid", "balancer.haproxy.slots", "no server web1"),
        (pool.task(replicas=MACHINES, balancer=octavia), "invalid", "balancer.octavia.pool", "no pool 'nowhere'"),
        (pool.task(replicas=MACHINES, balancer={**pool.balancer, **octavia}), "invalid", "balancer.haproxy, balancer", "exactly one"),
    ]
    results = pool.playbooks.refusals("node_pool", [task for task, *_expected in wrong])
    found = [(result["failure"]["code"], result["failure"]["where"], result["failure"]["what"]) for result in results]
    for (code, where, what), (_task, expected, path, words) in zip(found, wrong, strict=True):
        print(f"\n{code}: {what} ({where})", end="")
        assert (code, path in where, words in what) == (expected, True, True), (where, what)
    assert pool.names() == []


def test_machines_join_once_they_answer(shop: Shop) -> None:
    pool, server = shop
    made = pool.present(replicas=MACHINES)
    assert {machine["phase"] for machine in made.result["machines"]} == {"available"}
    assert sorted(rows_of(server)) == pool.names()
    assert len(pool.names()) == MACHINES


def test_a_roll_under_load_fails_no_request(shop: Shop) -> None:
    """The long version is test_rolls_under_load.py."""
    pool, server = shop
    before = pool.names()
    with Load(server.url(BACKEND), per_second=PER_SECOND) as load:
        pool.present("golden-v2", replicas=MACHINES)
    print(f"\n{load.sent} requests, {load.per_second:.0f} a second, {load.failed} failed")
    assert load.failed == 0
    assert load.sent > 0
    assert set(pool.names()).isdisjoint(before)
    assert sorted(rows_of(server)) == pool.names()
    assert sum(line["under_way"] for line in pool.told("dies")) == 0


def test_operators_steer_it_by_its_project(shop: Shop) -> None:
    """The lock and what is asked are the cloud's. A run that is held back says how to go on, in words that work."""
    pool, _server = shop
    steer = {"name": pool.name, "openstack": {"cloud": "user"}}
    assert pool.run("node_pool_control", {**steer, "state": "paused"}).changed
    held = pool.present("golden-v1", replicas=MACHINES)
    assert not held.changed
    assert f"name={pool.name} state=resumed openstack=cloud=user" in held.result["pending"]
    told = pool.run("node_pool_info", {key: pool.task()[key] for key in ("name", "openstack", "balancer")}).result
    assert told["steering"]["pause"]["by"]
    assert sum(told["counts"].values()) == MACHINES
    assert told["record"]["current"]["asked"] == "golden-v2"
    assert pool.run("node_pool_control", {**steer, "state": "resumed"}).changed


def test_a_pool_that_is_removed_leaves_nobody_behind(shop: Shop) -> None:
    pool, server = shop
    pool.absent()
    assert (pool.names(), rows_of(server)) == ([], {})
