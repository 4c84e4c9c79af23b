# SPDX-License-Identifier: GPL-3.0-or-later
"""Node objects: VMs join, become ready, fall silent; whoever may writes labels, annotations, taints and cordons."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, NotFound
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Look, NodeChange
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import remaining
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.pods import Pods
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import PER_NODE, Host, Member, Workload
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import State

JOIN = "join"
READY = "ready"
SILENT = "silent"
ABANDON = "abandon"
COLLECT = "collect"

JOINS_AT = 0.8  # of the time from running to ready: the Node object appears, the network plugin still starts
HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
_AT_ONCE = timedelta(0)


class Nodes:
    """All Node objects, by name."""

    def __init__(self, state: State, pods: Pods) -> None:
        self._state = state
        self._pods = pods

    # The machine's side.

    def boot(self, host: Host, since: timedelta = _AT_ONCE) -> None:
        """A VM runs, for so long already: its kubelet will join, or its service come up, unless its image is bad."""
        if not host.joins:
            return
        takes = remaining(self._state.profile.ready, since, self._state.chance)
        if not self._state.settings.has_cluster:
            host.answers_from = self._state.now + takes
            self._state.hosts.touch(host.vm.id)
            return
        self._state.plan(takes * JOINS_AT, JOIN, host.vm.id)
        self._state.plan(takes, READY, host.vm.id)

    def halt(self, host: Host) -> None:
        """A VM no longer runs: its kubelet is silent from now, which is noticed later."""
        self._state.plan(self._state.profile.silence.draw(self._state.chance), SILENT, host.node)

    def answers(self, vm_id: str) -> bool:
        """Whether the service of a VM answers: it has booted, it runs, and no fault makes a balancer's checks of it fail."""
        host = self._state.hosts.get(vm_id)
        if host is None or not host.runs or any(row.is_sick for row in self._state.backend_members.values() if row.host == vm_id):
            return False
        if not self._state.settings.has_cluster:
            return host.answers_from is not None and host.answers_from <= self._state.now
        member = self._state.members.get(host.node)
        return member is not None and member.ready is True

    def join(self, vm_id: str) -> None:
        """Event: the kubelet registers its Node. One that exists already is taken over, as kubelets do."""
        host = self._state.hosts.get(vm_id)
        if host is None or not host.runs:
            return
        vm, name = host.vm, host.vm.name + self._state.settings.node_suffix
        if name in self._state.members:
            return
        host.node, number = name, self._state.next_serial()
        self._state.hosts.touch(vm_id)
        labels = {HOSTNAME: name} | ({ZONE: vm.failure_domain} if vm.failure_domain else {})
        if self._state.settings.labels_nodes:
            labels |= {marks.NODE_POOL: host.pool, marks.NODE_REVISION: vm.revision}
        self.add(
            Member(
                name=name,
                uid=f"node-{number:x}",
                version=number,
                created_at=self._state.now,
                host=vm_id,
                provider_id=vm.provider_id,
                system_uuid=vm.system_uuid,
                failure_domain=vm.failure_domain,
                ready=False,
                ready_since=self._state.now,
                labels=labels,
                order=number,
            )
        )

    def add(self, member: Member) -> None:
        """Put a Node into the tables."""
        self._state.members.put(member.name, member)
        self._state.node_changed(member.name)
        self._pods.node_changed(member.name)

    def stand_alone(self, name: str, failure_domain: str = "") -> None:
        """A ready Node whose machine is not simulated: something to drain."""
        now, number = self._state.now, self._state.next_serial()
        labels = {HOSTNAME: name} | ({ZONE: failure_domain} if failure_domain else {})
        member = Member(name, f"node-{number:x}", number, now, ready=True, ready_since=now, labels=labels, order=number)
        member.failure_domain = failure_domain
        self.add(member)
        self._bring_own_pods(member)
        self.bring_pods()

    def ready(self, vm_id: str) -> None:
        """Event: the kubelet says Ready. The first time, pods that come one to a node come, and workloads grow."""
        host = self._state.hosts.get(vm_id)
        member = self._state.members.get(host.node) if host is not None else None
        if host is None or member is None or not host.runs or member.host != vm_id:
            return
        if member.ready is True:  # back before anybody noticed its silence: its pods go on all the same
            self._pods.node_is_back(member.name)
            return
        is_first = member.ready is False
        self._set_ready(member, is_ready=True)
        self._pods.node_changed(member.name)
        if is_first:
            self._bring_own_pods(member)
            self.bring_pods()
        self._pods.node_is_back(member.name)

    def silent(self, name: str) -> None:
        """Event: nobody heard the kubelet for the grace period, so the node is Unknown; after a while its pods are given up."""
        member = self._state.members.get(name)
        if member is None or member.ready is None or self._runs(member):
            return
        self._set_ready(member, is_ready=None)
        self._pods.node_is_silent(name)
        self._state.plan(self._state.profile.abandon.draw(self._state.chance), ABANDON, name)

    def abandon(self, name: str) -> None:
        """Event: pods of a node that was Unknown for too long are deleted; they stay until the kubelet or the Node goes."""
        member = self._state.members.get(name)
        if member is not None and member.ready is None:
            self._pods.terminate_all(name, None)

    def collect(self, name: str) -> None:
        """Event: the garbage collector removes pods whose Node is no more."""
        if name not in self._state.members:
            self._pods.terminate_all(name, _AT_ONCE)

    # The API's side.

    def change(self, change: NodeChange) -> None:
        """One PATCH. Raises `NotFound`, `Conflict`; one that changes nothing writes nothing."""
        member = self._state.members.get(change.node)
        if member is None:
            raise NotFound(what=f'nodes "{change.node}" not found', where=f"node {change.node}")
        if change.uid != member.uid or change.version not in (None, str(member.version)):
            raise Conflict(what="the object has been modified; please apply your changes to the latest version", where=change.node)
        before = (member.schedulable, dict(member.labels), dict(member.annotations), member.taints)
        if change.schedulable is not None:
            member.schedulable = change.schedulable
        _merge(member.labels, change.labels)
        _merge(member.annotations, change.annotations)
        if change.taints is not None:
            member.taints = change.taints
        if before == (member.schedulable, member.labels, member.annotations, member.taints):
            return
        self._written(member)
        self._pods.node_changed(member.name)
        if member.ready is not True and member.is_out_of_service:
            self._pods.terminate_all(member.name, _AT_ONCE)
            self._pods.volumes.let_go(member.name, self._state.profile.detach.draw(self._state.chance))

    def delete(self, name: str, uid: str) -> None:
        """Delete the Node object; its pods are collected later. One that is gone already is success."""
        member = self._state.members.get(name)
        if member is None or member.uid != uid:
            return
        self._state.members.drop(name)
        self._state.node_changed(name)
        if self._pods.on.get(name):
            self._state.plan(self._state.profile.collect.draw(self._state.chance), COLLECT, name)

    def look(self, name: str) -> Look:
        """Pods and attachments of a node by a direct read; of one that is gone too."""
        pods = tuple(self._state.pods[uid].pod.full_name for uid in self._pods.on.get(name, ()))
        return Look(begun_at=self._state.now, pods=pods, attachments=attachments_of(self._pods, name))

    def name_of(self, vm_id: str) -> str:
        """The Node that a VM has now; "" where it has none."""
        host = self._state.hosts.get(vm_id)
        member = self._state.members.get(host.node) if host is not None else None
        return member.name if member is not None and member.host == vm_id else ""

    def cordon(self, name: str, *, schedulable: bool) -> None:
        """A person's cordon, without any mark of ours; or its end."""
        member = self._state.members[name]
        member.schedulable = schedulable
        self._written(member)
        self._pods.node_changed(name)

    def bring_pods(self) -> None:
        """Make the pods of workloads that wait for nodes, or grow with them."""
        waiting = [row for row in self._state.workloads.values() if row.wanted > row.replicas or row.per_node]
        if not waiting:
            return
        count = sum(1 for member in self._state.members.values() if member.ready is True and member.schedulable)
        for workload in waiting:
            if workload.kind == PER_NODE or count < workload.after_nodes:
                continue
            wanted = max(workload.wanted, workload.per_node * count)
            if wanted > workload.replicas:
                self._pods.scale(workload, wanted)

    def bring_own_pods(self, workload: Workload) -> None:
        """A new workload of one pod per node meets nodes that are ready already."""
        for member in self._state.members.values():
            if member.ready is True:
                for _time in range(workload.per_node):
                    self._pods.spawn(workload, node=member.name)

    def _bring_own_pods(self, member: Member) -> None:
        for workload in list(self._state.workloads.values()):
            if workload.kind == PER_NODE:
                for _time in range(workload.per_node):
                    self._pods.spawn(workload, node=member.name)

    def _set_ready(self, member: Member, *, is_ready: bool | None) -> None:
        member.ready, member.ready_since = is_ready, self._state.now
        self._written(member)

    def _written(self, member: Member) -> None:
        member.version = self._state.next_serial()
        self._state.members.touch(member.name)
        self._state.node_changed(member.name)

    def _runs(self, member: Member) -> bool:
        host = self._state.hosts.get(member.host)
        return host is not None and host.runs


def attachments_of(pods: Pods, node: str) -> tuple[str, ...]:
    """Names of the VolumeAttachments of a node."""
    return tuple(f"csi-{claim}" for claim in pods.volumes.on.get(node, ()))


def _merge(into: dict[str, str], changes: Mapping[str, str | None]) -> None:
    for key, value in changes.items():
        if value is None:
            into.pop(key, None)
        else:
            into[key] = value
