# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool of plain machines behind a load balancer, as given in a task: what it needs, and what has no meaning without a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

Params = Mapping[str, Any]

KINDS = ("simulated",)
OF_NODES = ("labels", "taints", "annotations")  # options that only a node can carry


def check(params: Params) -> None:
    """Raises `Invalid` with the option's path."""
    given = params["balancer"]
    if sum(given.get(kind) is not None for kind in KINDS) != 1:
        raise Invalid(what="expected exactly one of them", where=", ".join(f"balancer.{kind}" for kind in KINDS))
    if params.get("kubernetes") is not None:
        raise Invalid(what="is for pools without a cluster; expected one of the two, kubernetes or balancer", where="balancer")
    if given.get("simulated") is not None and params.get("simulated") is None:
        raise Invalid(what="is a balancer of a simulated world; expected machines of that world (simulated)", where="balancer.simulated")
    for name in OF_NODES:
        if params[name]:
            raise Invalid(what="are a node's; expected none in a pool without a cluster", where=name)
    if params["state"] == "present" and not params["health"]["probes"]:
        raise Invalid(
            what="missing; expected at least one: a machine without a node is well, and joins the balancer, once it is found to answer",
            where="health.probes",
        )
