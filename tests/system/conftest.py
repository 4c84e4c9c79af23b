# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to the labs. A lab that is not up skips its tests."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Kube
from ansible_collections.immutable.fleet.tests.labs.kubernetes.site import Site
from ansible_collections.immutable.fleet.tests.system import kubernetes_lab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The labs' clients keep a connection per thread and close none; what they start outlives them."""
    for item in items:
        if item.path.parent != Path(__file__).parent:
            continue
        item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


@pytest.fixture(scope="session")
def kubernetes_site() -> Site:
    return kubernetes_lab.site_or_skip()


@pytest.fixture(scope="session")
def kube(kubernetes_site: Site) -> Iterator[Kube]:
    """The lab's own client, with all rights: makes the world that the adapter looks at."""
    yield Kube(kubernetes_site.kubeconfig, agent="system-test")
    gc.collect()  # its connections, while the warnings about them are ignored
