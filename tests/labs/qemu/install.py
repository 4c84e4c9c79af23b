# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs what the lab runs: QEMU and what seeds and images are made with. Nothing is written outside the lab's directory."""

import shutil

from ..debian import unpack_packages
from ..processes import LabError, Progress
from .image import build
from .site import VERSIONS, Site

PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "xorrisofs": "xorriso"}
LEAVE_OUT = ("libgtk", "libgl1", "libvte", "mesa-", "libllvm")  # of a screen, which nobody looks at


def install(site: Site, say: Progress, *, fresh: bool) -> None:
    """Programs where the machine has none, and the golden images; `fresh` makes these anew."""
    missing = [package for program, package in PROGRAMS.items() if site.find(program) is None]
    if missing:
        unpack_packages(missing, site.root, leave_out=LEAVE_OUT)
        say("unpacked", *missing)
    if site.find("mke2fs") is None:
        raise LabError("no mke2fs, which every Debian has: package e2fsprogs")
    if fresh:
        shutil.rmtree(site.images, ignore_errors=True)
        shutil.rmtree(site.glance, ignore_errors=True)
    if not is_built(site):
        build(site)
        say("golden images", *VERSIONS, "built")


def is_built(site: Site) -> bool:
    return site.images.exists()  # it appears as a whole
