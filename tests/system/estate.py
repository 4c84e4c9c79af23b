# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool on both labs at once: what a playbook declares of it, and what is really there by the labs' own APIs."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import COMPUTE, IMAGE, NETWORK, VOLUME
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import NODES, Json, Kube, readiness, wait
from ansible_collections.immutable.fleet.tests.labs.kubernetes.workload import Workload
from ansible_collections.immutable.fleet.tests.system import openstack_lab
from ansible_collections.immutable.fleet.tests.system.playbook import ROOT, Outcome, Playbooks, Running

TOKENS = "/api/v1/namespaces/kube-system/secrets"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/immutable-fleet-"
ZONES = ["az1", "az2", "az3"]
KEY = "lab.example/pool"  # label and taint that keep each pool's pods on its own nodes

USER_DATA = """\
#cloud-config
runcmd:
  - kubeadm join ${{api_server}} --token ${{bootstrap_token}} --discovery-token-ca-cert-hash ${{ca_hash}} --node-name ${{machine_name}}
  - echo $${{HOME}} --node-labels={key}={pool} --register-with-taints={key}={pool}:NoSchedule
"""


class Estate:
    """One pool. `present` and `absent` run ansible-playbook; the rest looks at the labs past the collection."""

    def __init__(self, name: str, kube: Kube, playbooks: Playbooks, *, cloud: str = "user", **options: Any) -> None:
        self.name, self.kube, self.playbooks, self.cloud = name, kube, playbooks, cloud
        self.api = openstack_lab.client(cloud)
        self.options = options
        self.control = playbooks.folder / "joiner.json"

    # What a user writes -----------------------------------------------------------------------------------------------
    def task(self, image: str = "golden-v1", *, openstack: Json | None = None, **options: Any) -> Json:
        """The options of the task that declares the pool."""
        template = {"cloud": self.cloud, "image": image, "flavor": "m1.tiny", "networks": [{"network": "lab-net"}]}
        strategy = {"max_surge": 2, "min_ready": "1s", "progress_deadline": "5m", **options.pop("strategy", {})}
        return {
            "name": self.name,
            "failure_domains": ZONES,
            "user_data": USER_DATA.format(key=KEY, pool=self.name),
            "labels": {"lab.example/kept": "yes"},
            "openstack": {**template, **self.options.get("openstack", {}), **(openstack or {})},
            "kubernetes": {"kubeconfig": str(self.kube.kubeconfig)},
            "strategy": strategy,
            **{key: value for key, value in self.options.items() if key != "openstack"},
            **options,
        }

    def present(self, image: str = "golden-v1", *flags: str, fails: bool = False, **options: Any) -> Outcome:
        return self.playbooks.run("node_pool", self.task(image, **options), *flags, fails=fails)

    def start(self, image: str = "golden-v1", **options: Any) -> Running:
        return self.playbooks.start("node_pool", self.task(image, **options))

    def absent(self) -> Outcome:
        return self.playbooks.run("node_pool", self.access(state="absent"))

    def info(self, image: str = "golden-v1") -> Json:
        task = self.task(image)
        return self.playbooks.run("node_pool_info", {key: task[key] for key in ("name", "user_data", "openstack", "kubernetes")}).result

    def access(self, **options: Any) -> Json:
        """The options that name the pool and say how to reach it."""
        return {
            "name": self.name,
            "openstack": {"cloud": self.cloud},
            "kubernetes": {"kubeconfig": str(self.kube.kubeconfig)},
            **options,
        }

    # What is there ----------------------------------------------------------------------------------------------------
    def servers(self) -> list[Json]:
        """All whose name begins with the pool's, with details."""
        query = [("name", f"^{self.name}-")]
        found: list[Json] = self.api.request("GET", COMPUTE, "/servers/detail", query=query)["servers"]
        return sorted(found, key=lambda server: str(server["name"]))

    def existing(self) -> dict[str, bool]:
        """`{name: whether it is being deleted}` of all servers."""
        return {server["name"]: server["OS-EXT-STS:task_state"] == "deleting" for server in self.servers()}

    def names(self) -> list[str]:
        return [server["name"] for server in self.servers()]

    def ports(self) -> list[str]:
        """Names of the pool's ports, bound or not."""
        query = [("description", f"immutable.fleet.pool={self.name}")]
        return sorted(port["name"] for port in self.api.request("GET", NETWORK, "/ports", query=query)["ports"])

    def volumes(self) -> list[Json]:
        """All of the project: nothing on a volume says whose it is."""
        found: list[Json] = self.api.request("GET", VOLUME, "/volumes/detail")["volumes"]
        return found

    def nodes(self) -> list[Json]:
        found = [node for node in self.kube.get(NODES)["items"] if node["metadata"]["name"].startswith(f"{self.name}-")]
        return sorted(found, key=lambda node: str(node["metadata"]["name"]))

    def tokens(self) -> list[str]:
        query = {"labelSelector": f"immutable.fleet/pool={self.name}"}
        return [secret["metadata"]["name"] for secret in self.kube.get(TOKENS, **query)["items"]]

    def holder(self) -> str:
        """Who has the pool's lock."""
        lease = self.kube.find(LEASE + self.name)
        return str(lease["spec"].get("holderIdentity") or "") if lease else ""

    def image_id(self, name: str) -> str:
        return str(self.api.request("GET", IMAGE, "/images", query=[("name", name)])["images"][0]["id"])

    def user_data(self, server: Json) -> str:
        """What the guest reads; only an administrator sees it."""
        shown = openstack_lab.client("admin").request("GET", COMPUTE, f"/servers/{server['id']}")["server"]
        return base64.b64decode(shown["OS-EXT-SRV-ATTR:user_data"]).decode()

    def assert_settled(self, replicas: int, image: str) -> None:
        """As many machines of the image as asked for, all ready and schedulable, and nothing else of the pool anywhere."""
        servers, nodes = self.servers(), self.nodes()
        assert [server["status"] for server in servers] == ["ACTIVE"] * replicas
        if servers and servers[0]["image"]:
            assert {server["image"]["id"] for server in servers} <= {self.image_id(image)}
        assert len({server["metadata"]["immutable.fleet.slot"] for server in servers}) == replicas, "a slot has two machines"
        zones = [sum(server["OS-EXT-AZ:availability_zone"] == zone for server in servers) for zone in ZONES]
        assert max(zones) - min(zones) <= 1, zones
        assert [node["metadata"]["name"] for node in nodes] == [server["name"] for server in servers]
        assert [readiness(node) for node in nodes] == ["True"] * replicas
        assert [node["metadata"]["name"] for node in nodes if node["spec"].get("unschedulable")] == []
        assert all(node["metadata"]["labels"].get("lab.example/kept") == "yes" for node in nodes)
        interfaces = len(self.task()["openstack"]["networks"])
        assert self.ports() == sorted(f"{server['name']}-{index}" for server in servers for index in range(interfaces))
        assert self.tokens() == []
        assert self.holder() == ""

    # What others do ---------------------------------------------------------------------------------------------------
    def guests(self, faults: dict[str, dict[str, str]]) -> None:
        """How guests behave from the joiner's next look on: its --control."""
        self.control.write_text(json.dumps(faults), encoding="utf-8")

    def workload(self, suffix: str = "") -> Workload:
        return Workload(self.kube, f"{self.name}{suffix}")

    def placement(self) -> Json:
        """What a pod's spec needs to run on this pool's nodes, and on no others."""
        toleration = {"key": KEY, "operator": "Equal", "value": self.name, "effect": "NoSchedule"}
        return {"nodeSelector": {KEY: self.name}, "tolerations": [toleration]}

    def remove(self) -> None:
        """Everything, past the collection: also what a failed test left half done."""
        for server in self.servers():
            self.api.request("DELETE", COMPUTE, f"/servers/{server['id']}")
        wait("no server", lambda: not self.servers(), 240, 0.5, self._standing)
        query = [("description", f"immutable.fleet.pool={self.name}")]
        for port in self.api.request("GET", NETWORK, "/ports", query=query)["ports"]:
            self.api.request("DELETE", NETWORK, f"/ports/{port['id']}")
        for node in self.nodes():
            self.kube.delete(f"{NODES}/{node['metadata']['name']}")
        for token in self.tokens():
            self.kube.delete(f"{TOKENS}/{token}")
        self.kube.delete(LEASE + self.name)

    def _standing(self) -> list[str]:
        return [f"{server['name']} {server['status']}, {server['OS-EXT-STS:task_state']}" for server in self.servers()]


@contextmanager
def estate(name: str, kube: Kube, folder: Path, *, cloud: str = "user", **options: Any) -> Iterator[Estate]:
    """A pool for the time of a story, with a joiner that boots its guests and no others'."""
    made = Estate(name, kube, Playbooks(folder), cloud=cloud, **options)
    made.remove()
    made.guests({})
    words = ["--openstack", "admin", "--all-projects", "--name", f"{name}-.*", "--control", str(made.control)]
    with (folder / "joiner.log").open("w") as log:
        argv = [sys.executable, str(ROOT / "tests/labs/lab"), "joiner", *words, "--boot-delay", "0.5", "--interval", "0.5"]
        joiner = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield made
        finally:
            made.remove()
            stop_group(joiner)


def stop_group(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it runs: it leads a group of its own."""
    import os
    import signal

    os.killpg(process.pid, signal.SIGTERM)
    process.wait(30)
