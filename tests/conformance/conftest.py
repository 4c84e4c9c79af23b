# SPDX-License-Identifier: GPL-3.0-or-later
"""A harness for each test and each adapter of adapters.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.tests.conformance.adapters import BALANCERS, CLOUDS, CLUSTERS, IMAGE_STORES, LOCKS
from ansible_collections.immutable.fleet.tests.conformance.harness import (
    BalancerHarness,
    CloudHarness,
    ClusterHarness,
    ImageStoreHarness,
    LockHarness,
)
from ansible_collections.immutable.fleet.tests.conformance.on_octavia import OnOctavia, Shop


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
