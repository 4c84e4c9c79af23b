# SPDX-License-Identifier: GPL-3.0-or-later
"""The pool's lock and record on one coordination.k8s.io Lease.

`leaseTransitions` is the fencing token: each change of holder makes it one more. Every write names the resourceVersion it rests
on. A refusal (409) need not mean that the lock is lost: an operator may have steered the pool, in an annotation of its own. So the
holder looks who holds it now, and writes again if it is still itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.client import Client
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, NotFound
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact, load_object, load_record
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Steering, load_steering

NAME_PREFIX = "immutable-fleet-"
NAMESPACE_DEFAULT = "kube-system"
WRITE_TRIES_MAX = 3  # two strangers' writes between a read and a write of ours are already far-fetched


class KubernetesLock:
    """The Lock port."""

    def __init__(self, client: Client, *, pool: str, namespace: str = NAMESPACE_DEFAULT) -> None:
        self._client = client
        self._leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = NAME_PREFIX + pool
        self._path = f"{self._leases}/{self._name}"
        self._where = f"lease {namespace}/{self._name}"

    def read(self) -> LockFact:
        try:
            return fact_of(self._client.call("GET", self._path, where=self._where))
        except NotFound:
            return LockFact()

    def acquire(self, seen: LockFact, holder: str, ttl: timedelta) -> LockFact:
        now = _micro_time(self._client.now())
        annotations = {marks.LOCK_RECORD: seen.record.dump()}
        spec = {
            "holderIdentity": holder,
            "leaseDurationSeconds": max(1, round(ttl.total_seconds())),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": seen.token + 1,
        }
        if seen.version:
            return self._patch(seen.version, {"metadata": {"annotations": annotations}, "spec": spec})
        return self._make(annotations, spec)

    def renew(self, held: LockFact) -> LockFact:
        annotations = {marks.LOCK_RECORD: held.record.dump()}
        spec = {"renewTime": _micro_time(self._client.now())}
        return self._write_held(held, {"metadata": {"annotations": annotations}, "spec": spec})

    def release(self, held: LockFact) -> None:
        annotations = {marks.LOCK_RECORD: held.record.dump()}
        patch = {"metadata": {"annotations": annotations}, "spec": {"holderIdentity": None}}
        try:
            self._write_held(held, patch)
        except (Conflict, NotFound):
            return  # another's now, or nobody's

    def steer(self, seen: LockFact, steering: Steering) -> LockFact:
        annotations = {marks.LOCK_STEERING: steering.dump()}
        if not seen.version:
            return self._make(annotations, {})
        return self._patch(seen.version, {"metadata": {"annotations": annotations}})

    def _make(self, annotations: Mapping[str, str], spec: Mapping[str, Any]) -> LockFact:
        metadata = {"name": self._name, "annotations": annotations}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        return fact_of(self._client.call("POST", self._leases, body=lease, where=self._where))

    def _write_held(self, held: LockFact, patch: Mapping[str, Any]) -> LockFact:
        """Write, as long as the lock is `held`'s. Raises `Conflict` when it is another's, also if the Lease is gone."""
        for _attempt in range(WRITE_TRIES_MAX):
            try:
                return self._patch(held.version, patch)
            except Conflict:
                found = self.read()
                if (found.holder, found.token) != (held.holder, held.token):
                    raise
                held = replace(held, version=found.version)
            except NotFound as exc:
                raise Conflict(what="the lock was deleted while it was held", where=self._where) from exc
        raise Conflict(what="the lock is written to all the time by somebody else", where=self._where)

    def _patch(self, version: str, patch: Mapping[str, Any]) -> LockFact:
        body = {**patch, "metadata": {**patch.get("metadata", {}), "resourceVersion": version}}
        return fact_of(self._client.call("PATCH", self._path, body=body, where=self._where))


def fact_of(lease: Mapping[str, Any]) -> LockFact:
    """The lock as a Lease tells it."""
    metadata, spec = lease["metadata"], lease.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    holder = spec.get("holderIdentity") or ""
    return LockFact(
        holder=holder,
        since=spec.get("acquireTime") or "",
        renewals=f"{spec.get('renewTime') or ''} {holder}",
        token=spec.get("leaseTransitions") or 0,
        ttl=timedelta(seconds=spec.get("leaseDurationSeconds") or 0),
        version=metadata["resourceVersion"],
        record=load_record(annotations.get(marks.LOCK_RECORD)),
        steering=load_steering(load_object(annotations.get(marks.LOCK_STEERING))),
    )


def _micro_time(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
