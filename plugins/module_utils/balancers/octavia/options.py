# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pool of Octavia's, and how its members are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

WEIGHT_MAX = 256  # Octavia's own
PORT_MAX = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`pool` is the name or the id of Octavia's pool. `subnet_id` is where its members are reached, "": that of the VIP."""

    pool: str
    port: int
    weight: int = 1
    subnet_id: str = ""


def parse_options(given: Mapping[str, Any]) -> Options:
    """The options as given under `balancer.octavia`. Raises `Invalid` with the option's path."""
    pool, weight = str(given.get("pool") or ""), given.get("weight")
    if not pool:
        raise Invalid(what="missing; expected the name or the id of a pool", where="balancer.octavia.pool")
    return Options(
        pool=pool,
        port=_number(given.get("port"), "port", PORT_MAX),
        weight=1 if weight is None else _number(weight, "weight", WEIGHT_MAX),
        subnet_id=str(given.get("subnet_id") or ""),
    )


def _number(value: object, name: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most:
        raise Invalid(what=f"{value!r} is no {name}; expected 1 to {most}", where=f"balancer.octavia.{name}")
    return value
