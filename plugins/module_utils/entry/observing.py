# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at everything, with no loop around it: for what is told and for what is rehearsed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact
from ansible_collections.immutable.fleet.plugins.module_utils.ports import ClusterView, Listing, MemberListing, Runtime


@dataclass(frozen=True, slots=True)
class Seen:
    """The facts of one instant. A source that the ports lack is None."""

    at: datetime
    listing: Listing | None
    view: ClusterView | None
    lock: LockFact | None
    members: MemberListing | None = None


def observe(ports: Ports, runtime: Runtime) -> Seen:
    """One view, one list with leftovers, one read of the lock; writes nothing. Raises what the adapters raise."""
    view = None
    if ports.cluster is not None:
        ports.cluster.start(_nothing)
        try:
            view = ports.cluster.view()
        finally:
            ports.cluster.stop()
    listing = ports.cloud.list_vms(None, with_leftovers=True) if ports.cloud is not None else None
    if listing is not None and ports.captures is not None:
        listing = replace(listing, captures=ports.captures.list())
    lock = ports.lock.read() if ports.lock is not None else None
    members = ports.balancer.list_members() if ports.balancer is not None else None
    return Seen(runtime.now(), listing, view, lock, members)


def _nothing() -> None:
    """Nobody waits for a change."""
