# SPDX-License-Identifier: GPL-3.0-or-later
"""A mistyped number must not empty a pool (semantics section 1, guards against typos)."""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Refused
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import count_of, say_count


def too_many_to_go(present: int, wanted: int, limit: int | str) -> Refused | None:
    """Why `present` machines do not become `wanted` ones at once, where that takes more away than `limit` of them."""
    allowed = count_of(limit, present, round_up=True, option="max_scale_down")
    going = present - wanted
    if going <= allowed:
        return None
    return Refused(
        what=f"from {present} to {wanted} replicas takes {say_count(going, 'machine')} away; max_scale_down {limit} allows {allowed}",
        where="replicas",
        forward=f"set max_scale_down to {going} or more, if that is meant, and run the same task again",
        back="nothing to take back: nothing was changed",
    )
