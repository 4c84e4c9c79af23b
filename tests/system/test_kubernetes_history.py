# SPDX-License-Identifier: GPL-3.0-or-later
"""410 Gone: what happens when the API server no longer knows the version that we go on from."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes import client as client_module
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes import watch as watch_module
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.answers import Expired
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.client import Client, Connection, Stream
from ansible_collections.immutable.fleet.tests.labs.kubernetes.control import Kubernetes
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import NODES, Kube
from ansible_collections.immutable.fleet.tests.labs.kubernetes.site import Site
from ansible_collections.immutable.fleet.tests.labs.kubernetes.workload import make_nodes, nodes, remove_nodes
from ansible_collections.immutable.fleet.tests.labs.processes import Progress
from ansible_collections.immutable.fleet.tests.system.kubernetes_lab import client_of, now, watched
from ansible_collections.immutable.fleet.tests.system.wire import Wire

pytestmark = pytest.mark.lab


class Listening(Client):
    """The real transport, which remembers what it was told to be gone."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, now=now)
        self.gone: list[str] = []

    def stream(self, path: str, *, where: str, query: Mapping[str, str], silence_seconds: float, **given: Any) -> Stream:
        stream = super().stream(path, where=where, query=query, silence_seconds=silence_seconds, **given)
        lines = stream.lines

        def heard() -> Iterator[bytes]:
            for line in lines():
                if b'"type":"ERROR"' in line and b'"code":410' in line:
                    self.gone.append(where)
                yield line

        stream.lines = heard  # type: ignore[method-assign]
        return stream


def forget(lab: Kubernetes) -> None:
    """The old versions in etcd, and those that the API server has in its cache."""
    lab.forget_history()
    lab.stop_one("apiserver", signal.SIGKILL)
    lab.start_one("apiserver")


def test_410_of_a_watch_is_followed_by_a_list(kubernetes_site: Site, kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is away while etcd forgets and the API server starts anew: what changed, came and went meanwhile is seen."""
    monkeypatch.setattr(watch_module, "STALE_FAILURES_MAX", 10**6)  # however long the outage is here, only 410 makes it list again
    lab = Kubernetes(kubernetes_site, Progress())
    with Wire(kubernetes_site.port("apiserver")) as wire, nodes(kube, 2, prefix="gone") as (kept, lost):
        client = Listening(Connection(kubeconfig=str(kubernetes_site.kubeconfig), host=f"https://127.0.0.1:{wire.port}"))
        with watched(client) as web:
            web.until("both nodes", lambda view: {kept, lost} <= view.nodes.keys())
            wire.cut()
            web.until("the error", lambda view: view.error)
            kube.patch(f"{NODES}/{kept}", {"metadata": {"labels": {"lab/meanwhile": "yes"}}})
            remove_nodes(kube, [lost])
            (new,) = make_nodes(kube, 1, prefix="gone-new")
            try:
                forget(lab)
                back_at = now()
                wire.mend()
                web.until("the label", lambda view: view.nodes[kept].labels.get("lab/meanwhile") == "yes", 60)
                web.until("who came and who went", lambda view: new in view.nodes and lost not in view.nodes, 60)
                web.until("news", lambda view: view.as_of > back_at and not view.error, 60)
            finally:
                remove_nodes(kube, [new])
        client.close()
    assert "nodes" in client.gone, f"the API server still knew the old version; gone were {client.gone}"


def test_410_between_two_pages_is_expired(kubernetes_site: Site, kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list is one instant or none: its second page is refused when that instant is forgotten, and a watch lists again."""
    monkeypatch.setattr(client_module, "PAGE_SIZE", 1)
    client = client_of(kubernetes_site.kubeconfig)
    with nodes(kube, 2, prefix="page"):
        pages = client.pages(NODES, where="nodes")
        assert len(next(pages)["items"]) == 1
        lab = Kubernetes(kubernetes_site, Progress())
        kube.patch(f"{NODES}/page-0000", {"metadata": {"labels": {"lab/meanwhile": "yes"}}})
        forget(lab)
        client.call("GET", "/version", where="a new connection")
        with pytest.raises(Expired):
            list(pages)
    client.close()
