# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that answer on a port: web servers on addresses of loopback, and sessions that a test holds open.

machines = WebMachines(8080)
machines.start("web-1-aaaaa", "127.77.0.1")
machines.hold("http://127.0.0.1:18000", 3)      # three requests are under way now
machines.let_go()                               # and now they are answered
machines.broken                                 # how many got no answer
"""

import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

HELD = "/held"
PATIENCE_SECONDS = 60


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class WebMachines:
    """All of one test. A request for /held is answered when it is let go, any other one at once."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.broken = 0
        self._servers: dict[str, _Server] = {}
        self._free = threading.Event()
        self._arrived = threading.Semaphore(0)
        self._clients: list[threading.Thread] = []
        self._counting = threading.Lock()

    def start(self, name: str, address: str) -> None:
        """A machine begins to answer, with its name."""
        machines = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            extra: ClassVar[dict[str, str]] = {"Content-Type": "text/plain"}

            def do_GET(self) -> None:
                if self.path == HELD:
                    machines._arrived.release()  # one of our own
                    machines._free.wait(PATIENCE_SECONDS)
                body = name.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None:
                pass

        server = _Server((address, self.port), Handler)
        self._servers[name] = server
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self, name: str) -> None:
        """It answers nobody any more."""
        server = self._servers.pop(name)
        server.shutdown()
        server.server_close()

    def hold(self, url: str, count: int) -> None:
        """So many requests are under way when this returns."""
        self._free.clear()
        for _request in range(count):
            client = threading.Thread(target=self._ask, args=(url + HELD,), daemon=True)
            client.start()
            self._clients.append(client)
        for _request in range(count):
            if not self._arrived.acquire(timeout=PATIENCE_SECONDS):
                raise AssertionError(f"a request to {url} arrived nowhere")

    def let_go(self) -> None:
        """They are answered, and their clients are content or not."""
        self._free.set()
        for client in self._clients:
            client.join(PATIENCE_SECONDS)
        self._clients.clear()

    def end(self) -> None:
        """All machines stop."""
        self.let_go()
        for name in list(self._servers):
            self.stop(name)

    def _ask(self, url: str) -> None:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
                is_well = answer.status == 200
        except OSError:
            is_well = False
        if not is_well:
            with self._counting:
                self.broken += 1
