# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine booted from an image in QEMU, with a NoCloud seed, cut off from every network.

Promises: the image is not written to (a layer above it takes that); the machine ends with the process that started it; nothing here
waits. What it shows is looked at from outside: a word that its user data writes to the serial console, its health through a forwarded
port of this machine's loopback, its ports over a cable of their own.
Sources: QEMU's manual (-netdev user, hubport and dgram, -accel, several of which are tried in order), cloud-init's NoCloud.
"""

from __future__ import annotations

import http.client
import os
import re
import secrets
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.program import Program, ProgramFailed
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.scan import OURS, THEIRS, Cable, Scan
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.shelf import emptied

MEMORY_MIB = 1024  # what cloud images ask for at least
CPUS, CPUS_EMULATED = 2, 1  # emulated ones that wait for each other starve where this machine is busy
HEALTH_SECONDS = 2.0  # for one answer; a machine without KVM is slow
READ_BYTES_MAX = 1 << 22  # of the console that are looked through
LOOPBACK = "127.0.0.1"
APPLIED = "immutable-fleet: user data applied to "
CONSOLE, FIRMWARE, LAYER, SEED = "console.log", "firmware.log", "layer.qcow2", "seed.iso"
HANDED_OVER = b"Booting from"  # SeaBIOS, on its debug port
TAIL_BYTES = 4096  # of the console, to find its last line
FOR_TERMINALS = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|[()][0-9A-Z]|[=>c78])")  # ECMA-48 control sequences, and a few of VT100
SETUP_SECONDS = 60.0  # for the two programs that make a layer and a seed

# Said a few times: the kernel writes to the same console, and may do so in the middle of a line.
USER_DATA = """\
#!/bin/sh
for time in 1 2 3; do
    echo "{word}" > /dev/ttyS0
    sleep 1
done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Where a machine says that it is well: an HTTP path on a port, or "" for a port that takes connections."""

    port: int
    path: str = ""


class Guest:
    """One machine. `stop` ends it; its files stay in `folder`, which the next one empties."""

    def __init__(self, image: Path, image_format: str, folder: Path, health: Health | None, *, uses_kvm: bool) -> None:
        """Starts it. Raises `ProgramFailed`."""
        self._health, self._folder = health, emptied(folder)
        self.uses_kvm = uses_kvm
        self.word = APPLIED + secrets.token_hex(8)
        self._forwarded = _free_port()
        layer = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", image_format, "-b", str(image.resolve()), str(folder / LAYER)]
        _run(layer)
        self._seed()
        self._cable: Cable | None = None
        self._program = Program("QEMU", self._argv(), folder / "qemu.log", folder=folder)

    def has_ended(self) -> bool:
        """Whether the machine is off."""
        return self._program.has_ended()

    def has_begun(self) -> bool:
        """Whether its firmware has handed over to the disk."""
        return HANDED_OVER in _read(self._folder / FIRMWARE)

    def user_data_was_applied(self) -> bool:
        """Whether its word stands on the console."""
        return self.word.encode() in _read(self._folder / CONSOLE)

    def last_line(self) -> str:
        """What it wrote to the console last; "" while that is nothing."""
        return last_line_of(_read(self._folder / CONSOLE))

    def is_healthy(self) -> bool:
        """One question. Without a place to ask it is."""
        if self._health is None:
            return True
        if not self._health.path:
            return _takes_connections(self._forwarded)
        connection = http.client.HTTPConnection(LOOPBACK, self._forwarded, timeout=HEALTH_SECONDS)
        try:
            connection.request("GET", self._health.path)
            return connection.getresponse().status < http.client.BAD_REQUEST
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def scan(self) -> Scan:
        """A look at its ports. Only now our end of the cable is there.

        Frames that nobody takes, those of the boot, would fill its queue (10, net.unix.max_dgram_qlen), and QEMU then asks without a pause
        whether there is room, which costs more than the machine. Without an end they are dropped.
        """
        self._cable = self._cable or Cable(self._folder)
        return Scan(self._cable)

    def stop(self) -> None:
        """End it. Called once."""
        self._program.stop()
        if self._cable is not None:
            self._cable.close()

    def _seed(self) -> None:
        files = {"meta-data": f"instance-id: {self.word[-16:]}\nlocal-hostname: boot-test\n", "user-data": USER_DATA.format(word=self.word)}
        for name, text in files.items():
            (self._folder / name).write_text(text, encoding="utf-8")
        sources = [str(self._folder / name) for name in files]
        _run(["xorrisofs", "-quiet", "-output", str(self._folder / SEED), "-volid", "CIDATA", "-joliet", "-rock", *sources])

    def _argv(self) -> list[str]:
        """Names of files are those in its folder, where it is started."""
        forward = f",hostfwd=tcp:{LOOPBACK}:{self._forwarded}-:{self._health.port}" if self._health else ""
        return [
            *("qemu-system-x86_64", "-machine", "q35", "-accel", "kvm" if self.uses_kvm else "tcg", "-cpu", "max"),
            *("-smp", str(CPUS if self.uses_kvm else CPUS_EMULATED), "-m", str(MEMORY_MIB)),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-chardev", f"file,id=console,path={CONSOLE}", "-serial", "chardev:console"),
            *("-chardev", f"file,id=firmware,path={FIRMWARE}", "-device", "isa-debugcon,iobase=0x402,chardev=firmware"),
            *("-drive", f"if=virtio,file={LAYER},format=qcow2,cache=unsafe"),
            *("-drive", f"if=virtio,file={SEED},format=raw,readonly=on"),
            *("-device", "virtio-rng-pci"),
            *("-netdev", f"user,id=outside,restrict=on{forward}", "-netdev", "hubport,id=h1,hubid=0,netdev=outside"),
            *("-netdev", f"dgram,id=cable,local.type=unix,local.path={THEIRS},remote.type=unix,remote.path={OURS}"),
            *("-netdev", "hubport,id=h2,hubid=0,netdev=cable"),
            *("-netdev", "hubport,id=h3,hubid=0", "-device", "virtio-net-pci,netdev=h3"),
        ]


def last_line_of(console: bytes) -> str:
    """The last line of a console that says something, without colours and other commands to a terminal."""
    text = FOR_TERMINALS.sub("", console[-TAIL_BYTES:].decode("utf-8", errors="replace"))
    lines = ("".join(letter for letter in line if letter.isprintable()).strip() for line in reversed(text.splitlines()))
    return next((line for line in lines if line), "")


def kvm_is_there() -> bool:
    """Whether this process may use it; whether it works shows only when a machine runs."""
    return os.access("/dev/kvm", os.R_OK | os.W_OK)


def _takes_connections(port: int) -> bool:
    """QEMU takes a connection before it knows; one that the machine refuses is closed at once."""
    try:
        with socket.create_connection((LOOPBACK, port), HEALTH_SECONDS) as connection:
            connection.settimeout(HEALTH_SECONDS)
            return connection.recv(1) != b""
    except TimeoutError:
        return True  # it is open, and its server waits for the client to speak
    except OSError:
        return False


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(READ_BYTES_MAX)
    except FileNotFoundError:
        return b""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _run(argv: Sequence[str]) -> None:
    """A program that takes moments. Raises `ProgramFailed`."""
    try:
        subprocess.run(argv, check=True, capture_output=True, text=True, timeout=SETUP_SECONDS)  # noqa: S603  # programs and options are ours
    except subprocess.CalledProcessError as error:
        raise ProgramFailed(what=f"{argv[0]} ended with {error.returncode}: {error.stderr.strip()}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProgramFailed(what=f"{argv[0]} cannot be run: {error}") from error
