# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages that make a root file system: a base by mmdebstrap, roles by ansible-playbook through a chroot connection, the seal.

Sources: mmdebstrap(1); the connection plugin community.general.chroot; invoke-rc.d(8) and policy-rc.d (101 is "not allowed"): packages
start no services in the tree.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.listing import listing_of
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.program import Making, Program
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.shelf import Shelf, emptied, part_of
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene import seal

CONNECTION = "community.general.chroot"
HOST = "golden-image"
OF_THIS_MACHINE = ("etc/hostname", "etc/resolv.conf")  # mmdebstrap copies them; where a role wrote others, those stay

# Arguments: the tree, then the command. What is mounted ends with the namespace; the resolver's file is covered, not changed.
IN_THE_TREE = """\
set -eu
tree=$1
shift
mount -t proc proc "$tree/proc"
mount -t sysfs -o ro sysfs "$tree/sys"
mount --rbind /dev "$tree/dev"
mount -t tmpfs -o mode=755 tmpfs "$tree/run"
mount -t tmpfs -o mode=1777 tmpfs "$tree/tmp"
if [ -f "$tree/etc/resolv.conf" ] && [ ! -L "$tree/etc/resolv.conf" ]; then
    mount --bind -o ro /etc/resolv.conf "$tree/etc/resolv.conf"
fi
mkdir -p "$tree/usr/sbin"
[ -e "$tree/usr/sbin/policy-rc.d" ] || printf '#!/bin/sh\\nexit 101\\n' > "$tree/usr/sbin/policy-rc.d"
chmod 755 "$tree/usr/sbin/policy-rc.d"
"$@"
"""
UNPACK = 'mkdir -p "$2" && tar --extract --file "$1" --directory "$2" --numeric-owner --xattrs --xattrs-include="*" --acls'


@dataclass(frozen=True, slots=True, kw_only=True)
class Debian:
    """What mmdebstrap makes. `mirror` is an address, or a file with sources; "" is the distribution's own."""

    suite: str
    mirror: str = ""
    components: tuple[str, ...] = ("main",)
    variant: str = "minbase"
    packages: tuple[str, ...] = ()
    apt_options: tuple[str, ...] = ()

    def argv(self, target: Path) -> list[str]:
        """The program with its arguments."""
        options = [f"--variant={self.variant}", f"--components={','.join(self.components)}", "--format=tar", "--quiet"]
        options += [f"--include={','.join(self.packages)}"] if self.packages else []
        options += [f"--aptopt={option}" for option in self.apt_options]
        return ["mmdebstrap", *options, self.suite, str(target), *([self.mirror] if self.mirror else [])]


def base(shelf: Shelf, debian: Debian) -> Making:
    """The base's archive, as a work under way."""
    # Two images with the same base may be made at once: each writes its own file, and either is as good.
    part = part_of(shelf.base.with_name(f"{shelf.base.name}.{shelf.name}.{shelf.version}"))
    scratch = emptied(shelf.work / "scratch")
    program = Program("mmdebstrap", debian.argv(part), shelf.work / "base.log", {"TMPDIR": str(scratch)})
    return Making(program, part, shelf.base)


class Tree:
    """The root file system with the roles, as a work under way: unpacked, roles applied, sealed."""

    def __init__(self, shelf: Shelf, roles: Mapping[str, Path], named: Sequence[str], variables: Mapping[str, Any]) -> None:
        self._shelf, self._part = shelf, part_of(shelf.tree)
        self._roles, self._named, self._variables = roles, named, variables
        self._is_applied = not named
        self._program = Program("tar", ["sh", "-euc", UNPACK, "unpack", str(shelf.base), str(self._part)], shelf.work / "unpack.log")

    def look(self) -> bool:
        """Whether it is finished."""
        if not self._program.look():
            return False
        if not self._is_applied:
            self._program = apply(self._shelf, self._part, self._roles, self._named, self._variables)
            self._is_applied = True
            return False
        shut(self._part)
        self._part.replace(self._shelf.tree)
        return True

    def stop(self) -> None:
        """End what runs."""
        self._program.stop()


def apply(shelf: Shelf, tree: Path, roles: Mapping[str, Path], named: Sequence[str], variables: Mapping[str, Any]) -> Program:
    """`ansible-playbook` with these roles and the tree as its only host: a run of its own, so that facts and handlers are the image's."""
    folder = emptied(shelf.work / "play")
    names = [str(roles[name]) if "/" in name else name for name in named]
    play = [{"name": f"Roles of {shelf.name}", "hosts": HOST, "gather_facts": True, "roles": names}]
    own = {  # wins: variables that name another connection, as a host's do, would have roles change this machine as root
        "ansible_connection": CONNECTION,
        "ansible_host": str(tree),
        "ansible_python_interpreter": "auto_silent",  # the image's, whatever the run around it has
        "ansible_remote_tmp": "/run/ansible",  # mounted, so nothing of it stays
    }
    (folder / "play.json").write_text(json.dumps(play), encoding="utf-8")  # JSON is YAML
    inventory = folder / "inventory.json"
    inventory.touch(mode=0o600)
    inventory.write_text(json.dumps({"all": {"hosts": {HOST: {**variables, **own}}}}), encoding="utf-8")
    command = ["sh", "-euc", IN_THE_TREE, "in-the-tree", str(tree), playbook_program(), "-i", str(inventory), str(folder / "play.json")]
    return Program("ansible-playbook", command, shelf.work / "roles.log", _settings(shelf, roles))


def playbook_program() -> str:
    """ansible-playbook beside the interpreter that runs this, else the one on PATH."""
    beside = Path(sys.executable).with_name("ansible-playbook")
    return str(beside) if beside.exists() else shutil.which("ansible-playbook") or "ansible-playbook"


def shut(tree: Path, host: Path = Path("/")) -> None:
    """Take the traces of the build away, and of this machine. Paths are the image's; links are never followed out of it."""
    for name in OF_THIS_MACHINE:
        copied, own = tree / name, host / name
        if copied.is_file() and not copied.is_symlink() and own.is_file() and copied.read_bytes() == own.read_bytes():
            copied.unlink()
    for verb, path in seal.steps(listing_of(tree)):
        place = tree / path[1:]
        if verb == "empty":
            place.write_bytes(b"")
        elif place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()


def _settings(shelf: Shelf, roles: Mapping[str, Path]) -> dict[str, str | None]:
    """The run's own: no callbacks of the run around it (AWX's would write into that run's events), and scratch files that go."""
    places = [*dict.fromkeys(str(folder.parent.resolve()) for folder in roles.values())]
    inherited = [place for place in os.environ.get("ANSIBLE_ROLES_PATH", "").split(os.pathsep) if place]
    return {
        "ANSIBLE_CALLBACKS_ENABLED": None,
        "ANSIBLE_CALLBACK_PLUGINS": None,
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_LOCAL_TEMP": str(emptied(shelf.work / "scratch")),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PYTHON_INTERPRETER": None,
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "ANSIBLE_ROLES_PATH": os.pathsep.join([*places, *inherited]),
        "ANSIBLE_STDOUT_CALLBACK": "default",
    }
