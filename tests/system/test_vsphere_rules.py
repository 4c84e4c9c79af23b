# SPDX-License-Identifier: GPL-3.0-or-later
"""DRS rules over a pool's life: in order when a run ends, at one call for all machines; left alone by a run that changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Kube
from ansible_collections.immutable.fleet.tests.system.vsphere_estate import VsphereEstate, vsphere_estate

pytestmark = [pytest.mark.lab, pytest.mark.story]

RULES = "ReconfigureComputeResource_Task"
V1, V2 = "golden-base-v1", "golden-base-v2"
STRATEGY = {"min_ready": "1s", "max_surge": 2}


@pytest.fixture(scope="module")
def pool(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VsphereEstate]:
    """Two machines on one cluster of two hosts."""
    options = {"replicas": 2, "failure_domains": ["fd-a"], "strategy": STRATEGY, "vsphere": {"anti_affinity": True}}
    with vsphere_estate("vapart", kube, tmp_path_factory.mktemp("vapart"), **options) as made:
        yield made


def test_new_machines_are_kept_apart(pool: VsphereEstate) -> None:
    pool.writes()
    assert pool.present(V1).changed
    assert pool.writes() == {"CloneVM_Task": 2, RULES: 1}


def test_the_same_task_again_finds_the_rules_in_order(pool: VsphereEstate) -> None:
    assert not pool.present(V1).changed
    assert pool.writes() == {}


def test_their_next_ones_are_too(pool: VsphereEstate) -> None:
    """A rollout that is over within a minute changes the rules once, at its end."""
    assert pool.present(V2).changed
    assert pool.writes()[RULES] >= 1
    assert not pool.present(V2).changed


def test_the_rules_go_with_the_pool(pool: VsphereEstate) -> None:
    """Where the option is given for its removal, too."""
    task = pool.access(state="absent")
    task["vsphere"]["anti_affinity"] = True
    assert pool.playbooks.run("node_pool", task).changed
    assert pool.writes()[RULES] >= 1
    assert not pool.playbooks.run("node_pool", task).changed
    assert (pool.servers(), pool.writes()) == ([], {})
