# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the service of a machine: a TCP connection, an HTTP(S) request, a TLS handshake, or a command.

Nothing here waits for a condition: a probe is one question, bounded by its timeout as a whole, so that a server which sends a byte
now and then holds no thread. A proxy of the environment is not used: it is the machine that is asked.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections.abc import Callable
from datetime import timedelta
from http.client import HTTPConnection, HTTPException
from typing import cast

from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import COMMAND, HTTPS, TCP, TLS, Answer, ServiceProbe
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm
from ansible_collections.immutable.fleet.plugins.module_utils.probes.answer import last_line
from ansible_collections.immutable.fleet.plugins.module_utils.probes.command import answer_of

BODY_BYTES = 65536  # of an answer, in which the text has to stand
CHUNK = 8192


class ServiceProber:
    """The port `Prober` by real connections. `redact` takes secrets out of what a command or a service says."""

    def __init__(self, pool: str, redact: Callable[[str], str]) -> None:
        self._pool = pool
        self._redact = redact

    def probe(self, probe: ServiceProbe, vm: Vm) -> Answer:
        """See ports.Prober."""
        address = vm.addresses[0] if vm.addresses else ""
        if probe.kind == COMMAND:
            given = {"FLEET_POOL": self._pool, "FLEET_MACHINE": vm.name, "FLEET_ADDRESS": address}
            return answer_of(probe.command, given, probe.timeout, self._redact)
        if not address:
            return None, "the cloud tells no address yet"
        try:
            context = _context_of(probe)
        except OSError as error:  # no such file, or none with certificates in it: the machine has no part in it
            return None, f"the certificates to trust cannot be read: {self._said(error)}"
        asked = f"{address}:{probe.port}"
        try:
            return self._ask(probe, address, context, time.monotonic() + probe.timeout.total_seconds())
        except TimeoutError:
            return False, f"{asked} took longer than {say_duration(probe.timeout)}"
        except ssl.SSLCertVerificationError as error:
            return False, f"{asked} shows a certificate that is not trusted: {error.verify_message}"
        except (OSError, HTTPException, ValueError) as error:
            return False, f"{asked} does not answer: {self._said(error)}"

    def _ask(self, probe: ServiceProbe, address: str, context: ssl.SSLContext | None, deadline: float) -> Answer:
        with socket.create_connection((address, probe.port), _left(deadline)) as plain:
            if probe.kind == TCP:
                return True, ""
            if context is None:
                return self._request(probe, address, plain, deadline)
            plain.settimeout(_left(deadline))
            with context.wrap_socket(plain, server_hostname=probe.host or address) as secured:
                too_short = _expiry(probe, secured)
                if too_short or probe.kind == TLS:
                    return not too_short, too_short
                return self._request(probe, address, secured, deadline)

    def _request(self, probe: ServiceProbe, address: str, connected: socket.socket, deadline: float) -> Answer:
        """One GET, no redirect followed. The connection is the one that is there."""
        connection = HTTPConnection(address, probe.port)
        connection.sock = cast("socket.socket", _Bounded(connected, deadline))
        headers = {"User-Agent": "immutable.fleet", "Accept": "*/*", "Connection": "close"}
        if probe.host:
            headers["Host"] = probe.host
        connection.request("GET", probe.path, headers=headers)
        response = connection.getresponse()
        answered = f"{address}:{probe.port}{probe.path.partition('?')[0]} answered {response.status}"
        if not any(least <= response.status <= most for least, most in probe.status):
            return False, answered
        if probe.body and not _holds(response, probe.body.encode()):
            return False, f"{answered}, without the text that is expected"
        return True, ""

    def _said(self, error: Exception) -> str:
        return last_line(str(error).encode(), self._redact)


def _context_of(probe: ServiceProbe) -> ssl.SSLContext | None:
    """How certificates are judged; the name in one is compared where a name was given: machines are asked by address."""
    if probe.kind not in (TLS, HTTPS):
        return None
    context = ssl.create_default_context(cafile=probe.ca_cert or None)
    context.check_hostname = bool(probe.host) and probe.verifies
    if not probe.verifies:
        context.verify_mode = ssl.CERT_NONE
    return context


def _expiry(probe: ServiceProbe, secured: ssl.SSLSocket) -> str:
    """What is wrong with the end of the certificate, "" where nothing is."""
    shown = secured.getpeercert() or {}
    if probe.expires_in is None or "notAfter" not in shown:
        return ""
    ends = str(shown["notAfter"])
    left = timedelta(seconds=ssl.cert_time_to_seconds(ends) - time.time())
    return f"its certificate ends {ends}, less than {say_duration(probe.expires_in)} from now" if left < probe.expires_in else ""


def _holds(response: io.BufferedIOBase, text: bytes) -> bool:
    """Whether the text stands in the first bytes of the answer; no more is read than it takes to know."""
    found = b""
    while text not in found:
        read = response.read1(CHUNK) if len(found) < BODY_BYTES else b""
        if not read:
            return False
        found += read
    return True


class _Bounded:
    """A connection as HTTPConnection uses one, each step of which ends at `deadline` however few bytes come at a time."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._connected, self._deadline = connected, deadline

    def sendall(self, data: bytes) -> None:
        self._connected.settimeout(_left(self._deadline))
        self._connected.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reading(self._connected, self._deadline))

    def close(self) -> None:
        """Who opened it closes it: the answer is read after HTTPConnection has done with it."""


class _Reading(io.RawIOBase):
    """What comes from a connection until `deadline`."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        super().__init__()
        self._connected, self._deadline = connected, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # of its base's any buffer, what readers hand over
        self._connected.settimeout(_left(self._deadline))
        return self._connected.recv_into(buffer)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
