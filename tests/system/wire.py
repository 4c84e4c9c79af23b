# SPDX-License-Identifier: GPL-3.0-or-later
"""A wire to a server on loopback that can be cut and mended, as a network is."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

CHUNK_BYTES = 65536


class Wire:
    """Hands on what comes to `port` and back; bytes only, so TLS goes through. Cut: connections break, new ones are refused."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._lock = threading.Lock()
        self._ends: list[socket.socket] = []
        self._is_cut = False
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._let_in, daemon=True).start()

    def cut(self) -> None:
        with self._lock:
            self._is_cut, ends, self._ends = True, self._ends, []
        for end in ends:
            _hang_up(end)

    def mend(self) -> None:
        self._is_cut = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.cut()
        _hang_up(self._door)

    def _let_in(self) -> None:
        with contextlib.suppress(OSError):  # the door was closed
            while True:
                self._join(self._door.accept()[0])

    def _join(self, near: socket.socket) -> None:
        with self._lock:
            if self._is_cut:
                _hang_up(near)
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._to), 5)
            except OSError:
                _hang_up(near)
                return
            far.settimeout(None)
            self._ends += [near, far]
        for pair in ((near, far), (far, near)):
            threading.Thread(target=_pump, args=pair, daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            sink.sendall(data)
    _hang_up(source)
    _hang_up(sink)


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
