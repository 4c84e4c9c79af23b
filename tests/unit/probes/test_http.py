# SPDX-License-Identifier: GPL-3.0-or-later
"""A gate that is a URL, against a real server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import Question
from ansible_collections.immutable.fleet.plugins.module_utils.probes.http import HttpProbe
from ansible_collections.immutable.fleet.plugins.module_utils.reports.redact import Redactor

QUESTION = Question(pool="web", step="before_drain", machine="web-3-x7k2p", revision="sha512:a1/b2")
REDACT = Redactor(["hunter2"]).text
ANSWERS = {
    "/ready": (200, "text/plain", b"5 of 5 ready\n"),
    "/empty": (204, "text/plain", b""),
    "/page": (200, "text/html", b"<html>"),
    "/no": (503, "text/plain; charset=utf-8", b"first\n3 of 5 ready\n"),
    "/json": (409, "application/json", b'{"ready": 3}'),
    "/secret": (403, "text/plain", b"token hunter2 is not allowed"),
    "/login": (302, "text/plain", b""),
    "/gone": (404, "text/html", b"<html>"),
    "/web/web-3-x7k2p/before_drain/sha512%3Aa1%2Fb2": (200, "text/plain", b"that one"),
}


class Gates(BaseHTTPRequestHandler):
    """Answers by the table; what is not in it is told."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        status, kind, body = ANSWERS.get(path, (500, "text/plain", f"no {path}".encode()))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status == 302:
            self.send_header("Location", "/ready")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Quietly."""


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Gates) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' server is here."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def ask(url: str, seconds: float = 30) -> tuple[bool, str]:
    return HttpProbe(url, timedelta(seconds=seconds), REDACT).ask(QUESTION)


@pytest.mark.parametrize(
    ("path", "passed", "what"),
    [
        pytest.param("/ready", True, "/ready answered 200 OK: 5 of 5 ready", id="2xx passes, with its last line"),
        pytest.param("/empty", True, "/empty answered 204 No Content", id="all 2xx"),
        pytest.param("/page", True, "/page answered 200 OK", id="a page is not shown"),
        pytest.param("/no", False, "/no answered 503 Service Unavailable: 3 of 5 ready", id="5xx does not"),
        pytest.param("/json", False, '/json answered 409 Conflict: {"ready": 3}', id="nor does 4xx"),
        pytest.param("/gone", False, "/gone answered 404 Not Found", id="nor a page that is gone"),
        pytest.param("/login", False, "/login answered 302 Found", id="a redirect is not followed: a login page answers 200"),
        pytest.param("/secret", False, "/secret answered 403 Forbidden: token ******** is not allowed", id="without secrets"),
        pytest.param("/ready?token=xyzzy", True, "/ready answered 200 OK: 5 of 5 ready", id="a query is not shown"),
        pytest.param(
            "/${pool}/${machine_name}/${step}/${revision}",
            True,
            "/web/web-3-x7k2p/before_drain/sha512%3Aa1%2Fb2 answered 200 OK: that one",
            id="what it is about",
        ),
    ],
)
def test_what_a_url_says(base: str, path: str, passed: bool, what: str) -> None:
    """Passed or not, and one line for a person."""
    assert ask(base + path) == (passed, base + what)


def test_one_that_nobody_listens_at_has_not_passed() -> None:
    """It may soon."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/ready"
        passed, what = ask(url + "?token=xyzzy")
    assert not passed
    assert what.startswith(f"{url} does not answer: ")
    assert "Connection refused" in what


def test_one_that_never_answers_has_not_passed() -> None:
    """The call has an end."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/ready"
        assert ask(url, seconds=0.2) == (False, f"{url} does not answer: timed out")


def test_one_that_speaks_something_else_has_not_passed() -> None:
    """An SSH server, say."""
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            connection, _address = other.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{other.getsockname()[1]}/ready"
        passed, what = ask(url)
        thread.join()
    assert not passed
    assert what.startswith(f"{url} does not answer: ")


def test_a_certificate_that_nobody_knows_is_refused(base: str) -> None:
    """An https gate at a plain port answers nothing that is believed."""
    passed, what = ask(base.replace("http:", "https:") + "/ready", seconds=5)
    assert not passed
    assert "does not answer" in what
