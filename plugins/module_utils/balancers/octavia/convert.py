# SPDX-License-Identifier: GPL-3.0-or-later
"""Octavia's JSON into members, and wishes into its updates. Pure.

Sources: Octavia's API reference (batch update of members: `additive_only`), octavia/api/v2/controllers/member.py (a batch matches
members by address and port, and gives what it does not name its default).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.balancers.octavia.options import Options
from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import (
    DRAINING,
    OUT,
    REMOVED,
    SERVING,
    Member,
    Step,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import slot_of

Json = dict[str, Any]

STATUS = "provisioning_status"
HEALTHY = {"ONLINE": True, "ERROR": False}  # of a member's operating status; others tell nothing (NO_MONITOR, DRAINING ...)
# What a batch has to repeat of a member, or it gets its default.
_KEPT = ("name", "address", "protocol_port", "weight", "admin_state_up", "backup", "subnet_id", "monitor_address", "monitor_port", "tags")


def member_of(raw: Mapping[str, Any], pool: str) -> Member:
    """One member of Octavia's, as this pool sees it. Octavia counts sessions by listener, not by member."""
    weight = int(raw["weight"])
    taking = SERVING if weight else DRAINING
    return Member(
        id=raw["id"],
        name=raw.get("name") or "",
        address=raw["address"],
        port=raw["protocol_port"],
        weight=weight,
        state=taking if raw.get("admin_state_up", True) else OUT,
        healthy=HEALTHY.get(raw.get("operating_status", "")),
        is_ours=slot_of(pool, raw.get("name") or "") is not None,
    )


def status_of(balancer: Mapping[str, Any], pool: Mapping[str, Any]) -> tuple[bool, str]:
    """`(is_busy, fault)`: whether a change is under way, and why none will be taken.

    A pool whose change failed is in ERROR below a load balancer that is ACTIVE again, and refuses to change its members for ever.
    """
    parts = (("load balancer", balancer), ("pool", pool))
    fault = next((f"{kind} {part['name'] or part['id']} is in ERROR" for kind, part in parts if part[STATUS] == "ERROR"), "")
    return any(part[STATUS].startswith("PENDING") for _kind, part in parts), fault


def updates(steps: Iterable[Step], raw: Sequence[Json], pool: str, options: Options) -> tuple[str, Any]:
    """The one call to make for these steps: `("replace", members)`, `("add", members)` or `("delete", member id)`.

    A set that is replaced names every member there is: one that somebody else adds in between would be lost. So only a pool of
    ours alone is replaced; where others are, additions and changes come first, and removals one by one afterwards.
    """
    steps = list(steps)
    gone = {member.id for change, member in steps if member is not None and change.to == REMOVED}
    changed = [_wanted(step, raw, options) for step in steps if step[0].to != REMOVED]
    is_shared = any(not member_of(each, pool).is_ours for each in raw)
    if gone and not is_shared:
        named = {(each["address"], each["protocol_port"]) for each in changed}
        kept = [_kept(each) for each in raw if each["id"] not in gone and (each["address"], each["protocol_port"]) not in named]
        return "replace", [*kept, *changed]
    return ("add", changed) if changed else ("delete", min(gone))


def _wanted(step: Step, raw: Sequence[Json], options: Options) -> Json:
    change, member = step
    weight = 0 if change.to == DRAINING else options.weight
    if member is not None:
        seen = next(each for each in raw if each["id"] == member.id)
        return {**_kept(seen), "weight": weight, **({"admin_state_up": True} if change.to == SERVING else {})}
    new = {"name": change.name, "address": change.address, "protocol_port": options.port, "weight": weight}
    return {**new, "subnet_id": options.subnet_id} if options.subnet_id else new


def _kept(raw: Mapping[str, Any]) -> Json:
    return {name: raw[name] for name in _KEPT if raw.get(name) is not None}
