# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects as the API server would send them, as short as a test can read, and answers that were recorded from one (1.36.3)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Json = dict[str, Any]

RECORDED = Path(__file__).with_name("recorded")
MADE = "2026-11-21T04:00:00Z"
MADE_AT = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
NO_SHIFT = timedelta(0)


def recorded(name: str) -> Json:
    return dict(json.loads((RECORDED / f"{name}.json").read_text()))


def node(name: str, version: int = 1, uid: str = "", **spec: Any) -> Json:
    metadata = {"name": name, "uid": uid or f"uid-{name}", "resourceVersion": str(version), "creationTimestamp": MADE}
    return {"metadata": metadata, "spec": spec, "status": {}}


def pod(
    name: str,
    on: str = "n1",
    version: int = 1,
    *,
    uid: str = "",
    labels: dict[str, str] | None = None,
    owner: tuple[str, str] | None = ("ReplicaSet", "rs"),
    phase: str = "Running",
    ready: bool = True,
    **spec: Any,
) -> Json:
    """`owner` is (kind, UID of the owner)."""
    metadata: Json = {
        "namespace": "shop",
        "name": name,
        "uid": uid or f"uid-{name}",
        "resourceVersion": str(version),
        "labels": labels or {},
    }
    if owner:
        metadata["ownerReferences"] = [{"kind": owner[0], "name": "owner", "uid": owner[1], "controller": True}]
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": metadata, "spec": {"nodeName": on, **spec}, "status": {"phase": phase, "conditions": conditions}}


def budget(name: str, version: int = 1, *, app: str = "web", healthy: int = 2, desired: int = 2, **spec: Any) -> Json:
    metadata = {
        "namespace": "shop",
        "name": name,
        "uid": f"uid-{name}",
        "resourceVersion": str(version),
        "creationTimestamp": MADE,
    }
    status = {
        "disruptionsAllowed": max(0, healthy - desired),
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": 3,
    }
    return {"metadata": metadata, "spec": {"selector": {"matchLabels": {"app": app}}, **spec}, "status": status}


def attachment(name: str, on: str = "n1", version: int = 1) -> Json:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}, "spec": {"nodeName": on}}
