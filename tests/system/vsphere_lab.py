# SPDX-License-Identifier: GPL-3.0-or-later
"""The vSphere lab for tests of our adapter: pools under test, what they sent, and waiting for what they see."""

from __future__ import annotations

import secrets
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.client import Client
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.cloud import VsphereCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import Connection, parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import Ref, Wanted
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import NewMachine, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Listing
from ansible_collections.immutable.fleet.tests.labs.vsphere.simulator import Simulator
from ansible_collections.immutable.fleet.tests.labs.vsphere.site import IP, PASSWORD, USER, Site

CALL_TIMEOUT = timedelta(seconds=20)
PATIENCE_SECONDS = 60
TEMPLATE_GIB = 4  # the disk of a seeded template
PLACE = {"template": "golden-base-v1", "folder": "fleet", "networks": [{"name": "pg-nodes"}], "resource_pool": "fleet"}


def now() -> datetime:
    return datetime.now(UTC)


def up_or_skip() -> Simulator:
    """The lab's control side, if it is up, with whatever there is in it."""
    simulator = Simulator()
    try:
        simulator.settings()
    except urllib.error.URLError as exc:
        pytest.skip(f"the vSphere lab is not up: tests/labs/lab up vsphere ({exc})")
    return simulator


def use_or_skip() -> Simulator:
    """The lab's control side, if it is up; nothing is left in it of tests before."""
    simulator = up_or_skip()
    simulator.reset()
    return simulator


def connection() -> dict[str, Any]:
    """The options to connect, for the account that may do all."""
    site = Site.from_environment()
    return {"hostname": IP, "port": site.port("vcenter"), "username": USER, "password": PASSWORD, "ca_cert": str(site.ca_file)}


class Recording(Client):
    """The real transport, with its calls written down."""

    def __init__(self, given: Connection) -> None:
        super().__init__(given, CALL_TIMEOUT, now)
        self.calls: list[str] = []
        self.calls_of: list[tuple[Ref, str]] = []  # object and method, without reads

    def read(self, *wanted: Wanted) -> dict[Ref, dict[str, Any]]:
        self.calls.append("read")
        return super().read(*wanted)

    def call(self, this: Ref, method: str, **arguments: Any) -> Any:
        self.calls.append(method)
        self.calls_of.append((this, method))
        return super().call(this, method, **arguments)

    def writes(self) -> list[str]:
        """Calls that change something."""
        return [call for call in self.calls if call.endswith("_Task") or call == "ShutdownGuest"]


class LabPool:
    """A pool in the seed's inventory, with a name that nobody else uses."""

    def __init__(
        self, simulator: Simulator, user_data: str = "", *, name: str = "", domains: tuple[str, ...] = ("fd-a",), **given: Any
    ) -> None:
        self.simulator, self.domains = simulator, domains
        self.name = name or f"sys{secrets.token_hex(3)}"
        self._given, self._user_data = given, user_data
        self.transport = Recording(parse_options({**connection(), **given}).connection)
        self.cloud = self.another(self.transport)
        self.revision: Revision = self.cloud.resolve()
        self.listing = Listing(as_of=now())  # the newest

    def another(self, transport: Recording | None = None) -> VsphereCloud:
        """The same pool, as another process has it."""
        options = parse_options({**connection(), **PLACE, "datastore": "ds-shared", **self._given}, self._user_data)
        return VsphereCloud(
            self.name,
            options,
            failure_domains=self.domains,
            call_timeout=CALL_TIMEOUT,
            now=now,
            transport=transport or Recording(options.connection),
        )

    def machine(self, slot: int, **values: str) -> NewMachine:
        return NewMachine(
            name=f"{self.name}-{slot}-{secrets.token_hex(3)[:5]}",
            slot=slot,
            failure_domain=self.domains[slot % len(self.domains)],
            revision=self.revision.id,
            fields=self.revision.fields,
            attempt=1,
            created_at=now(),
            values=values,
        )

    def list(self) -> tuple[Vm, ...]:
        self.listing = self.cloud.list_vms(None, with_leftovers=True)
        return self.listing.vms

    def until(self, what: str, test: Callable[[tuple[Vm, ...]], object]) -> tuple[Vm, ...]:
        """The first list that is as `test` wants it; deletions go on meanwhile, as the loop has them go on."""
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE_SECONDS:
            vms = self.list()
            if test(vms):
                return vms
            for vm in vms:
                if vm.delete_again:
                    self.cloud.delete(vm)
            time.sleep(0.1)
        raise AssertionError(f"not within {PATIENCE_SECONDS} s: {what}; the last list: {vms}")

    def until_all(self, status: str, count: int) -> tuple[Vm, ...]:
        """The pool's machines, once there are `count` and all have this status."""
        return self.until(f"{count} {status}", lambda vms: len(vms) == count and {vm.status for vm in vms} <= {status})

    def truth(self) -> dict[str, dict[str, Any]]:
        """Its VMs by the simulator's own word."""
        return {name: vm for name, vm in self.simulator.vms().items() if name.startswith(self.name)}


@contextmanager
def pool(simulator: Simulator, user_data: str = "", **given: Any) -> Iterator[LabPool]:
    """A pool for the time of a test, which ends with a logout."""
    made = LabPool(simulator, user_data, **given)
    try:
        yield made
    finally:
        made.cloud.close()
