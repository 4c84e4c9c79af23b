# SPDX-License-Identifier: GPL-3.0-or-later
"""The OpenStack lab for tests of our adapter: pools under test, what they sent, and waiting for what they see."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import COMPUTE, NETWORK, Client
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.cloud import OpenStackCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, FleetError, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import NewMachine, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Listing
from ansible_collections.immutable.fleet.tests.labs.openstack.site import Site

MARKS = [
    pytest.mark.lab,
    pytest.mark.openstack,
    pytest.mark.filterwarnings(r"ignore:::openstack\..*"),  # the SDK warns itself of its own deprecations
]
CALL_TIMEOUT = timedelta(seconds=60)  # Nova takes half a second when the lab has the machine for itself
PATIENCE_SECONDS = 240
TEMPLATE = {"cloud": "user", "image": "golden-v1", "flavor": "m1.tiny", "networks": [{"network": "lab-net"}]}
NO_NETWORK: dict[str, Any] = {"networks": []}  # Neutron is most of a server's cost in the lab


def now() -> datetime:
    return datetime.now(UTC)


def use_or_skip(environment: pytest.MonkeyPatch) -> None:
    """Point the SDK at the lab, if it is up."""
    clouds = Site.from_environment().home / "clouds.yaml"
    if not clouds.exists():
        pytest.skip("the OpenStack lab is not installed: tests/labs/lab up openstack")
    environment.setenv("OS_CLIENT_CONFIG_FILE", str(clouds))
    try:
        client().request("GET", COMPUTE, "/limits")
    except FleetError as exc:
        pytest.skip(f"the OpenStack lab is not up: tests/labs/lab up openstack ({exc})")


def client(cloud: str = "user") -> Client:
    """Raw access beside the adapter: a person, a playbook, an operator."""
    return Client({"cloud": cloud}, CALL_TIMEOUT, now)


class Recording(Client):
    """The real transport, with its calls written down, and replies lost on request."""

    def __init__(self, cloud: str) -> None:
        super().__init__({"cloud": cloud}, CALL_TIMEOUT, now)
        self.calls: list[str] = []
        self.loses_reply_to = ""  # the beginning of a call; once

    def request(self, method: str, service: str, path: str, **given: Any) -> Any:
        self.calls.append(f"{method} {service} {path}")
        answer = super().request(method, service, path, **given)
        if self.loses_reply_to and self.calls[-1].startswith(self.loses_reply_to):
            self.loses_reply_to = ""
            raise Transient(what="the test lost the reply")
        return answer

    def writes(self) -> list[str]:
        """Calls that change something, without the ids in them."""
        return [call if call.startswith("POST") else call.rpartition("/")[0] for call in self.calls if not call.startswith("GET")]


class LabPool:
    """A pool of one template, with a name that nobody else uses."""

    def __init__(self, options: Mapping[str, Any], user_data: str = "") -> None:
        given = {**TEMPLATE, **options}
        self.name = f"sys{secrets.token_hex(3)}"
        self.transport = Recording(given["cloud"])
        self.cloud = OpenStackCloud(
            self.name, parse_options(given, user_data), call_timeout=CALL_TIMEOUT, now=now, transport=self.transport
        )
        self.revision: Revision = self.cloud.resolve()
        self._raw = client(given["cloud"])

    def machine(self, slot: int, failure_domain: str = "", **values: str) -> NewMachine:
        return NewMachine(
            name=f"{self.name}-{slot}-{secrets.token_hex(3)[:5]}",
            slot=slot,
            failure_domain=failure_domain,
            revision=self.revision.id,
            fields=self.revision.fields,
            attempt=1,
            created_at=now(),
            values=values,
        )

    def list(self, since: datetime | None = None) -> Listing:
        return self.cloud.list_vms(since, with_leftovers=True)

    def until(
        self, what: str, test: Callable[[Listing], object], since: datetime | None = None, seconds: float = PATIENCE_SECONDS
    ) -> Listing:
        """The first listing that is as `test` wants it."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            listing = self.list(since)
            if test(listing):
                return listing
            time.sleep(0.5)
        raise AssertionError(f"not within {seconds} s: {what}; the last listing: {listing}")

    def until_all(self, status: str, count: int) -> tuple[Vm, ...]:
        """The pool's machines, once there are `count` and all have this status."""
        return self.until(f"{count} {status}", lambda seen: len(seen.vms) == count and {vm.status for vm in seen.vms} == {status}).vms

    def ports(self) -> list[str]:
        """Names of all ports of the pool, bound or not."""
        query = [("description", f"immutable.fleet.pool={self.name}"), ("fields", "name")]
        return sorted(port["name"] for port in self._raw.request("GET", NETWORK, "/ports", query=query)["ports"])

    def raw(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A call of somebody else to Nova."""
        return self._raw.request(method, COMPUTE, path, body=body)

    def remove(self) -> None:
        """Everything, also half-owned things."""
        for vm in self.list().vms:
            self.cloud.delete(vm)
        self.until("nothing is left", self._is_cleared)

    def _is_cleared(self, seen: Listing) -> bool:
        """Whether neither machines nor ports were there; the ports go now, but one that Nova binds or lets go at this moment."""
        if seen.vms:
            return False
        for leftover in seen.leftovers or ():
            with suppress(Conflict):  # the next list says what became of it
                self.cloud.clear(leftover)
        return not seen.leftovers


@contextmanager
def pool(user_data: str = "", **options: Any) -> Iterator[LabPool]:
    """A pool for the time of a test."""
    made = LabPool(options, user_data)
    try:
        yield made
    finally:
        made.remove()
