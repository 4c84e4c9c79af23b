# SPDX-License-Identifier: GPL-3.0-or-later
"""Harness of the Octavia adapter, over the lab: a load balancer before machines that really answer."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.balancers.octavia.balancer import OctaviaBalancer
from ansible_collections.immutable.fleet.plugins.module_utils.balancers.octavia.options import Options
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import LOAD_BALANCER, NETWORK
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, NotFound
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Balancer
from ansible_collections.immutable.fleet.tests.labs.haproxy.server import free_ports
from ansible_collections.immutable.fleet.tests.labs.openstack.members import Members
from ansible_collections.immutable.fleet.tests.labs.web_machines import WebMachines
from ansible_collections.immutable.fleet.tests.system.openstack_lab import Recording, client, now, use_or_skip

Found = TypeVar("Found")

PATIENCE_SECONDS = 240  # a change takes a second or two when the lab has the machine for itself
FRONT_PORT = 8080
SESSIONS = 3
QUICK = "lab_delay=0.3"  # in the description: how long the lab's changes take
MONITOR = {"type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1, "max_retries_down": 1}


class Shop:
    """A load balancer with a listener and a pool, all called alike, made when it is first asked for."""

    def __init__(self) -> None:
        self.environment = pytest.MonkeyPatch()
        use_or_skip(self.environment)
        self.name = f"shop{secrets.token_hex(3)}"
        self.raw = client("user")
        (self.port,) = free_ports(1)
        self._whole = self._make()
        self.until_active()

    def until(self, look: Callable[[], Found | None], what: str) -> Found:
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE_SECONDS:
            found = look()
            if found:
                return found
            time.sleep(0.3)
        raise AssertionError(f"not within {PATIENCE_SECONDS} s: {what}")

    def until_active(self) -> None:
        """No change is under way."""

        def is_active() -> bool:
            status = self.raw.request("GET", LOAD_BALANCER, self._path)["loadbalancer"]["provisioning_status"]
            assert status != "ERROR"
            return bool(status == "ACTIVE")

        self.until(is_active, "the load balancer is ACTIVE")

    def one(self, kind: str) -> Any:
        """The listener (`listeners`) or the pool (`pools`)."""
        (found,) = self.raw.request("GET", LOAD_BALANCER, f"/lbaas/{kind}", query=[("name", self.name)])[kind]
        return found

    def url(self) -> str:
        return f"http://{Members().loopback(self._whole['vip_address'])}:{FRONT_PORT}"

    def empty(self) -> None:
        """No member is left."""
        self.until_active()
        path = f"/lbaas/pools/{self.one('pools')['id']}/members"
        if self.raw.request("GET", LOAD_BALANCER, path)["members"]:
            self.raw.request("PUT", LOAD_BALANCER, path, body={"members": []})
            self.until_active()

    def delete(self) -> None:
        self.until(self._is_deleted, "the load balancer goes")
        self.environment.undo()

    @property
    def _path(self) -> str:
        return f"/lbaas/loadbalancers/{self._whole['id']}"

    def _make(self) -> Any:
        """All of it in one call."""
        (subnet,) = self.raw.request("GET", NETWORK, "/subnets", query=[("name", "lab-net")])["subnets"]
        pool = {"name": self.name, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "healthmonitor": MONITOR}
        listener = {"name": self.name, "protocol": "HTTP", "protocol_port": FRONT_PORT, "default_pool": pool}
        whole = {"name": self.name, "vip_subnet_id": subnet["id"], "description": QUICK, "listeners": [listener]}
        return self.raw.request("POST", LOAD_BALANCER, "/lbaas/loadbalancers", body={"loadbalancer": whole})["loadbalancer"]

    def _is_deleted(self) -> bool:
        with contextlib.suppress(Conflict):  # a change is under way
            try:
                self.raw.request("DELETE", LOAD_BALANCER, self._path, query=[("cascade", "true")])
            except NotFound:
                return True
        return False


class OnOctavia:
    """One shop for all tests, whose members are this test's; what they report is what the data plane's checks find."""

    can_hold_names = True
    can_count_sessions = False
    can_be_busy = True

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._run = secrets.token_hex(3)
        self.transport = Recording("user")
        self._machines = WebMachines(shop.port)
        self._net = f"127.{secrets.randbelow(100) + 130}.{secrets.randbelow(250)}"
        self._made = 0

    def until(self, look: Callable[[], Found | None], what: str) -> Found:
        return self._shop.until(look, what)

    def clean_up(self) -> None:
        self._machines.end()
        self._shop.empty()

    def balancer(self, pool: str = "one") -> Balancer:
        options = Options(pool=self._shop.name, port=self._shop.port, weight=5)
        return OctaviaBalancer(f"{pool}{self._run}", options, transport=self.transport, now=now)

    def balancer_of_unknown_backend(self) -> Balancer:
        return OctaviaBalancer("one", Options(pool="shoe", port=80), transport=self.transport, now=now)

    def start_machine(self, pool: str = "one") -> tuple[str, str]:
        self._made += 1
        return self._start(f"{pool}{self._run}-{self._made}-aaaaa", f"{self._net}.{self._made}")

    def stop_machine(self, name: str) -> None:
        self._machines.stop(name)

    def add_by_hand(self) -> str:
        name, address = self._start(f"legacy{self._run}", f"{self._net}.200")
        member = {"name": name, "address": address, "protocol_port": self._shop.port, "weight": 7, "tags": ["by-hand"]}
        path = f"/lbaas/pools/{self._shop.one('pools')['id']}/members"
        self._shop.raw.request("POST", LOAD_BALANCER, path, body={"member": member})
        self._shop.until_active()
        return address

    def open_sessions(self) -> None:
        self._machines.hold(self._shop.url(), SESSIONS)

    def end_sessions(self) -> None:
        self._machines.let_go()

    def broken_sessions(self) -> int:
        return self._machines.broken

    def _start(self, name: str, address: str) -> tuple[str, str]:
        self._machines.start(name, address)
        Members().report(name, "real")
        return name, address
