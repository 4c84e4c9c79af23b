# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes of a machine's service, against real servers on loopback."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import Answer, ServiceProbe
from ansible_collections.immutable.fleet.plugins.module_utils.probes.service import ServiceProber
from ansible_collections.immutable.fleet.plugins.module_utils.reports.redact import Redactor
from ansible_collections.immutable.fleet.tests.unit.builders import vm

ADDRESS = "127.0.0.1"
CERTIFICATE_DAYS = 30


class Shop(BaseHTTPRequestHandler):
    """/health is well, /moved leads elsewhere, /host repeats the host that was asked for, all else is broken."""

    def do_GET(self) -> None:
        answers = {"/health": (200, b"all is well\n"), "/moved": (302, b""), "/host": (200, self.headers["Host"].encode())}
        status, body = answers.get(self.path, (503, b"broken"))
        self.send_response(status)
        self.send_header("Location", "/health")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as its base calls it
        """Quietly."""


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The shop's port."""
    with ThreadingHTTPServer((ADDRESS, 0), Shop) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def plain() -> Iterator[int]:
    with serving() as port:
        yield port


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of shop.example, by itself, for so many days; key and certificate in one file."""
    folder = tmp_path_factory.mktemp("tls")
    words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        str(CERTIFICATE_DAYS),
    ]
    words += ["-subj", "/CN=shop.example", "-addext", "subjectAltName=DNS:shop.example"]
    subprocess.run([*words, "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return both


@pytest.fixture(scope="module")
def secured(certificate: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(context) as port:
        yield port


def ask(kind: str, port: int = 0, seconds: float = 30, **more: Any) -> Answer:
    probe = ServiceProbe(kind=kind, port=port, timeout=timedelta(seconds=seconds), **more)
    return ServiceProber("web", Redactor(["hunter2"]).text).probe(probe, vm("web-0-aaaaa", addresses=(ADDRESS, "192.0.2.7")))


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        pytest.param("tcp", {}, (True, ""), id="a connection is taken"),
        pytest.param("http", {"path": "/health"}, (True, ""), id="2xx"),
        pytest.param("http", {"path": "/sick?key=hunter2"}, (False, "/sick answered 503"), id="another status; a query is not shown"),
        pytest.param("http", {"path": "/sick", "status": ((200, 299), (503, 503))}, (True, ""), id="one that is expected"),
        pytest.param("http", {"path": "/moved"}, (False, "/moved answered 302"), id="a redirect is not followed"),
        pytest.param("http", {"path": "/health", "body": "is well"}, (True, ""), id="the text is there"),
        pytest.param(
            "http",
            {"path": "/health", "body": "is ill"},
            (False, "/health answered 200, without the text that is expected"),
            id="it is not",
        ),
        pytest.param("http", {"path": "/host", "host": "shop.example", "body": "shop.example"}, (True, ""), id="by the name given"),
        pytest.param("http", {"path": "/host", "body": ADDRESS}, (True, ""), id="by its address where none is"),
    ],
)
def test_what_a_plain_service_says(plain: int, kind: str, more: dict[str, Any], expected: Answer) -> None:
    """Passed or not, and why not in one line."""
    passed, what = expected
    assert ask(kind, plain, **more) == (passed, f"{ADDRESS}:{plain}{what}" if what else "")


@pytest.mark.parametrize(
    ("kind", "more", "passed", "said"),
    [
        pytest.param("tls", {"trusts": True}, True, "", id="trusted; without a name given it is not compared"),
        pytest.param("tls", {"trusts": True, "host": "shop.example"}, True, "", id="the name is that of the certificate"),
        pytest.param("tls", {"trusts": True, "host": "shoe.example"}, False, "Hostname mismatch", id="the name is another"),
        pytest.param("tls", {}, False, "not trusted: self-signed certificate", id="nobody trusts it"),
        pytest.param("tls", {"verifies": False}, True, "", id="and need not, if so asked"),
        pytest.param("tls", {"trusts": True, "expires_in": timedelta(days=CERTIFICATE_DAYS - 1)}, True, "", id="valid for long enough"),
        pytest.param("tls", {"trusts": True, "expires_in": timedelta(days=CERTIFICATE_DAYS + 1)}, False, "less than 31d", id="not so long"),
        pytest.param("https", {"trusts": True, "path": "/health", "body": "well"}, True, "", id="a request over it"),
        pytest.param("https", {"trusts": True, "path": "/sick"}, False, "/sick answered 503", id="a bad answer over it"),
        pytest.param("https", {"path": "/health"}, False, "not trusted", id="no request to a stranger"),
        pytest.param("https", {"trusts": True, "expires_in": timedelta(days=99)}, False, "its certificate ends", id="nor at its end"),
    ],
)
def test_what_a_secured_service_says(secured: int, certificate: Path, kind: str, more: dict[str, Any], passed: bool, said: str) -> None:
    """The certificate first: whom it is made out to, by whom, and for how long yet."""
    if more.pop("trusts", False):
        more["ca_cert"] = str(certificate)
    found, what = ask(kind, secured, **more)
    assert (found, said in what) == (passed, True), what


def test_who_speaks_no_tls_has_not_passed(plain: int) -> None:
    """A plain port where a secured one is expected."""
    passed, what = ask("tls", plain)
    assert passed is False
    assert "does not answer" in what


def test_certificates_that_cannot_be_read_say_nothing_of_the_machine(secured: int, tmp_path: Path) -> None:
    """Unknown, which is not unhealthy."""
    passed, what = ask("tls", secured, ca_cert=str(tmp_path / "none.pem"))
    assert passed is None
    assert what.startswith("the certificates to trust cannot be read")


@pytest.mark.parametrize("kind", ["tcp", "http", "tls"])
def test_who_refuses_has_not_passed(kind: str) -> None:
    """Nobody listens there."""
    with socket.socket() as taken:
        taken.bind((ADDRESS, 0))
        passed, what = ask(kind, taken.getsockname()[1])
    assert passed is False
    assert "Connection refused" in what


@pytest.mark.parametrize("kind", ["http", "tls"])
def test_who_stays_silent_has_not_passed(kind: str) -> None:
    """The question has an end."""
    with socket.create_server((ADDRESS, 0)) as silent:
        port = silent.getsockname()[1]
        assert ask(kind, port, seconds=0.3) == (False, f"{ADDRESS}:{port} took longer than 0.3s")


def test_who_answers_byte_by_byte_holds_nobody() -> None:
    """The timeout is that of the whole question, not of each byte."""
    stop = threading.Event()
    with socket.create_server((ADDRESS, 0)) as slow:

        def drip() -> None:
            connection, _address = slow.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                try:
                    while not stop.wait(0.05):
                        connection.sendall(b"x")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        port = slow.getsockname()[1]
        answer = ask("http", port, seconds=0.5)
        stop.set()
        thread.join()
    assert answer == (False, f"{ADDRESS}:{port} took longer than 0.5s")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        pytest.param(("sh", "-c", "exit 0"), (True, ""), id="0 passes"),
        pytest.param(
            ("sh", "-c", 'echo "$FLEET_POOL $FLEET_MACHINE $FLEET_ADDRESS"'), (True, f"web web-0-aaaaa {ADDRESS}"), id="it is told whom"
        ),
        pytest.param(("sh", "-c", "echo hunter2; exit 3"), (False, "sh ended with 3: ********"), id="all else does not"),
        pytest.param(("sh", "-c", "echo no way; exit 75"), (None, "sh ended with 75: no way"), id="75 is that it could ask nobody"),
        pytest.param(("no-such-program",), (None, "no-such-program cannot be run: No such file or directory"), id="nobody was asked"),
    ],
)
def test_what_a_command_says(command: tuple[str, ...], expected: Answer) -> None:
    """By its end; one that is not there, or could ask nobody, says nothing of the machine."""
    assert ask("command", command=command) == expected


def test_a_machine_without_an_address_cannot_be_asked() -> None:
    """The cloud will tell one."""
    probe = ServiceProbe(kind="tcp", port=80)
    assert ServiceProber("web", str).probe(probe, vm(addresses=())) == (None, "the cloud tells no address yet")
