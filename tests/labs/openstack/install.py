# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs OpenStack from PyPI, MariaDB, RabbitMQ and HAProxy from Debian packages that are unpacked, not installed.

Promises: nothing is written outside the lab's directory, no service of the machine is touched, what is there is not
fetched again. Needs apt (as root or by sudo, only to download) and a C compiler for uwsgi.
"""

import re
import shutil
import sys
from pathlib import Path

from ..debian import unpack_packages
from ..processes import LabError, Progress, run
from .site import Site

HERE = Path(__file__).resolve().parent
REQUIREMENTS, CONSTRAINTS = HERE / "requirements-2026.1.txt", HERE / "constraints-2026.1.txt"
PACKAGES = ("mariadb-server", "rabbitmq-server", "haproxy")
NOT_NEEDED = ("perl", "libperl", "gawk", "rsync", "logrotate")  # dependencies that only Debian's scripts use
ENTRY_POINTS = """[neutron.ml2.mechanism_drivers]
lab = neutron_mech_lab:LabMechanismDriver
[octavia.compute.drivers]
lab = octavia_lab:LabComputeDriver
[octavia.network.drivers]
lab = octavia_lab:LabNetworkDriver
[octavia.amphora.drivers]
lab = octavia_lab:LabAmphoraDriver
"""


def install(site: Site, say: Progress) -> None:
    """Ends with everything in place. Idempotent; the drivers are copied each time, for they are ours and change."""
    site.home.mkdir(parents=True, exist_ok=True)
    if not (site.root / ".done").exists():
        unpack(site)
        say("MariaDB, RabbitMQ and HAProxy unpacked")
    stamp, wanted = site.home / "venv/.done", REQUIREMENTS.read_text() + CONSTRAINTS.read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        say("OpenStack from PyPI, some minutes ...")
        make_venv(site)
        stamp.write_text(wanted)
        say("OpenStack installed")
    packages = Path(run([site.bin / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip())
    place_drivers(site, packages)
    quicken_rpc(site, packages)


def unpack(site: Site) -> None:
    """The packages, and Erlang made to live where it was unpacked."""
    unpack_packages(PACKAGES, site.root, leave_out=NOT_NEEDED)
    # Debian's erl hard-codes its ROOTDIR and ignores $ERL_ROOTDIR
    erlang = "usr/lib/erlang"
    for script in [*site.root.glob(f"{erlang}/bin/*"), *site.root.glob(f"{erlang}/erts-*/bin/*")]:
        if script.name in ("erl", "start"):
            script.write_text(script.read_text().replace(f"ROOTDIR=/{erlang}", f"ROOTDIR={site.root}/{erlang}"))
    (site.root / ".done").touch()


def make_venv(site: Site) -> None:
    """The services' venv, of the Python that runs this."""
    if not (site.bin / "pip").exists():
        run([sys.executable, "-m", "venv", site.home / "venv"])
    run([site.bin / "pip", "install", "-q", "--disable-pip-version-check", "-c", CONSTRAINTS, "-r", REQUIREMENTS])


def place_drivers(site: Site, packages: Path) -> None:
    """Puts drivers/ where the services look for them: entry points, and the namespace nova.virt."""
    drivers = HERE / "drivers"
    shutil.copy(drivers / "nova_virt_labfake.py", packages / "nova/virt/labfake.py")
    modules = ["neutron_mech_lab.py", "octavia_lab.py", "cinder_lab.py"]
    for name in modules:
        shutil.copy(drivers / name, packages / name)
    for launcher in drivers.glob("lab_*.py"):
        shutil.copy(launcher, site.bin / launcher.name)
    info = packages / "labmods-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: labmods\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    files = [*modules, *(f"{info.name}/{name}" for name in ("METADATA", "entry_points.txt", "RECORD"))]
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in files))
    packages.touch()  # stevedore keeps its list of entry points until this changes


def quicken_rpc(site: Site, packages: Path) -> None:
    """Lets a caller look for its RPC answer each LAB_RPC_POLL seconds.

    oslo.messaging 17.3 looks each 0.5 s (ReplyWaiters.get, launchpad 2035113): a server create, some twenty calls in a
    row, takes 8 to 13 s with it and 3.4 s without. LAB_RPC_POLL=0.5 gives the latency of a real 2026.1.
    """
    file = packages / "oslo_messaging/_drivers/amqpdriver.py"
    get = re.compile(r"(def get\(self, msg_id, timeout\).*?time\.sleep\()[\d.]+(\).*?raise oslo_messaging)", re.DOTALL)
    text, changed = get.subn(rf"\g<1>{float(site.rpc_poll)}\g<2>", file.read_text())
    if changed != 1:
        raise LabError(f"{file} is not the one we know: no time.sleep() in ReplyWaiters.get")
    if text != file.read_text():
        file.write_text(text)
