# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods: made, scheduled, started, evicted, terminated, brought back by what owns them.

Sources: kubernetes pkg/registry/core/pod/storage/eviction.go for the answers of an eviction; pkg/controller/podgc and
tainteviction for what becomes of pods whose node is silent or gone. DaemonSet pods stay and are not modelled.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Invalid, NotFound, Throttled
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Pod
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.budgets import SPENT_FOR, Budgets, allowed_by, status_of
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import (
    DEPLOYMENT,
    PER_NODE,
    STATEFUL_SET,
    PodRow,
    Workload,
)
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.scheduler import Scheduler
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import State
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.volumes import Volumes

POD_READY = "pod ready"
POD_GONE = "pod gone"
SPENT_OVER = "spent over"

BLOCKED = "simulation/blocked"  # the budget of PerNode pods that may not be evicted: it wants all of them
_AT_ONCE = timedelta(0)


class Pods:
    """All pods. Indexes: `on` is `{node: {uid: None}}`, `_by_name` is `{namespace/name: uid}`, `_pending` have no node."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.on: dict[str, dict[str, None]] = {}
        self._by_name: dict[str, str] = {}
        self._pending: dict[str, None] = {}
        self._budgets = Budgets(state)
        self.volumes = Volumes(state)
        self._scheduler = Scheduler(state, self.on)

    def reload(self) -> None:
        """Build the indexes anew after rows came from a file."""
        self.on.clear()
        self._by_name.clear()
        self._pending.clear()
        for uid, row in self._state.pods.items():
            self._by_name[row.pod.full_name] = uid
            if row.node:
                self.on.setdefault(row.node, {})[uid] = None
            else:
                self._pending[uid] = None
        self.volumes.reload()
        self._scheduler.reload()

    # Made and scheduled.

    def scale(self, workload: Workload, replicas: int) -> None:
        """Make pods until there are `replicas`; more than that are left alone."""
        missing, workload.replicas = replicas - workload.replicas, max(replicas, workload.replicas)
        self._state.workloads.touch(workload.key)
        for name in workload.budgets:
            budget = self._state.budgets.get(name)
            if budget is not None:
                budget.scale += max(0, missing)
                self._state.budget_changed(name)
        for _time in range(missing):
            self.spawn(workload)

    def spawn(self, workload: Workload, name: str = "", node: str = "") -> None:
        """One pod more, on `node` or where the scheduler puts it. StatefulSets hand in the name."""
        if not name:
            suffix = str(workload.made) if workload.kind == STATEFUL_SET else f"{workload.made:05x}"
            name = f"{workload.name}-{suffix}"
            workload.made += 1
            self._state.workloads.touch(workload.key)
        uid = f"pod-{self._state.next_serial():x}"
        chance, shows_readiness = self._state.chance, self._state.settings.shows_readiness
        budgets = workload.budgets
        if workload.blocked_share and chance.unit() < workload.blocked_share:
            budgets = (*budgets, BLOCKED)
        pod = Pod(
            uid=uid,
            namespace=workload.namespace,
            name=name,
            budgets=budgets,
            order=workload.order,
            grace=workload.grace,
            is_ready=not shows_readiness,
            ready_since=self._state.now if shows_readiness else None,
            is_replicated=workload.kind in (DEPLOYMENT, STATEFUL_SET, PER_NODE),
            has_empty_dir=workload.has_empty_dir,
            owner=f"{workload.kind}/{workload.name}",
        )
        row = PodRow(pod, workload.key, claim=f"{workload.namespace}-{name}" if workload.has_volume else "")
        if workload.stuck_share and chance.unit() < workload.stuck_share:
            row.stop_known = True  # and None: it never terminates
        self.add(row)
        self._place(uid, row, node)

    def add(self, row: PodRow) -> None:
        """Put a pod into tables, indexes and budgets. One that has a node is there already."""
        uid = row.pod.uid
        self._state.pods.put(uid, row)
        self._by_name[row.pod.full_name] = uid
        self._budgets.count_in(row)
        if row.node:
            self.on.setdefault(row.node, {})[uid] = None
            self._budgets.recount(row)
            self._state.node_changed(row.node)
            self._scheduler.offer(row.node)

    def node_changed(self, name: str) -> None:
        """A node came, went, or takes pods differently: pods that wait may have a place now."""
        self._scheduler.offer(name)
        self._place_pending()

    def _place_pending(self) -> None:
        while self._pending:
            uid = next(iter(self._pending))
            if not self._place(uid, self._state.pods[uid]):
                return

    def _place(self, uid: str, row: PodRow, node: str = "") -> bool:
        """Whether a node took the pod."""
        chosen = node or self._scheduler.best()
        if chosen is None:
            self._pending[uid] = None
            return False
        if uid in self._pending:
            del self._pending[uid]
            if self._state.settings.shows_readiness:
                row.pod = replace(row.pod, ready_since=self._state.now)  # no kubelet had a word to say before
        row.node = chosen
        self._state.pods.touch(uid)
        self.on.setdefault(chosen, {})[uid] = None
        self._state.node_changed(chosen)
        self._scheduler.offer(chosen)
        if not row.claim or self.volumes.attach(row.claim, chosen, uid):
            self._start(uid, row)
        return True

    def _start(self, uid: str, row: PodRow) -> None:
        workload = self._state.workloads.get(row.workload)
        start = (workload.start if workload else None) or self._state.profile.pod_start
        self._state.plan(start.draw(self._state.chance), POD_READY, uid)

    # Events.

    def ready(self, uid: str) -> None:
        """Event: a pod has started. On a node that is not ready it waits for that."""
        row = self._state.pods.get(uid)
        if row is None or row.pod.terminating_since is not None:
            return
        member = self._state.members.get(row.node)
        if member is not None and member.ready is True:
            self._set_ready(uid, row, is_ready=True)

    def gone(self, uid: str) -> None:
        """Event: a termination ends, provided that the kubelet still lives; else the pod stays until its node is deleted."""
        row = self._state.pods.get(uid)
        if row is None or row.gone_at is None or row.gone_at > self._state.now:
            return
        if self._kubelet_lives(row.node):
            self._finish(uid, row)

    def spent_over(self, uid: str) -> None:
        """Event: an eviction that came to nothing no longer counts."""
        row = self._state.pods.get(uid)
        if row is not None and row.spent_until is not None and row.spent_until <= self._state.now:
            row.spent_until = None
            self._state.pods.touch(uid)
            self._budgets.recount(row)

    def detached(self, key: str) -> None:
        """Event: a volume is free; the pod that waits for it starts."""
        uid = self.volumes.detached(key)
        if uid:
            self._start(uid, self._state.pods[uid])

    # Asked for.

    def evict(self, pod: Pod, grace: timedelta | None) -> None:
        """One eviction, answered as the API server does (see ports.Cluster.evict)."""
        uid, row = self._find(pod)
        budget = self._guardian(row)
        if budget is not None and (uid != pod.uid or not allowed_by(self._state.budgets[budget])):
            self._refuse(budget, pod, uid, row)
        self._expect(uid, pod)
        self.terminate(uid, row, grace)

    def remove(self, pod: Pod, grace: timedelta | None) -> None:
        """Delete a pod, whatever its budgets say. Grace 0 removes the object at once, even of a pod that never ends."""
        uid, row = self._find(pod)
        self._expect(uid, pod)
        self.terminate(uid, row, grace)

    def terminate(self, uid: str, row: PodRow, grace: timedelta | None) -> None:
        """Ask a pod to go; asked again, the shorter time holds."""
        if row.pod.terminating_since is None:
            row.pod = replace(row.pod, terminating_since=self._state.now)
            self._state.pods.touch(uid)
            self._budgets.recount(row)
            self._state.node_changed(row.node)
            self._replace(row, DEPLOYMENT)
        limit = row.pod.grace if grace is None else grace
        if limit <= _AT_ONCE or not row.node:
            self._finish(uid, row)
            return
        stop = self._stop_of(row)
        takes = None if stop is None else min(stop, limit)
        if takes is not None and (row.gone_at is None or self._state.now + takes < row.gone_at):
            row.gone_at = self._state.plan(takes, POD_GONE, uid)
            self._state.pods.touch(uid)

    def node_is_silent(self, node: str) -> None:
        """The kubelet's silence was noticed: none of its pods is ready."""
        for uid in self.on.get(node, ()):
            row = self._state.pods[uid]
            self._set_ready(uid, row, is_ready=False)

    def node_is_back(self, node: str) -> None:
        """The kubelet speaks again: pods start, and what was terminating goes on to its end."""
        for uid in list(self.on.get(node, ())):
            row = self._state.pods[uid]
            if row.pod.terminating_since is not None:
                self._state.plan(_AT_ONCE, POD_GONE, uid)
            elif not row.ready:
                self._start(uid, row)

    def terminate_all(self, node: str, grace: timedelta | None) -> None:
        """All pods of a node: it was silent too long, is out of service, or was deleted (grace 0)."""
        for uid in list(self.on.get(node, ())):
            self.terminate(uid, self._state.pods[uid], grace)

    def stick(self, uid: str) -> None:
        """Make a pod one that never terminates."""
        row = self._state.pods[uid]
        row.stop, row.stop_known, row.gone_at = None, True, None
        self._state.pods.touch(uid)

    def _set_ready(self, uid: str, row: PodRow, *, is_ready: bool) -> None:
        row.ready = is_ready
        if self._state.settings.shows_readiness and row.pod.is_ready is not is_ready:
            row.pod = replace(row.pod, is_ready=is_ready, ready_since=self._state.now)
            self._state.node_changed(row.node)
        self._state.pods.touch(uid)
        self._budgets.recount(row)

    def _find(self, pod: Pod) -> tuple[str, PodRow]:
        """The pod that has this name now, which may be another one."""
        uid = self._by_name.get(pod.full_name)
        if uid is None:
            raise NotFound(what=f'pods "{pod.name}" not found', where=f"pod {pod.full_name}")
        return uid, self._state.pods[uid]

    def _expect(self, uid: str, pod: Pod) -> None:
        if uid != pod.uid:
            raise Conflict(
                what=f"Precondition failed: UID in precondition: {pod.uid}, UID in object meta: {uid}",
                where=f"pod {pod.full_name}",
            )

    def _guardian(self, row: PodRow) -> str | None:
        """The budget that has to agree; None where none has. A pod that is pending or on its way out asks nobody."""
        budgets = [name for name in row.pod.budgets if name in self._state.budgets]
        if row.pod.terminating_since is not None or not row.node or not budgets:
            return None
        if len(budgets) > 1:
            raise Invalid(
                what="This pod has more than one PodDisruptionBudget, which the eviction subresource does not support: "
                + ", ".join(budgets),
                where=f"pod {row.pod.full_name}",
            )
        return budgets[0]

    def _refuse(self, budget: str, pod: Pod, uid: str, row: PodRow) -> None:
        """Raise `Throttled` where the budget has no room, unless it spares the pod. Granted for another UID, it is spent all the same."""
        status = status_of(self._state.budgets[budget])
        if not row.ready and status.healthy >= status.desired > 0:  # unhealthyPodEvictionPolicy: IfHealthyBudget
            return
        if status.allowed == 0:
            raise Throttled(
                what=f"Cannot evict pod as it would violate the pod's disruption budget. The disruption budget {budget} "
                f"needs {status.desired} healthy pods and has {status.healthy} currently",
                where=f"pod {pod.full_name}",
            )
        if uid != pod.uid:
            self._spend(uid, row)

    def _spend(self, uid: str, row: PodRow) -> None:
        """The budget was charged before the delete met the wrong UID (FM50)."""
        row.spent_until = self._state.plan(SPENT_FOR, SPENT_OVER, uid)
        self._state.pods.touch(uid)
        self._budgets.recount(row)

    def _stop_of(self, row: PodRow) -> timedelta | None:
        """How long it takes to stop, drawn once; None: it never does."""
        if not row.stop_known:
            workload = self._state.workloads.get(row.workload)
            stop = (workload.stop if workload else None) or self._state.profile.pod_stop
            row.stop, row.stop_known = stop.draw(self._state.chance), True
        return row.stop

    def _finish(self, uid: str, row: PodRow) -> None:
        """The pod is no more."""
        state, node = self._state, row.node
        state.pods.drop(uid)
        self._pending.pop(uid, None)
        if self._by_name.get(row.pod.full_name) == uid:
            del self._by_name[row.pod.full_name]
        self._budgets.count_out(row)
        if node:
            there = self.on[node]
            there.pop(uid, None)
            lives = self._kubelet_lives(node)
            member = state.members.get(node)
            is_let_go = lives or (member is not None and member.is_out_of_service)
            after = (state.profile.detach if is_let_go else state.profile.force_detach).draw(state.chance)
            if row.claim:
                self.volumes.release(row.claim, node, after)
            if not there:
                del self.on[node]
                self.volumes.release_observed(node, after)
            state.node_changed(node)
            self._scheduler.offer(node)
        self._replace(row, STATEFUL_SET)
        self._place_pending()

    def _replace(self, row: PodRow, kind: str) -> None:
        """What its owner does now: a Deployment when a pod begins to go, a StatefulSet when it is gone."""
        workload = self._state.workloads.get(row.workload)
        if workload is not None and workload.kind == kind:
            self.spawn(workload, row.pod.name if kind == STATEFUL_SET else "")

    def _kubelet_lives(self, node: str) -> bool:
        member = self._state.members.get(node)
        if member is None:
            return False
        host = self._state.hosts.get(member.host)
        return host.runs if host is not None else member.host == "" and member.ready is not None
