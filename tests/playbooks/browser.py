# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a page in headless Chromium: what its document became, what its console said, how it looks."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

TIMEOUT_SECONDS = 120
# No sandbox, for tests run as root in containers; nothing that looks for Google's hosts.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)
LIGHT, DARK = "--blink-settings=preferredColorScheme=1", "--blink-settings=preferredColorScheme=0"
CONSOLE = re.compile(r"^.*:CONSOLE.*$", re.MULTILINE)


class Browser:
    """Starts Chromium anew for each look. Everything that a page writes to the console fails the test."""

    def __init__(self, program: str, profile: Path) -> None:
        self._program, self._profile = program, profile

    def document(self, page: Path) -> str:
        """The page as scripts have left it."""
        return self._run(page, "--dump-dom")

    def screenshot(self, page: Path, picture: Path, *flags: str, width: int = 1280, height: int = 1600) -> Path:
        """How it looks; kept as `picture`."""
        picture.parent.mkdir(parents=True, exist_ok=True)
        self._run(page, f"--window-size={width},{height}", f"--screenshot={picture}", *flags)
        return picture

    def paper(self, page: Path, paper: Path) -> Path:
        """How it prints, as PDF."""
        paper.parent.mkdir(parents=True, exist_ok=True)
        self._run(page, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
        return paper

    def _run(self, page: Path, *flags: str) -> str:
        argv = [self._program, *FLAGS, f"--user-data-dir={self._profile}", *flags, page.as_uri()]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True)
        assert CONSOLE.findall(done.stderr) == []
        return done.stdout
