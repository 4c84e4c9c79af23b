# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool of 200 servers that is as it should be: the module's whole run against one bare authenticated list.

Both are processes of their own from the start of Python to their end, one after the other. ansible-playbook is part of
neither (startup.py has its share). The servers are copies in Nova's database, their nodes are made in the Kubernetes lab.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import COMPUTE, NETWORK, Client
from ansible_collections.immutable.fleet.tests.benchmarks.figures import Figure
from ansible_collections.immutable.fleet.tests.benchmarks.labs import kubernetes_or_skip, openstack_or_skip
from ansible_collections.immutable.fleet.tests.benchmarks.processes import node_pool, output, seconds
from ansible_collections.immutable.fleet.tests.labs.kubernetes.guests import VM
from ansible_collections.immutable.fleet.tests.labs.kubernetes.joiner import Joiner
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import NODES, Kube, wait
from ansible_collections.immutable.fleet.tests.labs.kubernetes.workload import ready_nodes, remove_nodes, side_by_side
from ansible_collections.immutable.fleet.tests.labs.openstack.site import Site

POOL, SERVERS, PAIRS = "benchnoop", 200, 5
GOAL = 1.3
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/immutable-fleet-{POOL}"

# What a person would write who only wants to see the servers: one token, one list, the SDK's own session.
BARE = f"""
import openstack.config
session = openstack.config.OpenStackConfig().get_one(cloud="user").get_session()
answer = session.get("/servers/detail?name=%5E{POOL}-&limit=1000", endpoint_filter={{"service_type": "compute", "interface": "public"}})
assert len(answer.json()["servers"]) == {SERVERS}
"""


def measure() -> Iterator[Figure]:
    """The median of pairs, and the two times of which it is the ratio."""
    kube, cloud = kubernetes_or_skip(), openstack_or_skip()
    with pool(kube, cloud) as task:
        if node_pool(task)["changed"]:
            raise RuntimeError("the pool was not as it should be")
        pairs = [(seconds(lambda: node_pool(task)), seconds(_bare)) for _pair in range(PAIRS)]
    ratio = statistics.median(ours / bare for ours, bare in pairs)
    yield Figure(name=f"no-op of {SERVERS} servers / one bare list of them", value=ratio, unit="ratio", goal=GOAL)
    yield Figure(name="no-op, the module's process", value=statistics.median(ours for ours, _bare in pairs), unit="s")
    yield Figure(name="bare list, its process", value=statistics.median(bare for _ours, bare in pairs), unit="s")


@contextmanager
def pool(kube: Kube, cloud: Client) -> Iterator[dict[str, Any]]:
    """The options of the task that finds nothing to do; everything is removed afterwards."""
    template = {"cloud": "user", "image": "golden-v1", "flavor": "m1.tiny", "networks": [{"network": "lab-net"}]}
    task = {"name": POOL, "replicas": 1, "openstack": template, "kubernetes": {"kubeconfig": str(kube.kubeconfig)}, "wait": False}
    copies: list[tuple[str, str]] = []
    try:
        node_pool(task)
        first = wait("the first server", lambda: [one for one in _servers(cloud) if one["status"] == "ACTIVE"])[0][0]
        copies = json.loads(_clones("add", first["id"], str(SERVERS - 1)))
        servers = [(first["id"], first["name"]), *copies]
        joiner = Joiner()
        side_by_side(lambda one: joiner.boot(VM(id=one[0], name=one[1], provider_id=f"openstack:///{one[0]}")), servers)
        wait("all nodes ready", lambda: ready_nodes(kube) >= {name for _id, name in servers}, 180)
        task |= {"replicas": SERVERS, "wait": True}
        node_pool(task)  # labels and the mark of readiness, on each node
        yield task
    finally:
        if copies:
            _clones("remove", *(copy for copy, _name in copies))
        _remove(kube, cloud)


def _remove(kube: Kube, cloud: Client) -> None:
    for server in _servers(cloud):
        cloud.request("DELETE", COMPUTE, f"/servers/{server['id']}")
    wait("no server", lambda: not _servers(cloud), 120, 0.5)
    query = [("description", f"immutable.fleet.pool={POOL}")]
    for port in cloud.request("GET", NETWORK, "/ports", query=query)["ports"]:
        cloud.request("DELETE", NETWORK, f"/ports/{port['id']}")
    names = [node["metadata"]["name"] for node in kube.get(NODES)["items"]]
    remove_nodes(kube, [name for name in names if name.startswith(f"{POOL}-")])
    kube.delete(LEASE)


def _servers(cloud: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cloud.request("GET", COMPUTE, "/servers/detail", query=[("name", f"^{POOL}-")])["servers"]
    return found


def _clones(*words: str) -> str:
    site = Site.from_environment()
    argv = [str(site.home / "venv/bin/python"), str(Path(__file__).with_name("clones.py")), words[0], str(site.mysql_socket), *words[1:]]
    return output(argv)


def _bare() -> None:
    output([sys.executable, "-c", BARE])
