# SPDX-License-Identifier: GPL-3.0-or-later
"""The Balancer port, verb by verb (docs/provider-contract.md)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import DRAINING, REMOVED, SERVING, Member, MemberChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid, Throttled
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Balancer
from ansible_collections.immutable.fleet.tests.conformance.harness import BalancerHarness

Machine = tuple[str, str]  # name, address


def at(balancer: Balancer, address: str) -> Member | None:
    """The member with this address."""
    return next((member for member in balancer.list_members().members if member.address == address), None)


def wished(balancer: Balancer, wishes: Mapping[Machine, str]) -> list[MemberChange]:
    """As the engine asks: of members by their id, of what is none yet by its address."""
    changes = []
    for (name, address), to in wishes.items():
        member = at(balancer, address)
        if member is not None or to == SERVING:
            changes.append(MemberChange(name=name, to=to, id=member.id if member else "", address=address))
    return changes


def bring_about(balancers: BalancerHarness, balancer: Balancer, wishes: Mapping[Machine, str]) -> None:
    """Asked again until it is so, as the loop does."""

    def states() -> dict[Machine, str]:
        found = {machine: at(balancer, machine[1]) for machine in wishes}
        return {machine: member.state if member else REMOVED for machine, member in found.items()}

    def is_so() -> bool | None:
        if not balancer.list_members().is_busy:
            if states() == wishes:
                return True
            try:
                balancer.change_members(wished(balancer, wishes))
            except Throttled:
                return None
        return None

    balancers.until(is_so, f"members are {wishes}")


def healthy(balancers: BalancerHarness, balancer: Balancer, address: str) -> Member:
    """The member, once the balancer's check has found it well."""

    def look() -> Member | None:
        member = at(balancer, address)
        return member if member is not None and member.healthy else None

    return balancers.until(look, f"{address} is healthy")


def test_FM34_an_unknown_backend_is_refused_before_anything_is_touched(balancers: BalancerHarness) -> None:
    """With the option's path. A drain that nobody hears must not look like one that worked."""
    with pytest.raises(Invalid) as caught:
        balancers.balancer_of_unknown_backend().find_backend()
    assert caught.value.where.rpartition(".")[2] in ("backend", "pool")


def test_a_backend_that_exists_is_found(balancers: BalancerHarness) -> None:
    balancers.balancer().find_backend()


def test_a_listing_has_an_age_that_never_goes_back(balancers: BalancerHarness) -> None:
    balancer = balancers.balancer()
    balancer.find_backend()
    one, two = balancer.list_members(), balancer.list_members()
    assert (one.as_of <= two.as_of, one.fault, one.members) == (True, "", ())


def test_a_new_member_serves_and_is_found_healthy(balancers: BalancerHarness) -> None:
    """Under its machine's name where the balancer can hold it; any adapter of the pool knows it as the pool's."""
    machine = balancers.start_machine()
    balancer = balancers.balancer()
    balancer.find_backend()
    bring_about(balancers, balancer, {machine: SERVING})
    member = healthy(balancers, balancers.balancer(), machine[1])
    assert (member.name, member.state, member.is_ours) == (machine[0] if balancers.can_hold_names else "", SERVING, True)
    assert member.weight > 0
    assert (member.sessions is None) is not balancers.can_count_sessions


def test_a_member_whose_machine_dies_is_found_unhealthy(balancers: BalancerHarness) -> None:
    machine = balancers.start_machine()
    balancer = balancers.balancer()
    bring_about(balancers, balancer, {machine: SERVING})
    healthy(balancers, balancer, machine[1])
    balancers.stop_machine(machine[0])

    def is_down() -> bool | None:
        member = at(balancer, machine[1])
        return True if member is not None and member.healthy is False else None

    balancers.until(is_down, "the check fails")


def test_FM33_a_drain_leaves_sessions_their_time(balancers: BalancerHarness) -> None:
    """Where they are counted, the end of the last one is a fact; with it the member may go, and nobody was cut off."""
    machine = balancers.start_machine()
    balancer = balancers.balancer()
    bring_about(balancers, balancer, {machine: SERVING})
    healthy(balancers, balancer, machine[1])
    balancers.open_sessions()
    bring_about(balancers, balancer, {machine: DRAINING})
    draining = at(balancer, machine[1])
    assert draining is not None
    assert draining.sessions if balancers.can_count_sessions else draining.sessions is None
    balancers.end_sessions()
    if balancers.can_count_sessions:
        balancers.until(lambda: (member := at(balancer, machine[1])) and member.sessions == 0, "the last session ends")
    bring_about(balancers, balancer, {machine: REMOVED})
    assert balancers.broken_sessions() == 0


def test_a_drain_can_be_taken_back(balancers: BalancerHarness) -> None:
    """With the weight of before."""
    machine = balancers.start_machine()
    balancer = balancers.balancer()
    bring_about(balancers, balancer, {machine: SERVING})
    before = healthy(balancers, balancer, machine[1])
    bring_about(balancers, balancer, {machine: DRAINING})
    bring_about(balancers, balancer, {machine: SERVING})
    after = healthy(balancers, balancer, machine[1])
    assert (after.weight, after.state) == (before.weight, SERVING)


def test_several_members_change_at_once(balancers: BalancerHarness) -> None:
    """One comes, one drains, one goes, one stays, asked in one call."""
    stays, drains, goes, comes = (balancers.start_machine() for _machine in range(4))
    balancer = balancers.balancer()
    bring_about(balancers, balancer, dict.fromkeys((stays, drains, goes), SERVING))
    bring_about(balancers, balancer, {comes: SERVING, drains: DRAINING, goes: REMOVED})
    found = {member.address: member.state for member in balancer.list_members().members}
    assert found == {stays[1]: SERVING, drains[1]: DRAINING, comes[1]: SERVING}


def test_asked_again_nothing_changes(balancers: BalancerHarness) -> None:
    """As after an answer that was lost: no second member, and no error for what is gone."""
    machine = balancers.start_machine()
    balancer = balancers.balancer()
    bring_about(balancers, balancer, {machine: SERVING})
    new = MemberChange(name=machine[0], to=SERVING, address=machine[1])
    balancer.change_members([new])
    assert [member.address for member in balancer.list_members().members] == [machine[1]]
    gone = MemberChange(name=machine[0], to=REMOVED, id=balancer.list_members().members[0].id)
    bring_about(balancers, balancer, {machine: REMOVED})
    balancer.change_members([gone])
    balancer.change_members([MemberChange(name=machine[0], to=DRAINING, id=gone.id)])
    assert balancer.list_members().members == ()


def test_members_of_others_are_never_touched(balancers: BalancerHarness) -> None:
    """Neither by name, nor by address, nor in passing; and a batch with one of them in it has no effect at all."""
    theirs, mine = balancers.add_by_hand(), balancers.start_machine()
    balancer = balancers.balancer()
    before = healthy(balancers, balancer, theirs)
    assert not before.is_ours
    new = MemberChange(name=mine[0], to=SERVING, address=mine[1])
    for to in (DRAINING, REMOVED):
        with pytest.raises(Invalid):
            balancer.change_members([new, MemberChange(name=before.name, to=to, id=before.id)])
    with pytest.raises(Invalid):
        balancer.change_members([new, MemberChange(name=mine[0], to=SERVING, address=theirs)])
    assert [member.address for member in balancer.list_members().members] == [theirs]
    for to in (SERVING, DRAINING, REMOVED):
        bring_about(balancers, balancer, {mine: to})
    after = healthy(balancers, balancer, theirs)
    assert (after.id, after.name, after.weight, after.state) == (before.id, before.name, before.weight, before.state)


def test_members_of_another_pool_are_others(balancers: BalancerHarness) -> None:
    """Two pools may share a backend where names tell whose a member is; slots without names are one pool's by themselves."""
    machine = balancers.start_machine("two")
    bring_about(balancers, balancers.balancer("two"), {machine: SERVING})
    member = at(balancers.balancer("one"), machine[1])
    assert member is not None
    assert member.is_ours is not balancers.can_hold_names


def test_a_change_under_way_refuses_the_next(balancers: BalancerHarness) -> None:
    """It has no effect, and works later. Where changes are in effect at once, nothing is ever under way."""
    one, other = balancers.start_machine(), balancers.start_machine()
    balancer = balancers.balancer()
    balancer.find_backend()
    balancer.change_members([MemberChange(name=one[0], to=SERVING, address=one[1])])
    assert balancer.list_members().is_busy is balancers.can_be_busy
    if balancers.can_be_busy:
        with pytest.raises(Throttled):
            balancer.change_members([MemberChange(name=other[0], to=SERVING, address=other[1])])
        balancers.until(lambda: not balancer.list_members().is_busy or None, "the first change is in effect")
    assert [member.address for member in balancer.list_members().members] == [one[1]]
    bring_about(balancers, balancer, {other: SERVING})
