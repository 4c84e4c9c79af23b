# SPDX-License-Identifier: GPL-3.0-or-later
"""How one node is emptied: which pods may be evicted now, what prevents the others, and whether a drain could succeed at all.

All pods are evicted at once, except where a budget allows fewer. Nothing is sent while the watch shows a budget of 0: the
next fact wakes the loop, so a refusal (429) is the exception and costs one call when it happens.
Sources: semantics section 4; FM1, FM2, FM3, FM5, FM6, FM50.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.decide.asked import Asked
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker, Evict
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget, EvictionTry, Node, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import FORCE, DrainPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_count

ACCEPTED_BUT_UNSEEN = timedelta(seconds=30)  # an accepted eviction that the watch never shows is sent again
BUDGET_LOOK_AGAIN = timedelta(seconds=60)  # a closed budget is tried now and then, should its status be wrong
SILENT_GRACE = timedelta(seconds=1)  # nobody is there to be waited for; 0 would forget a pod without proof that it does not run
FORCE_AT_LEAST = timedelta(minutes=1)  # a deleted pod is given its grace period, also by `timeout: 0`
PODS_SHOWN = 3  # names in a message; the rest is counted
CAN_GO = ("", "")

Allowances = dict[str, int]  # budget name -> evictions it still allows in this turn; shared by all nodes of the turn


def allowances(budgets: Mapping[str, Budget], evictions: Mapping[str, EvictionTry], pods: Mapping[str, Pod]) -> Allowances:
    """What each budget still allows, evictions that are on their way and not yet counted by the server taken off.

    `pods` are those of nodes that are being drained, by UID.
    """
    left = {name: budget.allowed for name, budget in budgets.items()}
    for uid in evictions.keys() & pods.keys():
        tried, pod = evictions[uid], pods[uid]
        if tried.retry_at is None and pod.terminating_since is None:
            for name in pod.budgets:
                if name in left:
                    left[name] -= 1
    return left


def evict_now(
    node: Node, left: Allowances, evictions: Mapping[str, EvictionTry], policy: DrainPolicy, now: datetime
) -> tuple[list[Evict], datetime | None]:
    """Evictions to send for `node` this turn, taken off `left`, and when to look again without a new fact."""
    order = min((pod.order for pod in node.pods), default=0)
    actions: list[Evict] = []
    wake_at: datetime | None = None
    for pod in node.pods:
        if pod.order != order or pod.terminating_since is not None or refusal_of(pod, {}, policy):
            continue
        if pod.wait_completed:
            continue
        tried = evictions.get(pod.uid)
        due = _due(tried)
        if due is not None and now < due:
            wake_at = _earlier(wake_at, due)
            continue
        closed = [name for name in pod.budgets if left.get(name, 1) <= 0]
        again = _last_tried(node, tried, now) + BUDGET_LOOK_AGAIN
        if closed and now < again:
            wake_at = _earlier(wake_at, again)
            continue
        for name in pod.budgets:
            left[name] = left.get(name, 1) - 1
        actions.append(Evict(node.name, pod, _allowed_by(pod), grace=grace_on(node, policy)))
    return actions, wake_at


def remove_now(
    node: Node, evictions: Mapping[str, EvictionTry], policy: DrainPolicy, now: datetime, why: str
) -> tuple[list[Evict], datetime | None]:
    """Deletes, past all budgets, of the pods still left, and when to look again: `on_timeout: force`, or a machine proven dead."""
    found: list[Evict] = []
    wake_at: datetime | None = None
    for pod in node.pods:
        due = _due(evictions.get(pod.uid))
        if pod.terminating_since is not None:
            continue
        if due is None or now >= due:
            found.append(Evict(node.name, pod, why, by_force=True, grace=grace_on(node, policy)))
        else:
            wake_at = _earlier(wake_at, due)
    return found, wake_at


def grace_on(node: Node, policy: DrainPolicy) -> timedelta | None:
    """How long pods of `node` get to end; None leaves each its own."""
    if node.ready is None:
        return SILENT_GRACE
    return None if policy.grace_period is None else timedelta(seconds=policy.grace_period)


def gives_up_at(started: datetime, policy: DrainPolicy) -> datetime:
    """When a drain that was begun at `started` is given up. With force, pods that were deleted get as long again to end."""
    by_force = max(policy.timeout, FORCE_AT_LEAST) if policy.on_timeout == FORCE else timedelta(0)
    return started + policy.timeout + by_force


def refusal_of(pod: Pod, budgets: Mapping[str, Budget], policy: DrainPolicy) -> str:
    """Why this pod can't be evicted whatever the time, in an operator's words; "" when it can."""
    return _refusal(pod, budgets, policy)[0]


def _refusal(pod: Pod, budgets: Mapping[str, Budget], policy: DrainPolicy) -> tuple[str, str]:
    """Why this pod can't be evicted whatever the time, and what to do about it: the same text for all of the same cause."""
    if pod.terminating_since is not None or pod.wait_completed:
        return CAN_GO
    if len(pod.budgets) > 1:
        what = f"pod {pod.full_name} matches {len(pod.budgets)} PDBs ({', '.join(pod.budgets)}); the eviction API refuses that"
        return what, f"narrow the selectors of the PDBs {', '.join(pod.budgets)}, so that a pod matches one of them"
    if not pod.is_replicated and not policy.force:
        what = f"pod {pod.full_name} has no controller and would be lost (drain.force allows it)"
        return what, "delete the pod or give it a controller, or set drain.force"
    if pod.has_empty_dir and not policy.delete_emptydir_data:
        what = f"pod {pod.full_name} keeps data in an emptyDir (drain.delete_emptydir_data allows to lose it)"
        return what, "save the data and delete the pod, or set drain.delete_emptydir_data"
    for name in pod.budgets:
        budget = budgets.get(name)
        if budget is not None and budget.can_never_allow:
            of = f" of {pod.owner}" if pod.owner else ""
            wants = f"it wants {budget.desired} of {budget.expected} pods healthy"
            what = f"PDB {name} can never allow an eviction: {wants} (pod {pod.full_name}{of})"
            return what, _open_budget(name, budget)
    return CAN_GO


def _open_budget(name: str, budget: Budget) -> str:
    namespace, _slash, short = name.partition("/")
    spare = f"where it demands a number of pods run {budget.desired + 1}"  # no cure where it demands 100% or allows 0 to be missing
    return f"kubectl -n {namespace} edit pdb {short}, so that one pod may go; or {spare}"


def blockers_of(node: Node, budgets: Mapping[str, Budget], policy: DrainPolicy) -> list[Blocker]:
    """Why a drain of this node could not succeed, from facts alone: one blocker per distinct reason, empty when it can."""
    found: dict[tuple[str, str], list[str]] = {}
    for pod in node.pods:
        what, forward = _refusal(pod, budgets, policy)
        if what:
            found.setdefault((pod.budgets[0] if pod.budgets else "", forward), []).append(what)
    return [_blocker(node, whats, budgets.get(name), "pdb" if name else "pod", forward) for (name, forward), whats in found.items()]


def _blocker(node: Node, whats: list[str], budget: Budget | None, code: str, forward: str) -> Blocker:
    """One for all pods of a reason: the first is named, the others are counted."""
    more = len(whats) - 1
    what = whats[0] + (f", and {say_count(more, 'more pod')}" if more else "")
    since = budget.created_at if budget is not None else None
    return Blocker(code=code, what=what, where=f"node {node.name}", since=since, forward=forward)


def waiting_for(node: Node, budgets: Mapping[str, Budget]) -> str:
    """What the drain waits for, as "PDB shop/cart allows 0 evictions, 2 pods left (cart-0, cart-2)"."""
    closed = sorted({name for pod in node.pods for name in pod.budgets if _is_closed(budgets.get(name))})
    names = [pod.name for pod in node.pods]
    shown = ", ".join(names[:PODS_SHOWN]) + (" ..." if len(names) > PODS_SHOWN else "")
    left = f"{say_count(len(names), 'pod')} left ({shown})" if names else "no pods left"
    if closed:
        return f"PDB {', '.join(closed[:2])} allows 0 evictions, {left}"
    if node.pods and all(pod.terminating_since for pod in node.pods):
        return f"{left}, terminating"
    return left


def predicted_drain(asked: Asked, budgets: Mapping[str, Budget]) -> float:
    """Seconds a drain should take by what is known: the longest grace, times the rounds its tightest budget asks for."""
    if not budgets:
        return asked.longest
    rounds = 1
    for name in asked.pods_of.keys() & budgets.keys():
        pods, allowed = asked.pods_of[name], budgets[name].allowed
        if pods > allowed:
            rounds = max(rounds, -(-pods // max(1, allowed)))
    return asked.longest * rounds


def _is_closed(budget: Budget | None) -> bool:
    return budget is not None and budget.allowed == 0


def _due(tried: EvictionTry | None) -> datetime | None:
    """When the pod may be tried again; None: never tried."""
    if tried is None:
        return None
    return tried.sent_at + ACCEPTED_BUT_UNSEEN if tried.retry_at is None else tried.retry_at


def _last_tried(node: Node, tried: EvictionTry | None, now: datetime) -> datetime:
    """When a closed budget was last asked; one that never was counts from the beginning of the drain."""
    if tried is not None:
        return tried.sent_at
    return node.chosen.at if node.chosen is not None else now


def _allowed_by(pod: Pod) -> str:
    return f"PDB {pod.budgets[0]} allows it" if pod.budgets else "no PDB"


def _earlier(one: datetime | None, other: datetime) -> datetime:
    return other if one is None or other < one else one
