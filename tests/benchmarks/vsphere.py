# SPDX-License-Identifier: GPL-3.0-or-later
"""Pools on the vSphere lab: beside community.vmware.vmware_guest, beside the best that a clone queue allows, and beside one bare read.

What is compared are whole programs, from their start to their end: ansible-playbook with one task, and a process. A pool's nodes join the
Kubernetes lab, which the others do not: their VMs are on, and no more.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere import convert
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.tests.benchmarks.figures import Figure, Skipped
from ansible_collections.immutable.fleet.tests.benchmarks.labs import kubernetes_or_skip, vsphere_or_skip
from ansible_collections.immutable.fleet.tests.benchmarks.processes import node_pool, output, seconds
from ansible_collections.immutable.fleet.tests.labs.kubernetes.guests import VM
from ansible_collections.immutable.fleet.tests.labs.kubernetes.joiner import Joiner
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Kube, wait
from ansible_collections.immutable.fleet.tests.labs.kubernetes.workload import ready_nodes, remove_nodes, side_by_side
from ansible_collections.immutable.fleet.tests.labs.vsphere.simulator import Simulator
from ansible_collections.immutable.fleet.tests.labs.vsphere.site import IP, PASSWORD, USER, Site
from ansible_collections.immutable.fleet.tests.system import vsphere_lab
from ansible_collections.immutable.fleet.tests.system.playbook import ROOT
from ansible_collections.immutable.fleet.tests.system.vsphere_estate import VsphereEstate, vsphere_estate

IMAGE = "golden-base-v1"
FEW, QUICKER, FEWER = 10, 8, 50
CLONES, CLONE_SECONDS, AT_ONCE, OVER_THE_BEST = 100, 2.0, 8, 1.15
MANY, PAIRS, OVER_THE_READ = 1000, 5, 1.3
NOW_AND_THEN = 0.1  # seconds between two looks at the simulator's truth
THEIRS = ROOT / "build/vmware_guest"  # the collections of PyPI's ansible that have the module, put there by the bench session of nox
AT_ONCE_READY = {"min_ready": "0", "max_surge": 2}

BARE = """
import sys
from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim, vmodl
import ssl
host, port, user, password, ca, folder, *paths = sys.argv[1:]
instance = SmartConnect(host=host, port=int(port), user=user, pwd=password, sslContext=ssl.create_default_context(cafile=ca))
content, query = instance.content, vmodl.query.PropertyCollector
where = content.searchIndex.FindByInventoryPath(folder)
view = content.viewManager.CreateContainerView(where, [vim.VirtualMachine], True)
along = query.TraversalSpec(type=vim.view.ContainerView, path="view", skip=False, name="view")
filters = [query.FilterSpec(
    objectSet=[query.ObjectSpec(obj=view, skip=True, selectSet=[along])],
    propSet=[query.PropertySpec(type=vim.VirtualMachine, pathSet=paths)],
)]
answer, count = content.propertyCollector.RetrievePropertiesEx(filters, query.RetrieveOptions(maxObjects=1000)), 0
while answer is not None:
    count += len(answer.objects)
    answer = content.propertyCollector.ContinueRetrievePropertiesEx(answer.token) if answer.token else None
Disconnect(instance)
print(count)
"""


def measure() -> Iterator[Figure]:
    """The issue's three; what cannot be compared here is skipped, and the others are measured all the same."""
    kube, simulator = kubernetes_or_skip(), vsphere_or_skip()
    with tempfile.TemporaryDirectory(prefix="immutable-fleet-bench-") as folder:
        yield from _few(kube, simulator, Path(folder))
        yield from _queue(kube, simulator, Path(folder))
        yield from _noop(kube, simulator)


# Ten VMs, and vmware_guest --------------------------------------------------------------------------------------------------
def _few(kube: Kube, simulator: Simulator, folder: Path) -> Iterator[Figure]:
    with vsphere_estate("benchfew", kube, folder) as pool:
        simulator.calls(reset=True)
        run = pool.start(IMAGE, replicas=FEW, strategy=AT_ONCE_READY)
        ours = seconds(lambda: wait("all are on", lambda: _on(pool) == FEW, 600, NOW_AND_THEN))
        whole = run.outcome()
        our_calls = sum(simulator.calls().values())
    if whole.code != 0:
        raise RuntimeError(whole.text)
    yield Figure(name=f"{FEW} VMs from a template, node_pool, until the last is on", value=ours, unit="s")
    yield Figure(name=f"{FEW} VMs from a template, node_pool, until all are ready nodes", value=whole.seconds, unit="s")
    yield Figure(name=f"{FEW} VMs from a template, node_pool", value=our_calls, unit="calls")
    if not THEIRS.exists():
        raise Skipped("community.vmware is not there: make bench gets it")
    simulator.reset()
    theirs = _vmware_guest(folder)
    their_calls = sum(simulator.calls().values())
    simulator.reset()
    yield Figure(name=f"{FEW} VMs from a template, vmware_guest in a loop", value=theirs, unit="s")
    yield Figure(name=f"{FEW} VMs from a template, vmware_guest in a loop", value=their_calls, unit="calls")
    yield Figure(name="node_pool / vmware_guest, time", value=ours / theirs, unit="ratio", goal=1 / QUICKER)
    yield Figure(name="node_pool / vmware_guest, calls", value=our_calls / their_calls, unit="ratio", goal=1 / FEWER)


def _vmware_guest(folder: Path) -> float:
    """Seconds of a playbook whose one task makes them, one after the other, as a loop does."""
    site = Site.from_environment()
    task = {
        "community.vmware.vmware_guest": {
            "hostname": IP,
            "port": site.port("vcenter"),
            "username": USER,
            "password": PASSWORD,
            "validate_certs": False,
            "datacenter": "lab-dc",
            "folder": "/lab-dc/vm/fleet",
            "cluster": "fd-a",
            "resource_pool": "fleet",
            "datastore": "ds-shared",
            "template": IMAGE,
            "name": "theirs-{{ item }}",
            "state": "poweredon",
        },
        "loop": list(range(FEW)),
    }
    book = folder / "vmware_guest.yml"
    book.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    given = {"ANSIBLE_COLLECTIONS_PATH": str(THEIRS), "ANSIBLE_HOME": str(folder / "theirs"), "ANSIBLE_PYTHON_INTERPRETER": sys.executable}
    began = time.monotonic()
    output([sys.executable, "-m", "ansible", "playbook", str(book)], {**kept, **given, "LC_ALL": "C.UTF-8"})
    return time.monotonic() - began


# A hundred clones, eight at once --------------------------------------------------------------------------------------------
def _queue(kube: Kube, simulator: Simulator, folder: Path) -> Iterator[Figure]:
    """From the first clone that vCenter has to the last VM that is on, by the simulator's own word."""
    best = CLONES / AT_ONCE * CLONE_SECONDS
    with vsphere_estate("benchqueue", kube, folder) as pool:
        simulator.set(task_ms={"CloneVM_Task": int(1000 * CLONE_SECONDS)}, slots_host=0, slots_all=AT_ONCE)
        simulator.calls(reset=True)
        run = pool.start(IMAGE, replicas=CLONES, strategy=AT_ONCE_READY)
        wait("the first clone", lambda: simulator.calls().get("CloneVM_Task"), 60, NOW_AND_THEN)
        began = time.monotonic()
        wait("all are on", lambda: _on(pool) == CLONES, 120, NOW_AND_THEN)
        took = time.monotonic() - began
        run.kill_module()
    yield Figure(
        name=f"{CLONES} clones of {CLONE_SECONDS:g} s, {AT_ONCE} at once / the best there is",
        value=took / best,
        unit="ratio",
        goal=OVER_THE_BEST,
    )
    yield Figure(name=f"{CLONES} clones of {CLONE_SECONDS:g} s, {AT_ONCE} at once ({best:g} s at best)", value=took, unit="s")


def _on(pool: VsphereEstate) -> int:
    return sum(server["power"] == "poweredOn" for server in pool.servers())


# A thousand that are as they should be --------------------------------------------------------------------------------------
def _noop(kube: Kube, simulator: Simulator) -> Iterator[Figure]:
    name, site = "benchidle", Site.from_environment()
    place = {**vsphere_lab.PLACE, "cluster": "fd-a", "datastore": "ds-shared", "template": IMAGE, "folder": "fleet"}
    task = {
        "name": name,
        "replicas": MANY,
        "vsphere": {**vsphere_lab.connection(), **place},
        "kubernetes": {"kubeconfig": str(kube.kubeconfig)},
    }
    bare = [
        sys.executable,
        "-c",
        BARE,
        IP,
        str(site.port("vcenter")),
        USER,
        PASSWORD,
        str(site.ca_file),
        "lab-dc/vm/fleet",
        *convert.VM_PATHS,
    ]
    try:
        _make(simulator, kube, name)
        node_pool(task)  # labels and the mark of readiness, on each node
        if node_pool(task)["changed"]:
            raise RuntimeError("the pool was not as it should be")
        pairs = [(seconds(lambda: node_pool(task)), seconds(lambda: output(bare))) for _pair in range(PAIRS)]
    finally:
        simulator.reset()
        remove_nodes(kube, [node for node in ready_nodes(kube) if node.startswith(f"{name}-")])
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    yield Figure(name=f"no-op of {MANY:,} VMs / one bare read of the same paths", value=ratio, unit="ratio", goal=OVER_THE_READ)
    yield Figure(name=f"no-op of {MANY:,} VMs, the module's process", value=statistics.median(ours for ours, _theirs in pairs), unit="s")
    yield Figure(name="bare read, its process", value=statistics.median(theirs for _ours, theirs in pairs), unit="s")


def _make(simulator: Simulator, kube: Kube, name: str) -> None:
    """VMs with the marks that a clone writes, and a ready node for each."""
    simulator.reset()
    made = vsphere_lab.LabPool(simulator, name=name, domains=("",), cluster="fd-a")
    machines = [made.machine(slot) for slot in range(MANY)]
    made.cloud.close()
    simulator.make(
        {
            "name": machine.name,
            "source": IMAGE,
            "annotation": convert.annotation(machine, name),
            "extra_config": {marks.ALL: json.dumps(convert.marks_for(machine, name, ()))},
        }
        for machine in machines
    )
    joiner = Joiner()
    vms = made.truth()
    side_by_side(lambda one: joiner.boot(VM(id=one, name=one, provider_id=f"vsphere://{vms[one]['uuid'].lower()}")), list(vms))
    wait("all nodes ready", lambda: ready_nodes(kube) >= set(vms), 300)
