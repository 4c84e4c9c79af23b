# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m labs.prerequisites LAB ...: what these labs need of the machine, looked for before anything is fetched or built.

Promises: all that is missing is said at once. Debian's packages are installed where that is asked of nobody (root); else one line
says what to install. What is only needed to build something is not asked for once that is built.
"""

import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from .kubernetes import install as kubernetes
from .kubernetes.site import Site as KubernetesSite
from .openstack.site import Site as OpenStackSite
from .processes import LabError, Progress, run
from .vsphere.site import Site as VsphereSite

GO_LEAST = (1, 21)  # from then on Go fetches the release that a module asks for: https://go.dev/doc/toolchain
GO = "golang-go"
NEWER_GO = "a release of go.dev, or Debian's backports: apt install -t $(. /etc/os-release; echo $VERSION_CODENAME)-backports golang-go"

Run = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that is not there. `package` is Debian's, "" where it has none that would do; then `instead` says where to get it."""

    what: str
    package: str
    instead: str = ""


def missing(labs: Collection[str], run: Run = run) -> list[Need]:
    """What these labs will need and this machine lacks."""
    found = []
    if "openstack" in labs and not (OpenStackSite.from_environment().home / "venv/.done").exists():
        if shutil.which("gcc") is None:
            found.append(Need("gcc, a C compiler for uwsgi", "build-essential"))
        if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
            found.append(Need("the headers of this Python, for uwsgi", f"python{sys.version_info[0]}.{sys.version_info[1]}-dev"))
    if builds_with_go(labs) and go_version(run) < GO_LEAST:
        found.append(_go(run))
    if "kubernetes" in labs and shutil.which("openssl") is None:
        found.append(Need("openssl, for certificates", "openssl"))
    if "qemu" in labs and shutil.which("mke2fs", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
        found.append(Need("mke2fs, for images", "e2fsprogs"))
    return found


def builds_with_go(labs: Collection[str]) -> bool:
    """Whether a binary of these labs is neither built nor anywhere else to be found."""
    if "vsphere" in labs and not VsphereSite.from_environment().binary.exists():
        return True
    return "kubernetes" in labs and kubernetes.has_to_build(KubernetesSite.from_environment())


def go_version(run: Run = run) -> tuple[int, ...]:
    """Of the Go on PATH; (0,) where there is none."""
    if shutil.which("go") is None:
        return (0,)
    return _numbers(run(["go", "env", "GOVERSION"], {"GOTOOLCHAIN": "local"}))


def _go(run: Run) -> Need:
    what = f"go {'.'.join(map(str, GO_LEAST))} or later, to build the lab's binaries with"
    offered = re.search(r"Candidate: (?:\d+:)?(\S+)", run(["apt-cache", "policy", GO])) if shutil.which("apt-cache") else None
    has_one = offered is not None and _numbers(offered[1]) >= GO_LEAST
    return Need(what, GO if has_one else "", "" if has_one else NEWER_GO)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2]) or (0,)


def ensure(labs: Collection[str], say: Progress, run: Run = run, *, is_root: bool) -> None:
    """Ends with everything there. Raises `LabError` with all that somebody has to do first."""
    lacking = missing(labs, run)
    packages = sorted({need.package for need in lacking if need.package})
    elsewhere = [need for need in lacking if not need.package]
    if packages and is_root and not elsewhere:
        apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-oDPkg::Lock::Timeout=300"]
        run([*apt, "update"])
        run([*apt, "install", "-y", "--no-install-recommends", *packages])
        say("installed", *packages)
    elif lacking:
        lines = [f"  {need.what}" + (f": {need.instead}" if need.instead else "") for need in lacking]
        lines += [f"as root: apt install {' '.join(packages)}"] if packages else []
        raise LabError("\n".join(["missing on this machine:", *lines]))


def main() -> None:
    try:
        ensure(sys.argv[1:], Progress(), is_root=os.getuid() == 0)
    except LabError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
