# SPDX-License-Identifier: GPL-3.0-or-later
"""What a simulated world consists of: tables of rows, and nothing else that could not be computed from them.

Rows are mutable and stay inside this package; the outside sees the frozen values of model/. Whoever changes a row says
`table.touch(key)`, so that a world file knows what to write.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import SERVING, MemberChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import Capture
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Taint
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Spread

Row = TypeVar("Row")

DEPLOYMENT = "Deployment"  # a replacement at once, under a new name
STATEFUL_SET = "StatefulSet"  # a replacement under the same name, once the old pod is gone
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"  # key of the taint
BARE = "Pod"  # nothing brings it back
PER_NODE = "PerNode"  # one on each node that joins, never moved: a drain of a known duration, for benchmarks


class Table(dict[str, Row], Generic[Row]):
    """Rows by key. `changed` collects the keys written since somebody looked; None (a world in memory) collects nothing."""

    __slots__ = ("changed",)

    def __init__(self) -> None:
        super().__init__()
        self.changed: dict[str, None] | None = None

    def put(self, key: str, row: Row) -> None:
        """Add or replace a row."""
        self[key] = row
        if self.changed is not None:
            self.changed[key] = None

    def touch(self, key: str) -> None:
        """Say that the row of this key was changed in place."""
        if self.changed is not None:
            self.changed[key] = None

    def drop(self, key: str) -> Row | None:
        """Remove a row; the row, or None where there was none."""
        if self.changed is not None:
            self.changed[key] = None
        return self.pop(key, None)


@dataclass(slots=True)
class Settings:
    """One row: what holds for the world as a whole. -1 is "no limit"."""

    machines_max: int = -1
    ports_max: int = -1
    pods_per_node_max: int = 110  # the kubelet's default
    has_cluster: bool = True
    pushes: bool = True  # the cloud tells its changes; False: it has to be asked
    labels_nodes: bool = False  # machines join with the pool's labels; False: the loop writes them
    any_image: bool = False  # an image that nobody described is a good one
    deletes_nodes: bool = False  # a cloud controller manager removes the Node of a VM that is gone
    shows_readiness: bool = True  # of pods: nodes show when each became ready; False: who asks nobody for it spares the showing
    node_suffix: str = ""  # what kubelets add to the VM's name, where they take the full host name


@dataclass(slots=True)
class Image:
    """A golden image. `fault` not empty: VMs made from it go to ERROR with these words. `order`: highest is newest."""

    name: str
    digest: str
    joins: bool = True
    fault: str = ""
    order: int = 0


@dataclass(slots=True)
class Published:
    """An image of the store, by id. `manifest` and `revoked` are texts as stores keep them; `whole`: all its bytes came."""

    id: str
    ref: str
    manifest: str
    signature: str
    begun_at: datetime
    whole: bool = False
    revoked: str = ""


@dataclass(slots=True)
class Promoted:
    """One promotion of a channel, by channel and number."""

    text: str


@dataclass(slots=True)
class Domain:
    """A failure domain. `machines_max` -1: no limit; more machines than that end in ERROR, as a scheduler finds no host."""

    name: str
    machines_max: int = -1
    is_down: bool = False


@dataclass(slots=True)
class Host:
    """A VM with what the hypervisor knows and the API does not tell. `runs`: the guest is alive, its kubelet speaks."""

    vm: Vm
    pool: str
    image: str
    runs: bool = False
    is_switched_off: bool = False  # by the API: nothing but a reboot starts it again
    joins: bool = True
    port: str = ""
    doomed: str = ""  # goes to ERROR with these words when its building ends
    node: str = ""  # name of its Node, once it has joined
    answers_from: datetime | None = None  # where there is no cluster: when its service has come up


@dataclass(slots=True)
class Port:
    """A network port made for a VM, which outlives a create that failed half-way."""

    leftover: Leftover
    pool: str


@dataclass(slots=True)
class Copy:
    """An image of a VM's disk. `vm` is its id; "" where only the image was observed."""

    capture: Capture
    pool: str
    vm: str


@dataclass(slots=True)
class Member:
    """A Node object. `host` is the id of its VM; "" where the node's machine is not simulated."""

    name: str
    uid: str
    version: int
    created_at: datetime
    host: str = ""
    provider_id: str = ""
    system_uuid: str = ""
    failure_domain: str = ""
    ready: bool | None = False
    ready_since: datetime | None = None
    schedulable: bool = True
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    order: int = 0  # of joining: settles ties of the scheduler

    @property
    def is_out_of_service(self) -> bool:
        """Somebody vouches that its machine is off: pods and volumes are let go."""
        return any(taint.key == OUT_OF_SERVICE for taint in self.taints)


@dataclass(slots=True)
class Workload:
    """What owns pods. `wanted` are made once `after_nodes` nodes are ready; `per_node` above 0: they grow with the ready nodes.

    Durations None: the world's profile.
    """

    namespace: str
    name: str
    kind: str = DEPLOYMENT
    replicas: int = 0  # as its controller counts them: made, and brought back
    wanted: int = 0
    after_nodes: int = 0
    per_node: int = 0
    start: Spread | None = None
    stop: Spread | None = None
    grace: timedelta = timedelta(seconds=30)
    budgets: tuple[str, ...] = ()
    blocked_share: float = 0.0  # of PerNode pods: covered by the budget BLOCKED, which allows nothing
    stuck_share: float = 0.0  # of its pods: never terminate
    has_volume: bool = False
    has_empty_dir: bool = False
    order: int = 0
    made: int = 0  # pods so far, for their names

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(slots=True)
class PodRow:
    """A pod. `pod` is the value a node shows; `node` is "" while no node takes it; `stop` None: it never terminates."""

    pod: Pod
    workload: str
    node: str = ""
    ready: bool = False
    stop: timedelta | None = None
    stop_known: bool = False  # `stop` was drawn; False: drawn when it is asked to go
    claim: str = ""  # its volume
    gone_at: datetime | None = None  # when its termination ends
    spent_until: datetime | None = None  # an eviction was granted and its delete refused: not healthy until then (FM50)
    counted: bool = False  # in `healthy` of its budgets


@dataclass(slots=True)
class BudgetRow:
    """A PDB. Exactly one of `min_available`, `max_unavailable` ("2", "50%") is set, or `desired` where it was observed.

    `healthy` and `pods` are kept up to date with its pods; `elsewhere` counts healthy pods that the world does not hold.
    """

    name: str
    created_at: datetime | None
    owner: str = ""
    min_available: str = ""
    max_unavailable: str = ""
    desired: int = -1
    expected: int = -1
    elsewhere: int = 0
    scale: int = 0  # replicas of the workloads it selects; -1: as many as there are pods
    pods: int = 0
    healthy: int = 0


@dataclass(slots=True)
class Volume:
    """A volume attached to a node. `waiter` is the pod that waits for it on another node.

    `observed`: taken from facts that do not say whose it is; let go when its node is empty.
    """

    claim: str
    node: str
    observed: bool = False
    waiter: str = ""
    turn: int = 0  # counts attachments; a detach that was planned in an earlier turn is void


@dataclass(slots=True)
class Token:
    """A bootstrap token."""

    leftover: Leftover
    pool: str
    expires_at: datetime


@dataclass(slots=True)
class Lease:
    """A lock object: one per pool. `record` is PoolRecord's text, `steering` Steering's."""

    holder: str = ""
    since: str = ""
    renewals: int = 0
    token: int = 0
    ttl: timedelta = timedelta(seconds=60)
    version: int = 0
    record: str = ""
    steering: str = ""


@dataclass(slots=True)
class Backend:
    """What a balancer shares traffic among. `sessions`: of each member that serves. `cut`: so many did not end by themselves."""

    name: str
    port: int = 80
    sessions: int = 0
    counts_sessions: bool = True  # tells those of each member
    checks: bool = True  # has a health check
    cut: int = 0
    pending: tuple[MemberChange, ...] = ()  # the update under way


@dataclass(slots=True)
class BackendMember:
    """A member. `host` is the id of the VM behind it, "" for none; `ends` are those of its sessions while it drains."""

    id: str
    backend: str
    name: str
    address: str
    host: str = ""
    state: str = SERVING
    healthy: bool | None = None
    is_sick: bool = False  # its checks fail although its machine runs
    ends: tuple[datetime, ...] | None = None


@dataclass(slots=True)
class Due:
    """An event to come."""

    at: datetime
    kind: str
    key: str


@dataclass(slots=True, kw_only=True)
class Fault:
    """Something that goes wrong on request. What each `kind` reads of the fields is told in faults.py."""

    kind: str
    target: str = ""  # verb, pattern of a machine's, pod's or node's name, member's, failure domain or API
    count: int = 1
    error: str = "Transient"
    text: str = ""
    after_effect: bool = False
    proofs: int = 2  # marks that strip_marks leaves
    delay: timedelta = timedelta(0)  # from now to its beginning
    lasts: timedelta | None = None  # None: for good
    age: timedelta = timedelta(0)  # of a stale view; of Throttled, when to try again
    since: datetime | None = None  # when it began
