# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lab's virtual machines live: directories, programs, what the golden images are called."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..debian import libraries
from ..home import home
from ..processes import LabError

VERSIONS = ("v1", "v2")
SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")  # not on everybody's PATH


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything is below `home`."""

    home: Path

    @classmethod
    def from_environment(cls) -> "Site":
        """The lab that LAB_HOME asks for."""
        return cls(home=home("qemu", os.environ))

    @property
    def root(self) -> Path:
        """Debian packages, unpacked, where the machine lacks programs."""
        return self.home / "root"

    @property
    def images(self) -> Path:
        """The golden images, and the kernel and initrd that boot them."""
        return self.home / "images"

    @property
    def kernel(self) -> Path:
        return self.images / "kernel"

    @property
    def initrd(self) -> Path:
        return self.images / "initrd"

    def image(self, version: str) -> Path:
        return self.images / f"{version}.qcow2"

    @property
    def glance(self) -> Path:
        """Images that were fetched from a cloud, by id."""
        return self.home / "glance"

    @property
    def machines(self) -> Path:
        """A folder per machine, by id: its disk, its seed, its console."""
        return self.home / "machines"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def log(self) -> Path:
        return self.home / "log"

    def find(self, program: str) -> str | None:
        """The machine's own, else the unpacked one; None: there is neither."""
        folders = [os.environ.get("PATH", ""), *SYSTEM_FOLDERS, str(self.root / "usr/bin")]
        return shutil.which(program, path=os.pathsep.join(folders))

    def program(self, name: str) -> str:
        found = self.find(name)
        if found is None:
            raise LabError(f"no {name}: lab up qemu")
        return found

    @property
    def environment(self) -> dict[str, str]:
        """Finds the unpacked libraries, if there are any."""
        return libraries(self.root) if self.root.exists() else {}

    @property
    def firmware(self) -> list[str]:
        """QEMU's options to find the unpacked firmware."""
        return ["-L", str(self.root / "usr/share/qemu")] if self.root.exists() else []
