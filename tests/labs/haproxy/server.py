# SPDX-License-Identifier: GPL-3.0-or-later
"""A real HAProxy on loopback, with two backends and machines behind them: for tests, each of which starts its own.

    with Haproxy(folder) as balancer:
        balancer.socket, balancer.tcp_socket    # runtime sockets of level admin
        balancer.url("dynamic")                 # a frontend of its own for each backend, and of the same name
        balancer.reload()                       # as a package's ExecReload does, with the state saved before
        balancer.troubled()                     # requests that failed or had to be sent to another server, by its own log

Backends: `dynamic` is empty, `slots` has a server-template whose servers are called web1, web2 ...
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from ..debian import libraries
from ..home import home
from ..processes import LabError, start_time

IP = "127.0.0.1"
SLOTS = 6
PATIENCE_SECONDS = 20
CONFIGURATION = """
global
    stats socket {folder}/admin.sock level admin
    stats socket {folder}/look.sock level user
    stats socket ipv4@{ip}:{tcp} level admin
    server-state-file {folder}/state
    hard-stop-after 60s
    maxconn 2000
defaults
    mode http
    log ring@troubled local0
    option httplog
    option dontlog-normal
    log-format "request %s %ST %ts"
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    option redispatch 1
    retries 3
    load-server-state-from-file global
ring troubled
    format raw
    maxlen 200
    size 4000000
frontend dynamic
    bind {ip}:{dynamic}
    default_backend dynamic
frontend slots
    bind {ip}:{slots}
    default_backend slots
backend dynamic
    balance roundrobin
backend slots
    balance roundrobin
    server-template web 1-{count} free.invalid:80 check inter 300 disabled init-addr last,192.0.2.1
"""


class Troubled(NamedTuple):
    """A request that failed, or that a server refused.

    `server` is the last one that it was sent to, `status` what its client got: 200 from another server than the one that refused it.
    `state` tells how the session ended: https://docs.haproxy.org/2.6/configuration.html#8.5
    """

    server: str
    status: int
    state: str


def root(environment: Mapping[str, str]) -> Path:
    """Where the package is unpacked, where the machine has no HAProxy of its own."""
    return home("haproxy", environment) / "root"


def program(environment: Mapping[str, str]) -> Path | None:
    """The HAProxy of the machine, else the unpacked one; None: there is neither."""
    found = shutil.which("haproxy", path=f"{environment.get('PATH', '')}:/usr/sbin:{root(environment)}/usr/sbin")
    return Path(found) if found else None


class Haproxy:
    """One HAProxy, its files in `folder`, whose name has to be short: a socket's path ends at 100 characters."""

    def __init__(self, folder: Path) -> None:
        found = program(os.environ)
        if found is None:
            raise LabError("no HAProxy: lab up haproxy")
        self._program, self._folder = found, folder
        self.socket, self.user_socket = f"{folder}/admin.sock", f"{folder}/look.sock"
        self._ports = dict(zip(("tcp", "dynamic", "slots"), free_ports(3), strict=True))
        self.tcp_socket = f"{IP}:{self._ports['tcp']}"
        self._pids: list[tuple[int, str | None]] = []

    def __enter__(self) -> Self:
        (self._folder / "state").touch()
        text = CONFIGURATION.format(folder=self._folder, ip=IP, count=SLOTS, **self._ports)
        (self._folder / "haproxy.cfg").write_text(text)
        self._start([])
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        for pid, born in self._pids:
            if start_time(pid) == born:
                os.kill(pid, 9)

    def url(self, backend: str, path: str = "/") -> str:
        return f"http://{IP}:{self._ports[backend]}{path}"

    def ask(self, commands: str) -> str:
        """What the admin's socket says."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_SECONDS)
            connection.connect(self.socket)
            connection.sendall(commands.encode() + b"\n")
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def troubled(self) -> list[Troubled]:
        """All since it was started, in their order."""
        lines = [line.split() for line in self.ask("show events troubled").splitlines() if line.startswith("request ")]
        return [Troubled(server, int(status), state) for _request, server, status, state in lines]

    def reload(self, *, save: bool = True) -> None:
        """A new process takes over; the old one goes when its connections have ended. `save`: the state is written before."""
        if save:
            (self._folder / "state").write_text(self.ask("show servers state"))
        old = [str(pid) for pid, born in self._pids if start_time(pid) == born]
        self._start(["-sf", *old])

    def _start(self, more: list[str]) -> None:
        pid_file = self._folder / "haproxy.pid"
        words = [str(self._program), "-D", "-f", str(self._folder / "haproxy.cfg"), "-p", str(pid_file), *more]
        done = subprocess.run(words, env=libraries(root(os.environ)), capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"HAProxy does not start: {done.stderr}")
        pid = int(pid_file.read_text())
        self._pids.append((pid, start_time(pid)))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while f"Pid: {pid}" not in self._info():
            if time.monotonic() > deadline:
                raise LabError(f"HAProxy {pid} does not answer: {done.stderr}")
            time.sleep(0.02)

    def _info(self) -> str:
        with contextlib.suppress(OSError):
            return self.ask("show info")
        return ""


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody uses now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _port in range(count)]
        for each in sockets:
            each.bind((IP, 0))
        return [each.getsockname()[1] for each in sockets]
