# SPDX-License-Identifier: GPL-3.0-or-later
"""What our nodes carry beside pods: the pool's labels, annotations and taints, and the marks that outlive a run.

These are kept in place and never replace a machine. One PATCH holds everything that differs, so a new node costs one when
it appears and one when it is first ready (the mark that later tells "not ready any more" from "not ready yet").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import ChangeNode
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node, NodeChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool, Taint
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_instant

OUTDATED = Taint(marks.NODE_OUTDATED, "", "PreferNoSchedule")


def labels_of(pool: Pool, revision: str) -> Mapping[str, str]:
    """What each node of the pool bears whose machine is of `revision`; "" leaves that out."""
    labels = {**pool.labels, marks.NODE_POOL: pool.name}
    return {**labels, marks.NODE_REVISION: revision} if revision else labels


def dress(node: Node, pool: Pool, labels: Mapping[str, str], *, is_outdated: bool, now: datetime) -> ChangeNode | None:
    """The one PATCH that makes `node` carry what it should, `labels` among it, or None when it does.

    An outdated node is tainted PreferNoSchedule so that an evicted pod moves once, to a machine that stays.
    """
    annotations = pool.annotations
    if node.ready and not node.was_ready:
        annotations = {**annotations, marks.NODE_READY_AT: say_instant(node.ready_since or now)}

    new_labels = _missing(labels, node.labels)
    new_annotations = _missing(annotations, node.annotations)
    taints = _taints(node, pool, is_outdated=is_outdated)
    if not new_labels and not new_annotations and taints is None:
        return None
    change = NodeChange(
        node=node.name,
        uid=node.uid,
        version=node.version if taints is not None else None,
        labels=new_labels,
        annotations=new_annotations,
        taints=taints,
    )
    return ChangeNode(change, _say(new_labels, new_annotations, taints is not None))


def _taints(node: Node, pool: Pool, *, is_outdated: bool) -> tuple[Taint, ...] | None:
    """The node's taints with ours in place, or None when they are."""
    wanted = (*pool.taints, OUTDATED) if is_outdated else pool.taints
    if not node.taints:
        return wanted or None
    if node.taints == wanted:
        return None
    kept = [taint for taint in node.taints if is_outdated or taint.key != OUTDATED.key]
    missing = [taint for taint in wanted if taint not in kept]
    if not missing and len(kept) == len(node.taints):
        return None
    replaced = {(taint.key, taint.effect) for taint in missing}
    return (*(taint for taint in kept if (taint.key, taint.effect) not in replaced), *missing)


def _missing(wanted: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str | None]:
    if wanted.items() <= present.items():
        return {}
    return {key: value for key, value in wanted.items() if present.get(key) != value}


def _say(labels: Iterable[str], annotations: Iterable[str], has_taints: bool) -> str:
    parts = sorted(labels) + sorted(annotations) + (["taints"] if has_taints else [])
    return "set " + ", ".join(parts)
