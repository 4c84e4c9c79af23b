# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong in the midst of a rollout on a vCenter and has to be put right by a person: what is said, and how it goes on then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Kube
from ansible_collections.immutable.fleet.tests.system.playbook import Running
from ansible_collections.immutable.fleet.tests.system.vsphere_estate import VsphereEstate, vsphere_estate

pytestmark = [pytest.mark.lab, pytest.mark.story]

REPLICAS = 2
V1, V2 = "golden-base-v1", "golden-base-v2"
STRATEGY = {"max_surge": 1, "min_ready": "1s"}


@pytest.fixture(scope="module")
def pool(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VsphereEstate]:
    options = {"replicas": REPLICAS, "strategy": STRATEGY, "call_timeout": "5s"}
    with vsphere_estate("vbad", kube, tmp_path_factory.mktemp("vbad"), **options) as made:
        made.present(V1)
        yield made


def begun(pool: VsphereEstate, image: str) -> Running:
    """A rollout that has asked for its first machine."""
    run = pool.start(image)
    assert run.until("a machine is being made", lambda event: event["kind"] == "create"), run.text()
    return run


def assert_nothing_is_lost(pool: VsphereEstate) -> None:
    """As many machines as asked for are on, and each node is one's."""
    assert sum(server["power"] == "poweredOn" for server in pool.servers()) >= REPLICAS
    assert {node["metadata"]["name"] for node in pool.nodes()} <= set(pool.names())


def test_a_full_datastore_is_waited_for(pool: VsphereEstate) -> None:
    """The clone that met it is said to be in error, with vCenter's words; with room again the same run completes."""
    pool.simulator.set(task_ms={"CloneVM_Task": 1500})
    run = pool.start(V2)
    assert run.until("an old machine is gone", lambda event: event["kind"] == "gone"), run.text()
    pool.simulator.free("ds-shared", 1)
    assert run.until("the datastore is full", lambda event: "NoDiskSpace" in str(event.get("text"))), run.text()
    assert_nothing_is_lost(pool)
    pool.simulator.free("ds-shared", None)
    outcome = run.outcome()
    assert outcome.code == 0, outcome.text
    pool.assert_settled(REPLICAS, V2)


def test_a_template_that_is_gone_ends_the_run_with_what_to_do(pool: VsphereEstate) -> None:
    """The pool keeps what it has; of the template that is there the next run makes it whole."""
    run = begun(pool, V1)
    pool.simulator.destroy(V1)
    outcome = run.outcome()
    assert outcome.code != 0
    assert (outcome.failure["code"], "gone" in outcome.failure["what"]) == ("invalid", True), outcome.text
    assert_nothing_is_lost(pool)
    pool.present(V2)
    pool.assert_settled(REPLICAS, V2)
