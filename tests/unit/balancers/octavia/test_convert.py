# SPDX-License-Identifier: GPL-3.0-or-later
"""Octavia's JSON, as 18.0.1 sent it, into members; wishes into the one call that is made for them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.balancers.octavia import convert
from ansible_collections.immutable.fleet.plugins.module_utils.balancers.octavia.options import Options, parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import (
    DRAINING,
    OUT,
    REMOVED,
    SERVING,
    MemberChange,
    steps_of,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

OPTIONS = Options(pool="shop", port=80, weight=5)
ALIKE = {"protocol_port": 80, "admin_state_up": True, "backup": False, "subnet_id": None, "monitor_port": None, "tags": []}
OURS = {"id": "1", "name": "web-0-aaaaa", "address": "10.0.0.1", "weight": 5, "operating_status": "ONLINE", **ALIKE}
MORE = {"id": "2", "name": "web-1-bbbbb", "address": "10.0.0.2", "weight": 5, "operating_status": "ONLINE", **ALIKE, "tags": ["gold"]}
OTHER = {"id": "9", "name": "legacy", "address": "10.0.0.9", "weight": 7, "operating_status": "ONLINE", **ALIKE}
NEW = MemberChange(name="web-2-ccccc", to=SERVING, address="10.0.0.3")
NEW_SENT = {"name": "web-2-ccccc", "address": "10.0.0.3", "protocol_port": 80, "weight": 5}


def of(raw: dict[str, Any], to: str) -> MemberChange:
    return MemberChange(name=raw["name"], to=to, id=raw["id"])


def sent(raw: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """All that a batch has to repeat."""
    named = {name: raw[name] for name in ("name", "address", "protocol_port", "weight", "admin_state_up", "backup", "tags")}
    return named | changed


def call_for(raw: list[dict[str, Any]], *changes: MemberChange, options: Options = OPTIONS) -> tuple[str, Any]:
    members = [convert.member_of(each, "web") for each in raw]
    return convert.updates(steps_of(changes, members, options.port), raw, "web", options)


@pytest.mark.parametrize(
    ("said", "state", "healthy"),
    [
        ({}, SERVING, True),
        ({"operating_status": "ERROR"}, SERVING, False),
        ({"operating_status": "NO_MONITOR"}, SERVING, None),
        ({"operating_status": "OFFLINE", "admin_state_up": False}, OUT, None),
        ({"operating_status": "DRAINING", "weight": 0}, DRAINING, None),
    ],
)
def test_state_and_health(said: dict[str, Any], state: str, healthy: bool | None) -> None:
    found = convert.member_of(OURS | said, "web")
    assert (found.state, found.healthy, found.sessions, found.is_ours) == (state, healthy, None, True)


def test_a_member_that_is_not_named_as_our_machines_is_not_ours() -> None:
    for name in ("legacy", None, "web-2-0-aaaaa", "web-0"):
        assert not convert.member_of(OURS | {"name": name}, "web").is_ours


def test_additions_and_changes_leave_everybody_else_out() -> None:
    assert call_for([OURS, MORE, OTHER], NEW, of(OURS, DRAINING)) == ("add", [NEW_SENT, sent(OURS, weight=0)])


def test_a_pool_of_ours_alone_is_replaced_as_a_whole() -> None:
    """So that several members go at once, with all that was known of those that stay."""
    assert call_for([OURS, MORE], NEW, of(OURS, REMOVED)) == ("replace", [sent(MORE), NEW_SENT])
    assert call_for([OURS, MORE], of(MORE, DRAINING), of(OURS, REMOVED)) == ("replace", [sent(MORE, weight=0)])
    assert call_for([OURS, MORE], of(MORE, REMOVED), of(OURS, REMOVED)) == ("replace", [])


def test_a_pool_with_others_in_it_is_never_replaced() -> None:
    """One that they add at the same moment would be lost: removals wait for the rest, and go one by one."""
    assert call_for([OURS, MORE, OTHER], NEW, of(OURS, REMOVED)) == ("add", [NEW_SENT])
    assert call_for([OURS, MORE, OTHER], of(OURS, REMOVED), of(MORE, REMOVED)) == ("delete", "1")


def test_who_serves_again_has_the_weight_of_the_pool_and_is_let_in() -> None:
    out = OURS | {"weight": 0, "admin_state_up": False}
    assert call_for([out], of(out, SERVING)) == ("add", [sent(OURS)])


def test_a_subnet_is_named_where_one_is_given() -> None:
    _kind, members = call_for([], NEW, options=Options(pool="shop", port=80, weight=5, subnet_id="s1"))
    assert members == [NEW_SENT | {"subnet_id": "s1"}]


@pytest.mark.parametrize(
    ("balancer", "pool", "is_busy", "fault"),
    [
        ("ACTIVE", "ACTIVE", False, ""),
        ("PENDING_UPDATE", "ACTIVE", True, ""),
        ("PENDING_UPDATE", "PENDING_UPDATE", True, ""),
        ("ERROR", "ACTIVE", False, "load balancer lb is in ERROR"),
        ("ACTIVE", "ERROR", False, "pool p1 is in ERROR"),
    ],
)
def test_status(balancer: str, pool: str, is_busy: bool, fault: str) -> None:
    parts = {"id": "b1", "name": "lb", "provisioning_status": balancer}, {"id": "p1", "name": "", "provisioning_status": pool}
    assert convert.status_of(*parts) == (is_busy, fault)


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"port": 80}, "balancer.octavia.pool"),
        ({"pool": "shop"}, "balancer.octavia.port"),
        ({"pool": "shop", "port": "80"}, "balancer.octavia.port"),
        ({"pool": "shop", "port": 80, "weight": 0}, "balancer.octavia.weight"),
        ({"pool": "shop", "port": 80, "weight": 300}, "balancer.octavia.weight"),
    ],
)
def test_refusals_name_the_option(given: dict[str, Any], where: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_options(given)
    assert refusal.value.where == where


def test_options() -> None:
    assert parse_options({"pool": "shop", "port": 80, "weight": 5}) == OPTIONS
