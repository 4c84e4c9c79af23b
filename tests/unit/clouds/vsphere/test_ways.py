# SPDX-License-Identifier: GPL-3.0-or-later
"""Which template and datastore a clone takes, and how many may begin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.governor import Lane
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.resolve import Resolved, Site, Store
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.templates import Source
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import Ref
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.ways import TOTAL, choose, starts
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Starts
from ansible_collections.immutable.fleet.tests.unit.clouds.vsphere.fakes import DS_A, DS_B, FLEET, POOL_A, SNAPSHOT

H1, H2 = Ref("vim.HostSystem", "host-1"), Ref("vim.HostSystem", "host-2")
GOLDEN = Source(template=Ref("vim.VirtualMachine", "vm-1"), name="golden", host=H1, stores=(DS_A,))
COPY = Source(template=Ref("vim.VirtualMachine", "vm-2"), name="copy", host=H2, stores=(DS_B,))
A, B = Store(ref=DS_A, name="ds-a", capacity=100, free=10), Store(ref=DS_B, name="ds-b", capacity=100, free=20)
FULL = Lane(limit=0)


def world(*stores: Store, sources: tuple[Source, ...] = (GOLDEN, COPY), visible: tuple[Ref, ...] = ()) -> Resolved:
    site = Site(pool=POOL_A, stores=stores, visible=visible)
    return Resolved(
        source=sources[0], replicas=sources[1:], digest="", version="", cpus=1, memory_mib=1, folder=FLEET, folder_path="", sites={"": site}
    )


def lanes(*names: Ref | str) -> dict[str, Lane]:
    """These have no room."""
    return {str(name): FULL for name in names}


@pytest.mark.parametrize(
    ("resolved", "full", "under_way", "placed", "expected"),
    [
        pytest.param(world(A, B), {}, [], {}, ("copy", "ds-b"), id="most space, and the replica that lies there"),
        pytest.param(world(A, B), {}, [], {DS_B: 15}, ("golden", "ds-a"), id="what went there is counted"),
        pytest.param(world(A, B), lanes(DS_B), [], {}, ("golden", "ds-a"), id="the datastore has as much to do as it bears"),
        pytest.param(world(A, B), lanes(H2), [], {}, ("golden", "ds-b"), id="the replica's host has"),
        pytest.param(
            world(A, sources=(GOLDEN, replace(COPY, stores=(DS_A,)))), {}, [(str(H1),)], {}, ("copy", "ds-a"), id="whose host copies least"
        ),
        pytest.param(world(), {}, [(str(H1),)], {}, ("copy", None), id="to the replica's own datastore"),
        pytest.param(world(visible=(DS_A,)), {}, [(str(H1),)], {}, ("golden", None), id="which the cluster does not see"),
        pytest.param(
            world(A, sources=(replace(GOLDEN, snapshot=SNAPSHOT), COPY), visible=(DS_A,)),
            lanes(H1),
            [],
            {},
            ("golden", "ds-a"),
            id="a linked clone reads its template's disk, so its host has to see it",
        ),
        pytest.param(world(A, sources=(replace(GOLDEN, host=None),)), {}, [], {}, ("golden", "ds-a"), id="a host that nobody knows"),
    ],
)
def test_the_way_of_a_clone(
    resolved: Resolved, full: dict[str, Lane], under_way: list[tuple[str, ...]], placed: dict[Ref, int], expected: tuple[str, str | None]
) -> None:
    way = choose(resolved, "", full, under_way, placed)
    assert (way.source.name, way.store.name if way.store else None) == expected


def test_a_clone_takes_a_share_of_vcenter_of_a_host_and_of_a_datastore() -> None:
    assert choose(world(A), "", {}, [], {}).lanes == (TOTAL, str(H1), str(DS_A))
    assert choose(world(sources=(GOLDEN,)), "", {}, [], {}).lanes == (TOTAL, str(H1), str(DS_A)), "the template's own datastore"
    assert choose(world(sources=(replace(GOLDEN, host=None, stores=()),)), "", {}, [], {}).lanes == (TOTAL,)


@pytest.mark.parametrize(
    ("learned", "under_way", "expected"),
    [
        pytest.param({}, [], Starts(total=16), id="as all begin"),
        pytest.param({}, [(TOTAL, str(H1), str(DS_A))] * 5, Starts(total=11), id="those that are under way count"),
        pytest.param({TOTAL: Lane(limit=60)}, [], Starts(total=60, by_domain={"": 32}), id="two hosts copy for two datastores"),
        pytest.param({TOTAL: Lane(limit=60), str(H2): FULL}, [], Starts(total=60, by_domain={"": 16}), id="one host does"),
        pytest.param({str(DS_A): Lane(limit=2), str(DS_B): Lane(limit=3)}, [], Starts(total=16, by_domain={"": 5}), id="slow datastores"),
        pytest.param({TOTAL: FULL}, [], Starts(total=0), id="none"),
    ],
)
def test_how_many_may_begin(learned: dict[str, Lane], under_way: list[tuple[str, ...]], expected: Starts) -> None:
    assert starts(world(A, B), learned, under_way) == expected
