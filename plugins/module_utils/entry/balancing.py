# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool of plain machines behind a load balancer, as given in a task: what it needs, and what has no meaning without a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

Params = Mapping[str, Any]

HAPROXY, OCTAVIA, SIMULATED = KINDS = ("haproxy", "octavia", "simulated")
OF_NODES = ("labels", "taints", "annotations")  # options that only a node can carry


def check(params: Params) -> None:
    """What a pool is declared with. Raises `Invalid` with the option's path."""
    check_balancer(params)
    for name in OF_NODES:
        if params[name]:
            raise Invalid(what="are a node's; expected none in a pool without a cluster", where=name)
    if params["state"] == "present" and not params["health"]["probes"]:
        raise Invalid(
            what="missing; expected at least one: a machine without a node is well, and joins the balancer, once it is found to answer",
            where="health.probes",
        )


def check_balancer(params: Params) -> None:
    """The balancer itself, and whether it goes with the machines. Raises `Invalid` with the option's path."""
    given = params["balancer"]
    if sum(given.get(kind) is not None for kind in KINDS) != 1:
        raise Invalid(what="expected exactly one of them", where=", ".join(f"balancer.{kind}" for kind in KINDS))
    if params.get("kubernetes") is not None:
        raise Invalid(what="is for pools without a cluster; expected one of the two, kubernetes or balancer", where="balancer")
    if params.get("vsphere") is not None:
        what = "a pool without a cluster needs a lock that its cloud keeps, and vCenter has none yet; expected openstack, or kubernetes"
        raise Invalid(what=what, where="vsphere, balancer")
    is_simulated = params.get("simulated") is not None
    if given.get(SIMULATED) is not None and not is_simulated:
        raise Invalid(what="is a balancer of a simulated world; expected machines of that world (simulated)", where="balancer.simulated")
    for kind in (HAPROXY, OCTAVIA):
        if given.get(kind) is not None and is_simulated:
            what = "is a real balancer, and nobody answers at a simulated machine's address; expected balancer.simulated"
            raise Invalid(what=what, where=f"balancer.{kind}")
    _parse(given)


def _parse(given: Params) -> None:
    """For the refusals of the adapters' own options."""
    if given.get(HAPROXY) is not None:
        from ansible_collections.immutable.fleet.plugins.module_utils.balancers.haproxy import options as haproxy

        haproxy.parse_options(given[HAPROXY])
    if given.get(OCTAVIA) is not None:
        from ansible_collections.immutable.fleet.plugins.module_utils.balancers.octavia import options as octavia

        octavia.parse_options(given[OCTAVIA])
