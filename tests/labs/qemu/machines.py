# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines in QEMU's emulator, which needs no KVM and no root. Each answers on its own address of loopback.

    machines = Machines(Site.from_environment())
    machines.start(Guest(id="1", name="web-1", address="127.88.0.2", disk=...))
    machines.ask("127.88.0.2")      # what it says of itself, once it serves: {"host": "web-1", "instance": "1", "image": "v1"}
    machines.kill("1")              # as if somebody pulled its plug
    machines.end(["1"])             # the same, and nothing of it is left

A golden image is never written to: a machine has a layer above it. Machines outlive the process that started them.
Sources: QEMU's manual (microvm, -netdev user), cloud-init's NoCloud.
"""

import json
import shutil
import signal
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..processes import LOG_TAIL, Processes, run
from .site import Site

PORT, GUEST_PORT = 8080, 80  # outside, where those below 1024 need root; and inside
MEMORY_MIB = 96
PATH = "/health"
# A microvm has no clock to calibrate others by, and a kernel that tries may wait for ever. A wrong rate only makes its seconds wrong.
KERNEL_OPTIONS = "console=ttyS0 quiet panic=-1 tsc_early_khz=2500000"
CONSOLE = "console.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A golden image, and what boots it."""

    image: Path
    kernel: Path
    initrd: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """One machine. `address` is one of loopback; user data is run if it is a script."""

    id: str
    name: str
    address: str
    disk: Disk
    user_data: str = ""


class Machines:
    """All of a lab."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.processes = Processes(site.run, site.log, site.home)

    def start(self, guest: Guest) -> None:
        """It begins to boot. Its disk is as it was left, where it ran before."""
        folder = self.site.machines / guest.id
        for each in (folder, self.site.run, self.site.log):
            each.mkdir(parents=True, exist_ok=True)
        layer = folder / "layer.qcow2"
        if not layer.exists():
            words = ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", guest.disk.image.resolve(), layer]
            run([self.site.program("qemu-img"), *words], self.site.environment)
        self._seed(guest, folder)
        self.processes.start(guest.id, self._argv(guest, folder), self.site.environment)

    def runs(self, machine: str) -> bool:
        return self.processes.pid(machine) is not None

    def known(self) -> list[str]:
        """Ids of all that were started and not ended, also of those that are off."""
        return sorted(folder.name for folder in self.site.machines.glob("*"))

    def kill(self, machine: str) -> None:
        """It is off, from one moment to the next; its disk is kept."""
        self.processes.stop([machine], sign=signal.SIGKILL)

    def end(self, machines: Iterable[str]) -> None:
        """They are off, and their disks gone."""
        machines = list(machines)
        self.processes.stop(machines, sign=signal.SIGKILL)
        for machine in machines:
            shutil.rmtree(self.site.machines / machine, ignore_errors=True)
            (self.site.log / f"{machine}.out").unlink(missing_ok=True)

    def ask(self, address: str, seconds: float = 2) -> dict[str, str]:
        """What the machine at this address says of itself. Raises `OSError` while it does not serve."""
        with urllib.request.urlopen(f"http://{address}:{PORT}{PATH}", timeout=seconds) as answer:
            said: dict[str, str] = json.load(answer)
        return said

    def trouble(self, machine: str) -> str:
        """The last words of QEMU and of the guest."""
        files = (self.site.log / f"{machine}.out", self.site.machines / machine / CONSOLE)
        return "".join(file.read_text(errors="replace")[-LOG_TAIL:] for file in files if file.exists()).strip()

    def _seed(self, guest: Guest, folder: Path) -> None:
        """A NoCloud seed."""
        sources = [folder / "meta-data", folder / "user-data"]
        sources[0].write_text(f"instance-id: {guest.id}\nlocal-hostname: {guest.name}\n")
        sources[1].write_text(guest.user_data)
        words = ["-quiet", "-output", folder / "seed.iso", "-volid", "CIDATA", "-joliet", "-rock", *sources]
        run([self.site.program("xorrisofs"), *words], self.site.environment)

    def _argv(self, guest: Guest, folder: Path) -> list[str]:
        """A machine of the type `microvm`: without PCI, ACPI and a boot loader it boots in half the time."""
        forward = f"hostfwd=tcp:{guest.address}:{PORT}-:{GUEST_PORT}"
        return [
            *(self.site.program("qemu-system-x86_64"), *self.site.firmware, "-name", guest.name),
            *("-machine", "microvm", "-accel", "tcg,thread=single", "-cpu", "max", "-smp", "1", "-m", str(MEMORY_MIB)),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-kernel", str(guest.disk.kernel), "-initrd", str(guest.disk.initrd), "-append", KERNEL_OPTIONS),
            *("-chardev", f"file,id=console,path={folder / CONSOLE}", "-serial", "chardev:console"),
            *(
                "-drive",
                f"if=none,id=disk,file={folder / 'layer.qcow2'},format=qcow2,cache=unsafe",
                "-device",
                "virtio-blk-device,drive=disk",
            ),
            *("-drive", f"if=none,id=seed,file={folder / 'seed.iso'},format=raw,readonly=on", "-device", "virtio-blk-device,drive=seed"),
            *("-netdev", f"user,id=net,restrict=on,{forward}", "-device", "virtio-net-device,netdev=net"),
        ]
