# SPDX-License-Identifier: GPL-3.0-or-later
"""What our nodes carry: the pool's labels, annotations and taints, and marks that outlive a run, in one PATCH."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.dress import OUTDATED, dress, labels_of
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import ChangeNode
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node, NodeChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Taint
from ansible_collections.immutable.fleet.tests.unit.builders import NEW, NOW, OLD, ago, node, pool

OURS = Taint("dedicated", "web", "NoSchedule")
THEIRS = Taint("team", "a", "NoExecute")
LABELS = {marks.NODE_POOL: "web", marks.NODE_REVISION: NEW}
LABELLED = {"role": "web", **LABELS}


def dressed(subject: Node, *, is_outdated: bool = False, **declared: Any) -> ChangeNode | None:
    wanted = pool(**declared)
    return dress(subject, wanted, labels_of(wanted, subject.revision), is_outdated=is_outdated, now=NOW)


def change(reason: str, *, version: str | None = None, **facts: Any) -> ChangeNode:
    return ChangeNode(NodeChange(node="m1", uid="node-m1", version=version, **facts), reason)


def test_a_node_in_order_is_left_alone() -> None:
    """Nothing differs: no write (FM11)."""
    assert dressed(node()) is None


@pytest.mark.parametrize(
    ("subject", "declared", "expected"),
    [
        pytest.param(
            node(labels={}),
            {},
            change("set immutable.fleet/pool, immutable.fleet/revision", labels=LABELS),
            id="a new node: pool and revision",
        ),
        pytest.param(
            node(was_ready=False, ready_since=ago(7)),
            {},
            change("set immutable.fleet/ready-at", annotations={marks.NODE_READY_AT: "2026-11-21T04:10:00Z"}),
            id="ready for the first time: the mark that tells not ready from booting",
        ),
        pytest.param(node(was_ready=False, ready=None), {}, None, id="never ready: no mark"),
        pytest.param(node(), {"labels": {"role": "web"}}, change("set role", labels={"role": "web"}), id="a label of the pool"),
        pytest.param(
            node(labels={**LABELLED, "role": "db"}),
            {"labels": {"role": "web"}},
            change("set role", labels={"role": "web"}),
            id="a label that somebody changed",
        ),
        pytest.param(node(), {"annotations": {"team": "a"}}, change("set team", annotations={"team": "a"}), id="an annotation of the pool"),
        pytest.param(node(), {"taints": (OURS,)}, change("set taints", version="1", taints=(OURS,)), id="a taint of the pool"),
        pytest.param(
            node(taints=(THEIRS,)),
            {"taints": (OURS,)},
            change("set taints", version="1", taints=(THEIRS, OURS)),
            id="beside a taint of others",
        ),
        pytest.param(
            node(taints=(replace(OURS, value="db"), THEIRS)),
            {"taints": (OURS,)},
            change("set taints", version="1", taints=(THEIRS, OURS)),
            id="instead of one with another value",
        ),
        pytest.param(node(taints=(THEIRS,)), {}, None, id="a taint of others is theirs"),
        pytest.param(
            node(taints=(THEIRS, OUTDATED)), {}, change("set taints", version="1", taints=(THEIRS,)), id="up to date again: our taint goes"
        ),
    ],
)
def test_one_patch_holds_all_that_differs(subject: Node, declared: dict[str, Any], expected: ChangeNode | None) -> None:
    """Kept in place, never a reason to replace; a list of taints names the version it was made from."""
    assert dressed(subject, **declared) == expected


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        pytest.param(node("m1", OLD, taints=(THEIRS,)), change("set taints", version="1", taints=(THEIRS, OUTDATED)), id="not tainted yet"),
        pytest.param(node("m1", OLD), None, id="tainted"),
    ],
)
def test_an_outdated_node_is_avoided_by_new_pods(subject: Node, expected: ChangeNode | None) -> None:
    """PreferNoSchedule, so that an evicted pod moves once: to a machine that stays."""
    assert dressed(subject, is_outdated=True) == expected
