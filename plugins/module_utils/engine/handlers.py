# SPDX-License-Identifier: GPL-3.0-or-later
"""Each action as the one short call it is.

Names, marks and notes are chosen here, before the call, so that a lost answer can be looked up. Nothing in this file waits,
repeats or decides.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import (
    Action,
    AskGate,
    ChangeMembers,
    ChangeNode,
    Choose,
    Clear,
    CopyDisk,
    Create,
    Delete,
    Evict,
    Fetch,
    LookAt,
    Power,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import InvariantViolated
from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import BEFORE_DELETE, BEFORE_DRAIN, Question
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node, NodeChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import NewMachine
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Balancer, Captures, Cloud, Cluster

TOKEN_SPARE = timedelta(minutes=10)  # a token outlives the time its machine has to join by this much


def call_of(action: Action, name: str, now: datetime, ports: Ports, pool: Pool | None) -> Callable[[], object]:
    """The call that does `action`; `name` is the one chosen for a create."""
    if isinstance(action, Evict):  # of all calls of a roll these are by far the most
        return _eviction(action, _cluster(ports))
    if isinstance(action, Create):
        if pool is None:
            raise InvariantViolated(what="a create needs a pool")
        return lambda: _create(action, name, now, ports, pool)
    if isinstance(action, Delete | Power | CopyDisk | Fetch):
        return lambda: _do_to_vm(action, ports)
    if isinstance(action, Clear):
        return lambda: _clear(action, ports)
    if isinstance(action, AskGate):
        return lambda: _ask(action.question, ports)
    if isinstance(action, ChangeMembers):
        return lambda: _balancer(ports).change_members([wish.change for wish in action.wishes])
    cluster = _cluster(ports)
    if isinstance(action, Choose):
        change = _choosing(action, now)
        return lambda: cluster.change(change)
    if isinstance(action, ChangeNode):
        return lambda: cluster.change(action.change)
    if isinstance(action, LookAt):
        subject = action.subject
        if isinstance(subject, Machine):
            return lambda: cluster.look_for_node(subject.vm)
        return lambda: cluster.look(subject.name)
    return lambda: cluster.delete_node(action.node)


def _do_to_vm(action: Delete | Power | CopyDisk | Fetch, ports: Ports) -> None:
    if isinstance(action, Delete):
        _cloud(ports).delete(action.machine.vm)
    elif isinstance(action, Power):
        _cloud(ports).power(action.machine.vm, action.wanted)
    elif isinstance(action, CopyDisk):
        _captures(ports).begin(action.machine.vm)
    else:
        from pathlib import Path  # few runs have a file

        _captures(ports).fetch(action.capture, Path(action.path))


def _eviction(action: Evict, cluster: Cluster) -> Callable[[], object]:
    if action.by_force:
        return lambda: cluster.remove(action.pod, action.grace)
    return lambda: cluster.evict(action.pod, action.grace)


def _choosing(action: Choose, now: datetime) -> NodeChange:
    """Cordon and annotation in one PATCH, refused by the server if anybody changed the node since it was seen."""
    node = _node(action.machine)
    note = node.chosen or marks.Note(now, action.reason)
    return NodeChange(
        node=node.name,
        uid=node.uid,
        version=node.version,
        schedulable=False,
        annotations={marks.NODE_CHOSEN: str(note)},
    )


def _create(action: Create, name: str, now: datetime, ports: Ports, pool: Pool) -> None:
    """Mint what the machine needs to join, then post it. A token without a machine is a leftover that the next turn clears."""
    values = {"machine_name": name, "slot": str(action.slot), "failure_domain": action.failure_domain}
    wanted = pool.placeholders
    if ports.cluster is not None:
        if wanted & {"api_server", "ca_hash"}:
            values.update(ports.cluster.join_values())
        if "bootstrap_token" in wanted:
            values["bootstrap_token"] = ports.cluster.mint_token(name, pool.strategy.startup_timeout + TOKEN_SPARE)
    machine = NewMachine(
        name=name,
        slot=action.slot,
        failure_domain=action.failure_domain,
        revision=pool.revision.id,
        fields=pool.revision.fields,
        attempt=action.attempt,
        created_at=now,
        recreated=action.recreated,
        values=values,
    )
    _cloud(ports).create(machine)


def _clear(action: Clear, ports: Ports) -> None:
    if action.leftover.kind == "token":
        _cluster(ports).delete_token(action.leftover)
    elif action.leftover.kind == "image":
        _captures(ports).clear(action.leftover)
    else:
        _cloud(ports).clear(action.leftover)


def _ask(question: Question, ports: Ports) -> tuple[bool, str]:
    """A rehearsal has no probes: what a gate will say nobody knows, so it is taken to pass."""
    hook = question.step if question.step in (BEFORE_DRAIN, BEFORE_DELETE) else "gate"
    probe = ports.probes.get(hook)
    return probe.ask(question) if probe is not None else (True, "not asked in a rehearsal")


def _node(machine: Machine) -> Node:
    if machine.node is None:
        raise InvariantViolated(what="this action needs a node", where=machine.where)
    return machine.node


def _cloud(ports: Ports) -> Cloud:
    if ports.cloud is None:
        raise InvariantViolated(what="this job has no cloud")
    return ports.cloud


def _captures(ports: Ports) -> Captures:
    if ports.captures is None:
        raise InvariantViolated(what="this job has no images of disks")
    return ports.captures


def _balancer(ports: Ports) -> Balancer:
    if ports.balancer is None:
        raise InvariantViolated(what="this job has no balancer")
    return ports.balancer


def _cluster(ports: Ports) -> Cluster:
    if ports.cluster is None:
        raise InvariantViolated(what="this job has no cluster")
    return ports.cluster
