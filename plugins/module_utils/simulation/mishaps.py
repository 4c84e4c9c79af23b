# SPDX-License-Identifier: GPL-3.0-or-later
"""What can happen to machines, nodes, pods and failure domains on request.

| kind | reads | does |
|---|---|---|
| vm_lost | target, count, lasts | its hypervisor dies: the cloud goes on saying RUNNING, the node falls silent |
| vm_stopped | target, count, lasts | somebody shuts it off |
| vm_gone | target, count | somebody deletes it |
| vm_error | target, count, text | it goes to ERROR |
| strip_marks | target, count, proofs | a playbook removes marks of ours |
| cordon, uncordon | target (node), count | a person closes or opens a node |
| pod_sticks | target (pod or node), count | it never terminates |
| member_down | target (member), count, lasts | a balancer's checks of it fail although its machine runs |
| domain_down | target, lasts | all machines of a failure domain are lost, new ones find no host |
| quota | count | so many machines may exist; -1 lifts it |
| never_joins, create_error, delete_sticks | target, count, text | meets the next `count` machines created or deleted |

`target` is a pattern ("web-3-*"); "" is any. The first `count` that match are met, in order of age.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from fnmatch import fnmatchcase

from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.balancers import Balancers
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.facts import Facts
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.faults import (
    BALANCER,
    CLOUD,
    DIES_HALF_WAY,
    FAIL,
    STALE,
    UNREACHABLE,
)
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.hypervisor import (
    CREATE_ERROR,
    DELETE_STICKS,
    NEVER_JOINS,
    Hypervisor,
)
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.nodes import Nodes
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.pods import Pods
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Fault, Host
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import BALANCER as BALANCER_CHANGES
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import CLUSTER, VMS, State

BEGIN = "fault"
END = "fault over"
BACK = "vm back"
TELL = "tell"

VM_LOST = "vm_lost"
VM_STOPPED = "vm_stopped"
VM_GONE = "vm_gone"
VM_ERROR = "vm_error"
STRIP_MARKS = "strip_marks"
CORDON = "cordon"
UNCORDON = "uncordon"
POD_STICKS = "pod_sticks"
MEMBER_DOWN = "member_down"
DOMAIN_DOWN = "domain_down"
QUOTA = "quota"

LASTING = (UNREACHABLE, STALE, DOMAIN_DOWN)  # stay in the table until their end
WAITING = (FAIL, DIES_HALF_WAY, NEVER_JOINS, CREATE_ERROR, DELETE_STICKS)  # stay until they are used up
TO_MACHINES = (VM_LOST, VM_STOPPED, VM_GONE, VM_ERROR, STRIP_MARKS)
KINDS = (*LASTING, *WAITING, *TO_MACHINES, CORDON, UNCORDON, POD_STICKS, MEMBER_DOWN, QUOTA)

TELL_EVERY = timedelta(seconds=1)  # while views are stale: something older may have become visible


class Mishaps:
    """Begins and ends faults."""

    def __init__(self, state: State, hypervisor: Hypervisor, nodes: Nodes, pods: Pods, balancers: Balancers, facts: Facts) -> None:
        self._state = state
        self._hypervisor = hypervisor
        self._nodes = nodes
        self._pods = pods
        self._balancers = balancers
        self._facts = facts
        self.handlers = {BEGIN: self.begin, END: self.end, BACK: self.back, TELL: self.tell}  # of events, by their kind

    def inject(self, fault: Fault) -> str:
        """Let it happen after its delay; its key."""
        key = f"fault-{self._state.next_serial()}"
        self._state.faults.put(key, fault)
        if fault.delay:
            self._state.plan(fault.delay, BEGIN, key)
        else:
            self.begin(key)
        return key

    def begin(self, key: str) -> None:
        """Event."""
        fault = self._state.faults.get(key)
        if fault is None:
            return
        fault.since = self._state.now
        self._state.faults.touch(key)
        if fault.kind in WAITING:
            return
        if fault.kind in LASTING:
            if fault.lasts is not None:
                self._state.plan(fault.lasts, END, key)
            if fault.kind == STALE:
                self._facts.refresh()
                self._facts.forget_past()  # until now nobody noted when each change was: views stand still for `age` first
                self._state.plan(TELL_EVERY, TELL, key)
            if fault.kind == DOMAIN_DOWN:
                self._domain(fault, is_down=True)
            return
        self._state.faults.drop(key)
        self._happen(fault)

    def end(self, key: str) -> None:
        """Event: an outage is over."""
        fault = self._state.faults.drop(key)
        if fault is None:
            return
        if fault.kind == DOMAIN_DOWN:
            self._domain(fault, is_down=False)
        self._state.tell({CLOUD: VMS, BALANCER: BALANCER_CHANGES}.get(fault.target, CLUSTER), "")

    def tell(self, key: str) -> None:
        """Event: a stale view has moved on."""
        fault = self._state.faults.get(key)
        if fault is not None:
            self._state.tell(VMS if fault.target == CLOUD else CLUSTER, "")
            self._state.plan(TELL_EVERY, TELL, key)

    def back(self, vm_id: str) -> None:
        """Event: a lost or stopped VM runs again."""
        host = self._state.hosts.get(vm_id)
        if host is not None and not host.is_switched_off and host.vm.status in (vm_states.RUNNING, vm_states.STOPPED):
            self._hypervisor.power(host, on=True, seen=True)

    def _happen(self, fault: Fault) -> None:
        if fault.kind in TO_MACHINES:
            for host in self._machines(fault):
                self._befall(host, fault)
        elif fault.kind in (CORDON, UNCORDON):
            for name in _matching(self._state.members, fault):
                self._nodes.cordon(name, schedulable=fault.kind == UNCORDON)
        elif fault.kind == POD_STICKS:
            for uid in self._pods_met(fault):
                self._pods.stick(uid)
        elif fault.kind == MEMBER_DOWN:
            met = [row.id for row in self._state.backend_members.values() if fnmatchcase(row.name, fault.target or "*")]
            for member in met[: fault.count]:
                self._balancers.sicken(member, fault.lasts)
        elif fault.kind == QUOTA:
            self._state.settings.machines_max = fault.count

    def _befall(self, host: Host, fault: Fault) -> None:
        if fault.kind == VM_GONE:
            self._hypervisor.gone(host.vm.id)
        elif fault.kind == VM_ERROR:
            self._hypervisor.fail(host, fault.text or "the simulated cloud was told to fail this machine")
        elif fault.kind == STRIP_MARKS:
            self._hypervisor.strip_marks(host, fault.proofs)
        else:
            self._hypervisor.power(host, on=False, seen=fault.kind == VM_STOPPED)
            if fault.lasts is not None:
                self._state.plan(fault.lasts, BACK, host.vm.id)

    def _domain(self, fault: Fault, *, is_down: bool) -> None:
        domain = self._state.domains.get(fault.target)
        if domain is not None:
            domain.is_down = is_down
            self._state.domains.touch(domain.name)
        for host in list(self._state.hosts.values()):
            if host.vm.failure_domain != fault.target:
                continue
            if is_down:
                self._hypervisor.power(host, on=False, seen=False)
            else:
                self.back(host.vm.id)

    def _pods_met(self, fault: Fault) -> list[str]:
        """A target with a slash is a pattern of namespace/name, any other one of nodes."""
        rows = self._state.pods.items()
        if "/" in fault.target:
            uids = {row.pod.full_name: uid for uid, row in rows if row.node}
            return [uids[name] for name in _matching(uids, fault)]
        return [uid for uid, row in rows if row.node and fnmatchcase(row.node, fault.target or "*")][: fault.count]

    def _machines(self, fault: Fault) -> list[Host]:
        living = {host.vm.name: host for host in self._state.hosts.values() if host.vm.status != vm_states.DELETING}
        return [living[name] for name in _matching(living, fault)]


def _matching(names: Iterable[str], fault: Fault) -> list[str]:
    return [name for name in names if fnmatchcase(name, fault.target or "*")][: fault.count]
