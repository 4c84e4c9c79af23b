# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy's words into members, and wishes into its commands. Pure.

Sources: the Management Guide's `show stat` (9.1, columns; types 2 backend and 4 server), `show servers state`, `set server`,
`add server`, `del server`.
"""

from __future__ import annotations

import csv
import re

from ansible_collections.immutable.fleet.plugins.module_utils.balancers.haproxy.options import Options
from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import (
    DRAINING,
    OUT,
    REMOVED,
    SERVING,
    Member,
    MemberChange,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import slot_of

Rows = list[dict[str, str]]  # of `show stat`, by column

BACKEND_ROW, SERVER_ROW = "1", "2"  # column `type`
NAMES_SHOWN = 10
FREE_ADDRESS = "192.0.2.1"  # TEST-NET-1: that of a slot which nobody uses, and nobody answers at
_MAINTENANCE = 0x23  # bits of srv_admin_state: forced, inherited, unresolved; 0x04 only tells that the configuration began so
_DRAIN = 0x18  # forced, inherited
_CONTENT = ("IP changed from ", "no need to change the addr", "port changed from ", "New server registered.", "Server deleted.")
_UNCHECKED = ("", "INI", "UNK", "SOCKERR", "HANA")  # column `check_status`: it found nothing about the server yet


def looks(backend: str, number: str) -> list[str]:
    """What to ask for `look_of`. By number: a frontend may have the backend's name, and comes first where a name is asked for."""
    return ["show cli level", f"show servers state {backend}", f"show stat {number} 6 -1"]


def look_of(answer: str) -> tuple[str, Rows]:
    """The level, and the rows of `show stat`, none where the proxy is not known; a server's with its `admin` state.

    That is in the other list only: the status of a server that is both draining and down is DOWN.
    """
    said, _separator, table = answer.partition("# pxname,")
    level, _separator, states = said.partition("# be_id ")
    header, *lines = [line.split() for line in states.splitlines() if line] or [[]]
    admin = {state["srv_name"]: state["srv_admin_state"] for state in (dict(zip(["be_id", *header], line, strict=False)) for line in lines)}
    rows = list(csv.DictReader(line for line in ("pxname," + table).splitlines() if line))
    for row in rows:
        row["admin"] = admin.get(row["svname"], "0")
    return level.split("\n", 1)[0].strip(), rows


def number_of(rows: Rows, backend: str) -> str:
    """HAProxy's number (`iid`) of the backend, "" where there is none of this name."""
    return next((row["iid"] for row in rows if row["type"] == BACKEND_ROW and row["pxname"] == backend), "")


def backends_of(rows: Rows) -> list[str]:
    """Their names, up to `NAMES_SHOWN`."""
    return sorted(row["pxname"] for row in rows if row["type"] == BACKEND_ROW)[:NAMES_SHOWN]


def members_of(rows: Rows, pool: str, slots: str) -> tuple[Member, ...]:
    """All servers but slots that nobody uses."""
    members = (_member(row, pool, slots) for row in rows if row["type"] == SERVER_ROW)
    return tuple(member for member in members if not (slots and is_free(member)))


def free_slots(rows: Rows, slots: str) -> list[str]:
    """Names of the slots that nobody uses, in HAProxy's order."""
    return [member.id for row in rows if row["type"] == SERVER_ROW and is_free(member := _member(row, "", slots))]


def is_free(member: Member) -> bool:
    """A slot in maintenance at the address of nobody. One that a person took out keeps its machine's address."""
    return member.is_ours and member.state == OUT and member.address == FREE_ADDRESS


def commands_for(change: MemberChange, member: Member | None, options: Options, slot: str) -> list[str]:
    """What makes one member as wished. `slot` is the free one that a new member gets, "" where servers are dynamic."""
    if member is None:
        return _comes_to_slot(change, options, slot) if slot else _comes(change, options)
    server = f"{options.backend}/{member.id}"
    if change.to == DRAINING:
        return [f"set server {server} state drain"]
    if change.to == SERVING:
        return [f"set server {server} weight {options.weight}", f"set server {server} state ready"]
    goes = [f"set server {server} state maint", f"shutdown sessions server {server}"]
    return [*goes, f"set server {server} addr {FREE_ADDRESS}" if options.slots else f"del server {server}"]


def undone(change: MemberChange, members: tuple[Member, ...]) -> bool:
    """Whether a wish is not fulfilled that HAProxy fulfils at once or not at all. Only a removal may take longer."""
    if change.to == REMOVED:
        return False
    found = next((member for member in members if member.id == change.id or (not change.id and member.address == change.address)), None)
    return found is None or found.state != change.to


def complaints(answer: str) -> str:
    """What HAProxy said to commands beside that it did them: one line, "" for nothing."""
    return " ".join(line.strip() for line in answer.splitlines() if line.strip() and not line.startswith(_CONTENT))


def _comes(change: MemberChange, options: Options) -> list[str]:
    server = f"{options.backend}/{change.name}"
    host = f"[{change.address}]" if ":" in change.address else change.address
    made = f"add server {server} {host}:{options.port} weight {options.weight} {options.server_options}"
    checked = [f"enable health {server}"] if "check" in options.server_options.split() else []
    return [made.rstrip(), *checked, f"set server {server} state ready"]


def _comes_to_slot(change: MemberChange, options: Options, slot: str) -> list[str]:
    server = f"{options.backend}/{slot}"
    return [
        f"set server {server} addr {change.address} port {options.port}",
        f"set server {server} weight {options.weight}",
        f"set server {server} state ready",
    ]


def _member(row: dict[str, str], pool: str, slots: str) -> Member:
    server = row["svname"]
    address, _colon, port = row["addr"].rpartition(":")
    is_slot = bool(slots) and re.fullmatch(re.escape(slots) + r"\d+", server) is not None
    return Member(
        id=server,
        name="" if is_slot else server,
        address=address.strip("[]"),
        port=int(port) if port.isdecimal() else 0,
        weight=int(row["uweight"] or row["weight"] or 0),
        state=_state(row),
        healthy=_healthy(row),
        sessions=int(row["scur"] or 0),
        is_ours=is_slot if slots else slot_of(pool, server) is not None,
    )


def _state(row: dict[str, str]) -> str:
    admin = int(row["admin"])
    if admin & _MAINTENANCE:
        return OUT
    return DRAINING if admin & _DRAIN or row["uweight"] == "0" else SERVING


def _healthy(row: dict[str, str]) -> bool | None:
    """HAProxy calls a server UP until a check has failed: before the first one that says nothing."""
    status, found = row["status"], row["check_status"].removeprefix("* ")
    if found in _UNCHECKED or int(row["admin"]) & _MAINTENANCE or status == "no check":
        return None
    return "OK" in found if status.startswith("DRAIN") else not status.startswith("DOWN")
