# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool's whole life on a vCenter and a real Kubernetes, as one story: each test goes on where the last one ended."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Kube
from ansible_collections.immutable.fleet.tests.system.audit import Ledger
from ansible_collections.immutable.fleet.tests.system.sampler import Sampler
from ansible_collections.immutable.fleet.tests.system.vsphere_estate import VsphereEstate, marks_of, vsphere_estate

pytestmark = [pytest.mark.lab, pytest.mark.story]

REPLICAS, SURGE, PODS_PER_NODE = 6, 2, 10
MIN_READY = timedelta(seconds=1)
V1, V2 = "golden-base-v1", "golden-base-v2"
CLONE_MS = 1500


@pytest.fixture(scope="module")
def pool(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VsphereEstate]:
    with vsphere_estate("vlife", kube, tmp_path_factory.mktemp("vlife")) as made:
        yield made


@pytest.fixture(autouse=True)
def vcenter_takes_its_time(pool: VsphereEstate) -> None:
    """A clone takes longer than a few lists, and nothing of an earlier fault is left."""
    pool.simulator.clear_rules()
    pool.simulator.set(task_ms={"CloneVM_Task": CLONE_MS})


def test_a_pool_is_provisioned(pool: VsphereEstate) -> None:
    """Spread over clusters, marked, joined by a token of each machine's own; a clone each and nothing else."""
    pool.writes()
    made = pool.present(replicas=REPLICAS)
    assert pool.writes() == {"CloneVM_Task": REPLICAS}
    pool.assert_settled(REPLICAS, V1)
    assert made.changed
    assert made.result["summary"]["created"] == REPLICAS
    for server in pool.servers():
        name, given = server["name"], marks_of(server)
        assert (given["immutable.fleet.pool"], given["immutable.fleet.slot"]) == ("vlife", name.split("-")[1])
        assert "immutable.fleet.pool=vlife" in server["annotation"]
        assert f"--node-name {name}\n" in pool.user_data(server)
        assert "echo ${HOME}" in pool.user_data(server), "the guest's own placeholders stay"


def test_the_same_task_again_writes_nothing(pool: VsphereEstate) -> None:
    """Neither to Kubernetes, not even the lock, nor to vCenter; and its session is ended."""
    servers, sessions = pool.servers(), len(pool.simulator.sessions())
    pool.writes()
    ledger = Ledger.open(pool.name)
    again = pool.present(replicas=REPLICAS)
    assert not again.changed
    # Tokens of other pools lie in the same namespace, and theirs are not told from ours once they are gone.
    written = [call for call in ledger.kubernetes_writes() if " secrets " not in call]
    assert (written, pool.tokens(), ledger.lock_writes(), pool.writes()) == ([], [], 0, {})
    assert pool.servers() == servers
    assert len(pool.simulator.sessions()) == sessions


def test_the_pool_is_looked_at(pool: VsphereEstate) -> None:
    info = pool.info(V2)
    assert [machine["name"] for machine in info["machines"]] == pool.names()
    assert sum(info["counts"].values()) == REPLICAS
    assert list(info["drift"]) == ["image"]
    assert (info["orphans"], info["half_owned"], info["lock"]["holder"]) == ([], [], "")


def test_check_mode_tells_what_a_new_template_would_do(pool: VsphereEstate) -> None:
    servers = pool.servers()
    pool.writes()
    plan = pool.present(V2, "--check", "--diff", replicas=REPLICAS)
    verbs = [step["verb"] for step in plan.result["plan"]]
    assert (verbs.count("create"), verbs.count("choose"), verbs.count("delete")) == (REPLICAS, REPLICAS, REPLICAS)
    assert re.search(rf"^\+image: .*\({V2}\)$", plan.text, re.MULTILINE), plan.text
    assert (pool.writes(), pool.servers()) == ({}, servers)


def test_a_new_template_is_rolled_out(pool: VsphereEstate) -> None:
    """Pods under PDBs move once; nothing is deleted too early; floor and ceiling hold; a clone and two tasks for each machine."""
    old = set(pool.names())
    placed = pool.placement()
    with pool.workload() as shop:
        shop.fill(REPLICAS, pods_per_node=PODS_PER_NODE - 1, **placed)
        shop.stateful_set("db", REPLICAS, volumes=True, max_unavailable=1, stop_seconds=3, **placed)
        shop.wait_running()
        pods = len(shop.pods())
        pool.writes()
        ledger = Ledger.open(pool.name)
        with Sampler(pool, shop.namespace, MIN_READY) as seen:
            rolled = pool.present(V2, replicas=REPLICAS, strategy={"max_surge": SURGE})
        writes = pool.writes()
        pool.assert_settled(REPLICAS, V2)
        shop.wait_running()
    assert seen.trouble == ""
    assert rolled.result["summary"]["deleted"] == REPLICAS, "a deletion has two steps, and is one"
    assert not old & set(pool.names())
    assert writes["CloneVM_Task"] == writes["Destroy_Task"] == REPLICAS
    assert writes.get("PowerOffVM_Task", 0) + writes.get("ShutdownGuest", 0) == REPLICAS
    assert len(writes) <= 4, writes
    assert seen.budget_slack_min >= 0, "no PDB had fewer healthy pods than it wants"
    assert len(ledger.evictions()) / pods <= 1.05
    assert seen.available_min >= REPLICAS
    assert seen.servers_max <= REPLICAS + SURGE
    assert [name for name, left in seen.left_at_delete.items() if left] == []


CLONE, DESTROY, READ = "CloneVM_Task", "Destroy_Task", "RetrievePropertiesEx"
FAULTS: dict[str, list[dict[str, Any]]] = {
    "an answer to a clone is lost, one fails, one fails and leaves its VM": [
        {"kind": "drop", "method": CLONE, "count": 1},
        {"kind": "task-fault", "method": CLONE, "fault": "SystemError", "skip": 1, "count": 1},
        {"kind": "task-fault-after", "method": CLONE, "fault": "SystemError", "skip": 2, "count": 1},
    ],
    "an answer to a destroy is lost, one fails": [
        {"kind": "drop", "method": DESTROY, "count": 1},
        {"kind": "task-fault", "method": DESTROY, "fault": "SystemError", "skip": 1, "count": 1},
    ],
    "reads answer NotAuthenticated inside, connections are reset": [
        {"kind": "missing", "method": READ, "fault": "NotAuthenticated", "skip": 4, "count": 2},
        {"kind": "reset", "method": "*", "probability": 0.05},
    ],
}


@pytest.mark.parametrize("faults", FAULTS)
def test_a_rollout_completes_although(pool: VsphereEstate, faults: str) -> None:
    """With nothing made twice and nothing left over; what was lost was looked up."""
    image = _the_other(pool)
    rules = {pool.simulator.rule(**fault): fault for fault in FAULTS[faults]}
    pool.present(image, replicas=REPLICAS, strategy={"max_surge": 3}, call_timeout="5s")
    struck = {fault["kind"]: pool.simulator.hits(rule) for rule, fault in rules.items() if "count" in fault}
    pool.simulator.clear_rules()
    pool.assert_settled(REPLICAS, image)
    assert struck == {fault["kind"]: fault["count"] for fault in FAULTS[faults] if "count" in fault}


@pytest.mark.parametrize("what", ["session", "restart", "maintenance"])
def test_a_rollout_completes_although_in_its_midst(pool: VsphereEstate, what: str) -> None:
    """The session is ended by an administrator, vCenter restarts and forgets its tasks, a host goes into maintenance."""
    image = _the_other(pool)
    run = pool.start(image, replicas=REPLICAS, strategy={"max_surge": 3}, call_timeout="5s")
    assert run.until("a machine is being made", lambda event: event["kind"] == "create")
    if what == "session":
        pool.simulator.end_sessions()
    elif what == "restart":
        pool.simulator.restart(3.0)
    else:
        pool.simulator.host("esx-a1.lab", maintenance=True)
    outcome = run.outcome()
    pool.simulator.host("esx-a1.lab")
    assert outcome.code == 0, outcome.text
    pool.assert_settled(REPLICAS, image)


@pytest.mark.parametrize("kind", ["create", "choose", "delete"])
def test_FM41_killed_and_run_again(pool: VsphereEstate, kind: str) -> None:
    """Each run goes on from what the killed one left: with clones under way, with a machine that is off and not destroyed."""
    image = _the_other(pool)
    run = pool.start(image, replicas=REPLICAS, lock_ttl="10s", call_timeout="4s")
    assert run.until(kind, lambda event: event["kind"] == kind)
    time.sleep(0.3)  # part of the moment, not a wait for anything
    run.kill_module()
    pool.present(image, replicas=REPLICAS, lock_ttl="10s", call_timeout="4s")
    pool.assert_settled(REPLICAS, image)


def test_a_full_datastore_ends_with_what_to_do(pool: VsphereEstate) -> None:
    """Before a machine is made; with room again the same task completes."""
    image = _the_other(pool)
    pool.simulator.free("ds-shared", 1024)
    pool.writes()
    refused = pool.present(image, replicas=REPLICAS, fails=True)
    assert (refused.failure["code"], "ds-shared" in refused.failure["what"]) == ("exhausted", True)
    assert pool.writes() == {}
    pool.simulator.free("ds-shared", None)
    pool.present(image, replicas=REPLICAS)
    pool.assert_settled(REPLICAS, image)


def test_a_missing_privilege_ends_with_its_name(pool: VsphereEstate) -> None:
    image = _the_other(pool)
    pool.simulator.deny("VirtualMachine.Provisioning.DeployTemplate", on=image)
    refused = pool.present(image, replicas=REPLICAS, fails=True)
    pool.simulator.grant_all()
    assert refused.failure["code"] == "denied"
    assert f"VirtualMachine.Provisioning.DeployTemplate on the template {image}" in refused.failure["what"]


def test_the_pool_is_removed(pool: VsphereEstate) -> None:
    """VMs, nodes, tokens; the lock is free. Again: nothing to do."""
    assert pool.absent().changed
    assert (pool.servers(), pool.nodes(), pool.tokens(), pool.holder()) == ([], [], [], "")
    assert not pool.absent().changed


def _the_other(pool: VsphereEstate) -> str:
    """The template that the pool is not made of."""
    return V1 if {marks_of(server)["immutable.fleet.field.image"] for server in pool.servers()} == {pool.digest(V2)} else V2
