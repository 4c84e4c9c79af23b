# SPDX-License-Identifier: GPL-3.0-or-later
"""Backends of the simulated world: members live, take sessions, and lose them in their own time, or before it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import DRAINING, REMOVED, SERVING, Member, MemberChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Throttled, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.describe import fault_of
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World
from ansible_collections.immutable.fleet.tests.unit.simulation.worlds import POOL, after, create, vm, world

NAME = "web-0-aaaaa"
BACKEND = {"name": "shop", "sessions": 20}
SPREAD = {"session": {"min": 1, "max": 30}}


def serving(**description: Any) -> World:
    """A machine that runs, is a member, and has been found healthy."""
    it = world(**{"backends": [BACKEND], "durations": SPREAD, **description})
    create(it)
    after(it, 20)
    ask(it, MemberChange(name=NAME, to=SERVING, address=vm(it).addresses[0]))
    return after(it, 5)


def ask(it: World, *changes: MemberChange) -> None:
    it.balancers.change("shop", POOL, changes)


def member(it: World, name: str = NAME) -> Member:
    (found,) = [each for each in it.balancers.members("shop", POOL) if each.name == name]
    return found


def wish(it: World, to: str) -> MemberChange:
    return MemberChange(name=NAME, to=to, id=member(it).id)


def cut(it: World) -> int:
    return it.balancers.backend("shop").cut


def test_a_new_member_has_sessions_once_its_checks_pass() -> None:
    it = world(backends=[BACKEND])
    create(it)
    after(it, 20)
    ask(it, MemberChange(name=NAME, to=SERVING, address=vm(it).addresses[0]))
    assert (member(it).healthy, member(it).sessions) == (None, 0)
    after(it, 5)
    assert (member(it).healthy, member(it).sessions, member(it).is_ours) == (True, 20, True)


def test_a_member_whose_machine_does_not_run_yet_waits_for_it() -> None:
    it = world(backends=[BACKEND])
    create(it)
    ask(it, MemberChange(name=NAME, to=SERVING, address=vm(it).addresses[0]))
    assert member(after(it, 19)).healthy is None
    assert member(after(it, 1 + 5)).healthy is True


def test_FM33_sessions_of_a_draining_member_end_by_themselves() -> None:
    """One after the other, each in its own time; that the last one ended is told."""
    it = serving()
    ask(it, wish(it, DRAINING))
    counts = [member(after(it, 5)).sessions for _time in range(6)]
    assert counts == sorted(counts, key=lambda count: -(count or 0))
    assert (counts[-1], cut(it)) == (0, 0)
    assert len(set(counts)) > 3


def test_the_last_session_is_told() -> None:
    it = serving()
    ask(it, wish(it, DRAINING))
    told: list[str] = []
    it.listen(lambda kind, name: told.append(f"{kind} {name}"))
    after(it, 30)
    assert told == ["balancer shop"]


def test_a_member_that_serves_again_keeps_its_sessions() -> None:
    it = serving()
    ask(it, wish(it, DRAINING))
    after(it, 10)
    ask(it, wish(it, SERVING))
    assert (member(it).state, member(it).sessions) == (SERVING, 20)
    assert (member(after(it, 60)).sessions, cut(it)) == (20, 0)


@pytest.mark.parametrize("end", ["removed", "deleted", "lost"])
def test_whatever_ends_before_its_sessions_cuts_them(end: str) -> None:
    """And once only, though the member is removed afterwards."""
    it = serving()
    if end == "deleted":
        it.hypervisor.delete(vm(it))
    elif end == "lost":
        it.inject(fault_of({"kind": "vm_lost"}))
    ask(it, wish(it, REMOVED))
    assert (it.balancers.members("shop", POOL), cut(after(it, 60))) == ((), 20)


def test_checks_find_out_later_that_a_machine_died() -> None:
    it = serving()
    it.inject(fault_of({"kind": "vm_lost", "lasts": "1m"}))
    assert (member(it).healthy, member(it).sessions) == (True, 0)
    assert member(after(it, 6)).healthy is False
    assert member(after(it, 54 + 5)).healthy is True


def test_checks_may_fail_although_the_machine_runs() -> None:
    it = serving()
    it.inject(fault_of({"kind": "member_down", "target": "web-*", "lasts": "1m"}))
    assert member(it).healthy is False
    assert member(after(it, 60 + 5)).healthy is True


def test_a_change_that_takes_its_time_refuses_the_next() -> None:
    """As Octavia's PENDING_UPDATE does: nothing is different until it is in effect."""
    it = serving(durations={"balancer_change": 3})
    after(it, 3 + 5)
    ask(it, wish(it, DRAINING))
    with pytest.raises(Throttled):
        ask(it, wish(it, REMOVED))
    assert member(it).state == SERVING
    assert member(after(it, 3)).state == DRAINING
    ask(it, wish(it, REMOVED))


def test_a_balancer_that_cannot_be_reached() -> None:
    it = serving()
    it.inject(fault_of({"kind": "unreachable", "target": "balancer", "lasts": "1m"}))
    with pytest.raises(Transient):
        it.calls.check_reachable("balancer")
    it.advance(it.now + timedelta(minutes=1))
    it.calls.check_reachable("balancer")


def test_members_put_in_by_hand_are_always_there() -> None:
    it = after(world(backends=[{**BACKEND, "members": ["legacy-1"]}]), 5)
    found = member(it, "legacy-1")
    assert (found.is_ours, found.healthy, found.sessions) == (False, True, 20)


def test_a_balancer_without_checks_or_counts_says_neither() -> None:
    it = serving(backends=[{**BACKEND, "checks": False, "counts_sessions": False}])
    assert (member(it).healthy, member(it).sessions) == (None, None)
