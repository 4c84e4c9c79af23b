# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pool of plain machines on a real cloud is wired to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.balancers.haproxy.balancer import HaproxyBalancer
from ansible_collections.immutable.fleet.plugins.module_utils.balancers.octavia.balancer import OctaviaBalancer
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.lock import GlanceLock
from ansible_collections.immutable.fleet.plugins.module_utils.entry import plain
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid, NotFound
from ansible_collections.immutable.fleet.tests.unit.clouds.openstack.fakes import FakeTransport

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CALL_TIMEOUT = timedelta(seconds=20)


def site(answers: dict[str, Any]) -> plain.Site:
    transport: Any = FakeTransport(answers)  # in the place of the session
    return plain.Site("web", transport, CALL_TIMEOUT, lambda: NOON)


@pytest.mark.parametrize(
    ("balancer", "kind"),
    [
        pytest.param({"haproxy": {"socket": "/run/admin.sock", "backend": "shop", "port": 80}}, HaproxyBalancer, id="haproxy"),
        pytest.param({"octavia": {"pool": "shop", "port": 80}}, OctaviaBalancer, id="octavia"),
    ],
)
def test_balancer_and_lock(balancer: dict[str, Any], kind: type) -> None:
    """The lock is the cloud's; nobody is asked yet."""
    at = site({})
    ports = plain.ports_of({"balancer": {"haproxy": None, "octavia": None, "simulated": None, **balancer}}, at)
    assert isinstance(ports.balancer, kind)
    assert isinstance(ports.lock, GlanceLock)
    assert ports.cluster is None


def test_a_subnet_that_is_not_there_is_refused_before_anything_is_touched() -> None:
    """Octavia would refuse it with the first member, when machines are made already."""
    pools = {"pools": [{"id": "p", "name": "shop", "loadbalancers": [{"id": "l"}]}]}
    at = site({"GET load-balancer /lbaas/pools": pools, "GET network /subnets/nowhere": NotFound(what="no")})
    balancer = plain.ports_of({"balancer": {"octavia": {"pool": "shop", "port": 80, "subnet_id": "nowhere"}}}, at).balancer
    assert balancer is not None
    with pytest.raises(Invalid) as refused:
        balancer.find_backend()
    assert refused.value.where == "balancer.octavia.subnet_id"


def test_octavia_is_asked_over_the_session_of_the_cloud() -> None:
    """One token for all."""
    pools = {"pools": [{"id": "p", "name": "shop", "loadbalancers": [{"id": "l"}]}]}
    at = site({"GET load-balancer /lbaas/pools": pools})
    balancer = plain.ports_of({"balancer": {"octavia": {"pool": "shop", "port": 80}}}, at).balancer
    assert balancer is not None
    balancer.find_backend()
    transport: Any = at.transport
    assert transport.calls == ["GET load-balancer /lbaas/pools"]
