# SPDX-License-Identifier: GPL-3.0-or-later
"""Who the API server takes us for: exec plugins of a kubeconfig, the service account of a pod, options over both."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.client import Client, Connection
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Json, Kube
from ansible_collections.immutable.fleet.tests.labs.kubernetes.site import Site
from ansible_collections.immutable.fleet.tests.labs.kubernetes.workload import Workload, nodes
from ansible_collections.immutable.fleet.tests.system.kubernetes_lab import now

pytestmark = pytest.mark.lab

WHO_AM_I = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
NAMESPACE = "credentials"
ACCOUNTS = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
ALICE, BOB = (f"system:serviceaccount:{NAMESPACE}:{name}" for name in ("alice", "bob"))


@pytest.fixture(scope="module", autouse=True)
def _accounts(kube: Kube) -> Iterator[None]:
    kube.ensure("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    for name in ("alice", "bob"):
        kube.ensure(ACCOUNTS, {"metadata": {"name": name}})
    yield
    kube.delete(f"/api/v1/namespaces/{NAMESPACE}")


def token_of(kube: Kube, account: str, **spec: Any) -> str:
    answer = kube.post(f"{account}/token", {"spec": {"expirationSeconds": 600, **spec}})
    return str(answer["status"]["token"])


def user_of(connection: Connection) -> Json:
    client = Client(connection, now=now)
    try:
        return ask(client)
    finally:
        client.close()


def ask(client: Client) -> Json:
    """What the API server knows of the user behind a call."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer: Json = client.call("POST", WHO_AM_I, body=body, where="the user")["status"]["userInfo"]
    return answer


class Plugin:
    """An exec plugin: a program that says what it is told to, and writes down that it ran."""

    def __init__(self, folder: Path, site: Site) -> None:
        self._says, self._runs = folder / "credential.json", folder / "runs"
        program = folder / "plugin"
        program.write_text(f'#!/bin/sh\necho "$1" >>"{self._runs}"\ncat "{self._says}"\n', encoding="utf-8")
        program.chmod(0o700)
        lab: Json = json.loads(site.kubeconfig.read_text())
        command = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "args": ["get-token"]}
        lab["users"][0]["user"] = {"exec": {**command, "interactiveMode": "Never"}}
        self.kubeconfig: Json = lab

    def will_say(self, **status: str) -> None:
        answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
        self._says.write_text(json.dumps(answer), encoding="utf-8")

    def runs(self) -> list[str]:
        return self._runs.read_text(encoding="utf-8").split() if self._runs.exists() else []


@pytest.fixture
def plugin(tmp_path: Path, kubernetes_site: Site) -> Plugin:
    return Plugin(tmp_path, kubernetes_site)


def test_a_plugins_token_is_used_until_it_is_over(plugin: Plugin, kube: Kube) -> None:
    """One run of the plugin for many calls; a token whose end is near is fetched anew, without a call that is refused."""
    later = f"{now() + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    plugin.will_say(token=token_of(kube, f"{ACCOUNTS}/alice"), expirationTimestamp=later)
    client = Client(Connection(kubeconfig=plugin.kubeconfig), now=now)
    assert [ask(client)["username"] for _call in range(3)] == [ALICE] * 3
    assert plugin.runs() == ["get-token"]
    client.close()

    soon = f"{now() + timedelta(seconds=5):%Y-%m-%dT%H:%M:%SZ}"
    plugin.will_say(token=token_of(kube, f"{ACCOUNTS}/alice"), expirationTimestamp=soon)
    client = Client(Connection(kubeconfig=plugin.kubeconfig), now=now)
    plugin.will_say(token=token_of(kube, f"{ACCOUNTS}/bob"), expirationTimestamp=later)
    assert [ask(client)["username"] for _call in range(2)] == [BOB] * 2
    assert plugin.runs() == ["get-token"] * 3
    client.close()


def test_a_plugins_certificate_is_used(plugin: Plugin, kubernetes_site: Site) -> None:
    """The other thing that a plugin may give."""
    user = json.loads(kubernetes_site.kubeconfig.read_text())["users"][0]["user"]
    parts = {f"client{part.title()}Data": base64.b64decode(user[f"client-{part}-data"]).decode() for part in ("certificate", "key")}
    plugin.will_say(**parts)
    assert "system:masters" in user_of(Connection(kubeconfig=plugin.kubeconfig))["groups"]


def test_a_plugin_that_gives_nothing_ends_in_a_refusal(plugin: Plugin) -> None:
    """Of the API server: the official client goes on without credentials."""
    plugin.will_say()
    with pytest.raises(Denied):
        user_of(Connection(kubeconfig=plugin.kubeconfig))


def test_an_api_key_comes_before_the_kubeconfigs_token(plugin: Plugin, kube: Kube) -> None:
    """What is given as an option overrides the kubeconfig, whatever the kubeconfig has."""
    plugin.will_say(token=token_of(kube, f"{ACCOUNTS}/alice"))
    bobs = token_of(kube, f"{ACCOUNTS}/bob")
    assert user_of(Connection(kubeconfig=plugin.kubeconfig, api_key=bobs))["username"] == BOB


def test_in_a_pod_its_own_service_account_is_used(
    kube: Kube, kubernetes_site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no option at all: address from the environment, token and CA from the files that a kubelet mounts.

    The token is bound to a pod of the cluster, as a kubelet's is. The official client has the files' place in two constants, which
    lead to a folder of this test here: the real place belongs to the machine.
    """
    from kubernetes.config import incluster_config

    with nodes(kube, 1, prefix="credentials"), Workload(kube, NAMESPACE) as shop:
        shop.bare_pod("runner", serviceAccountName="alice")
        shop.wait_running()
        (pod,) = shop.pods("runner")
        bound = {"apiVersion": "v1", "kind": "Pod", "name": "runner", "uid": pod["metadata"]["uid"]}
        (tmp_path / "token").write_text(token_of(kube, f"{ACCOUNTS}/alice", boundObjectRef=bound), encoding="utf-8")
        (tmp_path / "ca.crt").write_bytes((kubernetes_site.pki / "ca.crt").read_bytes())
        monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(kubernetes_site.port("apiserver")))
        user = user_of(Connection())
        assert user["username"] == ALICE
        assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["runner"]
        assert user_of(Connection(api_key=token_of(kube, f"{ACCOUNTS}/bob")))["username"] == BOB
