# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong around a pool on real servers: people, tight budgets, two runs at once, an API server that dies."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import COMPUTE
from ansible_collections.immutable.fleet.tests.labs.kubernetes.control import Kubernetes
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import NODES, Kube
from ansible_collections.immutable.fleet.tests.labs.kubernetes.site import Site
from ansible_collections.immutable.fleet.tests.labs.processes import Progress
from ansible_collections.immutable.fleet.tests.system import openstack_lab
from ansible_collections.immutable.fleet.tests.system.estate import Estate, estate
from ansible_collections.immutable.fleet.tests.system.playbook import Event

pytestmark = openstack_lab.MARKS

REPLICAS = 3
OUTAGE_SECONDS = 8.0  # of the API server
QUICK_LOCK = {"lock_ttl": "10s", "call_timeout": "4s"}


@pytest.fixture(scope="module")
def pool(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """One pool for all; each test leaves it whole. Its machines have no port: Neutron is most of a server's cost in the lab."""
    with pytest.MonkeyPatch.context() as environment:
        openstack_lab.use_or_skip(environment)
        with estate("bad", kube, tmp_path_factory.mktemp("bad"), openstack=openstack_lab.NO_NETWORK, **QUICK_LOCK) as made:
            made.present(replicas=REPLICAS)
            yield made


def test_FM25_metadata_that_a_playbook_stripped_costs_no_machine(pool: Estate) -> None:
    """Name and tag still say whose it is and what it is made of; the rest is left to the next rollout."""
    server = pool.servers()[0]
    pool.api.request("PUT", COMPUTE, f"/servers/{server['id']}/metadata", body={"metadata": {"role": "worker"}})
    assert not pool.present(replicas=REPLICAS).changed
    rolled = pool.present("golden-v2", replicas=REPLICAS)
    pool.assert_settled(REPLICAS, "golden-v2")
    assert rolled.result["summary"]["deleted"] == REPLICAS


def test_FM10_a_persons_cordon_is_left_alone(pool: Estate) -> None:
    """Everything else is rolled; the machine stays as it is, and the result names it. Uncordoned, it is replaced as well."""
    held = pool.names()[0]
    pool.kube.patch(f"{NODES}/{held}", {"spec": {"unschedulable": True}})
    blocked = pool.present("golden-v1", replicas=REPLICAS, fails=True)
    assert blocked.failure["code"] == "blocked"
    assert held in blocked.failure["where"]
    assert "cordoned by somebody else: left alone" in blocked.failure["what"]
    node = pool.kube.get(f"{NODES}/{held}")
    assert node["spec"]["unschedulable"]
    assert "immutable.fleet/chosen" not in node["metadata"]["annotations"]
    assert len(pool.names()) == REPLICAS + 1, "a machine for each slot, and the one that may not go"
    pool.kube.patch(f"{NODES}/{held}", {"spec": {"unschedulable": None}})
    pool.present("golden-v1", replicas=REPLICAS)
    pool.assert_settled(REPLICAS, "golden-v1")


def test_FM01_a_budget_that_never_allows_holds_up_its_own_node_only(pool: Estate) -> None:
    """All other machines are rolled; the message names budget, owner and pod, and since when. Without it the rest follows."""
    stuck = pool.names()[0]
    placed = pool.placement()
    with pool.workload() as shop:
        on_stuck = {"tolerations": placed["tolerations"], "on": stuck}
        shop.deployment("cart", 2, min_available=2, **on_stuck)
        shop.deployment("web", 6, max_unavailable=2, spread=True, **placed)
        shop.wait_running()
        blocked = pool.present("golden-v2", replicas=REPLICAS, fails=True)
        failure = blocked.failure
        assert failure["code"] == "blocked"
        assert f"PDB {shop.namespace}/cart can never allow an eviction: it wants 2 of 2 pods healthy" in failure["what"]
        assert f"pod {shop.namespace}/cart-" in failure["what"]
        assert "of ReplicaSet/cart-" in failure["what"]
        assert (stuck in failure["where"], bool(failure["since"]), bool(failure["forward"])) == (True, True, True)
        left = {server["name"] for server in pool.servers() if server["image"]["id"] == pool.image_id("golden-v1")}
        assert left == {stuck}
        assert not pool.kube.get(f"{NODES}/{stuck}")["spec"].get("unschedulable"), "a drain that cannot succeed is not begun"
        assert len(shop.pods("cart")) == 2
    pool.present("golden-v2", replicas=REPLICAS)
    pool.assert_settled(REPLICAS, "golden-v2")


def test_a_second_run_says_who_holds_the_pool(pool: Estate) -> None:
    """And since when; it changes nothing. The first one goes on."""
    pool.guests({f"{pool.name}-.*": {"lab_join": "never"}})
    first = pool.start("golden-v1", replicas=REPLICAS)
    assert first.until("its first machine", lambda event: event["kind"] == "create")
    holder = pool.holder()
    second = pool.present("golden-v1", replicas=REPLICAS, fails=True)
    assert second.failure["code"] == "lock_held"
    assert holder in second.failure["what"]
    assert f"pid {first.module()}" in holder
    assert second.failure["since"]
    assert not second.changed
    pool.guests({})
    assert first.outcome().code == 0
    pool.assert_settled(REPLICAS, "golden-v1")


def test_an_api_server_that_dies_in_mid_roll_is_waited_for(pool: Estate, kubernetes_site: Site) -> None:
    """Nothing is drained or deleted meanwhile; when it is back the run goes on to its end."""
    lab = Kubernetes(kubernetes_site, Progress())
    roll = pool.start("golden-v2", replicas=REPLICAS, strategy={"max_surge": 1})
    assert roll.until("a drain", lambda event: event["kind"] == "choose")
    lab.stop_one("apiserver", signal.SIGKILL)
    try:
        before = _ends(roll.events())
        assert roll.until_over(OUTAGE_SECONDS) is None, "the run ended"
        during = _ends(roll.events())[len(before) :]
    finally:
        lab.start_one("apiserver")
    assert len(during) <= 1, "nothing but what was proven before the API server died"
    outcome = roll.outcome()
    assert outcome.code == 0, outcome.text
    pool.assert_settled(REPLICAS, "golden-v2")


def _ends(events: list[Event]) -> list[Event]:
    return [event for event in events if event["kind"] in ("choose", "delete", "evict")]
