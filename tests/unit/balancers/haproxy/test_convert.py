# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy's words, as 2.6.12 said them, into members; wishes into its commands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.balancers.haproxy import convert
from ansible_collections.immutable.fleet.plugins.module_utils.balancers.haproxy.client import LINE_MAX, lines_of
from ansible_collections.immutable.fleet.plugins.module_utils.balancers.haproxy.options import Options
from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import (
    DRAINING,
    OUT,
    REMOVED,
    SERVING,
    Member,
    MemberChange,
)

COLUMNS = ("pxname", "svname", "scur", "status", "weight", "type", "iid", "check_status", "addr", "uweight", "admin")
OPTIONS = Options(socket="/s", backend="shop", port=80, weight=5, server_options="check inter 2s")
SLOTS = replace(OPTIONS, slots="web")
NEW = MemberChange(name="web-1-aaaaa", to=SERVING, address="10.0.0.7")
OLD = Member(id="web-0-aaaaa", name="web-0-aaaaa", address="10.0.0.1", port=80, is_ours=True)


def row(**said: str) -> dict[str, str]:
    given = {"pxname": "shop", "svname": "web-0-aaaaa", "scur": "3", "status": "UP", "weight": "5", "type": "2", "iid": "4"}
    return {**dict.fromkeys(COLUMNS, ""), **given, "check_status": "L4OK", "addr": "10.0.0.1:80", "uweight": "5", "admin": "0", **said}


def member(**said: str) -> Member:
    (found,) = convert.members_of([row(**said)], "web", "")
    return found


@pytest.mark.parametrize(
    ("status", "admin", "check", "state", "healthy"),
    [
        ("UP", "0", "L4OK", SERVING, True),
        ("UP", "0", "", SERVING, None),  # HAProxy begins with UP
        ("UP", "0", "INI", SERVING, None),
        ("UP 1/3", "0", "* L4TOUT", SERVING, True),  # failing, and not down yet
        ("DOWN", "0", "L4CON", SERVING, False),
        ("DOWN 1/2", "0", "L7OK", SERVING, False),  # passing, and not up yet
        ("no check", "0", "", SERVING, None),
        ("DRAIN", "8", "L7OK", DRAINING, True),
        ("DRAIN", "8", "L4CON", DRAINING, False),
        ("DRAIN", "8", "", DRAINING, None),
        ("DOWN", "8", "L4CON", DRAINING, False),  # which `show stat` alone does not tell
        ("MAINT", "1", "L4OK", OUT, None),
        ("MAINT (resolution)", "32", "", OUT, None),
    ],
)
def test_state_and_health(status: str, admin: str, check: str, state: str, healthy: bool | None) -> None:
    found = member(status=status, admin=admin, check_status=check)
    assert (found.state, found.healthy) == (state, healthy)


def test_a_server_without_weight_drains() -> None:
    assert member(uweight="0", weight="0").state == DRAINING


def test_a_server_as_a_member() -> None:
    assert member() == Member(
        id="web-0-aaaaa", name="web-0-aaaaa", address="10.0.0.1", port=80, weight=5, healthy=True, sessions=3, is_ours=True
    )
    assert (member(addr="[2001:db8::1]:80").address, member(svname="legacy-1").is_ours) == ("2001:db8::1", False)


def test_slots_that_nobody_uses_are_no_members() -> None:
    """A slot that a person took out keeps its address, and is not given to another machine."""
    rows = [
        row(svname="web1", addr="192.0.2.1:80", status="MAINT", admin="1"),
        row(svname="web2", addr="10.0.0.2:80"),
        row(svname="web3", addr="10.0.0.3:80", status="MAINT", admin="1"),
        row(svname="legacy", addr="192.0.2.1:80", status="MAINT", admin="1"),
    ]
    assert convert.free_slots(rows, "web") == ["web1"]
    found = [(each.id, each.name, each.state, each.is_ours) for each in convert.members_of(rows, "web", "web")]
    assert found == [("web2", "", SERVING, True), ("web3", "", OUT, True), ("legacy", "legacy", OUT, False)]


@pytest.mark.parametrize(
    ("change", "seen", "options", "slot", "commands"),
    [
        pytest.param(
            NEW,
            None,
            OPTIONS,
            "",
            [
                "add server shop/web-1-aaaaa 10.0.0.7:80 weight 5 check inter 2s",
                "enable health shop/web-1-aaaaa",
                "set server shop/web-1-aaaaa state ready",
            ],
            id="a dynamic server comes",
        ),
        pytest.param(
            replace(NEW, address="2001:db8::7"),
            None,
            replace(OPTIONS, server_options=""),
            "",
            ["add server shop/web-1-aaaaa [2001:db8::7]:80 weight 5", "set server shop/web-1-aaaaa state ready"],
            id="one without checks, of IPv6",
        ),
        pytest.param(
            NEW,
            None,
            SLOTS,
            "web4",
            ["set server shop/web4 addr 10.0.0.7 port 80", "set server shop/web4 weight 5", "set server shop/web4 state ready"],
            id="a slot is taken",
        ),
        pytest.param(replace(NEW, to=DRAINING), OLD, OPTIONS, "", ["set server shop/web-0-aaaaa state drain"], id="it drains"),
        pytest.param(
            NEW,
            OLD,
            OPTIONS,
            "",
            ["set server shop/web-0-aaaaa weight 5", "set server shop/web-0-aaaaa state ready"],
            id="it serves again",
        ),
        pytest.param(
            replace(NEW, to=REMOVED),
            OLD,
            OPTIONS,
            "",
            [
                "set server shop/web-0-aaaaa state maint",
                "shutdown sessions server shop/web-0-aaaaa",
                "del server shop/web-0-aaaaa",
            ],
            id="it goes",
        ),
        pytest.param(
            replace(NEW, to=REMOVED),
            replace(OLD, id="web4", name=""),
            SLOTS,
            "",
            ["set server shop/web4 state maint", "shutdown sessions server shop/web4", "set server shop/web4 addr 192.0.2.1"],
            id="a slot is given back",
        ),
    ],
)
def test_commands(change: MemberChange, seen: Member | None, options: Options, slot: str, commands: list[str]) -> None:
    assert convert.commands_for(change, seen, options, slot) == commands


ANSWER = """admin

1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight
4 shop 1 legacy-1 10.0.0.2 2 0 1
4 shop 2 web-0-aaaaa 10.0.0.1 0 8 5

# pxname,svname,scur,type,iid,
shop,legacy-1,0,2,4,
shop,web-0-aaaaa,3,2,4,
shop,BACKEND,3,1,4,

"""


def test_a_look_joins_both_lists() -> None:
    level, rows = convert.look_of(ANSWER)
    assert (level, [(each["svname"], each["scur"], each["admin"]) for each in rows]) == (
        "admin",
        [("legacy-1", "0", "0"), ("web-0-aaaaa", "3", "8"), ("BACKEND", "3", "0")],
    )
    assert (convert.number_of(rows, "shop"), convert.number_of(rows, "shoe")) == ("4", "")


@pytest.mark.parametrize(
    ("answer", "level"), [("user\n\nNo such backend.\n\nNo such proxy.\n\n", "user"), ("Unknown command\n", "Unknown command"), ("", "")]
)
def test_a_look_at_nothing(answer: str, level: str) -> None:
    assert convert.look_of(answer) == (level, [])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param("New server registered.\n\n\n\n", "", id="a server was added"),
        pytest.param("IP changed from '192.0.2.1' to '10.0.0.7', no need to change the port by 'stats socket command'\n\n", "", id="moved"),
        pytest.param("no need to change the addr, port changed from '9' to '80' by 'stats socket command'\n", "", id="another port"),
        pytest.param("\nServer deleted.\n\n", "", id="deleted"),
        pytest.param("unknown keyword 'chekc'.\n\nNo such server.\n", "unknown keyword 'chekc'. No such server.", id="refused"),
    ],
)
def test_complaints(answer: str, said: str) -> None:
    assert convert.complaints(answer) == said


def test_many_commands_go_in_few_lines() -> None:
    """In their order, none cut in two, and no line longer than HAProxy reads."""
    commands = [f"set server shop/web-{number}-aaaaa state drain" for number in range(500)]
    lines = lines_of(commands)
    assert ";".join(lines).split(";") == commands
    assert (len(lines), max(map(len, lines)) <= LINE_MAX) == (3, True)
