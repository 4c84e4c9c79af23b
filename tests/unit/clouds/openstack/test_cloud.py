# SPDX-License-Identifier: GPL-3.0-or-later
"""The port's verbs over a transport that answers from a table: which calls, in which order, and what is left behind."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.cloud import OpenStackCloud
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Conflict,
    Denied,
    Exhausted,
    Invalid,
    NotFound,
    PortError,
    Throttled,
    Transient,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, NewMachine, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Cloud
from ansible_collections.immutable.fleet.tests.unit.clouds.openstack.fakes import FakeTransport

RECORDED = Path(__file__).parent / "recorded"
SERVERS: dict[str, dict[str, Any]] = json.loads((RECORDED / "servers.json").read_text())
PORTS: dict[str, dict[str, Any]] = json.loads((RECORDED / "ports.json").read_text())
FIND_PORTS = "GET network /ports"
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
DETAIL, IDLE = "GET compute /servers/detail", "GET network /ports"
MAKE_PORTS, MAKE_SERVER = "POST network /ports", "POST compute /servers"
TEMPLATE = {"image": "golden", "flavor": "m1", "networks": [{"network": "net"}]}
LOOKED_UP = {
    "GET image /images": {"images": [{"id": "i1", "status": "active", "os_hash_algo": "sha512", "os_hash_value": "ab"}]},
    "GET compute /flavors/detail": {"flavors": [{"id": "f1", "name": "m1", "vcpus": 1, "ram": 512, "disk": 1}]},
    "GET network /networks": {"networks": [{"id": "n1", "name": "net", "project_id": "p1"}]},
}
MACHINE = NewMachine(
    name="rec-0-aaaaa", slot=0, failure_domain="az1", revision="r", fields={}, attempt=1, created_at=NOW, values={"token": "s3cret"}
)


def cloud_on(transport: FakeTransport, user_data: str = "", **options: Any) -> OpenStackCloud:
    parsed = parse_options({**TEMPLATE, **options}, user_data)
    return OpenStackCloud("rec", parsed, call_timeout=timedelta(seconds=20), now=lambda: NOW, transport=transport)


def ready_to_create(answers: dict[str, Any], **options: Any) -> tuple[OpenStackCloud, FakeTransport]:
    transport = FakeTransport({**LOOKED_UP, MAKE_PORTS: {"ports": [{"id": "p0"}]}, MAKE_SERVER: {"server": {"id": "s1"}}, **answers})
    cloud = cloud_on(transport, **options)
    cloud._resolved["r"] = cloud._resolved[cloud.resolve().id]
    transport.calls.clear()
    transport.bodies.clear()
    return cloud, transport


def test_it_is_a_cloud() -> None:
    """For mypy, which compares every verb with the contract."""
    cloud: Cloud = cloud_on(FakeTransport({}))
    assert cloud.watch(lambda: None) is False


def test_a_machine_costs_two_calls() -> None:
    """Ports first, then the server with them."""
    cloud, transport = ready_to_create({}, user_data="join ${token}")
    cloud.create(MACHINE)
    assert transport.calls == [MAKE_PORTS, MAKE_SERVER]
    assert transport.bodies[1]["server"]["networks"] == [{"port": "p0"}]


LEFT = {"id": "p7", "name": "rec-0-aaaaa-0", "network_id": "n1", "device_id": "", "security_groups": ["g1"], "fixed_ips": []}


@pytest.mark.parametrize(
    ("there", "calls", "used"),
    [
        pytest.param([], [FIND_PORTS, MAKE_PORTS, MAKE_SERVER], "p0", id="nothing is left"),
        pytest.param([LEFT], [FIND_PORTS, MAKE_SERVER], "p7", id="its port is left"),
        pytest.param(
            [{**LEFT, "network_id": "n2"}],
            [FIND_PORTS, "DELETE network /ports/p7", MAKE_PORTS, MAKE_SERVER],
            "p0",
            id="a port of another network: the template changed",
        ),
        pytest.param([{**LEFT, "device_id": "s0"}], [FIND_PORTS, MAKE_PORTS, MAKE_SERVER], "p0", id="somebody uses it"),
    ],
)
def test_a_machine_that_is_recreated_keeps_its_ports(there: list[dict[str, Any]], calls: list[str], used: str) -> None:
    """And its addresses with them."""
    cloud, transport = ready_to_create({FIND_PORTS: {"ports": there}, "DELETE network /ports/p7": None})
    cloud.create(replace(MACHINE, recreated=True))
    assert transport.calls == calls
    assert transport.bodies[-1]["server"]["networks"] == [{"port": used}]


def test_a_refused_recreation_keeps_the_ports_for_the_next_try() -> None:
    """They are awaited, and no leftovers."""
    cloud, transport = ready_to_create({FIND_PORTS: {"ports": [LEFT]}, MAKE_SERVER: Exhausted(what="quota")})
    with pytest.raises(Exhausted):
        cloud.create(replace(MACHINE, recreated=True))
    assert transport.calls == [FIND_PORTS, MAKE_SERVER]


@pytest.mark.parametrize(
    "refused", [Exhausted(what="quota"), Denied(what="policy"), Invalid(what="zone"), Throttled(what="busy"), Conflict(what="taken")]
)
def test_FM22_a_refused_server_leaves_no_port(refused: PortError) -> None:
    """The ports are taken back at once, and the refusal says which machine it was."""
    cloud, transport = ready_to_create({MAKE_SERVER: refused, "DELETE network /ports/p0": None})
    with pytest.raises(type(refused)) as raised:
        cloud.create(MACHINE)
    assert transport.calls == [MAKE_PORTS, MAKE_SERVER, "DELETE network /ports/p0"]
    assert raised.value.where == "machine rec-0-aaaaa"


def test_FM22_the_refusal_counts_even_when_its_port_cannot_be_taken_back() -> None:
    """The list finds the port later."""
    cloud, _transport = ready_to_create({MAKE_SERVER: Exhausted(what="quota"), "DELETE network /ports/p0": Transient(what="down")})
    with pytest.raises(Exhausted):
        cloud.create(MACHINE)


def test_FM26_nothing_follows_an_unknown_answer() -> None:
    """The server may exist: its ports are not pulled from under it."""
    cloud, transport = ready_to_create({MAKE_SERVER: Transient(what="no answer")})
    with pytest.raises(Transient):
        cloud.create(MACHINE)
    assert transport.calls == [MAKE_PORTS, MAKE_SERVER]


@pytest.mark.parametrize("call", [MAKE_PORTS, MAKE_SERVER])
def test_a_thing_of_the_template_that_vanished_is_no_success(call: str) -> None:
    """NotFound means that a thing is gone; here the user has to act."""
    cloud, _transport = ready_to_create({call: NotFound(what="network n1 could not be found"), "DELETE network /ports/p0": None})
    with pytest.raises(Invalid):
        cloud.create(MACHINE)


def test_a_server_group_that_is_missing_is_made_once() -> None:
    """Looked for again before it is made: another run may have been faster."""
    groups = [{"server_groups": []}, {"server_groups": []}]
    cloud, transport = ready_to_create(
        {"GET compute /os-server-groups": groups, "POST compute /os-server-groups": {"server_group": {"id": "g1"}}},
        server_group="spread",
        networks=[],
    )
    cloud.create(MACHINE)
    cloud.create(MACHINE)
    assert transport.calls == ["GET compute /os-server-groups", "POST compute /os-server-groups", MAKE_SERVER, MAKE_SERVER]
    assert transport.bodies[1] == {"server_group": {"name": "spread", "policy": "soft-anti-affinity"}}
    assert transport.bodies[3]["os:scheduler_hints"] == {"group": "g1"}


def test_a_full_list_is_two_filters_that_exclude_each_other() -> None:
    """By tag, then by name without the tag: renamed and retagged servers are found at the price of one list."""
    renamed = {**SERVERS["active"], "id": "other", "name": "renamed"}
    transport = FakeTransport({DETAIL: [{"servers": [renamed]}, {"servers": [SERVERS["active"], {**SERVERS["deleted"], "id": "d1"}]}]})
    listing = cloud_on(transport).list_vms(None, with_leftovers=False)
    assert [(vm.id, vm.proofs) for vm in listing.vms] == [("other", 2), (SERVERS["active"]["id"], 3)]
    assert (listing.as_of, listing.gone, listing.leftovers, listing.is_full) == (NOW, (), None, True)
    assert transport.queries == [
        [("tags", "immutable.fleet.pool=rec"), ("limit", "1000")],
        [("name", "^rec-[0-9]+-[a-z0-9]{5}$"), ("not-tags", "immutable.fleet.pool=rec"), ("limit", "1000")],
    ]


def test_a_delta_tells_who_is_gone() -> None:
    """One call, by name, with an overlap for Nova's clocks and the skew of its answers."""
    changed = {"servers": [SERVERS["active"], {**SERVERS["deleted"], "id": "d1"}]}
    transport = FakeTransport({DETAIL: [{"servers": []}, {"servers": []}, changed]})
    transport.skew = timedelta(seconds=60)
    cloud = cloud_on(transport)
    cloud.list_vms(None, with_leftovers=False)
    listing = cloud.list_vms(NOW - timedelta(seconds=30), with_leftovers=False)
    assert ([vm.name for vm in listing.vms], listing.gone, listing.is_full) == (["rec-0-aaaaa"], ("d1",), False)
    assert transport.queries[2] == [
        ("name", "^rec-[0-9]+-[a-z0-9]{5}$"),
        ("changes-since", "2026-11-21T09:00:20Z"),
        ("limit", "1000"),
    ]


def test_a_delta_to_nothing_is_a_full_list() -> None:
    """A new process has seen nothing that the delta could be added to."""
    transport = FakeTransport({DETAIL: {"servers": [SERVERS["active"]]}})
    listing = cloud_on(transport).list_vms(NOW, with_leftovers=False)
    assert (len(listing.vms), listing.is_full, len(transport.calls)) == (1, True, 2)


def test_a_server_asked_for_is_looked_for_in_full_lists_until_one_shows_it() -> None:
    """Nova's deltas leave it out from its arrival in a cell to the first change there, as if it had never been made."""
    cloud, transport = ready_to_create({DETAIL: {"servers": []}, "DELETE network /ports/p0": None})
    cloud.list_vms(None, with_leftovers=False)
    assert not cloud.list_vms(NOW, with_leftovers=False).is_full
    cloud.create(MACHINE)
    assert cloud.list_vms(NOW, with_leftovers=False).is_full
    transport.answers[DETAIL] = {"servers": [SERVERS["active"]]}
    assert SERVERS["active"]["name"] == MACHINE.name
    assert cloud.list_vms(NOW, with_leftovers=False).is_full
    assert not cloud.list_vms(NOW, with_leftovers=False).is_full
    transport.answers[MAKE_SERVER] = Exhausted(what="quota")
    with pytest.raises(Exhausted):
        cloud.create(MACHINE)
    assert not cloud.list_vms(NOW, with_leftovers=False).is_full, "it was refused"


def test_pages_follow_one_another_and_a_lost_marker_is_told_from_a_wrong_request() -> None:
    """A server deleted while the list is read must end in another list, not in the run's failure."""
    first = {"servers": [SERVERS["active"]], "servers_links": [{"rel": "next", "href": "..."}]}
    transport = FakeTransport({DETAIL: [first, {"servers": []}, {"servers": []}]})
    assert len(cloud_on(transport).list_vms(None, with_leftovers=False).vms) == 1
    assert transport.queries[1][-1] == ("marker", SERVERS["active"]["id"])
    with pytest.raises(Transient):
        cloud_on(FakeTransport({DETAIL: [first, Invalid(what="marker not found")]})).list_vms(None, with_leftovers=False)
    with pytest.raises(Invalid):
        cloud_on(FakeTransport({DETAIL: [Invalid(what="bad filter")]})).list_vms(None, with_leftovers=False)


def test_a_leftover_is_deleted_only_as_it_was_seen() -> None:
    """Neutron deletes bound ports too; the revision number keeps us from that."""
    transport = FakeTransport(
        {DETAIL: {"servers": []}, IDLE: {"ports": [PORTS["left"]]}, f"DELETE network /ports/{PORTS['left']['id']}": None}
    )
    cloud = cloud_on(transport)
    leftovers = cloud.list_vms(None, with_leftovers=True).leftovers
    assert leftovers is not None
    cloud.clear(leftovers[0])
    assert transport.headers[-1] == {"If-Match": "revision_number=5"}


def test_ports_of_another_project_are_no_leftovers() -> None:
    """An administrator's list of ports has every project's, and his list of servers does not: all of theirs would seem left over."""
    transport = FakeTransport({DETAIL: {"servers": []}, IDLE: {"ports": []}}, project="p7")
    cloud_on(transport).list_vms(None, with_leftovers=True)
    (query,) = (query for call, query in zip(transport.calls, transport.queries, strict=True) if call == IDLE)
    assert ("project_id", "p7") in query


def test_servers_are_listed_while_neutron_gives_no_answer() -> None:
    """Leftovers can wait, a refusal of permission cannot."""
    answers = {DETAIL: {"servers": [SERVERS["active"]]}, IDLE: Transient(what="down")}
    listing = cloud_on(FakeTransport({**answers, DETAIL: [{"servers": [SERVERS["active"]]}, {"servers": []}]})).list_vms(
        None, with_leftovers=True
    )
    assert (len(listing.vms), listing.leftovers) == (1, None)
    with pytest.raises(Denied):
        cloud_on(FakeTransport({**answers, IDLE: Denied(what="policy")})).list_vms(None, with_leftovers=True)


def test_what_is_gone_already_is_deleted() -> None:
    """Both verbs may be repeated."""
    gone = NotFound(what="gone")
    cloud = cloud_on(FakeTransport({"DELETE compute /servers/s1": gone, "DELETE network /ports/p1": gone}))
    cloud.delete(Vm(id="s1", name="rec-0-aaaaa", status="running", created_at=NOW))
    cloud.clear(Leftover(kind="port", id="p1", name="rec-0-aaaaa-0", machine="rec-0-aaaaa", created_at=NOW))


@pytest.mark.parametrize(
    ("status", "wanted", "bodies"),
    [
        (vm_states.RUNNING, vm_states.OFF, [{"os-stop": None}]),
        (vm_states.STOPPED, vm_states.OFF, []),
        (vm_states.RUNNING, vm_states.REBOOT, [{"reboot": {"type": "HARD"}}]),
    ],
)
def test_power_is_one_call(status: str, wanted: str, bodies: list[Any]) -> None:
    """Nova refuses to stop what is off."""
    transport = FakeTransport({"POST compute /servers/s1/action": {}})
    cloud_on(transport).power(Vm(id="s1", name="rec-0-aaaaa", status=status, created_at=NOW), wanted)
    assert transport.bodies == bodies
