# SPDX-License-Identifier: GPL-3.0-or-later
"""When a change of a balancer's members counts as over: not by a listing that was made in the midst of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.engine.world import World
from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import SERVING, Member, MemberChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import ChangeMembers, Wish
from ansible_collections.immutable.fleet.plugins.module_utils.ports import MemberListing
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, POOL, ago

NAME, ADDRESS = "web-0-aaaaa", "10.0.0.1"
JOINS = ChangeMembers((Wish(MemberChange(name=NAME, to=SERVING, address=ADDRESS), NAME, "its probes find it well"),))
MEMBER = Member(id="1", name=NAME, address=ADDRESS, port=80, weight=1, state=SERVING, is_ours=True)


def under_way(world: World, listed_at: datetime) -> bool:
    """Whether the change still is, after a listing that was begun then, shows the member, and says that nothing is."""
    world.services.take_listing(MemberListing(as_of=listed_at, members=(MEMBER,)))
    world.settle()
    return bool(world.calls)


def test_a_listing_that_began_before_the_answer_does_not_end_it() -> None:
    """Octavia is asked for its status first and for its members last: the one was from before the change, the others from after it."""
    world = World(pool=POOL, began_at=ago(60), call_timeout=timedelta(seconds=20), has_cloud=False, has_cluster=False, has_balancer=True)
    key = world.send(JOINS, "", ago(3))
    assert under_way(world, ago(2))
    world.answered(key, ago(1))
    assert under_way(world, ago(2))
    assert not under_way(world, NOW)
