# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m labs.openstack install | up [--fresh] | down | status | env | check. People use `tests/labs/lab`."""

import argparse
import os
import sys
from pathlib import Path

from ..home import only_one
from ..processes import LabError, Processes, Progress
from .check import check
from .control import OpenStack
from .install import install
from .site import Site


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["install", "up", "down", "status", "env", "check"])
    parser.add_argument("--fresh", action="store_true", help="up: with nothing but the seed")
    arguments = parser.parse_args()
    site = Site.from_environment()
    try:
        act(site, arguments.command, arguments.fresh)
    except LabError as error:
        sys.exit(f"openstack: {error}")


def act(site: Site, command: str, fresh: bool) -> None:
    if command == "env":
        print(f"export OS_CLIENT_CONFIG_FILE={site.clouds_file}")
        print(f"export LAB_OPENSTACK_PYTHON={site.bin / 'python'}")
        print(f"export LAB_HAPROXY='env LD_LIBRARY_PATH={site.libraries['LD_LIBRARY_PATH']} {site.root}/usr/sbin/haproxy'")
    elif command == "status":
        print(Processes(site.run, site.log, site.home).table())
    elif command in ("down", "check") and not (site.home / "venv/.done").exists():
        if command == "check":
            raise LabError("not installed: lab up openstack")
    else:
        if command in ("install", "up") and Path(sys.prefix) != site.home / "venv":
            with only_one(site.home):
                install(site, Progress())
        if command != "install":
            in_services_python(site)
            act_in_services_python(site, command, fresh)


def act_in_services_python(site: Site, command: str, fresh: bool) -> None:
    say = Progress()
    lab = OpenStack(site, say)
    if command == "check":
        if not lab.runs():
            raise LabError("not up: lab up openstack")
        check(site, say)
        return
    with only_one(site.home):
        if command == "up":
            lab.up(fresh=fresh)
        else:
            lab.down()


def in_services_python(site: Site) -> None:
    """Goes on in the venv of the services, where openstacksdk and pymysql are."""
    if Path(sys.prefix) != site.home / "venv":
        python = str(site.bin / "python")
        os.execv(python, [python, "-m", str(__package__), *sys.argv[1:]])


if __name__ == "__main__":
    main()
