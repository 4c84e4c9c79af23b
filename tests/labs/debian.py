# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs from Debian packages that are downloaded and unpacked, not installed: no service of the machine is touched."""

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from .processes import run


def unpack_packages(packages: Iterable[str], root: Path, *, leave_out: tuple[str, ...] = ()) -> None:
    """The packages, with what the machine lacks of their dependencies, below `root`.

    `leave_out`: begins of names of dependencies. Needs apt, as root or by sudo.
    """
    archives = root.with_name("debs")
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    apt = [] if os.getuid() == 0 else ["sudo"]
    apt += ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    if not any(Path("/var/lib/apt/lists").glob("*Packages*")):
        run([*apt, "update"])
    options = ["-y", "--no-install-recommends", "--download-only", f"-oDir::Cache::archives={archives}/"]
    run([*apt, "install", *options, *packages])
    for archive in sorted(archives.glob("*.deb")):
        if not archive.name.startswith(leave_out):
            run(["dpkg", "-x", archive, root])
    shutil.rmtree(archives)


def download_packages(packages: Iterable[str], root: Path) -> None:
    """Just these packages below `root`, whether the machine has them or not. Needs no rights."""
    with tempfile.TemporaryDirectory() as folder:
        run(["apt-get", "-qq", "download", *packages], cwd=Path(folder))
        for archive in Path(folder).glob("*.deb"):
            run(["dpkg", "-x", archive, root])


def libraries(root: Path) -> dict[str, str]:
    """Finds the unpacked libraries that a plain machine lacks, as environment variables."""
    found = [str(folder) for where in ("usr/lib", "lib") for folder in sorted(root.glob(f"{where}/*-linux-gnu"))]
    return {"LD_LIBRARY_PATH": ":".join(found)}
