# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine's Kubernetes side: node, pods, disruption budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Taint


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A PodDisruptionBudget as its status tells it. `name` is "namespace/name"."""

    name: str
    allowed: int  # disruptionsAllowed
    healthy: int  # currentHealthy
    desired: int  # desiredHealthy
    expected: int  # expectedPods
    owner: str = ""
    created_at: datetime | None = None

    @property
    def can_never_allow(self) -> bool:
        """It demands as many healthy pods as there are, so that no pod may ever be evicted (FM1)."""
        return self.allowed == 0 and self.desired >= self.expected > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod that a drain must see gone. Pods that stay (DaemonSet, mirror, finished, told to be skipped) are not listed."""

    uid: str
    namespace: str
    name: str
    budgets: tuple[str, ...] = ()  # names of the PDBs that match it; more than one makes eviction answer 500 (FM3)
    order: int = 0  # lower groups leave first
    grace: timedelta = timedelta(seconds=30)
    terminating_since: datetime | None = None
    is_ready: bool = True
    ready_since: datetime | None = None  # when Ready last became what it is, in the loop's clock; None where nothing tells
    is_replicated: bool = True  # a controller brings it back elsewhere
    has_empty_dir: bool = False
    wait_completed: bool = False  # leaves by ending, is never evicted
    owner: str = ""

    @property
    def full_name(self) -> str:
        """namespace/name"""
        return f"{self.namespace}/{self.name}"

    @property
    def is_to_serve(self) -> bool:
        """Whether its readiness says how the workload fares: not of one on its way out, nor of a Job's, which ends by itself."""
        return self.terminating_since is None and not self.wait_completed and not self.owner.startswith("Job/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One Node with what runs on it. Replaced as a whole when anything in it changes, else the same object.

    `ready` None is the kubelet's silence (Unknown). `ready_since` is when the Ready condition last changed, in the loop's
    clock. `was_ready` is our mark that it was ready once. `conditions` are all but Ready: `{type: (status, since when)}`.
    `pods` are those a drain must see gone; `attachments` the names of VolumeAttachments (attached or detaching).
    """

    name: str
    uid: str
    version: str  # resourceVersion: a write names it, so that nobody's change is overwritten
    created_at: datetime
    provider_id: str = ""
    system_uuid: str = ""
    ready: bool | None = None
    ready_since: datetime | None = None
    was_ready: bool = False
    conditions: Mapping[str, tuple[str, datetime | None]] = field(default_factory=dict)
    schedulable: bool = True
    pool: str = ""
    revision: str = ""
    chosen: Note | None = None
    quarantined: Note | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    failure_domain: str = ""
    pods: tuple[Pod, ...] = ()
    attachments: tuple[str, ...] = ()

    @property
    def is_cordoned_by_us(self) -> bool:
        """Closed to new pods, with our annotation beside it."""
        return not self.schedulable and self.chosen is not None

    @property
    def is_held(self) -> bool:
        """A person closed it to new pods: left alone (FM10)."""
        return not self.schedulable and self.chosen is None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeChange:
    """One PATCH of a Node: labels, annotations and taints to set (None removes), schedulable or not.

    `uid` and `version` are preconditions; None of `version` leaves it out (labels only: nobody's change can be lost).
    """

    node: str
    uid: str
    version: str | None = None
    schedulable: bool | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    taints: tuple[Taint, ...] | None = None  # the whole list, as the API wants it

    def is_applied_to(self, node: Node) -> bool:
        """Whether `node` shows all that this change asks for."""
        return (
            (self.schedulable is None or node.schedulable == self.schedulable)
            and all(node.labels.get(key) == value for key, value in self.labels.items())
            and all(node.annotations.get(key) == value for key, value in self.annotations.items())
            and (self.taints is None or set(self.taints) == set(node.taints))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One direct read before a VM is deleted: never the watch. `begun_at` is when the read began.

    Of a node, or for the Node of a machine that has none: then `node` names one that it may have got meanwhile.
    """

    begun_at: datetime
    pods: tuple[str, ...] = ()  # full names of those a drain must see gone
    attachments: tuple[str, ...] = ()
    node: str = ""

    @property
    def is_empty(self) -> bool:
        """Nothing left that deleting the VM would hurt."""
        return not self.pods and not self.attachments and not self.node


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictionTry:
    """What this run remembers of an eviction it sent. Losing it costs one more call, never correctness."""

    sent_at: datetime
    retry_at: datetime | None  # None: accepted, waiting for the pod to go
    refusal: str = ""
