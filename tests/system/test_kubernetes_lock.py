# SPDX-License-Identifier: GPL-3.0-or-later
"""The Lock port on a Lease of the lab's API server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.client import Client
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.lock import KubernetesLock
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact, PoolRecord
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Kube
from ansible_collections.immutable.fleet.tests.labs.kubernetes.site import Site
from ansible_collections.immutable.fleet.tests.system.kubernetes_lab import client_of

pytestmark = pytest.mark.lab

LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/immutable-fleet-lock-test"
TTL = timedelta(seconds=60)
RECORD = PoolRecord(pinned={"asked": "golden", "id": "42", "digest": "sha512:ab", "since": "2026-11-21T04:10:07Z"})


@pytest.fixture
def client(kubernetes_site: Site) -> Iterator[Client]:
    made = client_of(kubernetes_site.kubeconfig)
    yield made
    made.close()


@pytest.fixture
def lock(client: Client, kube: Kube) -> Iterator[KubernetesLock]:
    kube.delete(LEASE)
    yield KubernetesLock(client, pool="lock-test")
    kube.delete(LEASE)


def test_lock_that_was_never_made_is_free(lock: KubernetesLock) -> None:
    """Token 0, and nothing is written by looking."""
    assert lock.read() == LockFact()
    assert lock.read() == LockFact()


def test_FM11_of_two_contenders_one_gets_it(lock: KubernetesLock) -> None:
    """Free or held, whoever acts on what is no longer so is refused."""
    for _round in range(3):
        seen = lock.read()

        def attempt(holder: str, seen: LockFact = seen) -> LockFact | None:
            try:
                return lock.acquire(seen, holder, TTL)
            except Conflict:
                return None

        with ThreadPoolExecutor(8) as contenders:
            got = [fact for fact in contenders.map(attempt, map("run-{}".format, range(8))) if fact]
        assert [(fact.holder, fact.token) for fact in got] == [(lock.read().holder, seen.token + 1)]


def test_renewals_are_seen_and_keep_the_token(lock: KubernetesLock) -> None:
    """A newcomer watches `renewals` on its own clock."""
    held = lock.acquire(lock.read(), "run-1", TTL)
    renewed = lock.renew(held)
    assert renewed.renewals != held.renewals
    assert (renewed.holder, renewed.token, renewed.since, renewed.ttl) == ("run-1", 1, held.since, TTL)


def test_record_survives_release_and_the_next_holder(lock: KubernetesLock) -> None:
    """What belongs to the pool outlives its runs."""
    held = lock.acquire(lock.read(), "run-1", TTL)
    lock.release(replace(held, record=RECORD))
    free = lock.read()
    assert (free.holder, free.record, free.token) == ("", RECORD, 1)
    assert lock.acquire(free, "run-2", TTL).record == RECORD


def test_lock_that_was_taken_over_is_left_alone(lock: KubernetesLock) -> None:
    """A holder that was silent too long can neither renew nor release it."""
    lost = lock.acquire(lock.read(), "run-1", TTL)
    taken = lock.acquire(lock.read(), "run-2", TTL)
    with pytest.raises(Conflict):
        lock.renew(lost)
    lock.release(replace(lost, record=RECORD))
    assert lock.read() == taken


def test_lease_that_was_deleted_is_lost(lock: KubernetesLock, kube: Kube) -> None:
    """Not made again by a renewal: somebody else may hold the next one."""
    held = lock.acquire(lock.read(), "run-1", TTL)
    kube.delete(LEASE)
    with pytest.raises(Conflict):
        lock.renew(held)
    lock.release(held)
    assert lock.read() == LockFact()
