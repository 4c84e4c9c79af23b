# SPDX-License-Identifier: GPL-3.0-or-later
"""The pool as declared: how many machines, of which revision, replaced under which rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import count_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.reach import CURRENT_CONTEXT, Reach
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision

if TYPE_CHECKING:  # a task without windows or gates need not compile their classes
    from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import Gate
    from ansible_collections.immutable.fleet.plugins.module_utils.model.health import HealthPolicy
    from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import ServiceProbe
    from ansible_collections.immutable.fleet.plugins.module_utils.model.schedule import ReplacementBudget, Window

SKIP = "skip"
FAIL = "fail"
FORCE = "force"

ROLLING_UPDATE = "rolling_update"
ON_DELETE = "on_delete"
RECREATE = "recreate"  # delete first, then make the same machine again: its name, slot, failure domain and address

PAUSE = "pause"
ROLL_BACK = "rollback"
# Which machine goes first.
LONGEST_DRAIN = "longest_drain"
OLDEST = "oldest"
NEWEST = "newest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """How a rollout goes. Counts may be percentages ("25%") of the replicas."""

    type: str = ROLLING_UPDATE
    max_surge: int | str = 1
    max_unavailable: int | str = 0
    max_blocked: int | str = "5%"  # quarantined at a time, at least 1
    max_unhealthy_total: int | str = "20%"
    min_ready: timedelta = timedelta(seconds=30)
    startup_timeout: timedelta = timedelta(minutes=20)
    progress_deadline: timedelta = timedelta(minutes=30)
    steps: tuple[int | str, ...] = ()  # canary ladder: new machines at most, before soak and gate of each are passed
    soak: timedelta = timedelta(0)  # how long a step's machines and their pods are ready before the next
    max_failed_new: int | str | None = None  # None: 1 in the first step, or in all where there are none; then 5%
    on_breach: str = PAUSE
    windows: tuple[Window, ...] = ()  # when replacements may begin; none: always
    budgets: tuple[ReplacementBudget, ...] = ()
    max_age: timedelta | None = None
    order: str = LONGEST_DRAIN
    gate: Gate | None = None  # asked between two steps
    before_drain: Gate | None = None  # asked for each machine
    before_delete: Gate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainPolicy:
    """How a node is emptied. `grace_period` None leaves each pod its own; 0 is honoured."""

    timeout: timedelta = timedelta(minutes=15)
    on_timeout: str = SKIP  # skip: quarantine and go on; fail: end the run; force: delete the pods
    grace_period: int | None = None
    delete_emptydir_data: bool = True
    force: bool = False  # evict pods that nothing brings back
    volume_detach_timeout: timedelta = timedelta(minutes=5)
    delete_timeout: timedelta = timedelta(minutes=10)
    include_cordoned: bool = False


@dataclass(frozen=True, slots=True)
class Taint:
    """A Kubernetes taint."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What `decide` is asked to bring about. `failure_domains` empty: the cloud places, and "" is the only domain."""

    name: str
    replicas: int
    revision: Revision
    failure_domains: tuple[str, ...] = ()
    strategy: Strategy = field(default_factory=Strategy)
    drain: DrainPolicy = field(default_factory=DrainPolicy)
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    placeholders: frozenset[str] = frozenset()  # the ${...} its user data asks for
    reach: Reach = CURRENT_CONTEXT  # how an operator's command finds it
    probes: tuple[ServiceProbe, ...] = ()  # of each machine's service; none: nobody asks it
    health: HealthPolicy | None = None  # None: nobody looks; what was ready and is not for startup_timeout has failed


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of the rollout rule (N, S, U, and what follows from them) for one pool."""

    replicas: int
    surge: int
    unavailable: int
    blocked: int
    unhealthy: int
    preserved: int = 0

    @property
    def floor(self) -> int:
        """Fewest available machines an action of ours may leave."""
        return self.replicas - self.unavailable

    @property
    def ceiling(self) -> int:
        """Most machines (without quarantined and preserved ones) a create of ours may lead to."""
        return self.replicas + self.surge

    @property
    def going(self) -> int:
        """Most machines on their way out for reasons other than the floor's."""
        return max(1, self.surge + self.unavailable)


def limits_of(pool: Pool) -> Limits:
    """The pool's numbers. Raises `Invalid` when surge and unavailable are both literally zero.

    Percentages of a small pool that both come to zero leave one machine unavailable, as a Kubernetes Deployment does. With
    `recreate` there is no surge: what would be made first has the name of what is still there.
    """
    strategy, total = pool.strategy, pool.replicas
    surge = count_of(strategy.max_surge, total, round_up=True, option="strategy.max_surge")
    unavailable = count_of(strategy.max_unavailable, total, round_up=False, option="strategy.max_unavailable")
    if strategy.type == RECREATE:
        surge, unavailable = 0, max(1, unavailable)
    elif surge == 0 and unavailable == 0:
        if "%" not in f"{strategy.max_surge}{strategy.max_unavailable}":
            raise Invalid(
                what="max_surge and max_unavailable are both 0, so no machine could ever be replaced; expected one above 0",
                where="strategy.max_surge, strategy.max_unavailable",
            )
        unavailable = 1
    return Limits(
        replicas=total,
        surge=surge,
        unavailable=min(unavailable, total),
        blocked=max(1, count_of(strategy.max_blocked, total, round_up=False, option="strategy.max_blocked")),
        preserved=pool.health.preserve_on_fail if pool.health is not None and total else 0,
        unhealthy=count_of(strategy.max_unhealthy_total, total, round_up=True, option="strategy.max_unhealthy_total"),
    )
