# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lab's Kubernetes lives: directories, ports, versions, times. Everything else is handed a Site."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..home import home, port_base

IP = "127.0.0.1"
DEFAULT_PORT_BASE = 18400
OFFSETS = {"apiserver": 0, "etcd": 1, "etcd-peer": 2, "controller-manager": 3, "scheduler": 4, "kwok": 5}
MEMBERS_OFFSET = 10  # etcd_members.py: two ports per member from here

# versions that the Go module proxy serves in full (NOTES.md)
KUBERNETES_VERSION, ETCD_VERSION, KWOK_VERSION = "1.36.3", "3.6.16", "0.8.0"

SETTINGS = {
    "LAB_NODE_GRACE": "12",  # a node that sends no lease for so many seconds becomes NotReady (kubernetes: 50)
    "LAB_LEASE_SECONDS": "8",  # kwok renews each quarter of it; keep it well below the grace
    "LAB_POD_START": "1",  # seconds from bind to Ready, and from delete to gone, of pods without annotations
    "LAB_POD_STOP": "1",
    "LAB_ATTACH": "0",  # whole seconds to attach and to detach a volume
    "LAB_DETACH": "2",
    "LAB_TOLERATION": "300",  # default tolerationSeconds for not-ready and unreachable
    "LAB_AUDIT_LEVEL": "Metadata",  # None, Metadata, Request, RequestResponse
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One cluster. Two of them run side by side when state and port base differ; they may share the binaries under `home`."""

    home: Path
    state: Path
    port_base: int
    version: str
    settings: Mapping[str, str]
    etcd_servers: str  # of an etcd outside the lab, or empty

    @classmethod
    def from_environment(cls) -> "Site":
        """The cluster that LAB_HOME, LAB_CLUSTER, LAB_KUBERNETES_PORT_BASE, LAB_KUBERNETES_VERSION and the settings ask for."""
        environment = os.environ
        directory = home("kubernetes", environment)
        return cls(
            home=directory,
            state=directory / environment.get("LAB_CLUSTER", ""),
            port_base=port_base("kubernetes", DEFAULT_PORT_BASE, environment),
            version=environment.get("LAB_KUBERNETES_VERSION", KUBERNETES_VERSION),
            settings={key: environment.get(key, default) for key, default in SETTINGS.items()},
            etcd_servers=environment.get("LAB_ETCD_SERVERS", ""),
        )

    @property
    def bin(self) -> Path:
        """etcd, etcdctl, kwok, and links to the Kubernetes version that was installed first."""
        return self.home / "bin"

    @property
    def kubernetes(self) -> Path:
        """The binaries of this site's Kubernetes version; several versions lie side by side."""
        return self.home / "k8s" / self.version

    @property
    def source(self) -> Path:
        return self.home / "src"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def etc(self) -> Path:
        return self.state / "etc"

    @property
    def log(self) -> Path:
        return self.state / "log"

    @property
    def run(self) -> Path:
        return self.state / "run"

    @property
    def data(self) -> Path:
        return self.state / "data"

    @property
    def kubeconfig(self) -> Path:
        """Of the user `admin`. JSON, which is YAML."""
        return self.state / "kubeconfig"

    @property
    def joiner_kubeconfig(self) -> Path:
        """Of the guests' stand-in, so that its calls can be told from a test's in the audit log."""
        return self.etc / "joiner.kubeconfig"

    @property
    def audit_log(self) -> Path:
        return self.log / "audit.log"

    @property
    def server(self) -> str:
        return f"https://{IP}:{self.port('apiserver')}"

    def port(self, name: str) -> int:
        return self.port_base + OFFSETS[name]
