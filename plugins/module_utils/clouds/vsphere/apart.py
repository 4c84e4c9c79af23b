# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the rules of one pool's machines in order: with each full list, and one call a cluster where they are not.

To the loop a rule that lacks a machine is a leftover like any other: something of the pool's that is as it should not be, told by a full
list, and cleared. So it costs no call while nothing changes, one for all machines that came within a minute, and is right when a run ends.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.inventory import Inventory
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import Template
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.refusals import refusal
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.rules import CLUSTER_PATHS, Change, change_of, specification
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.transport import Transport
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.under_way import RUNNING, TASK_PATHS
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import CLUSTER, TASK, VM, Found, Ref, Wanted
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import NotFound
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, Vm

KIND = "DRS rule"
POOL_PATH = "resourcePool"  # of a VM: says in which cluster it is


def host_groups(template: Template) -> dict[str, str]:
    """`{failure domain: group of hosts}` of those that are one."""
    places = {"": template.place, **template.failure_domains}
    return {domain: place.host_group for domain, place in places.items() if place.host_group}


class Apart:
    """What the newest full list lacked, and the changes that are under way. May be used from many threads."""

    def __init__(self, pool: str, template: Template) -> None:
        self._pool, self._keeps_apart = pool, template.anti_affinity
        self._host_groups = host_groups(template)
        self._lock = threading.Lock()
        self._changes: dict[str, tuple[Ref, Change]] = {}  # by leftover's id
        self._tasks: dict[Ref, Ref] = {}  # {cluster: the change that is under way}
        self._calling: set[Ref] = set()  # clusters whose change was sent, and nobody has answered yet
        self._count = 0

    def wanted(self, inventory: Inventory, home: Ref | None) -> list[Wanted]:
        """What a full list reads beside the VMs."""
        clusters = tuple(sorted(inventory.of_kind(CLUSTER, home)))
        with self._lock:
            tasks = tuple(sorted(self._tasks.values()))
        return [Wanted(kind=CLUSTER, paths=CLUSTER_PATHS, objects=clusters), Wanted(kind=TASK, paths=TASK_PATHS, objects=tasks)]

    def leftovers(self, read: Mapping[Ref, Found], inventory: Inventory, vms: Sequence[Vm], as_of: datetime) -> tuple[Leftover, ...]:
        """The clusters whose rules have to be changed, by a full list."""
        in_cluster: dict[Ref | None, list[Vm]] = {}
        for vm in vms:
            in_cluster.setdefault(inventory.cluster_of(read.get(Ref(VM, vm.id), {}).get(POOL_PATH)), []).append(vm)
        found = []
        with self._lock:
            self._changes = {}
            for cluster, facts in read.items():
                if "configurationEx" not in facts or self._is_under_way(cluster, read):
                    continue
                change = change_of(
                    facts, self._pool, in_cluster.get(cluster, ()), keeps_apart=self._keeps_apart, host_groups=self._host_groups
                )
                if change is not None:
                    self._count += 1  # an id is never given twice: what was cleared may come again
                    key = f"{cluster.id} {self._count}"
                    self._changes[key] = cluster, change
                    found.append(Leftover(kind=KIND, id=key, name=change.words, machine="", created_at=as_of))
        return tuple(found)

    def clear(self, leftover: Leftover, transport: Transport) -> None:
        """Change the cluster. Raises what became of the last change, where that failed, and what vCenter answers."""
        with self._lock:
            cluster, change = self._changes.pop(leftover.id, (None, None))
            last = self._tasks.pop(cluster, None) if cluster is not None else None
        if cluster is None or change is None:
            raise NotFound(what=f"{leftover.name}: a newer list says otherwise")
        if last is not None:
            info = transport.read(Wanted(kind=TASK, paths=TASK_PATHS, objects=(last,))).get(last, {})
            if info.get("info.error"):
                raise refusal(f"the last change of rules {leftover.name}", info["info.error"])
        with self._lock:
            self._calling.add(cluster)
        try:
            task = transport.call(cluster, "ReconfigureComputeResource_Task", spec=specification(change), modify=True)
            with self._lock:
                self._tasks[cluster] = task
        finally:
            with self._lock:
                self._calling.discard(cluster)

    @classmethod
    def wanted_by(cls, pool: str, template: Template) -> Apart | None:
        """None for a template that asks for no rule."""
        return cls(pool, template) if template.anti_affinity or host_groups(template) else None

    def _is_under_way(self, cluster: Ref, read: Mapping[Ref, Found]) -> bool:
        """Also of one that just ended: this list may have read the cluster before. One that failed is told by the next `clear`."""
        task = self._tasks.get(cluster)
        if task is None:
            return cluster in self._calling
        info = read.get(task, {})
        if info.get("info.error"):
            return False
        if info.get("info.state") not in RUNNING:
            del self._tasks[cluster]
        return True
