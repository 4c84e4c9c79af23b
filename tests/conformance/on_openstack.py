# SPDX-License-Identifier: GPL-3.0-or-later
"""Harness of the OpenStack adapter, over the lab: the project `small`, whose quota may be spent without hurting others."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import COMPUTE, IMAGE
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.cloud import OpenStackCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.lock import GlanceLock
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import NewMachine
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Cloud, Lock
from ansible_collections.immutable.fleet.tests.system.openstack_lab import CALL_TIMEOUT, Recording, client, now, use_or_skip

Found = TypeVar("Found")

PATIENCE_SECONDS = 300  # a server takes 4 s when the lab has the machine for itself
TEMPLATE = {"cloud": "small", "image": "golden-v1", "flavor": "m1.tiny", "networks": [{"network": "small-net"}]}
CALLS = {"create": "POST compute /servers", "delete": "DELETE compute /servers/"}


class OpenStack:
    """Pools with names that no one else uses; a test's "one" is the same pool for all its adapters."""

    def __init__(self, _folder: Path) -> None:
        self._environment = pytest.MonkeyPatch()
        use_or_skip(self._environment)
        self._run = secrets.token_hex(3)
        self._transports: list[Recording] = []
        self._pools: set[str] = set()
        self._locks: set[str] = set()
        self._quota: dict[str, Any] | None = None

    def cloud(self, pool: str = "one") -> Cloud:
        return self._cloud(self._name(pool))

    def lock(self, pool: str = "one") -> Lock:
        name = f"{pool}{self._run}"
        self._locks.add(name)
        return GlanceLock(name, transport=Recording("small"), now=now)

    def delete_locks(self) -> None:
        for name in self._locks:
            raw, query = client("small"), [("name", f"{marks.LOCK_NAME}{name}"), ("os_hidden", "true")]
            for image in raw.request("GET", IMAGE, "/images", query=query)["images"]:
                raw.request("DELETE", IMAGE, f"/images/{image['id']}")

    def cloud_of_unknown_image(self) -> Cloud:
        return self._cloud(self._name("one"), image="never-baked")

    def new_machine(self, name: str, pool: str = "one") -> NewMachine:
        revision = self.cloud(pool).resolve()
        slot = int(name.split("-")[-2])
        return NewMachine(
            name=f"{self._name(pool)}-{slot}-{secrets.token_hex(3)[:5]}",
            slot=slot,
            failure_domain="az2",
            revision=revision.id,
            fields=revision.fields,
            attempt=2,
            created_at=now(),
        )

    def lose_reply(self, verb: str) -> None:
        self._lose(CALLS[verb])

    def leave_port(self, machine: NewMachine) -> None:
        del machine
        self._lose("POST network /ports")

    def exhaust(self) -> None:
        self._allow(0)

    def leave_room(self, machines: int) -> None:
        limits = client("small").request("GET", COMPUTE, "/limits")["limits"]["absolute"]
        self._allow(limits["totalInstancesUsed"] + machines)

    def _allow(self, instances: int) -> None:
        path = f"/os-quota-sets/{client('small').project_id()}"
        self._quota = self._quota or client("admin").request("GET", COMPUTE, path)["quota_set"]
        client("admin").request("PUT", COMPUTE, path, body={"quota_set": {"instances": instances}})

    def until(self, look: Callable[[], Found | None], what: str) -> Found:
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE_SECONDS:
            found = look()
            if found:
                return found
            time.sleep(0.5)
        raise AssertionError(f"not within {PATIENCE_SECONDS} s: {what}")

    def clean_up(self) -> None:
        self._lose("")
        if self._quota is not None:
            body = {"quota_set": {"instances": self._quota["instances"]}}
            client("admin").request("PUT", COMPUTE, f"/os-quota-sets/{self._quota['id']}", body=body)
        for pool in self._pools:
            cloud = self._cloud(pool)
            for vm in cloud.list_vms(None, with_leftovers=False).vms:
                cloud.delete(vm)
            self.until(lambda cloud=cloud: not cloud.list_vms(None, with_leftovers=False).vms, f"{pool} is empty")
            for leftover in cloud.list_vms(None, with_leftovers=True).leftovers or ():
                cloud.clear(leftover)
        self.delete_locks()
        self._environment.undo()

    def _name(self, pool: str) -> str:
        self._pools.add(f"{pool}{self._run}")
        return f"{pool}{self._run}"

    def _cloud(self, name: str, **options: str) -> OpenStackCloud:
        transport = Recording("small")
        self._transports.append(transport)
        parsed = parse_options({**TEMPLATE, **options})
        return OpenStackCloud(name, parsed, call_timeout=CALL_TIMEOUT, now=now, transport=transport)

    def _lose(self, call: str) -> None:
        for transport in self._transports:
            transport.loses_reply_to = call
