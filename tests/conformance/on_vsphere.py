# SPDX-License-Identifier: GPL-3.0-or-later
"""Harness of the vSphere adapter, over the lab: a datastore of one failure domain that a test may fill."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.cloud import VsphereCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import NewMachine
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Cloud
from ansible_collections.immutable.fleet.tests.labs.vsphere.simulator import Simulator
from ansible_collections.immutable.fleet.tests.system.vsphere_lab import (
    CALL_TIMEOUT,
    PLACE,
    TEMPLATE_GIB,
    Recording,
    connection,
    now,
    use_or_skip,
)

Found = TypeVar("Found")

PATIENCE_SECONDS = 120
DOMAIN, DATASTORE = "fd-b", "ds-b"
CALLS = {"create": ("CloneVM_Task",), "delete": ("PowerOffVM_Task", "ShutdownGuest", "Destroy_Task")}


class Vsphere:
    """Pools with names that no one else uses; a test's "one" is the same pool for all its adapters.

    The lab's clones take no time here, and `create` comes back when the VM is there: how a machine is told that is still being
    cloned is tested in tests/system/test_vsphere_cloud.py, where clones take seconds.
    """

    def __init__(self, _folder: Path) -> None:
        self._lab = use_or_skip()
        self._run = secrets.token_hex(3)
        self._clouds: list[_Patient] = []

    def cloud(self, pool: str = "one") -> Cloud:
        return self._cloud(self._name(pool))

    def cloud_of_unknown_image(self) -> Cloud:
        return self._cloud(self._name("one"), template="never-baked")

    def new_machine(self, name: str, pool: str = "one") -> NewMachine:
        revision = self.cloud(pool).resolve()
        slot = int(name.split("-")[-2])
        return NewMachine(
            name=f"{self._name(pool)}-{slot}-{secrets.token_hex(3)[:5]}",
            slot=slot,
            failure_domain=DOMAIN,
            revision=revision.id,
            fields=revision.fields,
            attempt=2,
            created_at=now(),
        )

    def lose_reply(self, verb: str) -> None:
        for method in CALLS[verb]:
            self._lab.rule("drop", method, count=1)

    def exhaust(self) -> None:
        self._refuse(after=0)

    def leave_room(self, machines: int) -> None:
        """The datastore has space for so many; what comes after them vCenter refuses at once, which it is free to do."""
        self._lab.free(DATASTORE, machines * TEMPLATE_GIB * 1024)
        self._refuse(after=machines)

    def until(self, look: Callable[[], Found | None], what: str) -> Found:
        """The first answer that is true. Between looks a deletion goes on, as the loop has it go on."""
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE_SECONDS:
            found = look()
            if found:
                return found
            self._go_on()
            time.sleep(0.1)
        raise AssertionError(f"not within {PATIENCE_SECONDS} s: {what}")

    def clean_up(self) -> None:
        for cloud in self._clouds:
            cloud.close()
        self._lab.reset()

    def _go_on(self) -> None:
        for cloud in self._clouds:
            for vm in cloud.list_vms(None, with_leftovers=False).vms if cloud.is_deleting else ():
                if vm.delete_again:
                    cloud.delete(vm)

    def _refuse(self, after: int) -> None:
        self._lab.rule("fault", "CloneVM_Task", skip=after, fault="NoDiskSpace", fields={"datastore": DATASTORE})

    def _name(self, pool: str) -> str:
        return f"{pool}{self._run}"

    def _cloud(self, name: str, **options: Any) -> _Patient:
        made = _Patient(self._lab, name, {**PLACE, "datastore": DATASTORE, **options})
        self._clouds.append(made)
        return made


class _Patient(VsphereCloud):
    """The adapter in a vCenter that makes a VM at once."""

    def __init__(self, lab: Simulator, name: str, options: dict[str, Any]) -> None:
        parsed = parse_options({**connection(), **options})
        super().__init__(
            name, parsed, failure_domains=(DOMAIN,), call_timeout=CALL_TIMEOUT, now=now, transport=Recording(parsed.connection)
        )
        self._lab = lab
        self.is_deleting = self._is_watched = False

    def watch(self, on_change: Callable[[], None]) -> bool:
        self._is_watched = super().watch(on_change)
        return self._is_watched

    def create(self, machine: NewMachine) -> None:
        super().create(machine)
        began = time.monotonic()
        while self._lab.vms().get(machine.name, {}).get("power") != "poweredOn":
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise AssertionError(f"{machine.name} is not on within {PATIENCE_SECONDS} s")
            time.sleep(0.02)

    def delete(self, vm: Any) -> None:
        self.is_deleting = not self._is_watched  # who is told, and lists then, goes on by itself
        try:
            super().delete(vm)
        except Transient:
            self._lab.clear_rules()  # one reply was to be lost, whichever step it was the reply to
            raise
