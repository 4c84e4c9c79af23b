# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool of plain machines on the OpenStack lab: what a playbook declares of it, its guests, and what is really there."""

from __future__ import annotations

import csv
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import COMPUTE, IMAGE, NETWORK
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.tests.labs.haproxy.server import Haproxy, free_ports
from ansible_collections.immutable.fleet.tests.system import openstack_lab
from ansible_collections.immutable.fleet.tests.system.estate import stop_group
from ansible_collections.immutable.fleet.tests.system.playbook import ROOT, Outcome, Playbooks, Running

Found = TypeVar("Found")
Json = dict[str, Any]

BACKEND = "dynamic"  # of labs/haproxy
CHECK = "check inter 300"
PATIENCE_SECONDS = 240
ANSWER_MS = 20  # a request is under way so long on a machine
PROBE = {"type": "http", "interval": "1s", "consecutive_ok": 2}


class PlainEstate:
    """One pool behind `balancer`, in a network whose addresses are those of loopback, so that its guests can listen there."""

    def __init__(self, name: str, playbooks: Playbooks) -> None:
        self.name, self.playbooks = name, playbooks
        self.api = openstack_lab.client()
        self.balancer: Json = {}
        (self.port,) = free_ports(1)
        self.log = playbooks.folder / "guests.jsonl"
        self.guests: subprocess.Popen[bytes] | None = None

    # What a user writes -----------------------------------------------------------------------------------------------
    def task(self, image: str = "golden-v1", **options: Any) -> Json:
        """The options of the task that declares the pool."""
        strategy = {"max_surge": 2, "min_ready": "1s", "progress_deadline": "5m", **options.pop("strategy", {})}
        return {
            "name": self.name,
            "openstack": {"cloud": "user", "image": image, "flavor": "m1.tiny", "networks": [{"network": self.name}]},
            "balancer": self.balancer,
            "health": {"probes": [{**PROBE, "port": self.port}]},
            "strategy": strategy,
            "drain": {"timeout": "60s"},
            **options,
        }

    def run(self, module: str, options: Json, *flags: str) -> Outcome:
        return self.playbooks.run(module, options, *flags)

    def present(self, image: str = "golden-v1", *flags: str, **options: Any) -> Outcome:
        return self.run("node_pool", self.task(image, **options), *flags)

    def start(self, image: str, **options: Any) -> Running:
        return self.playbooks.start("node_pool", self.task(image, **options))

    def absent(self, **options: Any) -> Outcome:
        task = {"name": self.name, "state": "absent", "openstack": {"cloud": "user"}, "balancer": self.balancer, **options}
        return self.run("node_pool", task)

    # What is there ----------------------------------------------------------------------------------------------------
    def servers(self) -> list[Json]:
        query = [("name", f"^{self.name}-")]
        found: list[Json] = self.api.request("GET", COMPUTE, "/servers/detail", query=query)["servers"]
        return sorted(found, key=lambda server: str(server["name"]))

    def names(self) -> list[str]:
        return [server["name"] for server in self.servers()]

    def image(self) -> str:
        """Name of what all servers are made of."""
        (found,) = {server["image"]["id"] for server in self.servers()}
        return str(self.api.request("GET", IMAGE, f"/images/{found}")["name"])

    def told(self, event: str, guest: str = "") -> list[Json]:
        """What the guests' stand-in told: who "answers" since when, who "dies" with how many requests under way."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if line["event"] == event and guest in ("", line["guest"])]

    def until(self, look: Callable[[], Found | None], what: str) -> Found:
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE_SECONDS:
            found = look()
            if found:
                return found
            time.sleep(0.2)
        raise AssertionError(f"not within {PATIENCE_SECONDS} s: {what}")

    # What others do ---------------------------------------------------------------------------------------------------
    def cut_power(self, name: str) -> None:
        """The machine stops at once, whoever is being served; then the cloud knows."""
        assert self.guests is not None
        assert self.guests.stdin is not None
        self.guests.stdin.write(f"{name}\n".encode())
        self.guests.stdin.flush()
        self.until(lambda: self.told("dies", name), f"{name} dies")
        (server,) = (server for server in self.servers() if server["name"] == name)
        self.api.request("POST", COMPUTE, f"/servers/{server['id']}/action", body={"os-stop": None})

    def make_network(self) -> None:
        network = self.api.request("POST", NETWORK, "/networks", body={"network": {"name": self.name}})["network"]
        cidr = f"127.{100 + secrets.randbelow(100)}.{secrets.randbelow(250)}.0/24"
        # Neutron takes a subnet of loopback where no DHCP has to be served in it.
        subnet = {"network_id": network["id"], "ip_version": 4, "cidr": cidr, "enable_dhcp": False, "gateway_ip": None}
        self.api.request("POST", NETWORK, "/subnets", body={"subnet": subnet})

    def remove(self) -> None:
        """Everything, past the collection: also what a failed test left half done."""
        for server in self.servers():
            self.api.request("DELETE", COMPUTE, f"/servers/{server['id']}")
        self.until(lambda: not self.servers(), "no server is left")
        for port in self.api.request("GET", NETWORK, "/ports", query=[("description", f"immutable.fleet.pool={self.name}")])["ports"]:
            self.api.request("DELETE", NETWORK, f"/ports/{port['id']}")
        for network in self.api.request("GET", NETWORK, "/networks", query=[("name", self.name)])["networks"]:
            self.api.request("DELETE", NETWORK, f"/networks/{network['id']}")
        query = [("name", f"{marks.LOCK_NAME}{self.name}"), ("os_hidden", "true")]
        for image in self.api.request("GET", IMAGE, "/images", query=query)["images"]:
            self.api.request("DELETE", IMAGE, f"/images/{image['id']}")


@contextmanager
def behind_haproxy(name: str, folder: Path, answer_ms: int = ANSWER_MS) -> Iterator[tuple[PlainEstate, Haproxy]]:
    """A pool and the HAProxy in front of it, whose frontend asks nobody but the pool's machines. Skips where the lab is not up."""
    with pytest.MonkeyPatch.context() as environment, tempfile.TemporaryDirectory() as short:
        openstack_lab.use_or_skip(environment)
        with Haproxy(Path(short)) as server, plain_estate(name, folder, answer_ms) as made:
            made.balancer = {"haproxy": {"socket": server.socket, "backend": BACKEND, "port": made.port, "server_options": CHECK}}
            yield made, server


def rows_of(server: Haproxy) -> dict[str, dict[str, str]]:
    """`show stat` of the backend's servers, by name."""
    table = csv.DictReader(server.ask("show stat -1 4 -1").removeprefix("# ").splitlines())
    return {row["svname"]: row for row in table if row["pxname"] == BACKEND}


@contextmanager
def plain_estate(name: str, folder: Path, answer_ms: int = ANSWER_MS) -> Iterator[PlainEstate]:
    """A pool for the time of a story, with its network and guests. Its name is new each time: what locked it is deleted at the end."""
    made = PlainEstate(f"{name}{secrets.token_hex(2)}", Playbooks(folder))
    made.remove()
    made.make_network()
    module = "ansible_collections.immutable.fleet.tests.labs.web_guests"
    words = ["--openstack", "user", "--name", f"{made.name}-.*", "--port", str(made.port), "--answer-ms", str(answer_ms)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "build/collections")}
    argv = [sys.executable, "-m", module, *words]
    with (
        made.log.open("w") as log,
        (folder / "guests.err").open("w") as errors,
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=log, stderr=errors, env=environment, start_new_session=True) as made.guests,
    ):
        try:
            yield made
        finally:
            made.remove()
            stop_group(made.guests)
