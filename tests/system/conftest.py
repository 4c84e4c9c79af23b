# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to the labs. A lab that is not up skips its tests."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Kube
from ansible_collections.immutable.fleet.tests.labs.kubernetes.site import Site
from ansible_collections.immutable.fleet.tests.system import kubernetes_lab

pytest.register_assert_rewrite("ansible_collections.immutable.fleet.tests.system.estate")
pytest.register_assert_rewrite("ansible_collections.immutable.fleet.tests.system.vsphere_estate")

_lost = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The labs' clients keep a connection per thread and close none; what they start outlives them."""
    for item in items:
        if item.path.parent != Path(__file__).parent:
            continue
        item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remembers which stories went wrong: their next parts rest on what did not happen."""
    report = yield
    if report.failed and item.get_closest_marker("story") and item.parent is not None:
        item.parent.stash[_lost] = True
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.parent is not None and item.parent.stash.get(_lost, False):
        pytest.skip("an earlier part of the story failed")


@pytest.fixture(scope="session")
def kubernetes_site() -> Site:
    return kubernetes_lab.site_or_skip()


@pytest.fixture(scope="session")
def kube(kubernetes_site: Site) -> Iterator[Kube]:
    """The lab's own client, with all rights: makes the world that the adapter looks at."""
    yield Kube(kubernetes_site.kubeconfig, agent="system-test")
    gc.collect()  # its connections, while the warnings about them are ignored
