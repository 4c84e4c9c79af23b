# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the guests of a lab's VMs, which never really boot: makes, revives and silences their Nodes.

  lab joiner --openstack admin --all-projects [--name REGEX] [--control FILE] [--ccm]
  lab joiner --vsphere USER:PASSWORD@HOST:PORT     $LAB_VSPHERE_JOINER of `lab env`; with pyvmomi at hand
  lab joiner --listen PORT           JSON lines, see push.py: a Node at once, without a poll

A VM that runs joins once per boot, after its boot delay: a Node with its name, providerID, zone, addresses and kubelet
version; kwok then makes it Ready and runs its pods. Powered off, in ERROR or deleted: its lease is no longer renewed and
it becomes NotReady; the Node object stays (--ccm: deleted with the VM, tainted while it is shut down, as a cloud
controller manager does). A Node deleted while its VM runs does not come back before the next boot, as with a kubelet.

A bootstrap token in user data ("bootstrap_token: abcdef.0123456789abcdef", "--token=...") is used as a kubelet would:
the Node appears when the cluster has signed the guest's certificate, and never where it refuses (asked again each 10 s).

Faults and facts, from VM metadata / extraConfig, over those of user data, under those of --control (JSON,
{"NAME REGEX": {KEY: VALUE}}, read again at each look):
  lab_join=never|notready   lab_boot_delay=SECONDS   lab_flap=SECONDS
  lab_labels=a=b,c=d        lab_taints=k=v:Effect    lab_node_name=NAME
  lab_kubelet=stopped       lab_rejoin=1             kubelet_version=v1.35.4
"""

import argparse
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import push
from .bootstrap import Kubelets, RefusedError
from .guests import NOT_READY, VM, Facts, Source, facts, node
from .kube import NODES, STRATEGIC, ApiError, Json, Kube, kubelet_start, kubelet_stop
from .site import Site

RETRY_SECONDS = 10  # a kubelet that is refused ends, and systemd starts it again
SHUTDOWN_TAINT = "node.cloudprovider.kubernetes.io/shutdown"


@dataclass(slots=True)
class Guest:
    """What the joiner remembers of a VM. Its lock is held while it changes."""

    vm: VM
    source: str
    node: str = ""  # once it has joined
    booted: float | None = None  # since when it runs
    joining: bool = False  # has booted and not joined yet
    retry: float = 0  # not before
    beats: bool = False  # kwok renews its lease
    flapped: float = 0
    sick: bool = False
    client: Kube | None = None  # with the certificate on its disk
    lock: threading.RLock = field(default_factory=threading.RLock)


class Joiner:
    """Told of VMs by `look`, or by `boot`, `off` and `delete`; `step` does what time has made due. Thread-safe."""

    def __init__(
        self,
        kube: Kube | None = None,
        *,
        version: str | None = None,
        boot_delay: float = 0,
        ccm: bool = False,
        say: Callable[[str], None] = lambda text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        site = Site.from_environment()
        self.kube = kube or Kube(site.joiner_kubeconfig, agent="lab-joiner")
        self.version = version or f"v{site.version}"
        self.boot_delay, self.ccm, self.say, self.clock = boot_delay, ccm, say, clock
        self.control: Mapping[str, Mapping[str, str]] = {}
        self.guests: dict[str, Guest] = {}
        self.lock = threading.Lock()
        self.kubelets: Kubelets | None = None

    # --- what happens to VMs -----------------------------------------------------------------------------------------

    def boot(self, vm: VM, source: str = "") -> bool:
        """The VM was powered on. True when its Node is there on return: it has no boot delay and was let in."""
        with self.lock:
            guest = self.guests.setdefault(vm.id, Guest(vm, source))
        with guest.lock:
            guest.vm, guest.booted, guest.joining, guest.retry = vm, self.clock(), True, 0
            self._step(guest)
            return not guest.joining

    def off(self, vm_id: str) -> None:
        """The VM was powered off."""
        if guest := self.guests.get(vm_id):
            with guest.lock:
                guest.booted, guest.joining = None, False
                self._silence(guest, "VM not running")
                if self.ccm and guest.node:
                    self._shutdown_taint(guest.node, on=True)

    def delete(self, vm_id: str) -> None:
        """The VM is gone."""
        with self.lock:
            guest = self.guests.pop(vm_id, None)
        if guest:
            with guest.lock:
                self._silence(guest, "VM deleted")
                if self.ccm and guest.node:
                    self._delete_node(guest)

    def look(self, vms: Iterable[VM], source: str = "") -> None:
        """All VMs of a source as they are now: does what has changed since the last look, and what is due."""
        seen = {vm.id: vm for vm in vms}
        for vm in seen.values():
            guest = self.guests.get(vm.id)
            if guest:
                guest.vm = vm
            if vm.on and (guest is None or guest.booted is None):
                self.boot(vm, source)
            elif guest and guest.booted is not None and not vm.on:
                self.off(vm.id)
        for gone in [guest.vm.id for guest in list(self.guests.values()) if guest.source == source and guest.vm.id not in seen]:
            self.delete(gone)
        self.step()

    def step(self) -> None:
        """Boot delays, retries, flapping, rejoining."""
        for guest in list(self.guests.values()):
            with guest.lock:
                self._step(guest)

    # --- one guest, its lock held ------------------------------------------------------------------------------------

    def _step(self, guest: Guest) -> None:
        now, known = self.clock(), facts(guest.vm, self.control, self.version)
        delay = self.boot_delay if known.boot_delay is None else known.boot_delay
        if guest.booted is None or known.join == "never" or now < max(guest.booted + delay, guest.retry):
            return
        if guest.joining:
            self._join(guest, known)
        elif known.kubelet_stopped:
            self._silence(guest, "lab_kubelet=stopped")
        elif not guest.beats:
            guest.joining = True
            self._join(guest, known)
        elif (guest.sick and not known.flap) or (known.flap and now > guest.flapped + known.flap):
            guest.flapped, guest.sick = now, bool(known.flap) and not guest.sick
            note = "true" if guest.sick else None
            self.kube.patch(f"{NODES}/{guest.node}", {"metadata": {"annotations": {NOT_READY: note}}})
        elif known.rejoin and not self.kube.find(f"{NODES}/{guest.node}"):
            self._join(guest, known)

    def _join(self, guest: Guest, known: Facts) -> None:
        body = node(guest.vm, known, boot_id=f"{guest.vm.id}-{guest.booted}")
        try:
            made = self._user(guest, known).ensure(NODES, body)
        except (RefusedError, ApiError) as error:  # ApiError: a label that NodeRestriction forbids
            guest.retry = self.clock() + RETRY_SECONDS
            self.say(f"{known.node} refused: {error}")
            return
        if not made:
            self._take_over(known.node, body)
        guest.node, guest.joining, guest.beats, guest.flapped = known.node, False, True, self.clock()
        if self.ccm:
            self._shutdown_taint(guest.node, on=False)
        self.say(f"{guest.node} joined{'' if made else ' again'}: {known.version}")

    def _user(self, guest: Guest, known: Facts) -> Kube:
        """Whom the cluster takes the guest for."""
        if not known.token:
            return self.kube
        if not guest.client:
            with self.lock:
                self.kubelets = self.kubelets or Kubelets(self.kube)
            guest.client = self.kubelets.client(known.node, known.token)
        return guest.client

    def _take_over(self, name: str, body: Json) -> None:
        """Rebooted, or a new VM with an old name: the kubelet goes on with the Node that is there.

        Its labels, taints, cordon and the immutable providerID stay those of the old VM.
        """
        path, status = f"{NODES}/{name}", body["status"]
        note = body["metadata"]["annotations"].get(NOT_READY)
        self.kube.patch(path, {"metadata": {"annotations": {NOT_READY: note}}})
        self.kube.patch(f"{path}/status", {"status": {key: status[key] for key in ("nodeInfo", "addresses")}}, STRATEGIC)
        kubelet_start(self.kube, name)

    def _silence(self, guest: Guest, why: str) -> None:
        """Its lease is no longer renewed."""
        if guest.node and guest.beats:
            guest.beats = False
            kubelet_stop(self.kube, guest.node)
            self.say(f"{guest.node} silent: {why}")

    def _delete_node(self, guest: Guest) -> None:
        """As a cloud controller manager: only the Node of this very VM."""
        path = f"{NODES}/{guest.node}"
        found = self.kube.find(path)
        if found and found["spec"].get("providerID", "") == guest.vm.provider_id:
            self.kube.delete(path)
            self.say(f"{guest.node} deleted with its VM")

    def _shutdown_taint(self, name: str, *, on: bool) -> None:
        if found := self.kube.find(f"{NODES}/{name}"):
            have = found["spec"].get("taints", [])
            want = [taint for taint in have if taint["key"] != SHUTDOWN_TAINT]
            want += [{"key": SHUTDOWN_TAINT, "effect": "NoSchedule"}] if on else []
            if want != have:
                self.kube.patch(f"{NODES}/{name}", {"spec": {"taints": want}})


# --- the command -----------------------------------------------------------------------------------------------------


def main() -> None:
    arguments = parser().parse_args()
    try:
        sources = open_sources(arguments)
    except ImportError as error:
        sys.exit(
            f"lab joiner: {error}; .venv has the SDKs, and so have $LAB_OPENSTACK_PYTHON and $LAB_VSPHERE_PYTHON tests/labs/lab joiner ..."
        )
    if not sources and not arguments.listen:
        sys.exit("lab joiner: no --openstack, --vsphere or --listen: nobody to hear of VMs from")
    if arguments.boot_delay is None:
        arguments.boot_delay = 2 if sources else 0
    joiner = Joiner(version=arguments.version, boot_delay=arguments.boot_delay, ccm=arguments.ccm, say=say)
    if arguments.listen:
        push.serve(joiner, arguments.listen)
    say(f"watching {', '.join(sources) or f'port {arguments.listen}'}")
    while True:
        if arguments.control and arguments.control.exists():
            joiner.control = json.loads(arguments.control.read_text())
        for name, source in sources.items():
            try:
                vms = [vm for vm in source.servers() if re.fullmatch(arguments.name, vm.name)]
                joiner.look(vms, name)
            except Exception as error:  # noqa: BLE001 - a cloud that does not answer has not lost its VMs  # pylint: disable=broad-except
                say(f"{name}: {error!r:.300}; trying again")
        if not sources:
            joiner.step()
        time.sleep(arguments.interval)


def say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, flush=True)


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--openstack", action="append", default=[], metavar="CLOUD")
    words.add_argument("--all-projects", action="store_true", help="an admin's cloud: the servers of everybody, user data too")
    words.add_argument("--vsphere", action="append", default=[], metavar="USER:PASSWORD@HOST:PORT")
    words.add_argument("--listen", type=int, metavar="PORT")
    words.add_argument("--name", default=".*", help="only VMs whose whole name matches")
    words.add_argument("--control", type=Path, help="JSON file of faults")
    words.add_argument("--boot-delay", type=float, help="seconds; 2, and 0 where VMs are only pushed")
    words.add_argument("--interval", type=float, default=1, help="seconds between two looks")
    words.add_argument("--ccm", action="store_true", help="act as a cloud controller manager too")
    words.add_argument("--version", help="of the kubelets, v1.36.3")
    return words


def open_sources(arguments: argparse.Namespace) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    for cloud in arguments.openstack:
        from .openstack_servers import OpenStackServers

        sources[f"OpenStack {cloud}"] = OpenStackServers(cloud, all_projects=arguments.all_projects)
    for where in arguments.vsphere:
        from .vsphere_machines import VSphereMachines

        sources[f"vSphere {where.rsplit('@')[-1]}"] = VSphereMachines(where)
    return sources


if __name__ == "__main__":
    main()
