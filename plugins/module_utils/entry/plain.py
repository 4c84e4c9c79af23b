# SPDX-License-Identifier: GPL-3.0-or-later
"""Wiring of plain machines on a real cloud: their balancer, and the lock, which the cloud keeps where no cluster does.

So far that cloud is OpenStack. Machines, lock and Octavia share one session, hence one token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Balancer, Lock

if TYPE_CHECKING:
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import Client

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Site:
    """Where a pool is: its name, the cloud's session, and the run's time."""

    pool: str
    transport: Client
    call_timeout: timedelta
    now: Callable[[], datetime]


def site_of(params: Params, pool: str, call_timeout: timedelta, now: Callable[[], datetime], transport: Client | None = None) -> Site:
    """`transport` is one that is connected already. Makes no call; raises `Invalid`, `LibraryMissing`."""
    if transport is None:
        from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import Client
        from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import parse_options

        transport = Client(parse_options(params["openstack"]).connection, call_timeout, now)
    return Site(pool, transport, call_timeout, now)


def ports_of(params: Params, site: Site) -> Ports:
    """Balancer and lock of a pool. Makes no call."""
    return Ports(balancer=_balancer(params["balancer"], site), lock=lock_of(site))


def lock_of(site: Site) -> Lock:
    """The pool's lock and record."""
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.lock import GlanceLock

    return GlanceLock(site.pool, transport=site.transport, now=site.now)


def machines_of(params: Params, site: Site) -> dict[str, str]:
    """`{machine: pool}` of the pool's machines, by one list. Raises what the cloud answers."""
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.cloud import OpenStackCloud
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import parse_options

    options = parse_options(params["openstack"])
    cloud = OpenStackCloud(site.pool, options, call_timeout=site.call_timeout, now=site.now, transport=site.transport)
    return {vm.name: site.pool for vm in cloud.list_vms(None, with_leftovers=False).vms if vm.is_ours}


def _balancer(given: Params, site: Site) -> Balancer:
    if given.get("octavia") is not None:
        from ansible_collections.immutable.fleet.plugins.module_utils.balancers.octavia import options as octavia
        from ansible_collections.immutable.fleet.plugins.module_utils.balancers.octavia.balancer import OctaviaBalancer

        return OctaviaBalancer(site.pool, octavia.parse_options(given["octavia"]), transport=site.transport, now=site.now)
    from ansible_collections.immutable.fleet.plugins.module_utils.balancers.haproxy import options as haproxy
    from ansible_collections.immutable.fleet.plugins.module_utils.balancers.haproxy.balancer import HaproxyBalancer

    return HaproxyBalancer(site.pool, haproxy.parse_options(given["haproxy"]), call_timeout=site.call_timeout, now=site.now)
