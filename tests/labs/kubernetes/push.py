# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the joiner what happens to VMs, over a loopback socket: one JSON object a line, one line of answer each.

    {"op": "on", "id": "1", "name": "web-1", "zone": "az1", "provider_id": "simulated:///1",
     "labels": {"pool": "web"}, "taints": ["k=v:NoSchedule"], "user_data": "...", "meta": {"lab_join": "notready"}}
    {"op": "off", "id": "1"}
    {"op": "delete", "id": "1"}

The answer to "on" comes when the Node is there: {"joined": true}; {"joined": false} means a boot delay or a refusal.
A line that can't be understood is answered by {"error": "..."}.
"""

import json
import socket
import socketserver
import threading
from types import TracebackType
from typing import Any, Protocol, Self

from .guests import VM
from .kube import ApiError
from .site import IP


class Listener(Protocol):
    """The part of the joiner that events need."""

    def boot(self, vm: VM) -> bool: ...

    def off(self, vm_id: str) -> None: ...

    def delete(self, vm_id: str) -> None: ...


def handle(joiner: Listener, event: dict[str, Any]) -> dict[str, Any]:
    match event:
        case {"op": "on", "id": str(), "name": str()}:
            return {"joined": joiner.boot(VM.from_event(event))}
        case {"op": "off", "id": str(vm_id)}:
            joiner.off(vm_id)
        case {"op": "delete", "id": str(vm_id)}:
            joiner.delete(vm_id)
        case _:
            raise ValueError(f"not an event: {event}")
    return {}


def serve(joiner: Listener, port: int = 0) -> int:
    """Listens in the background until the process ends; returns the port.

    A thread per connection: events of one connection are handled in order, those of two side by side.
    """

    class Connection(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                try:
                    answer = handle(joiner, json.loads(line))
                except (ApiError, TypeError, ValueError, OSError) as error:
                    answer = {"error": str(error)}
                self.wfile.write(json.dumps(answer).encode() + b"\n")

    socketserver.ThreadingTCPServer.allow_reuse_address = True
    server = socketserver.ThreadingTCPServer((IP, port), Connection)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


class Pusher:
    """The other end: `Pusher(port).send(op="on", id="1", name="web-1")`."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((IP, port))
        self.lines = self.socket.makefile("rw", encoding="utf-8")

    def send(self, **event: Any) -> dict[str, Any]:
        self.lines.write(json.dumps(event) + "\n")
        self.lines.flush()
        answer: dict[str, Any] = json.loads(self.lines.readline())
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.lines.close()
        self.socket.close()
