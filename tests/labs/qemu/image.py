# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the golden images: Debian's cloud kernel and busybox, which boot in the emulator in seconds instead of minutes.

Promises: needs no root and touches nothing of this machine; the folder of images appears whole or not at all.
"""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ..debian import download_packages
from ..processes import LabError, run
from .site import VERSIONS, Site

KERNEL_PACKAGE, BUSYBOX_PACKAGE = "linux-image-cloud-amd64", "busybox-static"
GUEST = Path(__file__).with_name("guest")
DISK_SIZE = "16M"
# What the kernel has not built in, in the order of their needs; some are missing in some kernels.
MODULES = (
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_mmio",
    "drivers/block/virtio_blk",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
    "drivers/cdrom/cdrom",
    "fs/isofs/isofs",
)
DIRECTORIES = ("bin", "sbin", "dev", "proc", "sys", "run", "tmp", "etc", "var/www")


def build(site: Site) -> None:
    """Kernel, initrd and a disk per version, in `site.images`."""
    site.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=site.home) as folder:
        work = Path(folder)
        download_packages((kernel_package(), BUSYBOX_PACKAGE), work / "packages")
        made = work / "images"
        made.mkdir()
        (kernel,) = (work / "packages/boot").glob("vmlinuz-*")
        shutil.copy(kernel, made / site.kernel.name)
        initrd(work, made / site.initrd.name)
        for version in VERSIONS:
            disk(site, work, version, made / site.image(version).name)
        made.rename(site.images)


def kernel_package() -> str:
    """The package that the one without a version stands for now."""
    answer = run(["apt-cache", "depends", KERNEL_PACKAGE])
    found = [line.split()[1] for line in answer.splitlines() if line.split()[:1] == ["Depends:"] and "linux-image" in line]
    if not found:
        raise LabError(f"apt knows no {KERNEL_PACKAGE}: apt-get update; the lab needs Debian or a relative on x86-64")
    return found[0]


def initrd(work: Path, target: Path) -> None:
    """Busybox and modules. Not compressed: that would cost each boot more than it saves."""
    root, (modules,) = work / "initrd", (work / "packages").glob("**/modules/*/kernel")
    busybox = skeleton(work, root, ("bin", "dev", "proc", "disk", "modules"))
    (root / "bin/sh").symlink_to("busybox")
    shutil.copy(GUEST / "init", root / "init")
    order = []
    for module in MODULES:
        for found in modules.glob(f"{module}.ko*"):
            shutil.copy(found, root / "modules")
            if found.suffix == ".xz":
                run(["xz", "--decompress", str(root / "modules" / found.name)])
            order.append(f"{Path(module).name}.ko\n")
    (root / "modules/order").write_text("".join(order))
    run(["sh", "-c", 'find . | "$0" cpio -o -H newc -F "$1"', busybox, target], cwd=root)


def disk(site: Site, work: Path, version: str, target: Path) -> None:
    """A file system without a partition table, as the kernel is handed over by QEMU."""
    root = work / f"disk-{version}"
    busybox = skeleton(work, root, DIRECTORIES)
    for applet in run([busybox, "--list"]).split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "sbin/init").symlink_to("../bin/busybox")
    shutil.copy(GUEST / "inittab", root / "etc/inittab")
    shutil.copy(GUEST / "boot", root / "etc/boot")
    (root / "etc/image-version").write_text(f"{version}\n")
    raw = work / f"{version}.raw"
    run([site.program("mke2fs"), "-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0", "-d", root, raw, DISK_SIZE])
    run([site.program("qemu-img"), "convert", "-O", "qcow2", "-c", raw, target], site.environment)


def skeleton(work: Path, root: Path, folders: Iterable[str]) -> Path:
    """Empty folders, and busybox, which is returned."""
    for name in folders:
        (root / name).mkdir(parents=True)
    (busybox,) = (work / "packages").glob("**/bin/busybox")
    return Path(shutil.copy(busybox, root / "bin/busybox"))
