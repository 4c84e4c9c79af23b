# SPDX-License-Identifier: GPL-3.0-or-later
"""What a project has left, from recorded answers: which resources have an end, and what is said of those nobody may read."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.resolve import Nic, Resolved
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.room import room_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, NotFound, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Resource, Room
from ansible_collections.immutable.fleet.tests.unit.clouds.openstack.fakes import FakeTransport

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "recorded/room.json").read_text())
PROJECT = "67b13168047e4ffb8f9eb01066f8837c"
NETWORK_ID, SUBNET_ID = "25e08459-8e44-4326-85a1-12d4420556bf", "0a298e2c-99ba-454f-99ce-de77d3fd7b2f"
LIMITS, PORT_QUOTA, PORTS = "GET compute /limits", f"GET network /quotas/{PROJECT}/details.json", "GET network /ports"
SUBNETS, TOLD = "GET network /subnets", "GET network /network-ip-availabilities"
VOLUME_QUOTA, VOLUME_LIMITS = f"GET block-storage /os-quota-sets/{PROJECT}", "GET block-storage /limits"
GROUP = "GET compute /os-server-groups/sg1"
ANSWERS = {
    LIMITS: RECORDED["limits"],
    PORT_QUOTA: RECORDED["port_quota"],
    VOLUME_QUOTA: RECORDED["volume_quota"],
    VOLUME_LIMITS: RECORDED["volume_limits"],
    SUBNETS: RECORDED["subnets"],
    TOLD: RECORDED["availabilities_member"],
    PORTS: RECORDED["ports"],
    GROUP: {"server_group": {"id": "sg1", "name": "spread", "members": ["s1", "s2", "s3"]}},
}
ON_NETWORK = (Nic(network_id=NETWORK_ID),)
VOLUME = {"boot_volume": {"size": 5}}


def changed(answer: dict[str, Any], **absolute: int) -> dict[str, Any]:
    """Recorded limits with others among them."""
    found = copy.deepcopy(answer)
    found["limits"]["absolute"].update(absolute)
    return found


def asked(
    given: dict[str, Any] | None = None, nics: tuple[Nic, ...] | None = (), group: str = "", **answers: Any
) -> tuple[Room, list[str]]:
    """The room, and the calls it took. `answers` by the names above."""
    transport = FakeTransport({**ANSWERS, **{globals()[name]: answer for name, answer in answers.items()}}, project=PROJECT)
    resolved = Resolved(image_id="i1", image_digest="d", flavor_id="f1", cores=2, memory_mib=4096, nics=nics)
    return room_of(transport, parse_options(given or {}).template, resolved, group), transport.calls


def said(room: Room) -> list[str]:
    """Each resource as "name used/limit each fits"."""
    return [f"{each.name} {each.used}/{each.limit} {each.each} {each.fits}" for each in room.resources]


NOVA = ["instances 2/2 1 0", "cores 2/4 2 1", "RAM 1024/8192 4096 1"]


def test_the_least_is_one_call() -> None:
    """Machines without network and volume: Nova's limits, each with the command that raises it."""
    room, calls = asked()
    assert (said(room), room.unknown, calls) == (NOVA, (), [LIMITS])
    assert room.resources[2] == Resource(
        name="RAM",
        unit="MiB",
        limit=8192,
        used=1024,
        each=4096,
        where=f"compute quota of project {PROJECT}",
        remedy=f"openstack quota set --ram {{limit}} {PROJECT}",
    )


def test_what_has_no_limit_has_no_end() -> None:
    """-1 is Nova's, Neutron's and Cinder's word for it."""
    none = {"maxTotalInstances": -1, "maxTotalCores": -1, "maxTotalRAMSize": -1}
    assert asked(LIMITS=changed(ANSWERS[LIMITS], **none))[0] == Room()


def test_ports_and_addresses_for_each_interface() -> None:
    """Ports on their way (reserved) are used; a router's address outside of the allocation pool takes none from it."""
    room, calls = asked(nics=(*ON_NETWORK, Nic(network_id=NETWORK_ID, subnet_id=SUBNET_ID)))
    assert said(room)[3:] == ["ports 5/50 2 22", "addresses of small-net 2/253 2 125"]
    assert sorted(set(calls)) == sorted((LIMITS, PORT_QUOTA, SUBNETS, TOLD, PORTS))
    assert room.unknown == ()


def test_FM32_a_subnet_without_a_free_address() -> None:
    full = copy.deepcopy(ANSWERS[SUBNETS])
    full["subnets"][0]["allocation_pools"] = [{"start": "10.30.0.2", "end": "10.30.0.2"}, {"start": "10.30.0.17", "end": "10.30.0.17"}]
    room = asked(nics=ON_NETWORK, SUBNETS=full)[0]
    assert said(room)[-1] == "addresses of small-net 2/2 1 0"
    assert room.resources[-1].remedy_for(3).startswith("widen the allocation pool of small-net")


def test_where_nova_chooses_the_network_a_machine_takes_one_port() -> None:
    """And nobody knows whose addresses."""
    room, calls = asked(nics=None)
    assert (said(room)[3:], sorted(calls)) == (["ports 5/50 1 45"], sorted((LIMITS, PORT_QUOTA)))


def test_addresses_of_ones_own_draw_on_nothing() -> None:
    """Fixed addresses by slot are taken from no pool."""
    _room, calls = asked(nics=(Nic(network_id=NETWORK_ID, fixed_ips=("10.30.0.9",)),))
    assert sorted(calls) == sorted((LIMITS, PORT_QUOTA))


def test_another_projects_network_is_not_known() -> None:
    """Its ports are hidden from us, and the list of what is left is empty for all but administrators."""
    shared = copy.deepcopy(ANSWERS[SUBNETS])
    shared["subnets"][0]["project_id"] = "another"
    room, calls = asked(nics=ON_NETWORK, SUBNETS=shared)
    assert room.unknown == ("the number of free addresses of small-net is not known: the network belongs to another project",)
    assert PORTS not in calls
    assert [resource.name for resource in room.resources] == ["instances", "cores", "RAM", "ports"]


def test_a_wide_network_is_counted_only_where_neutron_does_it() -> None:
    """A list of thousands of ports is not worth the news that there are addresses left."""
    wide = copy.deepcopy(ANSWERS[SUBNETS])
    wide["subnets"][0]["allocation_pools"] = [{"start": "10.30.0.2", "end": "10.30.255.254"}]
    room, calls = asked(nics=ON_NETWORK, SUBNETS=wide)
    assert (len(room.resources), room.unknown, PORTS in calls) == (4, (), False)
    told, _calls = asked(nics=ON_NETWORK, SUBNETS=wide, TOLD=RECORDED["availabilities_admin"])
    assert said(told)[-1] == "addresses of small-net 3/65533 1 65530"


def test_boot_volumes_by_number_space_and_type() -> None:
    """The type's own quota beside the project's; a volume on its way (reserved) is used."""
    room, calls = asked({"boot_volume": {"size": 5, "type": "fast"}})
    assert said(room)[3:] == ["volumes 1/2 1 1", "volume space 6/20 5 2", "volume space of type fast 5/15 5 2"]
    assert room.resources[-1].remedy == f"openstack quota set --volume-type fast --gigabytes {{limit}} {PROJECT}"
    assert sorted(calls) == sorted((LIMITS, VOLUME_QUOTA))


def test_a_volume_larger_than_any_may_be() -> None:
    quotas = copy.deepcopy(ANSWERS[VOLUME_QUOTA])
    quotas["quota_set"]["per_volume_gigabytes"]["limit"] = 4
    assert said(asked(VOLUME, VOLUME_QUOTA=quotas)[0])[-1] == "size of a volume 0/4 5 0"


def test_where_quotas_are_hidden_cinders_limits_do() -> None:
    """Without the volume types."""
    room, calls = asked(VOLUME, VOLUME_QUOTA=Denied(what="Policy doesn't allow volume_extension:quotas:show"))
    assert said(room)[3:] == ["volumes 1/2 1 1", "volume space 5/20 5 3"]
    assert (room.unknown, VOLUME_LIMITS in calls) == ((), True)


def test_FM27_members_of_a_server_group() -> None:
    """Nova's default is 10 of them."""
    limits = changed(ANSWERS[LIMITS], maxServerGroupMembers=10)
    room = asked({"server_group": "spread"}, group="sg1", LIMITS=limits)[0]
    assert said(room)[3:] == ["members of server group spread 3/10 1 7"]


@pytest.mark.parametrize(
    ("used", "members", "expected"),
    [
        pytest.param(9, -1, [], id="room for it, members without a limit"),
        pytest.param(10, -1, ["server groups 10/10 1 0"], id="no room for one more group"),
        pytest.param(9, 10, ["members of server group spread 0/10 1 10"], id="a group of 10, of which none is taken"),
    ],
)
def test_FM27_a_server_group_that_has_to_be_made(used: int, members: int, expected: list[str]) -> None:
    """One for all machines: it has an end only where there is no room for it, and its members have one from the first on."""
    limits = changed(ANSWERS[LIMITS], maxServerGroups=10, totalServerGroupsUsed=used, maxServerGroupMembers=members)
    assert said(asked({"server_group": "spread"}, LIMITS=limits)[0])[3:] == expected


@pytest.mark.parametrize("error", [Denied(what="policy"), NotFound(what="no such extension"), Transient(what="no answer")])
def test_a_part_that_cannot_be_read_hides_no_other(error: Exception) -> None:
    """It is told with the service's words, and never refuses."""
    room = asked(nics=ON_NETWORK, PORT_QUOTA=error)[0]
    assert room.unknown == (f"the port quota is not known: {error.what}",)  # type: ignore[attr-defined]
    assert said(room) == [*NOVA, "addresses of small-net 2/253 1 251"]
