# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rights a run takes at a Kubernetes API server, and how it is asked for them."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.access import KubernetesAccess
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.lock import NAMESPACE_DEFAULT
from ansible_collections.immutable.fleet.plugins.module_utils.model.access import Right
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import NotFound

Json = dict[str, Any]

MANIFEST = Path(__file__).parents[4] / "docs/kubernetes-access.yaml"
WATCHED = ("nodes", "pods", "poddisruptionbudgets", "volumeattachments", "daemonsets")


class Server:
    """Answers each request with the next status, and keeps what it was asked."""

    def __init__(self, *answers: Json | Exception) -> None:
        self.asked: list[tuple[str, str, Json]] = []
        self._answers = list(answers)

    def call(self, method: str, path: str, *, where: str, body: Json) -> Json:
        self.asked.append((method, path, body))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"status": answer}


def access(server: Any = None, **options: Any) -> KubernetesAccess:
    return KubernetesAccess(server, **options)


def said(rights: tuple[Right, ...]) -> list[str]:
    """Beside those to list and watch, which all runs take."""
    watched = [(verb, name) for name in WATCHED for verb in ("list", "watch")]
    assert [(right.verb, right.resource) for right in rights[: len(watched)]] == watched
    return [" ".join(filter(None, (right.verb, right.resource, right.namespace, right.name))) for right in rights[len(watched) :]]


POOL = {"pool": "web", "lock_namespace": "locks"}
OF_A_POOL = ["patch nodes", "delete nodes", "create pods/eviction"]
OF_ITS_LOCK = ["get leases locks immutable-fleet-web", "patch leases locks immutable-fleet-web", "create leases locks"]
OF_TOKENS = [f"{verb} secrets kube-system" for verb in ("list", "watch", "get", "create", "patch", "delete")]


@pytest.mark.parametrize(
    ("options", "removes", "expected"),
    [
        pytest.param(POOL, False, [*OF_A_POOL, *OF_ITS_LOCK], id="a pool"),
        pytest.param({**POOL, "mints_tokens": True}, False, [*OF_A_POOL, *OF_ITS_LOCK, *OF_TOKENS], id="a pool that makes tokens"),
        pytest.param({**POOL, "forces": True}, False, [*OF_A_POOL, "delete pods", *OF_ITS_LOCK], id="on_timeout: force"),
        pytest.param(POOL, True, [*OF_A_POOL, "delete pods", *OF_ITS_LOCK], id="a machine that is proven dead"),
        pytest.param({}, False, ["patch nodes", "create pods/eviction"], id="node_drain"),
        pytest.param({"forces": True}, False, ["patch nodes", "create pods/eviction", "delete pods"], id="node_drain by force"),
        pytest.param({"evicts": False}, False, ["patch nodes"], id="node_drain that only cordons"),
    ],
)
def test_a_run_asks_for_what_it_takes(options: Json, removes: bool, expected: list[str]) -> None:
    """And for nothing else: who only cordons needs no right to evict."""
    assert said(access(**options).needs(removes=removes)) == expected


def test_the_documented_role_is_exactly_what_a_run_can_take() -> None:
    """No right too few, and none too many."""
    given = {
        Right(verb=verb, group=group, resource=resource, namespace=role["metadata"].get("namespace", ""))
        for role in yaml.safe_load(MANIFEST.read_text())["items"]
        for rule in role.get("rules", ())
        for group, resource, verb in product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }
    needed = access(pool="web", lock_namespace=NAMESPACE_DEFAULT, mints_tokens=True).needs(removes=True)
    assert given == {Right(verb=each.verb, group=each.group, resource=each.resource, namespace=each.namespace) for each in needed}


def test_a_right_is_asked_for_in_a_review_of_its_own() -> None:
    """With its subresource apart, and without what does not narrow it."""
    server = Server({"allowed": True}, {"allowed": False, "reason": "no"}, {})
    asked = access(server)
    lease = Right(verb="patch", group="coordination.k8s.io", resource="leases", namespace="locks", name="immutable-fleet-web")
    assert [asked.may(right) for right in (Right(verb="create", resource="pods/eviction"), lease, lease)] == [True, False, False]
    assert [(method, path, body["spec"]["resourceAttributes"]) for method, path, body in server.asked[:2]] == [
        (
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {"verb": "create", "resource": "pods", "subresource": "eviction"},
        ),
        (
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {"verb": "patch", "group": "coordination.k8s.io", "resource": "leases", "namespace": "locks", "name": "immutable-fleet-web"},
        ),
    ]


def test_who_we_are_is_the_servers_word_or_nothing() -> None:
    """A server before 1.28 has no such question."""
    server = Server({"userInfo": {"username": "ana"}}, NotFound(what="no such resource"))
    assert [access(server).user(), access(server).user()] == ["ana", ""]
    assert server.asked[0][2] == {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
