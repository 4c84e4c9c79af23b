# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles for Kubernetes nodes and for logs, applied to a real Debian image by `golden_image_build`.

What they arrange is looked at in the finished image: packages from a signed source in the versions that were named, on hold, files, units.
Packages of Kubernetes are stand-ins and there is no kernel, so nothing boots here. Needs root and `lab up images`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.tests.labs.images.__main__ import collections, is_installed
from ansible_collections.immutable.fleet.tests.system.package_source import Package, source, write
from ansible_collections.immutable.fleet.tests.system.playbook import ROOT, Playbooks

pytestmark = [pytest.mark.lab, pytest.mark.bake, pytest.mark.story]

LEAN = ['APT::Install-Recommends "false"', "Acquire::Languages none"]
NAMED = {"containerd": "2.1.5-1", "kubelet": "1.34.2-1.1", "kubeadm": "1.34.2-1.1", "kubectl": "1.34.2-1.1"}
OFFERED = [Package(name=name, version=version, unit=name in ("containerd", "kubelet")) for name, version in NAMED.items()]
NEWER = [Package(name=name, version="9.0-1", unit=package.unit) for package in OFFERED for name in [package.name]]
WITHOUT_KERNEL = "- ansible.builtin.copy: {content: '', dest: '/boot/{{ item }}', mode: '0644'}\n  loop: [vmlinuz-0, initrd.img-0]\n"


class Node:
    """The finished image, read without a mount: its one file system begins at the first MiB."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer

    def says(self, request: str) -> str:
        image = f"{self.answer['image_file']}?offset={1 << 20}"
        return subprocess.run(["debugfs", "-R", request, image], check=True, capture_output=True, text=True).stdout

    def read(self, path: str) -> str:
        return self.says(f"cat {path}")

    def has(self, path: str) -> bool:
        return "Inode:" in self.says(f"stat {path}")


class Bakery:
    """A folder with images, a source of packages, and the task that bakes."""

    def __init__(self, folder: Path, address: str, key: str) -> None:
        self.folder, self.books = folder, Playbooks(folder)
        write(folder / "roles/without_kernel/tasks/main.yml", WITHOUT_KERNEL)
        self.source = {"name": "kubernetes", "uri": address, "key": key}

    def bake(self, *roles: str, fails: bool = False, **variables: Any) -> Any:
        options = {
            "name": "node",
            "path": str(self.folder / "images"),
            "format": "raw",
            "chroot": {"suite": "bookworm", "packages": ["systemd-sysv", "python3-apt", "gpgv"], "apt_options": LEAN},
            "roles": [*roles, "without_kernel"],
            "roles_path": [str(self.folder / "roles")],
            "variables": {"kubernetes_worker_sources": [self.source], "kubernetes_worker_packages": NAMED, **variables},
            "hygiene": {"ssh": False, "clock_sync": False},
            "boot": {"test": False},
        }
        paths = f"{ROOT / 'build/collections'}:{collections()}"
        return self.books.run("golden_image_build", options, fails=fails, ANSIBLE_COLLECTIONS_PATH=paths)


@pytest.fixture(scope="module")
def bakery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bakery]:
    if os.getuid() != 0 or not is_installed():
        pytest.skip("needs root, and tests/labs/lab up images")
    folder = tmp_path_factory.mktemp("nodes")
    with source(folder, [*OFFERED, *NEWER]) as (address, key):
        yield Bakery(folder, address, key)


@pytest.fixture(scope="module")
def node(bakery: Bakery) -> Node:
    roles = ("immutable.fleet.kubernetes_control_plane", "immutable.fleet.log_shipping")
    return Node(bakery.bake(*roles, log_shipping_syslog={"host": "logs.example.org"}).result)


def test_the_packages_are_those_that_were_named(node: Node) -> None:
    """Though the source has newer ones; on hold, and in the bill of materials."""
    bill = {part["name"]: part["version"] for part in json.loads(Path(node.answer["sbom_file"]).read_text())["components"]}
    assert {name: bill[name] for name in NAMED} == NAMED
    stanzas = node.read("/var/lib/dpkg/status").split("\n\n")
    held = {stanza.splitlines()[0].removeprefix("Package: ") for stanza in stanzas if "\nStatus: hold ok installed" in stanza}
    assert held == set(NAMED)


def test_the_kubelet_waits_for_user_data(node: Node) -> None:
    """Its package enabled it. containerd starts."""
    wanted = node.says("ls -p /etc/systemd/system/multi-user.target.wants")
    assert "containerd.service" in wanted
    assert "kubelet.service" not in wanted
    assert node.has("/usr/lib/systemd/system/kubelet.service")


def test_the_system_is_as_the_kubelet_wants_it(node: Node) -> None:
    assert "SystemdCgroup = true" in node.read("/etc/containerd/config.toml")
    assert "runtime-endpoint: unix:///run/containerd/containerd.sock" in node.read("/etc/crictl.yaml")
    assert node.read("/etc/modules-load.d/kubernetes.conf").split()[-2:] == ["overlay", "br_netfilter"]
    assert "net.ipv4.ip_forward = 1" in node.read("/etc/sysctl.d/90-kubernetes.conf")
    assert 'Fast link dest: "/dev/null"' in node.says("stat /etc/systemd/system/swap.target")
    assert "Signed-By: /etc/apt/keyrings/kubernetes.asc" in node.read("/etc/apt/sources.list.d/kubernetes.sources")


def test_its_logs_leave_the_machine(node: Node) -> None:
    """By the real rsyslog, which has read its configuration in the image and found nothing wrong."""
    assert 'target="logs.example.org" port="6514"' in node.read("/etc/rsyslog.d/90-estate.conf")
    assert "rsyslog.service" in node.says("ls -p /etc/systemd/system/multi-user.target.wants")


def test_or_its_journal_is_uploaded(bakery: Bakery) -> None:
    """By systemd's own uploader; the receiver of the same package is not on."""
    upload = {"url": "https://logs.example.org:19532", "key_file": "/etc/ssl/private/node.pem"}
    logs = Node(bakery.bake("immutable.fleet.log_shipping", log_shipping_journal=upload).result)
    assert logs.read("/etc/systemd/journal-upload.conf.d/estate.conf").splitlines()[1:] == [
        "[Upload]",
        "URL=https://logs.example.org:19532",
        "TrustedCertificateFile=/etc/ssl/certs/ca-certificates.crt",
        "ServerKeyFile=/etc/ssl/private/node.pem",
    ]
    assert "systemd-journal-upload.service" in logs.says("ls -p /etc/systemd/system/multi-user.target.wants")
    assert not logs.has("/etc/systemd/system/sockets.target.wants/systemd-journal-remote.socket")


@pytest.mark.parametrize(
    ("packages", "named"),
    [
        ({"containerd": "2.1.5-1", "kubelet": "1.34.2-1.1", "kubectl": "1.34.2-1.1"}, "expected kubelet, kubeadm, and containerd"),
        ({name: version for name, version in NAMED.items() if name != "kubectl"}, "expected kubectl"),
        ({**NAMED, "kubelet": "1.33.0-1.1"}, "1.33.0-1.1"),
    ],
    ids=["no kubeadm", "no kubectl", "a version that the source has not"],
)
def test_what_would_be_no_node_is_refused(bakery: Bakery, packages: dict[str, str], named: str) -> None:
    """The bake fails with the role's words."""
    refused = bakery.bake("immutable.fleet.kubernetes_control_plane", fails=True, kubernetes_worker_packages=packages)
    assert named in refused.failure["what"]
