# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways into the lab's API server: credentials, permissions, bootstrap tokens."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.client import Client, Connection
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.lock import KubernetesLock
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, Invalid, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import NodeChange
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Json, Kube, wait
from ansible_collections.immutable.fleet.tests.labs.kubernetes.site import Site
from ansible_collections.immutable.fleet.tests.labs.kubernetes.workload import Workload, nodes
from ansible_collections.immutable.fleet.tests.system.kubernetes_lab import Watched, client_of, now, watched

pytestmark = pytest.mark.lab

DOCUMENTATION = Path(__file__).parents[2] / "docs/kubernetes.md"
ACCOUNT = "/api/v1/namespaces/kube-system/serviceaccounts/immutable-fleet"
SECRETS = "/api/v1/namespaces/kube-system/secrets"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
TTL = timedelta(seconds=60)


def path_of(raw: Json) -> str:
    """Where objects of the documented kinds are made."""
    base = "/api/v1" if raw["apiVersion"] == "v1" else f"/apis/{raw['apiVersion']}"
    namespace = raw["metadata"].get("namespace")
    return f"{base}{f'/namespaces/{namespace}' if namespace else ''}/{raw['kind'].lower()}s"


@pytest.fixture(scope="module")
def account(kube: Kube, kubernetes_site: Site) -> Iterator[Client]:
    """A client with the documented permissions and no others."""
    yaml = pytest.importorskip("yaml")
    block = DOCUMENTATION.read_text().split("```yaml\n")[1].split("```")[0]
    objects: list[Json] = list(yaml.safe_load_all(block))
    for raw in objects:
        kube.ensure(path_of(raw), raw)
    token = kube.post(f"{ACCOUNT}/token", {"spec": {"expirationSeconds": 600}})["status"]["token"]
    connection = Connection(host=kubernetes_site.server, api_key=token, ca_cert=str(kubernetes_site.pki / "ca.crt"))
    client = Client(connection, now=now)
    wait("the role", lambda: Kube(kubernetes_site.kubeconfig, token=token).raw("GET", "/api/v1/nodes")[0] == 200)
    yield client
    client.close()
    for raw in objects:
        kube.delete(f"{path_of(raw)}/{raw['metadata']['name']}")


def test_documented_permissions_are_enough_for_everything(account: Client, kube: Kube) -> None:
    """Each verb of the Cluster and the Lock port, under a service account's token."""
    with (
        nodes(kube, 1, prefix="ka") as (name,),
        Workload(kube, "ka") as shop,
        watched(account, mints_tokens=True) as web,
    ):
        shop.deployment("one", 2, on=name, max_unavailable=1)
        shop.wait_running()
        web.until("its pods", lambda view: len(view.nodes[name].pods) == 2)
        node = web.node(name)
        web.cluster.change(NodeChange(node=name, uid=node.uid, schedulable=False))
        first, second = web.node(name).pods
        web.cluster.evict(first, timedelta(seconds=0))
        web.cluster.remove(second, timedelta(seconds=0))
        web.cluster.look(name)
        mint_and_delete(web)
        assert web.cluster.join_values()["api_server"] == f"127.0.0.1:{account.host.rsplit(':', 1)[1]}"
        web.cluster.delete_node(node)
    lock = KubernetesLock(account, pool="access-test")
    lock.release(lock.renew(lock.acquire(lock.read(), "run-1", TTL)))
    kube.delete("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/immutable-fleet-access-test")


def mint_and_delete(web: Watched) -> None:
    web.cluster.mint_token("ka-1-abcde", timedelta(minutes=5))
    web.until("the token", lambda view: view.tokens)
    web.cluster.delete_token(web.cluster.view().tokens[0])
    web.until("no token", lambda view: not view.tokens)


def test_missing_permission_is_named(account: Client, kube: Kube) -> None:
    """The API server's own words: who may not do what."""
    with pytest.raises(Denied, match=r'immutable-fleet" cannot list resource "configmaps"'):
        account.call("GET", "/api/v1/configmaps", where="configmaps")


def test_token_is_good_until_it_is_deleted(kubernetes_site: Site, kube: Kube) -> None:
    """A kubelet can use it; a mint whose answer was lost is repeated under the same id, with a new secret."""
    client = client_of(kubernetes_site.kubeconfig)

    def status_with(token: str) -> int:
        return Kube(kubernetes_site.kubeconfig, token=token).raw("GET", "/api/v1/namespaces/kube-public")[0]

    with watched(client, mints_tokens=True) as web:
        began = now()
        lost = web.cluster.mint_token("web-1-abcde", timedelta(minutes=5))
        token = web.cluster.mint_token("web-1-abcde", timedelta(minutes=5))
        assert lost.partition(".")[0] == token.partition(".")[0]
        assert lost != token
        wait("known", lambda: status_with(token) == 403)  # authenticated, with no right to that
        assert status_with(lost) == 401
        web.until("the token", lambda view: [leftover.machine for leftover in view.tokens] == ["web-1-abcde"])
        (leftover,) = web.cluster.view().tokens
        expires = datetime.fromisoformat(base64.b64decode(kube.get(f"{SECRETS}/{leftover.id}")["data"]["expiration"]).decode())
        spare = timedelta(seconds=2)  # clocks are compared by headers of whole seconds
        assert began + timedelta(minutes=5) - spare <= expires <= now() + timedelta(minutes=5) + spare
        web.cluster.delete_token(leftover)
        web.cluster.delete_token(leftover)
        wait("forgotten", lambda: status_with(token) == 401)
    client.close()


def test_ca_hash_is_what_openssl_says(kubernetes_site: Site) -> None:
    """As in kubeadm's documentation of --discovery-token-ca-cert-hash."""
    client = client_of(kubernetes_site.kubeconfig)
    with watched(client) as web:
        values = web.cluster.join_values()
    client.close()
    command = f"openssl x509 -pubkey -noout -in {kubernetes_site.pki}/ca.crt | openssl pkey -pubin -outform der | openssl sha256"
    said = subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout.split()[-1]
    assert values == {"api_server": f"127.0.0.1:{kubernetes_site.port('apiserver')}", "ca_hash": f"sha256:{said}"}


def broken(site: Site, change: str) -> dict[str, Any]:
    """Connection options with one thing wrong."""
    right: dict[str, Any] = json.loads(site.kubeconfig.read_text())
    cluster = right["clusters"][0]["cluster"]
    if change == "context":
        return {"kubeconfig": right, "context": "prod"}
    if change == "token":
        return {"host": site.server, "api_key": "expired-secret", "ca_cert": str(site.pki / "ca.crt")}
    if change == "closed port":
        return {"host": "https://127.0.0.1:9", "api_key": "secret"}
    if change == "ca":
        return {"kubeconfig": {**right, "clusters": [{**right["clusters"][0], "cluster": {"server": cluster["server"]}}]}}
    return {"kubeconfig": str(site.kubeconfig), "ca_cert": "no-such-file"}


@pytest.mark.parametrize(
    ("change", "error", "where"),
    [
        ("context", Invalid, "context"),
        ("token", Denied, "nodes"),
        ("closed port", Transient, "nodes"),
        ("ca", Invalid, "ca_cert, validate_certs"),
        ("file", Invalid, "ca_cert"),
    ],
)
def test_what_is_wrong_with_a_connection_is_said(kubernetes_site: Site, change: str, error: type, where: str) -> None:
    """Where to look, and never a secret."""
    with pytest.raises(error) as raised, watched(Client(Connection(**broken(kubernetes_site, change)), now=now)):
        pass
    assert raised.value.where == where
    assert "secret" not in str(raised.value)
