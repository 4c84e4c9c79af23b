# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m labs.images install | up [--fresh] | down | status | env | check. People use `tests/labs/lab`.

Nothing stays up: what golden images are made and booted with is installed, and that is all. Needs root, or sudo.
"""

import argparse
import os
import shutil
import sys
import zipfile
from pathlib import Path

from ..home import home, only_one
from ..processes import LabError, Progress, run

PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "sfdisk": "fdisk",
    "grub-mkimage": "grub-common",
    "xorrisofs": "xorriso",
    "gpg": "gnupg",  # signs a source of packages for the tests
}
BOOT_SECTOR = Path("/usr/lib/grub/i386-pc/boot.img")
# The chroot connection is in community.general, which comes to package indexes only inside of the package `ansible`.
ANSIBLE = "ansible>=11,<13"
COLLECTION = "ansible_collections/community/general/"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["install", "up", "down", "status", "env", "check"])
    parser.add_argument("--fresh", action="store_true", help="up: of no use here")
    arguments = parser.parse_args()
    try:
        act(arguments.command)
    except LabError as error:
        sys.exit(f"images: {error}")


def act(command: str) -> None:
    say = Progress()
    if command in ("install", "up"):
        with only_one(home("images", os.environ)):
            install_programs(say)
            install_collection(say)
    if command == "check":
        say(run(["qemu-system-x86_64", "--version"]).splitlines()[0])
        say(run(["mmdebstrap", "--version"]).strip())
    if command == "status":
        missing = missing_packages()
        print(f"  missing: {' '.join(missing)}" if missing else "  installed; nothing stays up")


def collections() -> Path:
    """The folder for ANSIBLE_COLLECTIONS_PATH that has community.general."""
    return home("images", os.environ) / "collections"


def missing_packages() -> list[str]:
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    return missing + ([] if BOOT_SECTOR.exists() else ["grub-pc-bin"])


def is_installed() -> bool:
    return not missing_packages() and (collections() / COLLECTION).is_dir()


def install_programs(say: Progress) -> None:
    """Debian's packages; none of them starts a service."""
    packages = missing_packages()
    if packages:
        rights = [] if os.getuid() == 0 else ["sudo"]
        apt = [*rights, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-oDPkg::Lock::Timeout=300"]
        run([*apt, "update"])
        run([*apt, "install", "-y", "--no-install-recommends", *packages])
        say("installed", *packages)


def install_collection(say: Progress) -> None:
    """community.general out of the wheel."""
    if (collections() / COLLECTION).is_dir():
        return
    wheels = home("images", os.environ) / "wheels"
    run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", f"--dest={wheels}", ANSIBLE])
    unpacked = home("images", os.environ) / "unpacked"
    for wheel in wheels.glob("ansible-*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked, [name for name in archive.namelist() if name.startswith(COLLECTION)])
    unpacked.rename(collections())
    shutil.rmtree(wheels)
    say("community.general unpacked")


if __name__ == "__main__":
    main()
