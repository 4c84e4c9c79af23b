# SPDX-License-Identifier: GPL-3.0-or-later
"""Remediation on real servers: machines that stop to report, that are switched off, that only seem to, while others work on the pool.

Kubelets are stand-ins: one that stops renews its lease no longer, and the cluster itself calls its node Unknown then. One story: each
test leaves the pool whole, of golden-v1.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import COMPUTE
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import NODES, Json, Kube, readiness, wait
from ansible_collections.immutable.fleet.tests.labs.kubernetes.site import Site
from ansible_collections.immutable.fleet.tests.system import openstack_lab
from ansible_collections.immutable.fleet.tests.system.audit import instant
from ansible_collections.immutable.fleet.tests.system.estate import Estate, estate
from ansible_collections.immutable.fleet.tests.system.playbook import Event, Outcome
from ansible_collections.immutable.fleet.tests.system.wire import Wire

pytestmark = [*openstack_lab.MARKS, pytest.mark.story]

REPLICAS = 5
TIMEOUT = timedelta(seconds=6)  # of a silent kubelet, from the cluster's own word on: 12 s after its last lease
HEALTH: Json = {"conditions": [{"type": "Ready", "status": "Unknown", "timeout": "6s"}], "cooldown": "1s"}
STOPPED = {"lab_kubelet": "stopped"}
CUT_SECONDS = 10.0  # longer than TIMEOUT


@pytest.fixture(scope="module")
def pool(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with pytest.MonkeyPatch.context() as environment:
        openstack_lab.use_or_skip(environment)
        quick: Json = {"lock_ttl": "10s", "call_timeout": "4s", "health": HEALTH, "openstack": openstack_lab.NO_NETWORK}
        with estate("heal", kube, tmp_path_factory.mktemp("heal"), **quick) as made:
            made.present(replicas=REPLICAS)
            yield made


def look(pool: Estate, **options: Any) -> Outcome:
    """A pass of `node_health`, which takes the pool's own options."""
    return pool.playbooks.run("node_health", pool.task(replicas=REPLICAS, **options))


def ready(pool: Estate, name: str) -> Json:
    """The condition of its node."""
    conditions = pool.kube.get(f"{NODES}/{name}")["status"]["conditions"]
    return next(dict(condition) for condition in conditions if condition["type"] == "Ready")


def silence(pool: Estate, *names: str) -> datetime:
    """Stop these kubelets; since when the cluster calls the first of them Unknown."""
    pool.guests(dict.fromkeys(names, STOPPED))
    wait("silent nodes are Unknown", lambda: all(ready(pool, name)["status"] == "Unknown" for name in names), 60)
    return min(instant(ready(pool, name)["lastTransitionTime"]) for name in names)


def ends(events: list[Event]) -> list[Event]:
    return [event for event in events if event["kind"] in ("choose", "delete", "evict", "power off", "reboot")]


def test_FM17_one_that_stops_to_report_is_replaced_after_its_timeout_and_once(pool: Estate) -> None:
    """Not before; the others are not touched."""
    victim, *others = pool.names()
    since = silence(pool, victim)
    healed = pool.present(replicas=REPLICAS)
    chosen = [event for event in healed.events if event["kind"] == "choose"]
    assert [event["machine"] for event in chosen] == [victim]
    assert chosen[0]["text"].startswith("unhealthy: Ready is Unknown for ")
    assert instant(chosen[0]["at"]) >= since + TIMEOUT
    assert (healed.result["summary"]["created"], healed.result["summary"]["deleted"]) == (1, 1)
    assert set(others) < set(pool.names())
    pool.assert_settled(REPLICAS, "golden-v1")


def test_FM17_most_that_stop_to_report_are_left_alone(pool: Estate) -> None:
    """The message says why, in numbers; when they are back, all is as it was."""
    before = pool.names()
    one_of_each_zone = {server["OS-EXT-AZ:availability_zone"]: server["name"] for server in pool.servers()}  # else it is an outage
    silence(pool, *one_of_each_zone.values())
    blocked = pool.present(replicas=REPLICAS, fails=True)
    assert blocked.failure["code"] == "blocked"
    assert "3 of 5 machines are not well (60%), max_unhealthy 34% allows 1: none of them is replaced for it" in blocked.failure["what"]
    assert (ends(blocked.events), pool.names()) == ([], before)
    pool.guests({})
    wait("all report again", lambda: [readiness(node) for node in pool.nodes()] == ["True"] * REPLICAS, 60)
    look(pool)
    pool.assert_settled(REPLICAS, "golden-v1")
    assert pool.names() == before


def test_FM17_while_the_api_server_is_out_of_reach_nothing_goes(pool: Estate, kubernetes_site: Site, tmp_path: Path) -> None:
    """Although the time of one that is silent is over meanwhile. When the wire is mended it is replaced."""
    port = kubernetes_site.port("apiserver")
    victim = pool.names()[0]
    with Wire(port) as wire:
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(pool.kube.kubeconfig.read_text().replace(f":{port}", f":{wire.port}"))
        silence(pool, victim)
        run = pool.start(replicas=REPLICAS, kubernetes={"kubeconfig": str(kubeconfig)})
        assert run.until("it waits for its time", lambda event: event["kind"] == "waits")
        wire.cut()
        before = ends(run.events())
        assert run.until_over(CUT_SECONDS) is None, run.text()
        assert ends(run.events()) == before == []
        wire.mend()
        outcome = run.outcome()
    assert outcome.code == 0, outcome.text
    assert [event["machine"] for event in outcome.events if event["kind"] == "choose"] == [victim]
    pool.assert_settled(REPLICAS, "golden-v1")


def test_pods_of_a_machine_that_is_off_run_elsewhere_whatever_their_budget_says(pool: Estate) -> None:
    """Proven dead: no wait for a PDB that allows nothing, and none for `drain.timeout`."""
    server = pool.servers()[0]
    dead = server["name"]
    with pool.workload() as shop:
        shop.deployment("cart", REPLICAS, min_available=REPLICAS, spread=True, **pool.placement())
        shop.wait_running()
        there = {pod["metadata"]["uid"] for pod in shop.pods("cart") if pod["spec"]["nodeName"] == dead}
        assert there
        pool.api.request("POST", COMPUTE, f"/servers/{server['id']}/action", body={"os-stop": None})
        wait("its kubelet is silent", lambda: ready(pool, dead)["status"] == "Unknown", 60)
        run = pool.start(replicas=REPLICAS)
        proven = "its VM is off by the hypervisor's word: pods and volumes are let go"
        assert run.until("its death is proven", lambda event: event["machine"] == dead and event["text"] == proven)

        def run_elsewhere() -> bool:
            pods = [pod for pod in shop.pods("cart") if pod["status"].get("phase") == "Running"]
            alive = [pod for pod in pods if pod["spec"]["nodeName"] != dead and pod["metadata"]["uid"] not in there]
            return len(alive) == REPLICAS

        wait("its pods run elsewhere", run_elsewhere, 60)
        outcome = run.outcome()
    assert outcome.code == 0, outcome.text
    pool.assert_settled(REPLICAS, "golden-v1")


def test_a_check_that_comes_while_another_run_is_at_work_leaves_the_pool_to_it(pool: Estate) -> None:
    """It ends well, changes nothing, and says who looks after the pool."""
    pool.guests({f"{pool.name}-.*": {"lab_join": "never"}})
    scaling = pool.start(replicas=REPLICAS + 1)
    assert scaling.until("its first machine", lambda event: event["kind"] == "create")
    holder = pool.holder()
    checked = look(pool)
    assert not checked.changed
    assert holder in checked.result["run"]["what"]
    pool.guests({})
    assert scaling.outcome().code == 0
    pool.assert_settled(REPLICAS + 1, "golden-v1")
