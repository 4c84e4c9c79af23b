# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a HAProxy is told what to do, and how members of one of its backends are made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

WEIGHT_MAX = 256  # HAProxy's own
PORT_MAX = 65535
CHECKED = "check"  # each 2 s, by a connection
# A command is a line of words, and a semicolon begins the next one: nothing that is given may hold more than its word.
_WORD = re.compile(r"[A-Za-z0-9_.:-]+")
_SERVER_OPTIONS = re.compile(r"[A-Za-z0-9_.:,/ -]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`socket` is a path, or `host:port`. `slots` is the prefix of a server-template whose servers are the pool's, "" for none.

    `server_options` follow a dynamic server's address; those of `default-server` do not hold for it.
    """

    socket: str
    backend: str
    port: int
    weight: int = 1
    slots: str = ""
    server_options: str = CHECKED


def parse_options(given: Mapping[str, Any]) -> Options:
    """The options as given under `balancer.haproxy`. Raises `Invalid` with the option's path."""
    slots = _word(given, "slots") if given.get("slots") else ""
    server_options = str(given.get("server_options") or CHECKED)
    if slots and given.get("server_options"):
        raise Invalid(
            what="slots have the options of their server-template; expected one of the two", where="balancer.haproxy.server_options"
        )
    if not _SERVER_OPTIONS.fullmatch(server_options):
        raise Invalid(
            what=f"{server_options!r} is no list of server options; expected such as 'check inter 2s'",
            where="balancer.haproxy.server_options",
        )
    weight = given.get("weight")
    return Options(
        socket=_socket(str(given.get("socket") or "")),
        backend=_word(given, "backend"),
        port=_number(given.get("port"), "port", PORT_MAX),
        weight=1 if weight is None else _number(weight, "weight", WEIGHT_MAX),
        slots=slots,
        server_options=server_options,
    )


def _socket(given: str) -> str:
    host, _colon, port = given.rpartition(":")
    if given.startswith("/") or (host and port.isdecimal() and 0 < int(port) <= PORT_MAX):
        return given
    raise Invalid(what=f"{given!r} is no runtime socket; expected its absolute path, or host:port", where="balancer.haproxy.socket")


def _word(given: Mapping[str, Any], name: str) -> str:
    value = str(given.get(name) or "")
    if not _WORD.fullmatch(value):
        raise Invalid(what=f"{value!r} is no name of HAProxy's; expected letters, digits and . : _ -", where=f"balancer.haproxy.{name}")
    return value


def _number(value: object, name: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most:
        raise Invalid(what=f"{value!r} is no {name}; expected 1 to {most}", where=f"balancer.haproxy.{name}")
    return value
