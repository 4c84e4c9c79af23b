# SPDX-License-Identifier: GPL-3.0-or-later
"""Which adapters go through the suite. A lab's harness is a file of its own here, listed with `marks=pytest.mark.lab`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.tests.conformance.harness import (
    BalancerHarness,
    CloudHarness,
    ClusterHarness,
    ImageStoreHarness,
    LockHarness,
)
from ansible_collections.immutable.fleet.tests.conformance.on_glance import OnGlance
from ansible_collections.immutable.fleet.tests.conformance.on_haproxy import dynamic_servers, slots
from ansible_collections.immutable.fleet.tests.conformance.on_kubernetes import Kubernetes
from ansible_collections.immutable.fleet.tests.conformance.on_octavia import OnOctavia, Shop
from ansible_collections.immutable.fleet.tests.conformance.on_openstack import OpenStack
from ansible_collections.immutable.fleet.tests.conformance.on_vsphere import Vsphere
from ansible_collections.immutable.fleet.tests.conformance.simulated import InFile, InMemory, Simulated


def in_memory(folder: Path) -> Simulated:
    return Simulated(InMemory(folder))


def in_file(folder: Path) -> Simulated:
    return Simulated(InFile(folder))


OPENSTACK_MARKS = [pytest.mark.lab, pytest.mark.filterwarnings(r"ignore:::openstack\..*")]  # the SDK's own deprecations
CLOUDS: list[object] = [
    pytest.param(in_memory, id="memory"),
    pytest.param(in_file, id="file"),
    pytest.param(OpenStack, id="openstack", marks=OPENSTACK_MARKS),
    pytest.param(Vsphere, id="vsphere", marks=pytest.mark.lab),
]
# The lab's client keeps a connection per thread and closes none.
KUBERNETES_MARKS = [pytest.mark.lab, pytest.mark.filterwarnings("ignore::ResourceWarning")]
KUBERNETES = pytest.param(Kubernetes, id="kubernetes", marks=KUBERNETES_MARKS)
CLUSTERS: list[object] = [pytest.param(in_memory, id="memory"), pytest.param(in_file, id="file"), KUBERNETES]
LOCKS: list[object] = [pytest.param(in_memory, id="memory"), pytest.param(in_file, id="file"), KUBERNETES]
IMAGE_STORES: list[object] = [pytest.param(in_memory, id="memory"), pytest.param(in_file, id="file")]
IMAGE_STORES.append(pytest.param(OnGlance, id="glance", marks=OPENSTACK_MARKS))
BALANCERS: list[object] = [pytest.param(in_memory, id="memory"), pytest.param(in_file, id="file")]
BALANCERS += [pytest.param(make, id=f"haproxy-{make.__name__}", marks=pytest.mark.lab) for make in (dynamic_servers, slots)]
BALANCERS.append(pytest.param(OnOctavia, id="octavia", marks=OPENSTACK_MARKS))


@pytest.fixture(params=CLOUDS)
def clouds(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CloudHarness]:
    make: Callable[[Path], CloudHarness] = request.param
    harness = make(tmp_path)
    yield harness
    harness.clean_up()


@pytest.fixture(params=CLUSTERS)
def clusters(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ClusterHarness]:
    make: Callable[[Path], ClusterHarness] = request.param
    harness = make(tmp_path)
    yield harness
    harness.clean_up()


@pytest.fixture(params=LOCKS)
def locks(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LockHarness]:
    make: Callable[[Path], LockHarness] = request.param
    harness = make(tmp_path)
    yield harness
    harness.clean_up()


@pytest.fixture(params=IMAGE_STORES)
def images(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ImageStoreHarness]:
    make: Callable[[Path], ImageStoreHarness] = request.param
    harness = make(tmp_path)
    yield harness
    harness.clean_up()


@pytest.fixture(scope="session")
def shop() -> Iterator[Shop]:
    """Making a load balancer takes Octavia longer than any test does."""
    made = Shop()
    yield made
    made.delete()


@pytest.fixture(params=BALANCERS)
def balancers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BalancerHarness]:
    make: Callable[[object], BalancerHarness] = request.param
    harness = make(request.getfixturevalue("shop") if make is OnOctavia else tmp_path)
    yield harness
    harness.clean_up()
