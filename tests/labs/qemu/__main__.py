# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m labs.qemu install | up [--fresh] | down | status | env | check. People use `tests/labs/lab`.

Nothing stays up: `lab hypervisor` boots machines for who needs them. `up` makes sure that it can, `down` ends machines that it left behind.
"""

import argparse
import contextlib
import sys
import time

from ..home import only_one
from ..processes import LabError, Progress
from .install import install, is_built
from .machines import Disk, Guest, Machines
from .site import VERSIONS, Site

PATIENCE_SECONDS = 120
ADDRESS = "127.87.0.2"  # of no network of the OpenStack lab's
ID = "check"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["install", "up", "down", "status", "env", "check"])
    parser.add_argument("--fresh", action="store_true", help="up: with golden images that are built anew, and without machines")
    arguments = parser.parse_args()
    try:
        act(Site.from_environment(), arguments.command, fresh=arguments.fresh)
    except LabError as error:
        sys.exit(f"qemu: {error}")


def act(site: Site, command: str, *, fresh: bool) -> None:
    machines = Machines(site)
    if command in ("install", "up"):
        with only_one(site.home):
            if fresh:
                machines.end(machines.known())
            install(site, Progress(), fresh=fresh)
    elif command == "down":
        machines.end(machines.known())
    elif command == "status":
        print(machines.processes.table() if is_built(site) else "  not installed")
    elif command == "check":
        if not is_built(site):
            raise LabError("not installed: lab up qemu")
        with only_one(site.home):
            check(machines, Progress())


def check(machines: Machines, say: Progress) -> None:
    """A machine of each version boots, runs its user data and answers; and it answers nobody once its plug is pulled."""
    site = machines.site
    script = "#!/bin/sh\nhostname checked\n"
    for version in VERSIONS:
        disk = Disk(image=site.image(version), kernel=site.kernel, initrd=site.initrd)
        machines.end([ID])
        machines.start(Guest(id=ID, name="lab-check", address=ADDRESS, disk=disk, user_data=script))
        try:
            said = wait_for(machines)
            if said != {"host": "checked", "instance": ID, "image": version}:
                raise LabError(f"the machine says {said}")
            machines.kill(ID)
            with contextlib.suppress(OSError):
                raise LabError(f"a machine that was killed says {machines.ask(ADDRESS)}")
        finally:
            machines.end([ID])
        say(f"a machine of {version} booted, applied its user data, served, and was killed")


def wait_for(machines: Machines) -> dict[str, str]:
    """What it says, once it serves."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while machines.runs(ID) and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            return machines.ask(ADDRESS)
        time.sleep(0.1)
    raise LabError(f"the machine does not serve: {machines.trouble(ID)}")


if __name__ == "__main__":
    main()
