# SPDX-License-Identifier: GPL-3.0-or-later
"""A run on real servers is paused, rolled back, resumed, scaled, retargeted and aborted while it goes on, through the pool's Lease."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Kube
from ansible_collections.immutable.fleet.tests.system import openstack_lab
from ansible_collections.immutable.fleet.tests.system.estate import Estate, estate
from ansible_collections.immutable.fleet.tests.system.playbook import Outcome, Running

pytestmark = [pytest.mark.lab, pytest.mark.filterwarnings(r"ignore:::openstack\..*")]

REPLICAS = 12
SLOWLY = {"max_surge": 2, "min_ready": "1s"}
QUICK_LOCK = {"lock_ttl": "10s", "call_timeout": "4s"}


@pytest.fixture(scope="module")
def pool(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """One pool for all, without ports: Neutron is most of a server's cost in the lab."""
    with pytest.MonkeyPatch.context() as environment:
        openstack_lab.use_or_skip(environment)
        options: dict[str, Any] = {"openstack": openstack_lab.NO_NETWORK, "replicas": REPLICAS, **QUICK_LOCK}
        with estate("steer", kube, tmp_path_factory.mktemp("steer"), **options) as made:
            roll(made, "golden-v1")
            yield made


def roll(pool: Estate, image: str) -> Outcome:
    """From beginning to end, undisturbed."""
    return pool.present(image, strategy=SLOWLY)


def until(run: Running, kind: str) -> None:
    """The run has told so."""
    assert run.until(kind, lambda event: event["kind"] == kind) is not None, f"ended without {kind}:\n{run.text()}"


def control(pool: Estate, state: str, **options: Any) -> dict[str, Any]:
    """From another terminal."""
    task = {"name": pool.name, "state": state, "kubernetes": {"kubeconfig": str(pool.kube.kubeconfig)}, **options}
    return pool.playbooks.run("node_pool_control", task).result


def images(pool: Estate) -> list[str]:
    return sorted(server["image"]["id"] for server in pool.servers())


def test_a_run_is_paused_resumed_and_rolled_back_while_it_goes_on(pool: Estate) -> None:
    """It sees each within seconds and says who asked; the next scheduled run stays where it was rolled back to."""
    run = pool.start("golden-v2", strategy=SLOWLY)
    until(run, "delete")
    paused = control(pool, "paused")
    assert paused["lock"]["holder"]
    until(run, "steering")
    control(pool, "rolled_back")
    control(pool, "resumed")
    ended = run.outcome()
    assert ended.code == 0, ended.text
    texts = [event["text"] for event in ended.events if event["kind"] == "steering"]
    assert [text.split()[0] for text in texts] == ["pause", "rollback", "pause", "resume"]
    assert all(" by " in text for text in texts if "taken back" not in text)
    pool.assert_settled(REPLICAS, "golden-v1")
    assert not roll(pool, "golden-v2").changed
    assert set(images(pool)) == {pool.image_id("golden-v1")}
    control(pool, "retargeted")
    roll(pool, "golden-v2")
    pool.assert_settled(REPLICAS, "golden-v2")


def test_a_run_is_scaled_up_and_down_while_it_goes_on(pool: Estate) -> None:
    """It goes on rolling with as many; the next scheduled run keeps them, until the variables are to be followed again."""
    roll(pool, "golden-v2")
    run = pool.start("golden-v1", strategy=SLOWLY)
    until(run, "delete")
    control(pool, "scaled", replicas=20)
    reached = run.until("20 machines", lambda event: event.get("existing", 0) >= 20)
    assert reached is not None, f"never had 20 machines:\n{run.text()}"
    control(pool, "scaled", replicas=10)
    ended = run.outcome()
    assert ended.code == 0, ended.text
    assert [event["replicas"] for event in ended.events if event["kind"] == "scale"] == [20, 10]
    pool.assert_settled(10, "golden-v1")
    assert not roll(pool, "golden-v1").changed
    control(pool, "scaled")
    roll(pool, "golden-v1")
    pool.assert_settled(REPLICAS, "golden-v1")


def test_a_run_is_aborted(pool: Estate) -> None:
    """It gives back what it had chosen, and ends with how to go on; until it is resumed, another run rolls nothing."""
    roll(pool, "golden-v2")
    run = pool.start("golden-v1", strategy=SLOWLY)
    until(run, "create")
    control(pool, "aborted")
    ended = run.outcome()
    assert ended.failure["code"] == "stopped"
    assert "resumed" in ended.failure["forward"]
    assert [node["metadata"]["name"] for node in pool.nodes() if node["spec"].get("unschedulable")] == []
    assert pool.image_id("golden-v2") in images(pool)
    control(pool, "resumed")
    roll(pool, "golden-v1")
    pool.assert_settled(REPLICAS, "golden-v1")
