# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lab's vCenter lives: directories, ports, accounts, flags. Everything else is handed a Site."""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..home import home, port_base

IP = "127.0.0.1"
DEFAULT_PORT_BASE = 18500
OFFSETS = {"vcenter": 0, "control": 1}
USER = "fleet@vsphere.local"  # may do all that no denial of a test forbids
READER = "reader@vsphere.local"  # may only read; the joiner's account too
PASSWORD = "labsecret"  # of every account; nothing listens beyond loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One lab. Two of them run side by side when home and port base differ."""

    home: Path
    port_base: int
    flags: tuple[str, ...]  # more of vcenter's own, `vcenter -h`

    @classmethod
    def from_environment(cls) -> "Site":
        """The lab that LAB_HOME, LAB_VSPHERE_PORT_BASE and LAB_VSPHERE_FLAGS ask for."""
        environment: Mapping[str, str] = os.environ
        return cls(
            home=home("vsphere", environment),
            port_base=port_base("vsphere", DEFAULT_PORT_BASE, environment),
            flags=tuple(shlex.split(environment.get("LAB_VSPHERE_FLAGS", ""))),
        )

    @property
    def binary(self) -> Path:
        return self.home / "vcenter"

    @property
    def client(self) -> Path:
        """A virtual environment with pyvmomi, made where the Python that installs has none."""
        return self.home / "client"

    @property
    def log(self) -> Path:
        return self.home / "log"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def data(self) -> Path:
        """The datastores' files. They go with the process: all state is in its memory."""
        return self.home / "data"

    @property
    def ca_file(self) -> Path:
        """The certificate of the last start; verifies for 127.0.0.1 and localhost."""
        return self.home / "ca.pem"

    @property
    def control(self) -> str:
        """Where tests steer the simulator, simulator.py."""
        return f"http://{IP}:{self.port('control')}"

    def port(self, name: str) -> int:
        return self.port_base + OFFSETS[name]
