# SPDX-License-Identifier: GPL-3.0-or-later
"""Harness of the HAProxy adapter: a real HAProxy for each test, by its Unix socket and by TCP, with dynamic servers and with slots."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from ansible_collections.immutable.fleet.plugins.module_utils.balancers.haproxy.balancer import HaproxyBalancer
from ansible_collections.immutable.fleet.plugins.module_utils.balancers.haproxy.options import Options
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Balancer
from ansible_collections.immutable.fleet.tests.labs.haproxy.server import Haproxy, free_ports
from ansible_collections.immutable.fleet.tests.labs.web_machines import WebMachines

Found = TypeVar("Found")

PATIENCE_SECONDS = 60  # on a busy machine; most waits take less than a second
CALL_TIMEOUT = timedelta(seconds=20)
SESSIONS = 3


class OnHaproxy:
    """`slots`: the backend with a server-template, by TCP; else dynamic servers, by the Unix socket."""

    can_count_sessions = True
    can_be_busy = False

    def __init__(self, *, slots: bool) -> None:
        self.can_hold_names = not slots
        self._slots = "web" if slots else ""
        self._backend = "slots" if slots else "dynamic"
        self._stack = ExitStack()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        self.server = self._stack.enter_context(Haproxy(Path(folder)))
        (port,) = free_ports(1)
        self._machines = WebMachines(port)
        self._net = f"127.{secrets.randbelow(200) + 30}.{secrets.randbelow(250)}"
        self._made = 0

    def until(self, look: Callable[[], Found | None], what: str) -> Found:
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE_SECONDS:
            found = look()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"not within {PATIENCE_SECONDS} s: {what}")

    def clean_up(self) -> None:
        self._machines.end()
        self._stack.close()

    def balancer(self, pool: str = "one") -> Balancer:
        return self._balancer(pool, self._backend)

    def balancer_of_unknown_backend(self) -> Balancer:
        return self._balancer("one", "shoe")

    def start_machine(self, pool: str = "one") -> tuple[str, str]:
        self._made += 1
        name, address = f"{pool}-{self._made}-aaaaa", f"{self._net}.{self._made}"
        self._machines.start(name, address)
        return name, address

    def stop_machine(self, name: str) -> None:
        self._machines.stop(name)

    def add_by_hand(self) -> str:
        address = f"{self._net}.200"
        self._machines.start("legacy", address)
        server = f"{self._backend}/legacy-1"
        made = f"add server {server} {address}:{self._machines.port} weight 7 check inter 300"
        said = self.server.ask(f"{made};enable health {server};set server {server} state ready")
        assert "registered" in said, said
        return address

    def open_sessions(self) -> None:
        self._machines.hold(self.server.url(self._backend, ""), SESSIONS)

    def end_sessions(self) -> None:
        self._machines.let_go()

    def broken_sessions(self) -> int:
        return self._machines.broken

    def _balancer(self, pool: str, backend: str) -> Balancer:
        options = Options(
            socket=self.server.tcp_socket if self._slots else self.server.socket,
            backend=backend,
            port=self._machines.port,
            weight=5,
            slots=self._slots,
            server_options="check inter 300",
        )
        return HaproxyBalancer(pool, options, call_timeout=CALL_TIMEOUT, now=lambda: datetime.now(UTC))


def dynamic_servers(_folder: Path) -> OnHaproxy:
    return OnHaproxy(slots=False)


def slots(_folder: Path) -> OnHaproxy:
    return OnHaproxy(slots=True)
