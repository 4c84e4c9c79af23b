# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m labs.vsphere install | up [--fresh] | down | status | env | check. People use `tests/labs/lab`."""

import argparse
import os
import sys

from ..home import only_one
from ..processes import LabError, Progress
from .check import check
from .client import ensure
from .control import VSphere
from .install import client_python, install
from .site import IP, PASSWORD, READER, USER, Site


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["install", "up", "down", "status", "env", "check"])
    parser.add_argument("--fresh", action="store_true", help="up: with nothing but the seed")
    arguments = parser.parse_args()
    site, say = Site.from_environment(), Progress()
    lab = VSphere(site, say)
    try:
        if arguments.command == "env":
            print_environment(site)
        elif arguments.command == "status":
            print(lab.processes.table())
        elif arguments.command == "check":
            ensure(lab.runs(), "not up: lab up vsphere")
            in_client_python(site)
            check(site, say)
        else:
            with only_one(site.home):
                if arguments.command != "down":
                    install(site, say)
                if arguments.command == "up":
                    lab.up(fresh=arguments.fresh)
                if arguments.command == "down":
                    lab.down()
    except LabError as error:
        sys.exit(f"vsphere: {error}")


def print_environment(site: Site) -> None:
    print(f"export VMWARE_HOST={IP}")
    print(f"export VMWARE_PORT={site.port('vcenter')}")
    print(f"export VMWARE_USER={USER}")
    print(f"export VMWARE_PASSWORD={PASSWORD}")
    print(f"export LAB_VSPHERE_CA={site.ca_file}")
    print(f"export LAB_VSPHERE_CONTROL={site.control}")
    print(f"export LAB_VSPHERE_JOINER={READER}:{PASSWORD}@{IP}:{site.port('vcenter')}")
    print(f"export LAB_VSPHERE_PYTHON={client_python(site)}")


def in_client_python(site: Site) -> None:
    """Goes on where pyvmomi is."""
    python = client_python(site)
    if python != sys.executable:
        os.execv(python, [python, "-m", str(__package__), *sys.argv[1:]])


if __name__ == "__main__":
    main()
