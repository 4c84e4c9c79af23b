# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lab's OpenStack lives: directories, ports, passwords, what runs. Everything else is handed a Site."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..debian import libraries
from ..home import home, port_base

IP = "127.0.0.1"
PASSWORD = "labsecret"  # of every user; nothing listens beyond loopback
DEFAULT_PORT_BASE = 18300  # the VIPs of Octavia are moved by the distance from it, see Site.address_shift
OFFSETS = {
    "keystone": 0,
    "glance": 1,
    "placement": 2,
    "neutron": 3,
    "nova": 4,
    "amqp": 5,
    "erlang": 6,
    "epmd": 7,
    "novnc": 8,
    "octavia": 10,
    "cinder": 11,
}
DEFAULT_HOSTS = "hv-a1:az1 hv-a2:az1 hv-b1:az2 hv-b2:az2 hv-c1:az3 hv-c2:az3"
DRIVER_SETTINGS = {  # read by drivers/, with their defaults
    "LAB_BUILD_DELAY": "0",
    "LAB_LB_DELAY": "1",
    "LAB_LB_HEARTBEAT": "1",
    "LAB_VOLUME_DELAY": "0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One lab. Two of them run side by side when home and port base differ."""

    home: Path
    port_base: int
    services: tuple[str, ...]
    hosts: tuple[tuple[str, str], ...]  # (hypervisor, availability zone)
    rpc_poll: str
    drivers: Mapping[str, str]

    @classmethod
    def from_environment(cls) -> "Site":
        """The lab that LAB_HOME, LAB_OPENSTACK_PORT_BASE, LAB_SERVICES, LAB_HOSTS and the delays ask for."""
        environment = os.environ
        pairs = [pair.split(":") for pair in environment.get("LAB_HOSTS", DEFAULT_HOSTS).split()]
        return cls(
            home=home("openstack", environment),
            port_base=port_base("openstack", DEFAULT_PORT_BASE, environment),
            services=tuple(environment.get("LAB_SERVICES", "core cinder octavia").split()),
            hosts=tuple((host, zone) for host, zone in pairs),
            rpc_poll=environment.get("LAB_RPC_POLL", "0.01"),
            drivers={key: environment.get(key, default) for key, default in DRIVER_SETTINGS.items()},
        )

    @property
    def bin(self) -> Path:
        return self.home / "venv/bin"

    @property
    def root(self) -> Path:
        """Debian packages, unpacked."""
        return self.home / "root"

    @property
    def etc(self) -> Path:
        return self.home / "etc"

    @property
    def log(self) -> Path:
        return self.home / "log"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def data(self) -> Path:
        """All state that `--fresh` replaces by a copy of `seed`."""
        return self.home / "data"

    @property
    def seed(self) -> Path:
        return self.home / "seed"

    @property
    def mysql_socket(self) -> Path:
        return self.run / "mysql.sock"

    @property
    def clouds_file(self) -> Path:
        return self.home / "clouds.yaml"

    @property
    def libraries(self) -> dict[str, str]:
        """Finds the unpacked libraries that a plain machine lacks (liburing.so.2 and libaio.so.1 for MariaDB)."""
        return libraries(self.root)

    @property
    def driver_environment(self) -> dict[str, str]:
        """What the lab's drivers inside the services read."""
        return {
            **self.drivers,
            "LAB_DIRECTORY": str(self.home),
            "LAB_ADDRESS_SHIFT": str(self.address_shift),
            "LAB_LIBRARIES": self.libraries["LD_LIBRARY_PATH"],
        }

    @property
    def address_shift(self) -> int:
        """10.b.c.d of a VIP is 127.(b + shift).c.d here, so that two labs share no address."""
        return (self.port_base - DEFAULT_PORT_BASE) // 100

    def port(self, name: str) -> int:
        return self.port_base + OFFSETS[name]

    def url(self, name: str) -> str:
        return f"http://{IP}:{self.port(name)}"

    @property
    def keystone(self) -> str:
        return self.url("keystone") + "/v3"

    @property
    def amqp(self) -> str:
        return f"rabbit://guest:guest@{IP}:{self.port('amqp')}/"
