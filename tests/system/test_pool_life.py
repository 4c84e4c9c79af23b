# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool's whole life on a real OpenStack and a real Kubernetes, as one story: each test goes on where the last one ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Kube, audit_since
from ansible_collections.immutable.fleet.tests.system import openstack_lab
from ansible_collections.immutable.fleet.tests.system.audit import Ledger, delete_began
from ansible_collections.immutable.fleet.tests.system.estate import KEY, Estate, estate
from ansible_collections.immutable.fleet.tests.system.sampler import Sampler

pytestmark = [*openstack_lab.MARKS, pytest.mark.story]

REPLICAS, SURGE, PODS_PER_NODE = 6, 2, 30
MIN_READY = timedelta(seconds=1)
EVICTIONS_PER_POD_MAX = 1.05
CALLS_BESIDE_PODS_MAX = 14  # of Kubernetes and OpenStack, for one replaced node
NOVAS_SECOND = timedelta(seconds=1)  # its record of actions rounds down
SAMPLERS_DELAY = timedelta(seconds=2)  # its watch of 180 pods on a busy machine


@pytest.fixture(scope="module")
def pool(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with pytest.MonkeyPatch.context() as environment:
        openstack_lab.use_or_skip(environment)
        with estate("life", kube, tmp_path_factory.mktemp("life")) as made:
            yield made


def test_a_pool_is_provisioned(pool: Estate) -> None:
    """Spread evenly, marked three times, joined by a token of each machine's own, which is gone afterwards."""
    ledger = Ledger.open(pool.name)
    made = pool.present(replicas=REPLICAS)
    pool.assert_settled(REPLICAS, "golden-v1")
    assert made.changed
    assert made.result["summary"]["created"] == REPLICAS
    for server in pool.servers():
        name, metadata = server["name"], server["metadata"]
        assert (metadata["immutable.fleet.pool"], metadata["immutable.fleet.slot"]) == ("life", name.split("-")[1])
        assert "immutable.fleet.pool=life" in server["tags"]
        assert f"--node-name {name}\n" in pool.user_data(server)
        assert "echo ${HOME}" in pool.user_data(server), "the guest's own placeholders stay"
    nodes = {node["metadata"]["name"]: node for node in pool.nodes()}
    assert {node["metadata"]["labels"][KEY] for node in nodes.values()} == {"life"}
    joined = [call for call in audit_since(ledger.mark) if call["verb"] == "create" and call["objectRef"]["resource"] == "nodes"]
    by_whom = {call["user"]["username"] for call in joined if call["responseStatus"]["code"] == 201}
    assert by_whom >= {f"system:node:{name}" for name in nodes}, "each by a certificate that it got for its token"
    writes = ledger.kubernetes_writes()
    assert writes.count("create secrets 201") == writes.count("delete secrets 200") == REPLICAS


def test_the_same_task_again_writes_nothing(pool: Estate) -> None:
    """Neither to Kubernetes, not even the lock, nor to OpenStack."""
    servers, ports = pool.servers(), pool.ports()
    ledger = Ledger.open(pool.name)
    again = pool.present(replicas=REPLICAS)
    assert not again.changed
    assert (ledger.kubernetes_writes(), ledger.lock_writes()) == ([], 0)
    assert ledger.openstack(server["id"] for server in servers) == []
    assert (pool.servers(), pool.ports()) == (servers, ports)


def test_the_pool_is_looked_at(pool: Estate) -> None:
    """Its machines, what they are made of, what another image would replace, and that nobody works on it."""
    info = pool.info("golden-v2")
    assert [machine["name"] for machine in info["machines"]] == pool.names()
    # Whoever looks does not know the pool's min_ready: for the default of 30 s a machine is ready and not yet called available.
    assert set(info["counts"]) <= {"ready", "available"}
    assert sum(info["counts"].values()) == REPLICAS
    assert list(info["drift"]) == ["image"]
    assert sum(info["drift"]["image"]["found"].values()) == REPLICAS
    assert (info["orphans"], info["half_owned"], info["lock"]["holder"]) == ([], [], "")


def test_the_pool_is_scaled(pool: Estate) -> None:
    """Up by two, and down again: each time only as many machines as asked for come or go."""
    before = set(pool.names())
    up = pool.present(replicas=REPLICAS + 2)
    pool.assert_settled(REPLICAS + 2, "golden-v1")
    assert before < set(pool.names())
    assert (up.result["summary"]["created"], up.result["summary"]["deleted"]) == (2, 0)
    down = pool.present(replicas=REPLICAS)
    pool.assert_settled(REPLICAS, "golden-v1")
    assert (down.result["summary"]["created"], down.result["summary"]["deleted"]) == (0, 2)


def test_check_mode_tells_what_a_new_image_would_do(pool: Estate) -> None:
    """Each machine's replacement in order, and the one field that differs; nothing is written."""
    servers = pool.servers()
    ledger = Ledger.open(pool.name)
    plan = pool.present("golden-v2", "--check", "--diff", replicas=REPLICAS)
    assert plan.changed
    verbs = [step["verb"] for step in plan.result["plan"]]
    assert (verbs.count("create"), verbs.count("choose"), verbs.count("delete")) == (REPLICAS, REPLICAS, REPLICAS)
    assert verbs.index("create") < verbs.index("choose") < verbs.index("delete")
    assert re.search(r"^\+image: .*\(golden-v2\)$", plan.text, re.MULTILINE), plan.text
    assert (ledger.kubernetes_writes(), ledger.lock_writes()) == ([], 0)
    assert pool.servers() == servers


@pytest.mark.alone
def test_a_new_image_is_rolled_out(pool: Estate) -> None:
    """180 pods under PDBs move once; nothing is deleted too early; floor and ceiling hold at every instant."""
    old = {server["name"]: server["id"] for server in pool.servers()}
    placed = pool.placement()
    with pool.workload() as shop:
        shop.fill(REPLICAS, pods_per_node=PODS_PER_NODE - 1, **placed)
        # One that ends sooner may be back under its name before the busy controller of PDBs has seen it end, and is then
        # counted as on its way for two minutes.
        shop.stateful_set("db", REPLICAS, volumes=True, max_unavailable=1, stop_seconds=3, **placed)
        shop.wait_running()
        pods = len(shop.pods())
        ledger = Ledger.open(pool.name)
        with Sampler(pool, shop.namespace, MIN_READY) as seen:
            rolled = pool.present("golden-v2", replicas=REPLICAS, strategy={"max_surge": SURGE})
        pool.assert_settled(REPLICAS, "golden-v2")
        shop.wait_running()
    assert seen.trouble == ""
    assert not old.keys() & set(pool.names())

    evicted, writes = len(ledger.evictions()), ledger.kubernetes_writes()
    per_node = (len(ledger.replacing_calls()) + _openstack_writes(ledger)) / REPLICAS
    refused = len(ledger.evictions(429))
    print(
        f"\n{pods} pods, {evicted} evicted ({evicted / pods:.3f} a pod), {refused} refused; {per_node:.1f} calls a node;"
        f" available >= {seen.available_min}, servers <= {seen.servers_max}; {rolled.seconds:.0f} s"
    )
    assert not [call for call in writes if call.startswith(("delete pods", "deletecollection"))], "pods leave by eviction only"
    assert seen.budget_slack_min >= 0, "no PDB had fewer healthy pods than it wants"
    assert pods == REPLICAS * PODS_PER_NODE
    assert evicted / pods <= EVICTIONS_PER_POD_MAX
    assert seen.available_min >= REPLICAS
    assert seen.servers_max <= REPLICAS + SURGE
    for name, server_id in old.items():
        assert seen.left_at_delete.get(name, []) == [], f"{name} was deleted with pods"
        late_at = delete_began(pool.api, server_id) + NOVAS_SECOND + SAMPLERS_DELAY
        assert seen.emptied_at[name] < late_at, f"{name} was deleted with pods or volumes"
    assert per_node <= pods / REPLICAS + CALLS_BESIDE_PODS_MAX


def test_the_pool_is_removed(pool: Estate) -> None:
    """Servers, ports, nodes, tokens; the lock is free. Again: nothing to do."""
    assert pool.absent().changed
    pool.assert_settled(0, "golden-v2")
    assert not pool.absent().changed


def _openstack_writes(ledger: Ledger) -> int:
    """Writes to Nova and Neutron, of Nova itself and of others at work there too: an upper bound."""
    asked = ("POST nova /v2.1/servers ", "DELETE nova /v2.1/servers/", "POST neutron /v2.0/ports ", "DELETE neutron /v2.0/ports/")
    return sum(call.startswith(asked) for call in ledger.openstack())
