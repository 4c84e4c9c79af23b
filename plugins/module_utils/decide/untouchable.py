# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that are somebody else's business: not available, or not ours, left as they are and named (FM10, FM25)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import BOOTING, FAILED, NOT_READY, Census
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot

SILENCE_SHOWS = timedelta(seconds=60)  # a dead kubelet's node is not ready any more: 40 s, since Kubernetes 1.32 50 s


def name(census: Census, snapshot: Snapshot, chosen: Collection[str], unlisted: Collection[str]) -> tuple[list[Blocker], datetime | None]:
    """A blocker for each, and when to look again. `unlisted` are ready nodes whose VM is in no list of the cloud."""
    blockers = []
    for kind in (FAILED, NOT_READY, BOOTING):
        for machine in census.of(kind):
            if machine.service is not None and machine.is_held and machine.name not in chosen:
                what = "taken out of the balancer by somebody else: left alone (drain.include_cordoned takes it along)"
                forward = "let it serve again at the balancer, or set drain.include_cordoned"
                blockers.append(Blocker(code="person", what=what, where=machine.where, forward=forward))
            elif machine.node is not None and machine.node.is_held and machine.name not in chosen:
                what = "cordoned by somebody else: left alone (drain.include_cordoned takes it along)"
                forward = f"kubectl uncordon {machine.node.name}, or set drain.include_cordoned"
                blockers.append(Blocker(code="person", what=what, where=machine.where, forward=forward))
    for node in sorted(unlisted):
        what = "is ready, and yet its VM is in no list of the cloud: neither replaced nor removed"
        forward = f"find out why the cloud does not list it (a part of it may be down), or kubectl delete node {node}"
        blockers.append(Blocker(code="unlisted", what=what, where=f"node {node}", forward=forward))
    for machine_name in snapshot.half_owned:
        what = "carries only one of our marks: counted, never touched"
        forward = "restore its name, metadata and tags, or delete the VM"
        blockers.append(Blocker(code="half_owned", what=what, where=f"machine {machine_name}", forward=forward))
    heard_out_at = (snapshot.progressed_at or snapshot.began_at) + SILENCE_SHOWS
    # A kubelet that has just died still counts as ready.
    return blockers, heard_out_at if unlisted and snapshot.at < heard_out_at else None


def name_members(unlisted: Collection[str]) -> list[Blocker]:
    """A blocker for each member that the balancer finds well, and whose VM is in no list of the cloud."""
    what = "is well by the balancer's check, and yet its VM is in no list of the cloud: neither replaced nor taken out"
    forward = "find out why the cloud does not list it (a part of it may be down), or take it out of the balancer"
    return [Blocker(code="unlisted", what=what, where=f"member {name}", forward=forward) for name in sorted(unlisted)]
