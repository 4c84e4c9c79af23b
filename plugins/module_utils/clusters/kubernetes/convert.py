# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON of the API server -> facts. Pure; tested on recorded answers.

Only what is used is kept (a pod's JSON is 4 KiB, its fact 0.6): 30,000 pods must fit beside everything else.
Each `read_...` gets the object and `shift`, what to add to the server's instants to have them in the loop's clock.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.selector import (
    EVERYTHING,
    Selector,
    selector_of,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget, Node, NodeChange, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Taint
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import parse_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover

ZONE_LABEL = "topology.kubernetes.io/zone"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
DRAIN_LABEL = "cluster.x-k8s.io/drain"  # Cluster API's: "skip" or "wait-completed"
GRACE_DEFAULT = timedelta(seconds=30)  # the API server fills it in; for objects that no server saw

DRAIN, SKIP, WAIT_COMPLETED = "Drain", "Skip", "WaitCompleted"  # behaviours, as Cluster API's MachineDrainRule spells them
_LABEL_BEHAVIOURS = {"skip": SKIP, "wait-completed": WAIT_COMPLETED}


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainRule:
    """How pods that match leave. The first rule that matches counts; a pod's own label comes before all rules.

    `namespaces` empty is all of them; lower `order` leaves first.
    """

    behaviour: str = DRAIN
    selector: Selector = EVERYTHING
    namespaces: frozenset[str] = frozenset()
    order: int = 0


@dataclass(frozen=True, slots=True)
class NodeFact:
    """A Node without what runs on it. `taint_times` are the timeAdded texts of its taints, by (key, effect)."""

    node: Node
    taint_times: tuple[tuple[tuple[str, str], str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFact:
    """A pod that a drain may have to see gone, with what decides which budgets count its eviction.

    `daemon_set` is the UID of the DaemonSet that owns it: while that exists, the pod stays. `is_guarded` False: the API
    server evicts it without asking any budget (it is Pending or terminating already).
    """

    node: str
    labels: Mapping[str, str]
    daemon_set: str
    is_guarded: bool
    pod: Pod  # with no budgets yet


@dataclass(frozen=True, slots=True)
class BudgetFact:
    """A PDB. `lets_unready_go`: an unready pod is evicted without being counted against it (eviction.go)."""

    budget: Budget
    namespace: str
    selector: Selector | None
    lets_unready_go: bool


def key_of(raw: Mapping[str, Any]) -> str:
    """The UID: another object under the same name is another object."""
    return str(raw["metadata"]["uid"])


def version_of(raw: Mapping[str, Any]) -> str:
    """The object's, list's or bookmark's resourceVersion."""
    return str(raw["metadata"]["resourceVersion"])


def read_node(raw: Mapping[str, Any], shift: timedelta, kept_annotations: Collection[str] = ()) -> NodeFact:
    """Labels are kept all; annotations ours, Cluster API's and `kept_annotations`: others may be long and change often."""
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    labels = _interned(metadata.get("labels"))
    annotations = {
        key: text
        for key, text in (metadata.get("annotations") or {}).items()
        if key.startswith(marks.READ_ON_NODES) or key in kept_annotations
    }
    ready = _condition(status, "Ready")
    taints = spec.get("taints") or ()
    node = Node(
        name=metadata["name"],
        uid=metadata["uid"],
        version=metadata["resourceVersion"],
        created_at=_instant(metadata["creationTimestamp"], shift),
        provider_id=spec.get("providerID", ""),
        system_uuid=(status.get("nodeInfo") or {}).get("systemUUID", ""),
        ready={"True": True, "False": False}.get(ready.get("status", "")),
        ready_since=_instant(ready["lastTransitionTime"], shift) if ready.get("lastTransitionTime") else None,
        was_ready=marks.NODE_READY_AT in annotations,
        conditions=_other_conditions(status, shift),
        schedulable=not spec.get("unschedulable", False),
        pool=labels.get(marks.NODE_POOL, ""),
        revision=labels.get(marks.NODE_REVISION, ""),
        chosen=marks.parse_note(annotations.get(marks.NODE_CHOSEN)),
        quarantined=marks.parse_note(annotations.get(marks.NODE_QUARANTINED)),
        labels=labels,
        annotations=annotations,
        taints=tuple(Taint(taint["key"], taint.get("value", ""), taint["effect"]) for taint in taints),
        failure_domain=labels.get(ZONE_LABEL, ""),
    )
    times = tuple(((taint["key"], taint["effect"]), taint["timeAdded"]) for taint in taints if taint.get("timeAdded"))
    return NodeFact(node, times)


def read_pod(raw: Mapping[str, Any], shift: timedelta, rules: Sequence[DrainRule] = ()) -> PodFact | None:
    """None for a pod that no drain waits for: not on a node, finished, a mirror pod, or told to be skipped."""
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    phase = status.get("phase", "")
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed") or MIRROR_ANNOTATION in (metadata.get("annotations") or {}):
        return None
    labels = _interned(metadata.get("labels"))
    rule = drain_rule_for(metadata["namespace"], labels, rules)
    if rule.behaviour == SKIP:
        return None
    owner = next((owner for owner in metadata.get("ownerReferences") or () if owner.get("controller")), None)
    terminating_since, ready = _terminating_since(metadata, shift), _condition(status, "Ready")
    return PodFact(
        node=sys.intern(spec["nodeName"]),
        labels=labels,
        daemon_set=owner["uid"] if owner and owner["kind"] == "DaemonSet" else "",
        is_guarded=phase != "Pending" and terminating_since is None,
        pod=Pod(
            uid=metadata["uid"],
            namespace=sys.intern(metadata["namespace"]),
            name=metadata["name"],
            order=rule.order,
            grace=_grace(spec),
            terminating_since=terminating_since,
            is_ready=ready.get("status") == "True",
            ready_since=_instant(ready["lastTransitionTime"], shift) if ready.get("lastTransitionTime") else None,
            is_replicated=owner is not None,
            has_empty_dir=any("emptyDir" in volume for volume in spec.get("volumes") or ()),
            wait_completed=rule.behaviour == WAIT_COMPLETED,
            owner=sys.intern(f"{owner['kind']}/{owner['name']}") if owner else "",
        ),
    )


def drain_rule_for(namespace: str, labels: Mapping[str, str], rules: Sequence[DrainRule]) -> DrainRule:
    """The rule by which a pod leaves: its own label's, else the first that matches, else the default."""
    asked = _LABEL_BEHAVIOURS.get(labels.get(DRAIN_LABEL, "").lower())
    if asked:
        return DrainRule(behaviour=asked)
    for rule in rules:
        if (not rule.namespaces or namespace in rule.namespaces) and rule.selector.matches(labels):
            return rule
    return DrainRule()


def read_budget(raw: Mapping[str, Any], shift: timedelta) -> BudgetFact:
    """A status that no controller wrote yet counts as allowing nothing, as the API server counts it."""
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    budget = Budget(
        name=f"{metadata['namespace']}/{metadata['name']}",
        allowed=status.get("disruptionsAllowed", 0),
        healthy=status.get("currentHealthy", 0),
        desired=status.get("desiredHealthy", 0),
        expected=status.get("expectedPods", 0),
        owner=next((f"{owner['kind']}/{owner['name']}" for owner in metadata.get("ownerReferences") or ()), ""),
        created_at=_instant(metadata["creationTimestamp"], shift),
    )
    always = spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
    lets_unready_go = always or budget.healthy >= budget.desired > 0
    return BudgetFact(budget, metadata["namespace"], selector_of(spec.get("selector")), lets_unready_go)


def read_attachment(raw: Mapping[str, Any], _shift: timedelta) -> tuple[str, str]:
    """(node, name) of a VolumeAttachment. An attachment that is being undone counts until the object is gone (FM12)."""
    return sys.intern(raw["spec"]["nodeName"]), raw["metadata"]["name"]


def read_name(raw: Mapping[str, Any], _shift: timedelta) -> str:
    """namespace/name, for what interests only by being there."""
    return f"{raw['metadata']['namespace']}/{raw['metadata']['name']}"


def read_token(raw: Mapping[str, Any], shift: timedelta) -> Leftover:
    """One of our bootstrap tokens, from its metadata alone: the secret in it never comes here."""
    metadata = raw["metadata"]
    machine = (metadata.get("annotations") or {}).get(marks.TOKEN_MACHINE, "")
    created_at = _instant(metadata["creationTimestamp"], shift)
    return Leftover(kind="token", id=metadata["name"], name=metadata["name"], machine=machine, created_at=created_at)


def patch_of(change: NodeChange, taint_times: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """The merge patch for `change`. Taints that stay keep their timeAdded: tolerationSeconds count from it."""
    metadata: dict[str, Any] = {"uid": change.uid}
    if change.version is not None:
        metadata["resourceVersion"] = change.version
    if change.labels:
        metadata["labels"] = dict(change.labels)
    if change.annotations:
        metadata["annotations"] = dict(change.annotations)
    patch: dict[str, Any] = {"metadata": metadata}
    if change.schedulable is not None:
        patch.setdefault("spec", {})["unschedulable"] = None if change.schedulable else True
    if change.taints is not None:
        patch.setdefault("spec", {})["taints"] = [_taint(taint, taint_times) for taint in change.taints] or None
    return patch


def _taint(taint: Taint, times: Mapping[tuple[str, str], str]) -> dict[str, str]:
    raw = {"key": taint.key, "value": taint.value, "effect": taint.effect, "timeAdded": times.get((taint.key, taint.effect))}
    return {key: value for key, value in raw.items() if value}


def _interned(labels: Mapping[str, str] | None) -> dict[str, str]:
    """Thousands of pods carry the same few labels."""
    return {sys.intern(key): sys.intern(value) for key, value in (labels or {}).items()}


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    return next((condition for condition in status.get("conditions") or () if condition.get("type") == kind), {})


def _other_conditions(status: Mapping[str, Any], shift: timedelta) -> dict[str, tuple[str, datetime | None]]:
    """All but Ready, which a node has as facts of its own. A heartbeat changes none of them."""
    return {
        sys.intern(given["type"]): (
            given["status"],
            _instant(given["lastTransitionTime"], shift) if given.get("lastTransitionTime") else None,
        )
        for given in status.get("conditions") or ()
        if given.get("type") not in ("Ready", None) and given.get("status")
    }


def _instant(text: str, shift: timedelta) -> datetime:
    return parse_instant(text) + shift


def _grace(spec: Mapping[str, Any]) -> timedelta:
    seconds = spec.get("terminationGracePeriodSeconds")
    return GRACE_DEFAULT if seconds is None else timedelta(seconds=seconds)


def _terminating_since(metadata: Mapping[str, Any], shift: timedelta) -> datetime | None:
    """When the deletion was asked for. The object's deletionTimestamp is when the grace period will be over."""
    if not metadata.get("deletionTimestamp"):
        return None
    return _instant(metadata["deletionTimestamp"], shift) - timedelta(seconds=metadata.get("deletionGracePeriodSeconds") or 0)
