# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to a root file system in this process; what programs do to it is shown by the lab test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.bakery import chroot
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.chroot import CONNECTION, HOST, Debian, shut
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.disk import make_bootable
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.tests.unit.bakery.test_listing import lay_out
from ansible_collections.immutable.fleet.tests.unit.bakery.test_shelf import shelf
from ansible_collections.immutable.fleet.tests.unit.hygiene.trees import LINK, ROOT


def files(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()}


def test_the_traces_of_a_build_are_gone_and_links_are_not_followed(tmp_path: Path) -> None:
    """A link among the logs that leads out of the tree is not written through."""
    tree, host = tmp_path / "tree", tmp_path / "host"
    lay_out(host, {"/etc/hostname": "builder", "/etc/resolv.conf": "nameserver 192.0.2.1", "/var/log/syslog": "the host's"})
    image = {
        "/etc/hostname": "builder",
        "/etc/resolv.conf": "nameserver 192.0.2.53",
        "/etc/machine-id": "4d1e",
        "/etc/ssh/ssh_host_rsa_key": "key",
        "/etc/ssh/ssh_host_rsa_key.pub": "public",
        f"{ROOT}/.bash_history": "ls",
        "/tmp/scratch/file": "x",
        "/var/log/dpkg.log": "installed",
        "/var/log/out": LINK + str(host / "var/log/syslog"),
    }
    lay_out(tree, image)
    shut(tree, host)
    assert files(tree) == {"etc/resolv.conf": "nameserver 192.0.2.53", "etc/machine-id": "", "var/log/dpkg.log": ""}
    assert files(host)["var/log/syslog"] == "the host's"


def test_a_disk_starts_the_newest_kernel_from_its_own_file_system(tmp_path: Path) -> None:
    """6.1.0-10 is newer than 6.1.0-9. What a role wrote into fstab stays."""
    kernels = ("vmlinuz-6.1.0-9-amd64", "vmlinuz-6.1.0-10-amd64", "initrd.img-6.1.0-9-amd64", "initrd.img-6.1.0-10-amd64")
    lay_out(tmp_path, {f"/boot/{name}": "" for name in kernels} | {"/etc/fstab": "# nothing yet\n"})
    make_bootable(tmp_path, "0a1b")
    said = (tmp_path / "boot/grub/grub.cfg").read_text()
    assert "linux /boot/vmlinuz-6.1.0-10-amd64 root=UUID=0a1b" in said
    assert "initrd /boot/initrd.img-6.1.0-10-amd64" in said
    assert (tmp_path / "etc/fstab").read_text() == "UUID=0a1b / ext4 defaults,errors=remount-ro 0 1\n"
    (tmp_path / "etc/fstab").write_text("LABEL=root / ext4 defaults 0 1\n")
    make_bootable(tmp_path, "2c3d")
    assert (tmp_path / "etc/fstab").read_text() == "LABEL=root / ext4 defaults 0 1\n"


def test_an_image_without_a_kernel_is_refused(tmp_path: Path) -> None:
    """By the option that would bring one."""
    lay_out(tmp_path, {"/etc/fstab": ""})
    with pytest.raises(Invalid) as refused:
        make_bootable(tmp_path, "0a1b")
    assert (refused.value.where, "there is not a kernel in /boot" in refused.value.what) == ("chroot.packages", True)


def test_what_mmdebstrap_is_asked(tmp_path: Path) -> None:
    """Every value is an argument of its own; no shell reads it."""
    debian = Debian(suite="bookworm", mirror="http://mirror.example/debian", packages=("cloud-init", "chrony"), apt_options=('A::B "c"',))
    assert debian.argv(tmp_path / "base.tar") == [
        "mmdebstrap",
        "--variant=minbase",
        "--components=main",
        "--format=tar",
        "--quiet",
        "--include=cloud-init,chrony",
        '--aptopt=A::B "c"',
        "bookworm",
        str(tmp_path / "base.tar"),
        "http://mirror.example/debian",
    ]


def test_variables_do_not_lead_roles_out_of_the_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of a host come with its connection, which is often `local`: this machine, as root."""
    monkeypatch.setattr(chroot, "Program", lambda *arguments: arguments)
    place = shelf(tmp_path)
    hosts_variables = {"ansible_connection": "local", "ansible_host": "localhost", "port": 80}
    chroot.apply(place, place.tree, {}, ["web"], hosts_variables)
    used = json.loads((place.work / "play/inventory.json").read_text())["all"]["hosts"][HOST]
    assert (used["ansible_connection"], used["ansible_host"], used["port"]) == (CONNECTION, str(place.tree), 80)
