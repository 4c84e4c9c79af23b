# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m labs.kubernetes install | up [--fresh] | down | status | env | check. People use `tests/labs/lab`."""

import argparse
import sys

from ..home import only_one
from ..processes import LabError, Progress
from .check import check, ensure
from .control import Kubernetes
from .install import install
from .site import Site


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["install", "up", "down", "status", "env", "check"])
    parser.add_argument("--fresh", action="store_true", help="up: with an empty cluster")
    arguments = parser.parse_args()
    site, say = Site.from_environment(), Progress()
    lab = Kubernetes(site, say)
    try:
        if arguments.command == "env":
            print_environment(site)
        elif arguments.command == "status":
            print(lab.processes.table())
        elif arguments.command == "check":
            ensure(lab.runs(), "not up: lab up kubernetes")
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
        sys.exit(f"kubernetes: {error}")


def print_environment(site: Site) -> None:
    print(f"export KUBECONFIG={site.kubeconfig}")
    print(f"export KUBEBUILDER_ASSETS={site.bin}")
    print(f"export LAB_KUBECTL={site.bin / 'kubectl'}")
    print(f"export LAB_AUDIT_LOG={site.audit_log}")


if __name__ == "__main__":
    main()
