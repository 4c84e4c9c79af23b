# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether one machine is well, as independent observers see it: the API server, the cloud, its probes, the balancer's own check.

Promises: no evidence is not a finding: a machine that boots, a condition that is not there, a VM that runs say nothing against it.
Who says "ill" is believed after the check's duration, and only while no other observer says "well" of the same machine: a VM that
the cloud puts to ERROR while its kubelet reports is named and left alone, and so is one whose kubelet is silent while its probes find
it well. Probes have no memory of earlier runs, so that a silent kubelet waits until they have come to a verdict.
The cloud's word that a VM is off, together with a silent kubelet, is proof; it only has to outlast a reboot.
Since when is the earlier of what the server dates and of what runs have seen; both are in the loop's clock, which an adapter
corrects the server's instants to. So a run of one pass counts too, and a controller's wrong clock changes nothing.
Sources: semantics section 5; FM17, FM21, FM40.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import must_have_joined
from ansible_collections.immutable.fleet.plugins.module_utils.decide.going import is_proven_dead
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import SERVING
from ansible_collections.immutable.fleet.plugins.module_utils.model.health import READY, HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.service import Service

PROBED = "probes"
MISSING = "Node"
OFF = "VM"  # of a plain machine; that of a node is dated by its silence
CHECKED = "check"
UNDATED = frozenset((MISSING, PROBED, OFF, CHECKED))  # kinds of findings that no server dates
BALANCER = "the balancer's check"
# Clouds call a VM off while it reboots. Kubernetes calls a kubelet silent after 40 to 50 s, so that this is more than a minute.
OUTLASTS_A_REBOOT = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something is wrong with a machine. `kind` is what was observed: a finding of another kind begins anew.

    `unhealthy_at` None: observers disagree, so it will not become unhealthy by time alone. `is_open`: another observer is being asked.
    """

    kind: str
    what: str
    since: datetime
    unhealthy_at: datetime | None
    is_open: bool = False

    def is_unhealthy(self, now: datetime) -> bool:
        """Whether it has lasted as long as it takes."""
        return self.unhealthy_at is not None and now >= self.unhealthy_at


def examine(machine: Machine, pool: Pool, policy: HealthPolicy, seen: dict[str, datetime], now: datetime) -> Finding | None:
    """What is wrong with the machine; of several findings the one that makes it unhealthy first.

    `seen` is since when each kind of finding was met in a row, in the loop's clock; it is brought up to date. What its probes found
    before stands until they have come to a verdict anew.
    """
    node, service = machine.node, machine.service
    if service is not None:
        is_known = service.was_ready or must_have_joined(machine, pool, now)
        found = _findings_of_plain(machine, service, pool, policy, seen, now) if is_known else []
    elif node is None:
        found = [_missing(policy, seen.setdefault(MISSING, now))] if must_have_joined(machine, pool, now) else []
    elif not machine.was_ready:
        found = []  # it boots, and has its startup_timeout for it
    else:
        found = _findings(machine, node, pool, policy, seen, now)
    kinds = {finding.kind for finding in found} | ({PROBED} if pool.probes and machine.is_being_asked else set())
    for kind in seen.keys() - kinds:
        del seen[kind]
    return min(found, key=_urgency, default=None)


def _missing(policy: HealthPolicy, since: datetime) -> Finding:
    return Finding(MISSING, "it has no Node", since, since + policy.missing_node)


def _findings(machine: Machine, node: Node, pool: Pool, policy: HealthPolicy, seen: dict[str, datetime], now: datetime) -> list[Finding]:
    found = []
    for check in policy.conditions:
        status, dated = _condition(node, check.type)
        if status == check.status:
            since = _since(seen, check.type, dated, now)
            found.append(Finding(check.type, f"{check.type} is {status}", since, since + check.timeout))
    if node.ready is not True:
        since = _since(seen, READY, node.ready_since, now)
        found.append(Finding(READY, f"{READY} is {_condition(node, READY)[0]}", since, since + pool.strategy.startup_timeout))
    health = machine.health
    if health is not None and health.healthy is False:  # a ready kubelet says nothing of the service on its machine
        since = seen.setdefault(PROBED, health.since)
        found.append(Finding(PROBED, f"its probes fail: {health.what}", since, since + pool.strategy.startup_timeout))
    status = machine.vm.status
    if is_proven_dead(machine):
        since = _since(seen, READY, node.ready_since, now)
        what = f"its VM is {_say(status)} by the cloud's word, and its kubelet is silent"
        found.append(Finding(READY, what, since, since + OUTLASTS_A_REBOOT))
    elif status in (vm_states.ERROR, vm_states.STOPPED) and node.ready is not None:
        what = f"observers disagree: the cloud says that its VM is {_say(status)}, its kubelet reports that it is ready"
        found.append(Finding(status, what, _since(seen, status, None, now), None))
    if node.ready is None and not is_proven_dead(machine):
        since = _since(seen, READY, node.ready_since, now)
        if health is not None and health.healthy is True:
            return [Finding(READY, "observers disagree: its kubelet is silent, its probes find it well", since, None)]
        if pool.probes and machine.is_being_asked:
            return [Finding(READY, "its kubelet is silent: its probes are asked first", since, None, is_open=True)]
    return found


def _findings_of_plain(
    machine: Machine, service: Service, pool: Pool, policy: HealthPolicy, seen: dict[str, datetime], now: datetime
) -> list[Finding]:
    """Of a machine that serves by itself: the cloud, our probes and the balancer's own check are the observers."""
    member, status = service.member, machine.vm.status
    is_checked_well = member is not None and member.healthy is True
    timeout = _not_ready_timeout(pool, policy)
    if status in (vm_states.STOPPED, vm_states.ERROR):
        lasts = OUTLASTS_A_REBOOT if status == vm_states.STOPPED else timeout
        what = f"its VM is {_say(status)} by the cloud's word"
        return [_unless(is_checked_well, BALANCER, OFF, what, seen.setdefault(OFF, now), lasts, now)]
    if status != vm_states.RUNNING:
        return []
    if service.is_well is False:
        since = seen.setdefault(PROBED, machine.health.since if machine.health is not None else now)
        what = "its probes fail" + (f": {machine.health.what}" if machine.health is not None and machine.health.what else "")
        return [_unless(is_checked_well, BALANCER, PROBED, what, since, timeout, now)]
    if member is not None and member.state == SERVING and member.healthy is False:
        what = f"{BALANCER} finds it ill"
        if machine.is_being_asked:
            return [Finding(CHECKED, f"{what}: its probes are asked first", seen.get(CHECKED, now), None, is_open=True)]
        return [_unless(service.is_well is True, "its probes", CHECKED, what, seen.setdefault(CHECKED, now), timeout, now)]
    return []


def _unless(is_contradicted: bool, by: str, kind: str, what: str, since: datetime, timeout: timedelta, now: datetime) -> Finding:
    """The finding, which counts when its time is over, and only if no other observer still says the opposite then."""
    if is_contradicted and now >= since + timeout:
        return Finding(kind, f"observers disagree: {what}, {by} finds it well", since, None)
    return Finding(kind, what, since, since + timeout)


def _not_ready_timeout(pool: Pool, policy: HealthPolicy) -> timedelta:
    """How long a machine whose service takes a node's place may say of itself that it is not ready."""
    given = (check.timeout for check in policy.conditions if (check.type, check.status) == (READY, "False"))
    return min(given, default=pool.strategy.startup_timeout)


def _since(seen: dict[str, datetime], kind: str, dated: datetime | None, now: datetime) -> datetime:
    own = seen.setdefault(kind, now)
    return min(own, dated) if dated is not None else own


def _condition(node: Node, kind: str) -> tuple[str, datetime | None]:
    """`(status, since when)`; "" for a condition that the node does not have."""
    if kind == READY:
        return {True: "True", False: "False", None: "Unknown"}[node.ready], node.ready_since
    return node.conditions.get(kind, ("", None))


def _urgency(finding: Finding) -> tuple[bool, datetime]:
    return finding.unhealthy_at is None, finding.unhealthy_at or finding.since


def _say(status: str) -> str:
    return {vm_states.STOPPED: "off", vm_states.ERROR: "in ERROR"}.get(status, status)
