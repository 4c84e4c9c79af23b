# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool on the vSphere lab and the Kubernetes lab at once, with the assertions of one on OpenStack."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import NODES, Json, Kube, readiness
from ansible_collections.immutable.fleet.tests.labs.vsphere.simulator import Simulator
from ansible_collections.immutable.fleet.tests.labs.vsphere.site import IP, PASSWORD, READER, Site
from ansible_collections.immutable.fleet.tests.system import vsphere_lab
from ansible_collections.immutable.fleet.tests.system.estate import KEY, LEASE, TOKENS, USER_DATA, Estate, stop_group
from ansible_collections.immutable.fleet.tests.system.playbook import ROOT, Outcome, Playbooks

DOMAINS = ["fd-a", "fd-b", "fd-c"]
READS = ("Retrieve", "Continue", "Login", "Logout", "CreateContainerView", "Find", "QueryEvents", "HasUserPrivilege", "Fetch")
WATCH = (
    "CreatePropertyCollector",
    "CreateListView",
    "CreateFilter",
    "ModifyListView",
    "WaitForUpdatesEx",
    "DestroyPropertyCollector",
    "DestroyView",
)


class VsphereEstate(Estate):
    """One pool. What a user writes, what is there by the simulator's own word, and what others do."""

    def __init__(self, name: str, kube: Kube, playbooks: Playbooks, simulator: Simulator, **options: Any) -> None:
        self.name, self.kube, self.playbooks, self.simulator = name, kube, playbooks, simulator
        self.options = options
        self.control = playbooks.folder / "joiner.json"

    # What a user writes -----------------------------------------------------------------------------------------------
    def task(self, image: str = "golden-base-v1", *, vsphere: Json | None = None, **options: Any) -> Json:
        # Stamps are whole seconds, and the lab writes a node's first readiness twice: the sampler asks for 1 s of it.
        strategy = {"max_surge": 2, "min_ready": "3s", "progress_deadline": "5m", **options.pop("strategy", {})}
        place = {**vsphere_lab.connection(), **vsphere_lab.PLACE, "datastore": "ds-shared", "template": image}
        return {
            "name": self.name,
            "failure_domains": DOMAINS,
            "user_data": USER_DATA.format(key=KEY, pool=self.name),
            "labels": {"lab.example/kept": "yes"},
            "vsphere": {**place, **self.options.get("vsphere", {}), **(vsphere or {})},
            "kubernetes": {"kubeconfig": str(self.kube.kubeconfig)},
            "strategy": strategy,
            **{key: value for key, value in self.options.items() if key != "vsphere"},
            **options,
        }

    def present(self, image: str = "golden-base-v1", *flags: str, fails: bool = False, **options: Any) -> Outcome:
        return super().present(image, *flags, fails=fails, **options)

    def info(self, image: str = "golden-base-v1") -> Json:
        task = self.task(image)
        return self.playbooks.run("node_pool_info", {key: task[key] for key in ("name", "user_data", "vsphere", "kubernetes")}).result

    def access(self, **options: Any) -> Json:
        return {
            "name": self.name,
            "vsphere": {**vsphere_lab.connection(), "folder": "fleet"},
            "kubernetes": {"kubeconfig": str(self.kube.kubeconfig)},
            **options,
        }

    # What is there ----------------------------------------------------------------------------------------------------
    def servers(self) -> list[Json]:
        """All VMs whose name begins with the pool's."""
        found = self.simulator.vms()
        return [found[name] for name in sorted(found) if name.startswith(f"{self.name}-")]

    def existing(self) -> dict[str, bool]:
        return {vm["name"]: vm["power"] == "poweredOff" and bool(vm["extra_config"].get(marks.ALL)) for vm in self.servers()}

    def ports(self) -> list[str]:
        return []

    def user_data(self, server: Json) -> str:
        return gzip.decompress(base64.b64decode(server["extra_config"]["guestinfo.userdata"])).decode()

    def digest(self, image: str) -> str:
        """What a machine of the template says that it is made of."""
        found = self.simulator.vms(seeded=True)[image]
        return f"uuid:{found['uuid']}"

    def assert_settled(self, replicas: int, image: str) -> None:
        """As many machines of the template as asked for, all ready and schedulable, and nothing else of the pool anywhere."""
        servers, nodes = self.servers(), self.nodes()
        assert [server["power"] for server in servers] == ["poweredOn"] * replicas
        given = [marks_of(server) for server in servers]
        assert {each["immutable.fleet.field.image"] for each in given} <= {self.digest(image)}
        assert len({each["immutable.fleet.slot"] for each in given}) == replicas, "a slot has two machines"
        domains = [sum(server["cluster"] == domain for server in servers) for domain in DOMAINS]
        assert max(domains) - min(domains) <= 1, domains
        assert [node["metadata"]["name"] for node in nodes] == [server["name"] for server in servers]
        assert [readiness(node) for node in nodes] == ["True"] * replicas
        assert [node["metadata"]["name"] for node in nodes if node["spec"].get("unschedulable")] == []
        assert all(node["metadata"]["labels"].get("lab.example/kept") == "yes" for node in nodes)
        assert [node["spec"]["providerID"] for node in nodes] == [f"vsphere://{server['uuid']}" for server in servers]
        assert self.tokens() == []
        assert self.holder() == ""

    def writes(self) -> dict[str, int]:
        """Calls of the API since the last time that they were asked for, without those that only read or watch."""
        return {name: count for name, count in self.simulator.calls(reset=True).items() if not name.startswith((*READS, *WATCH, "GET "))}

    def remove(self) -> None:
        self.simulator.reset()
        for node in self.nodes():
            self.kube.delete(f"{NODES}/{node['metadata']['name']}")
        for token in self.tokens():
            self.kube.delete(f"{TOKENS}/{token}")
        self.kube.delete(LEASE + self.name)


def marks_of(server: Json) -> dict[str, str]:
    """What we wrote on a VM."""
    found: dict[str, str] = json.loads(server["extra_config"][marks.ALL])
    return found


@contextmanager
def vsphere_estate(name: str, kube: Kube, folder: Path, **options: Any) -> Iterator[VsphereEstate]:
    """A pool for the time of a story, with a joiner that boots its guests and no others'."""
    made = VsphereEstate(name, kube, Playbooks(folder), vsphere_lab.use_or_skip(), **options)
    made.remove()
    made.guests({})
    where = f"{READER}:{PASSWORD}@{IP}:{Site.from_environment().port('vcenter')}"
    words = ["--vsphere", where, "--name", f"{name}-.*", "--control", str(made.control)]
    with (folder / "joiner.log").open("w") as log:
        argv = [sys.executable, str(ROOT / "tests/labs/lab"), "joiner", *words, "--boot-delay", "0.5", "--interval", "0.5"]
        joiner = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield made
        finally:
            made.remove()
            stop_group(joiner)
