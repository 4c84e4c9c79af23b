# SPDX-License-Identifier: GPL-3.0-or-later
"""A world in memory that begins with what was observed: check mode runs the loop over it in virtual time.

The decisions are the loop's own; the durations are those of the profile handed in, so they are estimates. What facts do
not tell is assumed to be well: pods on a ready node are ready, an evicted pod that something owns comes back elsewhere,
a machine that is building will run and join, every image is good. A node that was ready and is not stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget, Node, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import ClusterView, MemberListing
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.beats import Beats
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Profile, Spread, remaining
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.hypervisor import BUILT, VM_GONE
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.nodes import READY
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import (
    BARE,
    DEPLOYMENT,
    STATEFUL_SET,
    BudgetRow,
    Host,
    Lease,
    Member,
    PodRow,
    Port,
    Token,
    Workload,
)
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World

NAMES_FROM = 100_000  # new things are numbered from here: none may take the name or id of one that was observed
FIRST_SERIAL = 1 << 48  # above what another simulated world has given, whose ids look like ours
TOKEN_LEFT = timedelta(hours=1)  # a view does not tell when a token expires


def world_of(
    vms: Iterable[Vm],
    view: ClusterView | None,
    now: datetime,
    profile: Profile,
    seed: int,
    *,
    pool: str,
    leftovers: Iterable[Leftover] = (),
    lock: LockFact | None = None,
    beats: Beats | None = None,
    backend: MemberListing | None = None,
    shows_readiness: bool = False,
) -> World:
    """The world as observed. `view` None: a pool of plain VMs, which join the backend `BACKEND` and nothing else.

    `beats`: what its events fall on. `shows_readiness` of pods, where a step of the ladder waits for it: it costs a look at a
    node for each of its pods.
    """
    world = World(now, seed, profile)
    world.state.beats = beats
    world.state.serial = FIRST_SERIAL
    world.state.settings.any_image = True
    world.state.settings.shows_readiness = shows_readiness
    world.state.settings.has_cluster = view is not None
    for leftover in leftovers:
        world.state.ports.put(leftover.id, Port(leftover, pool))
    if lock is not None:
        world.state.leases.put(pool, _lease(lock))
    ports = {leftover.machine: leftover.id for leftover in leftovers if leftover.kind == "port"}
    hosts = {vm.id: _host(vm, pool, ports.get(vm.name, "")) for vm in vms}
    if view is not None:
        for budget in view.budgets.values():
            world.state.budgets.put(budget.name, _budget(budget))
        for token in view.tokens:
            world.state.tokens.put(token.id, Token(token, pool, now + TOKEN_LEFT))
        _add_nodes(world, hosts, view)
        _count_others(world, view)
    members = {member.host: member for member in world.state.members.values()}
    for host in hosts.values():
        _add_host(world, host, members.get(host.vm.id))
    if backend is not None:
        from ansible_collections.immutable.fleet.plugins.module_utils.simulation.backend_from_facts import add_backend  # few pools have one

        add_backend(world, backend)
    return world


def empty_alike(world: World, spread: Spread) -> None:
    """Let all pods of a node take equally long to end, drawn once a node: for durations that were measured by node.

    Drawn by pod, the slowest of thirty would always be from the tail. A pod never takes longer than its grace period.
    """
    for uids in world.pods.on.values():
        stop = spread.draw(world.state.chance)
        for uid in uids:
            row = world.state.pods[uid]
            row.stop, row.stop_known = stop, True


def _host(vm: Vm, pool: str, port: str) -> Host:
    return Host(vm, pool, vm.fields.get("image", ""), runs=vm.status == vm_states.RUNNING, port=port)


def _add_nodes(world: World, hosts: dict[str, Host], view: ClusterView) -> None:
    by_sign: dict[str, str] = {}
    for vm in (host.vm for host in hosts.values()):
        by_sign |= dict.fromkeys([sign for sign in (vm.name, vm.provider_id, vm.system_uuid.lower()) if sign], vm.id)
    for node in view.nodes.values():
        signs = (node.provider_id, node.system_uuid.lower(), node.name)
        host = next((by_sign[sign] for sign in signs if sign in by_sign), "")
        if host and node.ready is None:
            hosts[host].runs = False  # its kubelet is silent
        world.nodes.add(_member(node, host, world.state.next_serial()))
        for pod in node.pods:
            _add_pod(world, node, pod)
        for attachment in node.attachments:
            world.pods.volumes.attach(attachment.removeprefix("csi-"), node.name, "", observed=True)


def _add_host(world: World, host: Host, member: Member | None) -> None:
    """With what is to come of it: the rest of what has begun, reckoned from when facts say that it began."""
    host.node = member.name if member is not None else ""
    world.hypervisor.add(host)
    state, vm = world.state, host.vm
    if vm.status == vm_states.BUILDING:
        state.plan(remaining(state.profile.create, state.now - vm.created_at, state.chance), BUILT, vm.id)
    elif vm.status == vm_states.DELETING:
        state.plan(state.profile.delete.draw(state.chance), VM_GONE, vm.id)
    elif host.runs and member is None:
        world.nodes.boot(host, state.now - (vm.running_since or vm.created_at))
    elif host.runs and member is not None and member.ready is False and marks.NODE_READY_AT not in member.annotations:
        state.plan(remaining(state.profile.ready, state.now - (vm.running_since or vm.created_at), state.chance), READY, vm.id)
    if not host.runs and member is not None and member.ready is True:
        world.nodes.halt(host)


def _member(node: Node, host: str, order: int) -> Member:
    return Member(
        name=node.name,
        uid=node.uid,
        version=int(node.version) if node.version.isdigit() else order,
        created_at=node.created_at,
        host=host,
        provider_id=node.provider_id,
        system_uuid=node.system_uuid,
        failure_domain=node.failure_domain,
        ready=node.ready,
        ready_since=node.ready_since,
        schedulable=node.schedulable,
        labels=dict(node.labels),
        annotations=dict(node.annotations),
        taints=node.taints,
        order=order,
    )


def _add_pod(world: World, node: Node, pod: Pod) -> None:
    key = f"{pod.namespace}/{pod.owner or pod.name}"
    if key not in world.state.workloads:
        kind = DEPLOYMENT if pod.is_replicated else BARE
        kind = STATEFUL_SET if pod.owner.startswith(STATEFUL_SET) else kind
        name = pod.owner.partition("/")[2] or pod.name
        workload = Workload(pod.namespace, name, kind, grace=pod.grace, budgets=pod.budgets, order=pod.order)
        workload.has_empty_dir = pod.has_empty_dir
        workload.made = NAMES_FROM
        world.state.workloads.put(key, workload)
    if not pod.is_ready and node.ready is True:
        pod = replace(pod, is_ready=True, ready_since=world.now)
    row = PodRow(pod, key, node.name, ready=node.ready is True and pod.terminating_since is None)
    world.pods.add(row)
    if pod.terminating_since is not None:
        world.pods.terminate(pod.uid, row, None)


def _budget(budget: Budget) -> BudgetRow:
    row = BudgetRow(budget.name, budget.created_at, owner=budget.owner)
    row.desired, row.expected = budget.desired, budget.expected
    return row


def _count_others(world: World, view: ClusterView) -> None:
    """A budget's healthy pods that no node of the view shows (pods that a drain leaves alone) stay healthy."""
    for name, budget in view.budgets.items():
        row = world.state.budgets[name]
        row.elsewhere = budget.healthy - row.healthy
        world.state.budget_changed(name)


def _lease(lock: LockFact) -> Lease:
    return Lease(holder="", token=lock.token, ttl=lock.ttl, record=lock.record.dump(), steering=lock.steering.dump())
