# SPDX-License-Identifier: GPL-3.0-or-later
"""The guests of plain servers on OpenStack: while Nova says that one runs, a web server answers at its fixed address.

    python -m labs.web_guests --openstack user --name 'shop-.*' --port 18080 --answer-ms 20

Nova's fake driver boots nothing, so this is what would run on the machines. A request is answered with the machine's name, some
milliseconds after it came. A server that Nova does not call running any more dies as if its power were cut: every connection is reset, and
what was under way gets no answer. So does one whose name comes as a line on the standard input, whatever Nova says of it until then.
Its address has to be one that can be listened at: that of a subnet of 127.0.0.0/8.

Tells what happens on its standard output, a JSON object a line: `{"at": seconds since the epoch, "guest": name, "event": "answers"}`, and
`"dies"` with how many requests are `under_way`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import socket
import struct
import sys
import threading
import time

from .kubernetes.guests import VM
from .kubernetes.openstack_servers import OpenStackServers

END = b"\r\n\r\n"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset


class Guest:
    """One machine's web server."""

    def __init__(self, name: str, address: str, port: int, answer_seconds: float) -> None:
        self.name, self.answer_seconds = name, answer_seconds
        self.under_way = 0
        self.connections: set[Connection] = set()
        body = name.encode()
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        self._where = address, port
        self._server: asyncio.Server | None = None
        self._is_dead = False

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), *self._where, backlog=512)
        self._tell("answers")

    def die(self) -> None:
        """Once; it does not answer again."""
        if self._is_dead:
            return
        self._is_dead = True
        if self._server is not None:
            self._server.close()
        self._tell("dies", under_way=self.under_way)
        for connection in list(self.connections):
            connection.reset()

    def _tell(self, event: str, **more: int) -> None:
        print(json.dumps({"at": time.time(), "guest": self.name, "event": event, **more}), flush=True)


class Connection(asyncio.Protocol):
    """One request after the other, without a body; that is all that is asked of it."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._guest.connections.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._guest.connections.discard(self)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._received += data
        while END in self._received:
            _request, _end, self._received = self._received.partition(END)
            self._guest.under_way += 1
            asyncio.get_running_loop().call_later(self._guest.answer_seconds, self._answer)

    def reset(self) -> None:
        if self._transport is not None:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._transport.abort()

    def _answer(self) -> None:
        self._guest.under_way -= 1
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._guest.answer)


class Guests:
    """All whose names match, each for as long as its server runs."""

    def __init__(self, name: str, port: int, answer_seconds: float) -> None:
        self._name, self._port, self._answer_seconds = re.compile(name), port, answer_seconds
        self._guests: dict[str, Guest] = {}  # by server id

    def kill(self, name: str) -> None:
        for guest in self._guests.values():
            if guest.name == name:
                guest.die()

    async def look(self, servers: list[VM]) -> None:
        running = {vm.id: vm for vm in servers if vm.on and vm.addresses and self._name.fullmatch(vm.name)}
        for gone in self._guests.keys() - running.keys():
            self._guests.pop(gone).die()
        for new in running.keys() - self._guests.keys():
            vm = running[new]
            guest = Guest(vm.name, vm.addresses[0], self._port, self._answer_seconds)
            await guest.start()
            self._guests[new] = guest


async def follow(cloud: str, guests: Guests, interval: float) -> None:
    """For ever. An API that does not answer changes nothing."""
    threading.Thread(target=hear, args=(asyncio.get_running_loop(), guests), daemon=True).start()
    source = OpenStackServers(cloud, all_projects=False)
    while True:
        try:
            servers = await asyncio.to_thread(source.servers)
        except Exception as error:  # noqa: BLE001 - a cloud that does not answer has not lost its VMs  # pylint: disable=broad-except
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        else:
            await guests.look(servers)
        await asyncio.sleep(interval)


def hear(loop: asyncio.AbstractEventLoop, guests: Guests) -> None:
    """Who is named dies."""
    for line in sys.stdin:
        loop.call_soon_threadsafe(guests.kill, line.strip())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--openstack", required=True, metavar="CLOUD")
    parser.add_argument("--name", required=True, help="regular expression of the servers' names")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--answer-ms", type=float, default=20)
    parser.add_argument("--interval", type=float, default=0.5)
    given = parser.parse_args()
    guests = Guests(given.name, given.port, given.answer_ms / 1000)
    asyncio.run(follow(given.openstack, guests, given.interval))


if __name__ == "__main__":
    main()
