# SPDX-License-Identifier: GPL-3.0-or-later
"""Transport: commands to the runtime socket, its words back. A connection for each call: HAProxy closes it after the answer."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, Transient

OPTION = "balancer.haproxy.socket"  # of a task
CHUNK = 65536  # bytes of an answer at a time
LINE_MAX = 8000  # characters sent at once: HAProxy takes half of tune.bufsize, which is 16384


class Transport(Protocol):
    """What the rest of the adapter needs of `Client`; tests have a smaller one."""

    def ask(self, commands: Sequence[str]) -> str:
        """The answers to all commands, one after the other. Raises `Transient`, `Denied`."""


class Client:
    """One runtime socket: a path, or `host:port`."""

    def __init__(self, address: str, call_timeout: timedelta) -> None:
        self._address = address
        self._seconds = call_timeout.total_seconds()

    def ask(self, commands: Sequence[str]) -> str:
        """As `Transport.ask`. One connection, or several where the commands are too many for one line."""
        return "".join(self._ask(line) for line in lines_of(commands))

    def _ask(self, line: str) -> str:
        answer = bytearray()
        try:
            with self._connect() as connection:
                connection.sendall(line.encode() + b"\n")
                while chunk := connection.recv(CHUNK):
                    answer += chunk
        except PermissionError as exc:
            raise Denied(what=f"the runtime socket {self._address} is not for this user: {exc}", where=OPTION) from exc
        except OSError as exc:
            raise Transient(what=f"HAProxy's runtime socket {self._address} gave no answer: {exc}", where=OPTION) from exc
        return answer.decode("utf-8", "replace")

    def _connect(self) -> socket.socket:
        if self._address.startswith("/"):
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.settimeout(self._seconds)
                connection.connect(self._address)
            except OSError:
                connection.close()
                raise
            return connection
        host, _colon, port = self._address.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), self._seconds)


def lines_of(commands: Sequence[str]) -> list[str]:
    """Commands joined to as few lines as HAProxy takes, in their order."""
    lines: list[str] = []
    for command in commands:
        if lines and len(lines[-1]) + len(command) + 1 <= LINE_MAX:
            lines[-1] += ";" + command
        else:
            lines.append(command)
    return lines
