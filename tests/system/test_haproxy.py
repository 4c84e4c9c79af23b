# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real HAProxy does beside the port's contract: reloads, levels of its sockets, slots that run out, words it refuses."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.balancers.haproxy.balancer import HaproxyBalancer
from ansible_collections.immutable.fleet.plugins.module_utils.balancers.haproxy.options import Options
from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import DRAINING, SERVING, MemberChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, Exhausted, Invalid, Transient
from ansible_collections.immutable.fleet.tests.labs.haproxy.server import SLOTS, Haproxy

pytestmark = pytest.mark.lab


@pytest.fixture
def server() -> Iterator[Haproxy]:
    with tempfile.TemporaryDirectory() as folder, Haproxy(Path(folder)) as running:
        yield running


def balancer(socket: str, backend: str = "slots", server_options: str = "check") -> HaproxyBalancer:
    slots = "web" if backend == "slots" else ""
    options = Options(socket=socket, backend=backend, port=8080, weight=5, slots=slots, server_options=server_options)
    return HaproxyBalancer("web", options, call_timeout=timedelta(seconds=5), now=lambda: datetime.now(UTC))


def new(number: int) -> MemberChange:
    return MemberChange(name=f"web-{number}-aaaaa", to=SERVING, address=f"127.9.9.{number}")


def states(it: HaproxyBalancer) -> list[tuple[str, int, int, str]]:
    return [(member.address, member.port, member.weight, member.state) for member in it.list_members().members]


def test_FM34_slots_outlive_a_reload(server: Haproxy) -> None:
    """Address, port, weight, and who is draining; and slots that were free are free."""
    it = balancer(server.socket)
    it.change_members([new(1), new(2), new(3)])
    second = it.list_members().members[1]
    it.change_members([MemberChange(name="web-2-aaaaa", to=DRAINING, id=second.id)])
    before = states(it)
    assert [state for *_rest, state in before] == [SERVING, DRAINING, SERVING]
    server.reload()
    assert states(balancer(server.socket)) == before
    server.reload()
    assert states(it) == before


def test_FM34_dynamic_servers_are_gone_with_a_reload_and_can_be_made_again(server: Haproxy) -> None:
    """The list tells it, so that the next turn wishes them anew."""
    it = balancer(server.socket, "dynamic")
    it.change_members([new(1)])
    server.reload()
    assert states(it) == []
    it.change_members([new(1)])
    assert states(it) == [("127.9.9.1", 8080, 5, SERVING)]


def test_slots_run_out_before_anything_is_touched(server: Haproxy) -> None:
    it = balancer(server.socket)
    with pytest.raises(Exhausted, match=f"{SLOTS} free slots web, {SLOTS + 1} more"):
        it.change_members([new(number) for number in range(1, SLOTS + 2)])
    assert states(it) == []


def test_a_socket_that_may_only_look_is_refused_before_anything_is_touched(server: Haproxy) -> None:
    it = balancer(server.user_socket)
    with pytest.raises(Denied, match="level user"):
        it.find_backend()
    with pytest.raises(Denied, match="level user"):
        it.change_members([new(1)])


def test_a_prefix_without_slots_is_refused(server: Haproxy) -> None:
    options = Options(socket=server.socket, backend="slots", port=8080, slots="app")
    it = HaproxyBalancer("web", options, call_timeout=timedelta(seconds=5), now=lambda: datetime.now(UTC))
    with pytest.raises(Invalid, match="no server app1") as refusal:
        it.find_backend()
    assert refusal.value.where == "balancer.haproxy.slots"


def test_what_haproxy_refuses_is_told_in_its_words(server: Haproxy) -> None:
    it = balancer(server.socket, "dynamic", server_options="chekc")
    with pytest.raises(Invalid, match="chekc"):
        it.change_members([new(1)])


def test_an_address_that_is_none_is_refused_before_anything_is_touched(server: Haproxy) -> None:
    it = balancer(server.socket, "dynamic")
    with pytest.raises(Invalid, match="no IP address"):
        it.change_members([new(1), MemberChange(name="web-2-aaaaa", to=SERVING, address="web-2.example.org")])
    assert states(it) == []


def test_nobody_listens(tmp_path: Path) -> None:
    for socket in (f"{tmp_path}/none.sock", "127.0.0.1:1"):
        with pytest.raises(Transient):
            balancer(socket).find_backend()
