# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts and stops the lab's vCenter.

Promises: `up` on a running vCenter changes nothing; `up --fresh` ends with nothing in it but the seed. All its state is
in memory: `down` loses it.
"""

import shutil

from ..processes import Processes, Progress
from .simulator import Simulator
from .site import IP, PASSWORD, READER, USER, Site

START_SECONDS = 120  # 0.4 s; 1,000 VMs by flags -vms 1000 take some more


class VSphere:
    """The lab's vCenter: one process."""

    def __init__(self, site: Site, say: Progress) -> None:
        self.site, self.say = site, say
        self.processes = Processes(site.run, site.log, site.home)

    def up(self, *, fresh: bool = False) -> None:
        """Ends when the vCenter answers and is seeded."""
        if fresh:
            self.down()
        elif self.runs():
            self.say("vSphere is up already")
            return
        for folder in (self.site.data, self.site.log):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (self.site.data, self.site.log, self.site.run):
            folder.mkdir(parents=True, exist_ok=True)
        self.processes.start("vcenter", command(self.site), {"TMPDIR": str(self.site.data)})
        self.processes.wait_for("vcenter", Simulator(self.site.control).settings, START_SECONDS, ["vcenter"])
        self.say(f"vSphere is up: https://{IP}:{self.site.port('vcenter')}/sdk, control {self.site.control}")

    def runs(self) -> bool:
        return self.processes.pid("vcenter") is not None

    def down(self) -> None:
        self.processes.stop(["vcenter"])
        shutil.rmtree(self.site.data, ignore_errors=True)
        self.say("vSphere is down")


def command(site: Site) -> list[object]:
    argv: list[object] = [site.binary, f"-listen={IP}:{site.port('vcenter')}", f"-control={IP}:{site.port('control')}"]
    argv += [f"-user={USER}", f"-reader={READER}", f"-pass={PASSWORD}", f"-ca-file={site.ca_file}"]
    return [*argv, *site.flags]
