# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the simulator from vcenter/ with Go and the module proxy, and gets pyvmomi where this Python has none.

Promises: what is there is not built again until a source changes; nothing is written outside the lab's directory and
Go's own caches.
"""

import hashlib
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from ..processes import LabError, Progress, run
from .site import Site

SOURCES = Path(__file__).resolve().parent / "vcenter"
PYVMOMI = "pyvmomi==9.1.1.0"


def install(site: Site, say: Progress) -> None:
    """Ends with the binary, and with a Python that can be a client. From nothing: half a minute."""
    site.home.mkdir(parents=True, exist_ok=True)
    stamp, wanted = site.home / "vcenter.sources", digest()
    if not site.binary.exists() or not stamp.exists() or stamp.read_text() != wanted:
        build(site, say)
        stamp.write_text(wanted)
    if find_spec("pyVmomi") is None and not (site.client / ".done").exists():
        run([sys.executable, "-m", "venv", site.client])
        run([site.client / "bin/pip", "install", "-q", "--disable-pip-version-check", PYVMOMI])
        (site.client / ".done").touch()
        say("pyvmomi installed")


def digest() -> str:
    """Of all sources."""
    files = sorted(path for path in SOURCES.iterdir() if path.suffix in {".go", ".mod", ".sum"})
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


def build(site: Site, say: Progress) -> None:
    if not shutil.which("go"):
        raise LabError("no go on PATH: nothing to build the simulator with")
    began = say.seconds()
    say("vcenter: building ...")
    new = site.binary.with_suffix(".new")  # a running lab keeps its binary
    words = ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", new, "."]
    run(words, {"GOWORK": "off", "GOFLAGS": "", "CGO_ENABLED": "0"}, SOURCES)
    new.rename(site.binary)
    say(f"vcenter: built in {say.seconds() - began:.0f} s, {site.binary.stat().st_size >> 20} MiB")


def client_python(site: Site) -> str:
    """A Python that can import pyvmomi: the one that runs this, or the lab's own."""
    return sys.executable if find_spec("pyVmomi") else str(site.client / "bin/python")
