# SPDX-License-Identifier: GPL-3.0-or-later
"""Which template and which datastore the next clone takes, and how many more may begin. Pure; governor.py says by which rule.

A machine goes to the datastore with most space among those whose lane has room, and is copied from the replica that lies there, else from
the one whose host copies least.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.governor import Lane, Lanes, left
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.resolve import Resolved, Site, Store
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.templates import Source
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import Ref
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Starts

TOTAL = "vCenter"  # the lane of all clones


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How one machine is cloned. `store` None: to the source's own datastore."""

    source: Source
    store: Store | None = None

    @property
    def lanes(self) -> Lanes:
        """What its clone takes a share of."""
        target = self.store.ref if self.store is not None else next(iter(self.source.stores), None)
        return (TOTAL, *(_lane(each) for each in (self.source.host, target) if each is not None))


def choose(resolved: Resolved, domain: str, lanes: Mapping[str, Lane], under_way: Sequence[Lanes], placed: Mapping[Ref, int]) -> Way:
    """The way of the next machine in the failure domain. `placed` are bytes that went to a datastore since its space was read."""
    site = resolved.sites[domain]
    store = max(
        site.stores,
        key=lambda each: (left(lanes, _lane(each.ref), under_way) > 0, each.free - placed.get(each.ref, 0), each.name),
        default=None,
    )

    def cost(source: Source) -> tuple[bool, bool, int]:
        lane = _lane(source.host) if source.host is not None else ""
        busy = sum(lane in each for each in under_way)
        return left(lanes, lane, under_way) == 0, store is not None and store.ref not in source.stores, busy

    return Way(source=min(_usable(resolved, site), key=cost), store=store)


def starts(resolved: Resolved, lanes: Mapping[str, Lane], under_way: Sequence[Lanes]) -> Starts:
    """How many clones may begin now: in all, and in failure domains whose datastores take less."""
    total = left(lanes, TOTAL, under_way)
    by_domain: dict[str, int] = {}
    for domain, site in resolved.sites.items():
        sources = _usable(resolved, site)
        hosts = {source.host for source in sources if source.host is not None}
        stores = {store.ref for store in site.stores} or {store for source in sources for store in source.stores[:1]}
        for needed in (hosts, stores):
            room = sum(left(lanes, _lane(ref), under_way) for ref in needed)
            if needed and room < by_domain.get(domain, total):
                by_domain[domain] = room
    return Starts(total=total, by_domain=by_domain)


def _usable(resolved: Resolved, site: Site) -> tuple[Source, ...]:
    """Where a machine stays on its template's datastore, only such replicas as the cluster's hosts see."""
    stays = not site.stores or resolved.source.snapshot is not None
    if not stays or not site.visible:
        return resolved.sources
    return (resolved.source, *(each for each in resolved.replicas if any(store in site.visible for store in each.stores)))


def _lane(ref: Ref) -> str:
    return str(ref)
