# SPDX-License-Identifier: GPL-3.0-or-later
"""A signed source of packages that hold next to nothing: what an image gets from it is the arrangement, not the programs."""

from __future__ import annotations

import hashlib
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """`unit`: it has a service of its name, which its installation enables, as that of the real kubelet does."""

    name: str
    version: str
    unit: bool = False

    @property
    def file(self) -> str:
        return f"{self.name}_{self.version}_all.deb"


@contextmanager
def source(folder: Path, packages: Sequence[Package]) -> Iterator[tuple[str, str]]:
    """`(address, public key)` of a source without suites, for as long as it is needed. Sources: deb-control(5), sources.list(5)."""
    place, keys = folder / "source", folder / "keys"
    place.mkdir()
    keys.mkdir(mode=0o700)
    stanzas = "".join(build(package, place, folder) for package in packages)
    (place / "Packages").write_text(stanzas, encoding="utf-8")
    release = f"Origin: test\nSHA256:\n {hashlib.sha256(stanzas.encode()).hexdigest()} {len(stanzas)} Packages\n"
    gpg = ["gpg", "--homedir", str(keys), "--batch", "--quiet", "--yes", "--pinentry-mode", "loopback", "--passphrase", ""]
    try:
        subprocess.run([*gpg, "--quick-generate-key", "source@example.org", "ed25519", "sign"], check=True, capture_output=True)
        signed = subprocess.run([*gpg, "--clearsign"], input=release.encode(), check=True, capture_output=True).stdout
        key = subprocess.run([*gpg, "--armor", "--export"], check=True, capture_output=True, text=True).stdout
    finally:
        subprocess.run(["gpgconf", "--homedir", str(keys), "--kill", "all"], check=False)
    (place / "InRelease").write_bytes(signed)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(place))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", key
        finally:
            server.shutdown()
            thread.join()


class Silent(SimpleHTTPRequestHandler):
    """Files of a folder."""

    def log_message(self, *_arguments: object) -> None:
        """Nothing of it is shown."""


def build(package: Package, place: Path, folder: Path) -> str:
    """The package's file in `place`, and its stanza of the index."""
    tree = folder / "packages" / package.file
    control = f"Package: {package.name}\nVersion: {package.version}\nArchitecture: all\nMaintainer: test <test@example.org>\n"
    control += f"Description: stands for {package.name}\n"
    write(tree / "DEBIAN/control", control)
    write(tree / f"usr/share/doc/{package.name}/README", f"stands for {package.name}\n")
    if package.unit:
        unit = f"[Service]\nExecStart=/usr/bin/{package.name}\n[Install]\nWantedBy=multi-user.target\n"
        write(tree / f"usr/lib/systemd/system/{package.name}.service", unit)
        write(tree / "DEBIAN/postinst", f"#!/bin/sh\nset -e\ndeb-systemd-helper enable {package.name}.service\n")
        (tree / "DEBIAN/postinst").chmod(0o755)
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(tree), str(place / package.file)], check=True, capture_output=True)
    content = (place / package.file).read_bytes()
    return f"{control}Filename: {package.file}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n\n"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.parent.chmod(0o755)
