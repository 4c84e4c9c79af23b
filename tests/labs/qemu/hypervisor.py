# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the hypervisors of the OpenStack lab, which only pretend: boots each server for real, in QEMU.

  lab hypervisor --openstack admin [--name REGEX] [--interval SECONDS]

Only servers whose image names its kernel and initrd in Glance, as those of openstack_cloud.py do; what is missing of these is made first.
A server that is ACTIVE runs: from its own image, with its own user data, and answers at its fixed address, port 8080, where that is one
of loopback (10.b.c.d is where openstack/members.py says). It is off when the server is stopped, gone when it is deleted, and boots again
from its own disk when the server is started. A reboot that is over before the next look is not seen.

A machine that ends by itself is off by the cloud's word a moment later: its server is stopped, as nova-compute does when libvirt tells
it so. Whatever runs still when this command ends, ends with it.
"""

import argparse
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from ..kubernetes.guests import VM, plain
from ..openstack.members import Members
from .install import is_built
from .machines import Disk, Guest, Machines
from .openstack_cloud import OpenStackCloud
from .site import Site

TOLD_AGAIN_SECONDS = 5


class Cloud(Protocol):
    """What is asked of the cloud, and told."""

    def servers(self) -> list[VM]:
        """All that exist."""

    def disk(self, image: str) -> Disk | None:
        """What a server of this image boots from; None: its image cannot be booted here."""

    def stop(self, server: str) -> None:
        """The server is off, says its hypervisor."""


@dataclass(slots=True)
class Known:
    """What is remembered of a machine that was booted here."""

    name: str
    is_on: bool
    told: float = float("-inf")  # when the cloud was told that it ended by itself


class Hypervisor:
    """Boots and ends machines as their servers come and go: `look` does what has changed since the last look."""

    def __init__(self, cloud: Cloud, machines: Machines, loopback: Callable[[str], str], say: Callable[[str], None]) -> None:
        self._cloud, self._machines, self._loopback, self._say = cloud, machines, loopback, say
        self._known: dict[str, Known] = {}

    def look(self, servers: Iterable[VM]) -> None:
        seen = {vm.id: vm for vm in servers}
        for machine, known in list(self._known.items()):
            self._follow(machine, known, seen.get(machine))
        for vm in seen.values():
            if vm.on and not (vm.id in self._known and self._known[vm.id].is_on):
                self._boot(vm)

    def end(self) -> None:
        """All machines end."""
        self._machines.end(self._known)

    def _follow(self, machine: str, known: Known, vm: VM | None) -> None:
        if vm is None:
            self._machines.end([machine])
            del self._known[machine]
            self._say(f"{known.name} is gone with its server")
        elif not vm.on and known.is_on:
            self._machines.kill(machine)
            known.is_on = False
            self._say(f"{known.name} is off, as its server is")
        elif known.is_on and not self._machines.runs(machine) and time.monotonic() > known.told + TOLD_AGAIN_SECONDS:
            known.told = time.monotonic()
            self._say(f"{known.name} ended by itself: {self._machines.trouble(machine)}")
            self._cloud.stop(machine)

    def _boot(self, vm: VM) -> None:
        disk = self._cloud.disk(vm.image) if vm.image and vm.addresses else None
        if disk is None:
            return
        address = self._loopback(vm.addresses[0])
        self._machines.start(Guest(id=vm.id, name=vm.name, address=address, disk=disk, user_data=plain(vm.user_data)))
        self._known[vm.id] = Known(vm.name, is_on=True)
        self._say(f"{vm.name} boots at {address}")


# --- the command -----------------------------------------------------------------------------------------------------


def main() -> None:
    arguments = parser().parse_args()
    site = Site.from_environment()
    if not is_built(site):
        sys.exit("lab hypervisor: no golden images: lab up qemu")
    try:
        cloud = OpenStackCloud(arguments.openstack, site)
    except ImportError as error:
        sys.exit(f"lab hypervisor: {error}; .venv has the SDK, and so has $LAB_OPENSTACK_PYTHON tests/labs/lab hypervisor ...")
    cloud.seed()
    hypervisor = Hypervisor(cloud, Machines(site), Members().loopback, say)
    signal.signal(signal.SIGTERM, lambda *_arguments: sys.exit())
    say(f"watching {arguments.openstack}")
    try:
        while True:
            try:
                hypervisor.look([vm for vm in cloud.servers() if re.fullmatch(arguments.name, vm.name)])
            except Exception as error:  # noqa: BLE001 - a cloud that does not answer has not lost its VMs  # pylint: disable=broad-except
                say(f"{error!r:.300}; trying again")
            time.sleep(arguments.interval)
    except KeyboardInterrupt:
        pass
    finally:
        hypervisor.end()


def say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, flush=True)


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--openstack", required=True, metavar="CLOUD", help="an administrator's: user data is shown to nobody else")
    words.add_argument("--name", default=".*", help="only servers whose whole name matches")
    words.add_argument("--interval", type=float, default=1, help="seconds between two looks")
    return words


if __name__ == "__main__":
    main()
