# SPDX-License-Identifier: GPL-3.0-or-later
"""The Access port over a real API server: a SelfSubjectAccessReview for each right.

Not one SelfSubjectRulesReview instead of them: its list may be incomplete (authorizers that ask elsewhere cannot enumerate), to
match it would be a copy of RBAC, and the API's own text says that it is for showing, not for deciding. A review costs 2 ms
(Kubernetes 1.36), anybody who is logged in may ask for it (`system:basic-user`), and it is stored nowhere.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.client import Client
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.joining import TOKEN_NAMESPACE
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.lock import NAME_PREFIX
from ansible_collections.immutable.fleet.plugins.module_utils.model.access import Right
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import PortError

ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
SELF_REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"  # since 1.28; before that nobody says who we are

WATCHED = (
    ("", "nodes"),
    ("", "pods"),
    ("policy", "poddisruptionbudgets"),
    ("storage.k8s.io", "volumeattachments"),
    ("apps", "daemonsets"),
)
LEASES, SECRETS = ("coordination.k8s.io", "leases"), ("", "secrets")


class KubernetesAccess:
    """The rights that the calls of `cluster` and `lock` take."""

    def __init__(
        self,
        client: Client,
        *,
        pool: str = "",
        lock_namespace: str = "",
        mints_tokens: bool = False,
        evicts: bool = True,
        forces: bool = False,
    ) -> None:
        """`pool` "" has no lock and keeps its nodes. `forces`: the drain deletes pods that it could not evict."""
        self._client = client
        self._pool, self._lock_namespace = pool, lock_namespace
        self._mints_tokens, self._evicts, self._forces = mints_tokens, evicts, forces

    def needs(self, *, removes: bool) -> tuple[Right, ...]:
        found = [Right(verb=verb, group=group, resource=name) for group, name in WATCHED for verb in ("list", "watch")]
        found.append(Right(verb="patch", resource="nodes"))
        if self._pool:
            found.append(Right(verb="delete", resource="nodes"))
        if self._evicts:
            found.append(Right(verb="create", resource="pods/eviction"))
        if removes or self._forces:
            found.append(Right(verb="delete", resource="pods"))
        if self._pool:
            group, leases = LEASES
            name = NAME_PREFIX + self._pool
            where = {"group": group, "resource": leases, "namespace": self._lock_namespace}
            found += [Right(verb=verb, name=name, **where) for verb in ("get", "patch")]
            found.append(Right(verb="create", **where))  # no name: access control does not know one before the object is there
        if self._mints_tokens:
            verbs = ("list", "watch", "get", "create", "patch", "delete")
            found += [Right(verb=verb, resource="secrets", namespace=TOKEN_NAMESPACE) for verb in verbs]
        return tuple(found)

    def may(self, right: Right) -> bool:
        resource, _slash, subresource = right.resource.partition("/")
        attributes = {
            "verb": right.verb,
            "group": right.group,
            "resource": resource,
            "subresource": subresource,
            "namespace": right.namespace,
            "name": right.name,
        }
        spec = {"resourceAttributes": {key: value for key, value in attributes.items() if value}}
        return bool(self._review(ACCESS_REVIEWS, "SelfSubjectAccessReview", spec).get("allowed"))

    def user(self) -> str:
        try:
            review = self._review(SELF_REVIEWS, "SelfSubjectReview", None)
        except PortError:
            return ""
        return str((review.get("userInfo") or {}).get("username") or "")

    def _review(self, path: str, kind: str, spec: dict[str, Any] | None) -> dict[str, Any]:
        version = path.removeprefix("/apis/").rpartition("/")[0]
        body = {"apiVersion": version, "kind": kind, **({"spec": spec} if spec else {})}
        return self._client.call("POST", path, body=body, where="kubernetes").get("status") or {}
