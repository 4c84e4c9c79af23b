# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m labs.haproxy install | up [--fresh] | down | status | env | check. People use `tests/labs/lab`.

Nothing stays up: a HAProxy starts in some milliseconds, so each test has its own (server.py). `up` makes sure that it can.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ..debian import libraries, unpack_packages
from ..home import home, only_one
from ..processes import LabError, Progress
from .load import PACKAGE, load_program
from .server import Haproxy, program, root


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["install", "up", "down", "status", "env", "check"])
    parser.add_argument("--fresh", action="store_true", help="up: of no use here")
    arguments = parser.parse_args()
    try:
        act(arguments.command)
    except LabError as error:
        sys.exit(f"haproxy: {error}")


def act(command: str) -> None:
    say = Progress()
    if command in ("install", "up"):
        install(say)
    if command in ("up", "check"):
        with tempfile.TemporaryDirectory() as folder, Haproxy(Path(folder)) as balancer:
            balancer.reload()
        say(version(), "starts and reloads; tests start their own")
    if command == "status":
        print(f"  {version()}; nothing stays up" if program(os.environ) else "  not installed")


def install(say: Progress) -> None:
    """The Debian packages, unpacked, of what the machine lacks: HAProxy, and h2load to put it under load."""
    with only_one(home("haproxy", os.environ)):
        found = {"haproxy": program(os.environ), PACKAGE: load_program(os.environ)}
        missing = [package for package, file in found.items() if file is None]
        if missing:
            unpack_packages(missing, root(os.environ))
            say(f"unpacked: {', '.join(missing)}")


def version() -> str:
    done = subprocess.run([str(program(os.environ)), "-v"], env=libraries(root(os.environ)), capture_output=True, text=True, check=False)
    return " ".join(done.stdout.split()[:3])


if __name__ == "__main__":
    main()
