# SPDX-License-Identifier: GPL-3.0-or-later
"""What `node_pool_info` makes of the facts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports
from ansible_collections.immutable.fleet.plugins.module_utils.entry import info
from ansible_collections.immutable.fleet.plugins.module_utils.entry.parse import InfoRequest
from ansible_collections.immutable.fleet.plugins.module_utils.entry.wiring import Kit
from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import DRAINING, SERVING, Member
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact, PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Listing, MemberListing
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, ago, pool, vm


@pytest.mark.parametrize(
    ("state", "marked", "phase"),
    [(SERVING, False, "available"), (DRAINING, True, "draining"), (DRAINING, False, "cordoned")],
    ids=["serves", "leaves: its mark is on the record", "FM10: a person drains it"],
)
def test_the_phase_of_a_plain_machine(state: str, marked: bool, phase: str) -> None:
    """The pool's own drain and a person's look alike at the balancer."""
    member = Member(id="web-1", name="web-1", address="192.0.2.1", port=80, state=state, is_ours=True)
    record = PoolRecord(leaving={"web-1": Note(ago(60), "outdated")} if marked else {})
    cloud: Any = SimpleNamespace(list_vms=lambda _since, **_more: Listing(as_of=NOW, vms=(vm("web-1", addresses=("192.0.2.1",)),)))
    balancer: Any = SimpleNamespace(list_members=lambda: MemberListing(as_of=NOW, members=(member,)))
    lock: Any = SimpleNamespace(read=lambda: LockFact(version="1", record=record))
    runtime: Any = SimpleNamespace(now=lambda: NOW)
    kit = Kit(Ports(cloud=cloud, balancer=balancer, lock=lock), runtime)
    answer = info.look(InfoRequest(pool=pool(0), is_described=False, user_data=""), kit)
    assert answer["counts"] == {phase: 1}
