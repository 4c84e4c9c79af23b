# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways into the lab's API server: credentials, permissions, bootstrap tokens."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.cloud import SimulatedCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.access import KubernetesAccess
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.client import Client, Connection
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.cluster import KubernetesCluster
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.lock import KubernetesLock
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.engine import loop
from ansible_collections.immutable.fleet.plugins.module_utils.engine.preflight import with_preflight
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports, Result, RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, Invalid, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import NodeChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool, Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import revision_of
from ansible_collections.immutable.fleet.tests.benchmarks.lab_fleet import LabFleet, lab_fleet
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Json, Kube, audit_mark, audit_since, wait
from ansible_collections.immutable.fleet.tests.labs.kubernetes.site import Site
from ansible_collections.immutable.fleet.tests.labs.kubernetes.workload import Workload, nodes
from ansible_collections.immutable.fleet.tests.system.audit import AGENT, READS, REVIEWS
from ansible_collections.immutable.fleet.tests.system.kubernetes_lab import Watched, client_of, now, watched
from ansible_collections.immutable.fleet.tests.system.playbook import Playbooks

pytestmark = pytest.mark.lab

MANIFEST = Path(__file__).parents[2] / "docs/kubernetes-access.yaml"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
FULL, POOL = "immutable-fleet", "kaccess"
ACCOUNTS = "/api/v1/namespaces/kube-system/serviceaccounts"
SECRETS = "/api/v1/namespaces/kube-system/secrets"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
TTL = timedelta(seconds=60)


def path_of(raw: Json) -> str:
    """Where objects of the documented kinds are made."""
    base = "/api/v1" if raw["apiVersion"] == "v1" else f"/apis/{raw['apiVersion']}"
    namespace = raw["metadata"].get("namespace")
    return f"{base}{f'/namespaces/{namespace}' if namespace else ''}/{raw['kind'].lower()}s"


@contextmanager
def token_of(kube: Kube, site: Site, name: str = FULL, without: tuple[tuple[str, str], ...] = ()) -> Iterator[str]:
    """Of an account with the documented permissions and no others; `without` are (resource, verb) that it lacks."""
    objects: list[Json] = yaml.safe_load(MANIFEST.read_text().replace(FULL, name))["items"]
    try:
        for raw in objects:
            for rule in raw.get("rules", ()):
                rule["verbs"] = [verb for verb in rule["verbs"] if not any((what, verb) in without for what in rule["resources"])]
            if "rules" in raw:
                raw["rules"] = [rule for rule in raw["rules"] if rule["verbs"]]
            kube.ensure(path_of(raw), raw)
        token: str = kube.post(f"{ACCOUNTS}/{name}/token", {"spec": {"expirationSeconds": 600}})["status"]["token"]
        as_account = Kube(site.kubeconfig, token=token)
        wait("the cluster's role", lambda: as_account.raw("GET", "/apis/apps/v1/daemonsets")[0] == 200)
        wait("the namespace's role", lambda: as_account.raw("GET", f"{LEASES}/none")[0] == 404)
        yield token
    finally:
        for raw in objects:
            kube.delete(f"{path_of(raw)}/{raw['metadata']['name']}")


def options_of(site: Site, token: str) -> Json:
    """How the account logs in."""
    return {"host": site.server, "api_key": token, "ca_cert": str(site.pki / "ca.crt")}


@pytest.fixture(scope="module")
def account(kube: Kube, kubernetes_site: Site) -> Iterator[Client]:
    """A client with the documented permissions."""
    with token_of(kube, kubernetes_site) as token:
        client = Client(Connection(**options_of(kubernetes_site, token)), now=now)
        yield client
        client.close()


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


def test_a_pool_is_rolled_with_exactly_the_documented_permissions(account: Client, kube: Kube) -> None:
    """By the loop with its preflight, tokens included; nothing is refused on the way, and nothing is unknown."""
    with lab_fleet(POOL) as fleet:
        for image in ("sha512:v1", "sha512:v2"):
            result = rolled(fleet, account, image)
            assert (result.failure, result.blockers, result.tally.up_to_date) == (None, (), 2)
        removed = rolled(fleet, account, "sha512:v2", replicas=0)
        assert (removed.failure, removed.tally.existing) == (None, 0)
    assert [node for node in kube.get("/api/v1/nodes")["items"] if node["metadata"]["name"].startswith(f"{POOL}-")] == []


def rolled(fleet: LabFleet, account: Client, image: str, replicas: int = 2) -> Result:
    cloud = SimulatedCloud(fleet.session, POOL, image)
    access = KubernetesAccess(account, pool=POOL, lock_namespace="kube-system", mints_tokens=True)
    cluster = KubernetesCluster(account, pool=POOL, mints_tokens=True)
    ports = Ports(cloud=cloud, cluster=cluster, lock=KubernetesLock(account, pool=POOL), access=access)
    strategy = Strategy(min_ready=timedelta(0))
    revision = revision_of({"image": image})
    pool = Pool(name=POOL, replicas=replicas, revision=revision, strategy=strategy, placeholders=frozenset({"bootstrap_token"}))
    job = with_preflight(Rollout(pool), ports, fleet.runtime)
    result = loop.run(job, ports, fleet.runtime, None, RunSettings(holder="test"))
    cloud.stop()
    return result


PATCHES, EVICTS, TAKES = ("nodes", "patch"), ("pods/eviction", "create"), ("leases", "patch")


def test_what_is_missing_is_refused_before_anything_is_written(kube: Kube, kubernetes_site: Site, tmp_path: Path) -> None:
    """node_pool: all of it at once, with the account and the rules to add; check mode says the same; no lock is left."""
    playbooks = Playbooks(tmp_path)
    world = {"world": str(tmp_path / "world"), "images": {"v1": {}}}
    playbooks.run("simulated_world", world)
    with token_of(kube, kubernetes_site, "kaccess-less", (PATCHES, EVICTS, TAKES)) as token:
        mark = audit_mark()
        task = {
            "name": POOL,
            "replicas": 2,
            "simulated": {"world": world["world"], "image": "v1"},
            "kubernetes": options_of(kubernetes_site, token),
        }
        for flags in ((), ("--check",)):
            outcome = playbooks.run("node_pool", task, *flags, fails=True)
            assert (outcome.failure["code"], outcome.changed) == ("denied", False)
            assert outcome.failure["what"] == (
                'user "system:serviceaccount:kube-system:kaccess-less" cannot patch nodes; create pods/eviction; '
                f"patch leases.coordination.k8s.io immutable-fleet-{POOL} in namespace kube-system"
            )
            assert '{apiGroups: [""], resources: [nodes], verbs: [patch]}' in outcome.failure["forward"]
        assert writes_since(mark) == []
        assert kube.find(f"{LEASES}/immutable-fleet-{POOL}") is None


def test_what_an_account_may_not_even_list_is_told_with_the_rest(kube: Kube, kubernetes_site: Site, tmp_path: Path) -> None:
    """node_drain, which needs less: no lock, no token, no deletion of nodes; and to cordon, no eviction."""
    playbooks = Playbooks(tmp_path)
    lacks = (("poddisruptionbudgets", "list"), EVICTS, TAKES, ("nodes", "delete"), ("pods", "delete"))
    with nodes(kube, 1, prefix="ka") as (name,), token_of(kube, kubernetes_site, "kaccess-drain", lacks) as token:
        drain = {"nodes": [name], "kubernetes": options_of(kubernetes_site, token)}
        who = 'user "system:serviceaccount:kube-system:kaccess-drain" cannot'
        said = f"{who} list poddisruptionbudgets.policy; create pods/eviction"
        assert playbooks.run("node_drain", drain, fails=True).failure["what"] == said
        assert playbooks.run("node_drain", drain, "--check", fails=True).failure["what"] == said
    with nodes(kube, 1, prefix="ka") as (name,), token_of(kube, kubernetes_site, "kaccess-cordon", lacks[1:]) as token:
        cordon = {"nodes": [name], "state": "cordoned", "kubernetes": options_of(kubernetes_site, token)}
        assert playbooks.run("node_drain", cordon).changed
        failure = playbooks.run("node_drain", {**cordon, "state": "drained"}, fails=True).failure
        assert failure["what"] == 'user "system:serviceaccount:kube-system:kaccess-cordon" cannot create pods/eviction'


def writes_since(mark: int) -> list[str]:
    """Of our module, beside its questions."""
    ours = [call for call in audit_since(mark) if call["userAgent"].startswith(AGENT) and call["verb"] not in READS]
    return [call["requestURI"] for call in ours if call["objectRef"]["resource"] not in REVIEWS]


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
        ("context", Invalid, "kubernetes.context"),
        ("token", Denied, "kubernetes.api_key"),
        ("closed port", Transient, "kubernetes.host"),
        ("ca", Invalid, "kubernetes.ca_cert, kubernetes.validate_certs"),
        ("file", Invalid, "kubernetes.ca_cert"),
    ],
)
def test_what_is_wrong_with_a_connection_is_said(kubernetes_site: Site, change: str, error: type, where: str) -> None:
    """Where to look, and never a secret."""
    with pytest.raises(error) as raised, watched(Client(Connection(**broken(kubernetes_site, change)), now=now)):
        pass
    assert raised.value.where == where
    assert "secret" not in str(raised.value)
