# SPDX-License-Identifier: GPL-3.0-or-later
"""`state: absent`: every machine of the pool is surplus, and leaves by the same way as any other."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import ANY


def removal(pool: Pool) -> Rollout:
    """The job that ends with no machine, node, port, volume or token of `pool` left."""
    return Rollout(replace(pool, replicas=0, revision=ANY, health=None))
