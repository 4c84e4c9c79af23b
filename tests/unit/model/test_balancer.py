# SPDX-License-Identifier: GPL-3.0-or-later
"""Which changes of a backend's members are steps, which are nothing, and which must not be."""

from __future__ import annotations

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import (
    DRAINING,
    REMOVED,
    SERVING,
    Member,
    MemberChange,
    steps_of,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Invalid, InvariantViolated

OURS = Member(id="1", name="web-0-aaaaa", address="10.0.0.1", port=80, is_ours=True)
NAMELESS = Member(id="web7", name="", address="10.0.0.7", port=80, state=DRAINING, is_ours=True)
OTHER = Member(id="2", name="legacy-1", address="10.0.0.2", port=80)
MEMBERS = (OURS, NAMELESS, OTHER)


def new(name: str, address: str) -> MemberChange:
    return MemberChange(name=name, to=SERVING, address=address)


def of(member_id: str, to: str) -> MemberChange:
    return MemberChange(name="web-0-aaaaa", to=to, id=member_id)


@pytest.mark.parametrize(
    ("change", "meant"),
    [
        pytest.param(of("1", DRAINING), OURS, id="a member that is as it should not be"),
        pytest.param(of("1", REMOVED), OURS, id="a member that is to go"),
        pytest.param(new("web-1-bbbbb", "10.0.0.9"), None, id="a new one"),
        pytest.param(new("web-1-bbbbb", "10.0.0.7"), NAMELESS, id="one of the same address, where the balancer holds no names"),
    ],
)
def test_steps(change: MemberChange, meant: Member | None) -> None:
    assert steps_of([change], MEMBERS, 80) == [(change, meant)]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(of("1", SERVING), id="so already"),
        pytest.param(of("3", DRAINING), id="gone"),
        pytest.param(of("3", REMOVED), id="removed already"),
        pytest.param(new("web-0-aaaaa", "10.0.0.1"), id="added already"),
    ],
)
def test_nothing_to_do(change: MemberChange) -> None:
    assert steps_of([change], MEMBERS, 80) == []


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param(of("2", DRAINING), Invalid, id="another's member"),
        pytest.param(new("web-1-bbbbb", "10.0.0.2"), Invalid, id="the address of another's member"),
        pytest.param(new("web-1-bbbbb", "10.0.0.1"), Conflict, id="the address of a member of ours that is not gone yet"),
        pytest.param(new("web-0-aaaaa", "10.0.0.9"), Conflict, id="the name of a member that is not gone yet: recreated"),
        pytest.param(MemberChange(name="web-1-bbbbb", to=DRAINING), InvariantViolated, id="neither a member nor an address"),
    ],
)
def test_one_that_must_not_be_stops_all(change: MemberChange, error: type[Exception]) -> None:
    with pytest.raises(error):
        steps_of([of("1", DRAINING), change], MEMBERS, 80)


def test_another_port_is_another_member() -> None:
    change = new("web-1-bbbbb", "10.0.0.2")
    assert steps_of([change], MEMBERS, 443) == [(change, None)]
