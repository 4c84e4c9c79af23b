# SPDX-License-Identifier: GPL-3.0-or-later
"""Connection options, calls and streams, with the official client and an HTTP server that answers as it is told."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.client import Client, Connection
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, Invalid, NotFound, Transient

SECRET = "s3cr3t-t0k3n"
KUBECONFIG: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "lab",
    "contexts": [
        {"name": "lab", "context": {"cluster": "lab", "user": "me"}},
        {"name": "prod", "context": {"cluster": "prod", "user": "me"}},
    ],
    "clusters": [
        {"name": "lab", "cluster": {"server": "https://lab.example.org:6443"}},
        {"name": "prod", "cluster": {"server": "https://prod.example.org:6443/"}},
    ],
    "users": [{"name": "me", "user": {"token": SECRET}}],
}


class Server(ThreadingHTTPServer):
    """`answers` maps a path to (status, body); a list of lines is streamed, then the stream stays open until `over`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.over = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        status, answer = self.server.answers[self.path.partition("?")[0]]
        self.send_response(status)
        if isinstance(answer, list):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in answer:
                self.wfile.write(f"{len(piece):x}\r\n{piece}\r\n".encode())
            self.server.over.wait(10)
            self.close_connection = True
            return
        text = answer if isinstance(answer, str) else json.dumps(answer)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PATCH(self) -> None:
        self.do_GET()

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.over.set()
    made.shutdown()
    made.server_close()
    thread.join()


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    made = Client(Connection(host=server.url, api_key=SECRET), now=now)
    yield made
    made.close()


def client_of(**options: Any) -> Client:
    return Client(Connection(**options), now=now)


@pytest.mark.parametrize(
    ("options", "host"),
    [
        ({}, "https://lab.example.org:6443"),
        ({"context": "prod"}, "https://prod.example.org:6443"),
        ({"host": "https://other.example.org"}, "https://other.example.org"),
    ],
    ids=["current context", "named context", "host comes first"],
)
@pytest.mark.parametrize("form", ["dictionary", "file"])
def test_kubeconfig_as_dictionary_and_as_file(form: str, options: dict[str, str], host: str, tmp_path: Path) -> None:
    """Both are the same."""
    file = tmp_path / "config"
    file.write_text(json.dumps(KUBECONFIG))
    assert client_of(kubeconfig=KUBECONFIG if form == "dictionary" else str(file), **options).host == host


@pytest.mark.parametrize("form", ["dictionary", "file"])
def test_wrong_context_is_named_with_those_that_exist(form: str, tmp_path: Path) -> None:
    """A typo is corrected from the message alone."""
    file = tmp_path / "config"
    file.write_text(json.dumps(KUBECONFIG))
    with pytest.raises(Invalid) as raised:
        client_of(kubeconfig=KUBECONFIG if form == "dictionary" else str(file), context="production")
    assert str(raised.value) == "the kubeconfig has no context 'production'; it has lab, prod (kubernetes.context)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"token: {SECRET}\n  : [", "the kubeconfig is not YAML"),
        (f"- {SECRET}", "kubeconfig"),
        ("{}", "no usable kubeconfig"),
        (f"current-context: a\ncontexts: [{{name: a, context: {SECRET}}}]", "kubeconfig"),
    ],
)
def test_odd_kubeconfig_is_refused_without_quoting_it(text: str, said: str, tmp_path: Path) -> None:
    """It may hold secrets."""
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(Invalid, match=said) as raised:
        client_of(kubeconfig=str(file))
    assert raised.value.where == "kubernetes.kubeconfig"
    assert SECRET not in str(raised.value)


def test_missing_kubeconfig_and_missing_files_are_named(tmp_path: Path) -> None:
    """With the option."""
    with pytest.raises(Invalid) as raised:
        client_of(kubeconfig=str(tmp_path / "none"))
    assert raised.value.where == "kubernetes.kubeconfig"
    with pytest.raises(Invalid) as raised:
        client_of(host="https://lab", api_key="a", ca_cert=str(tmp_path / "ca"))
    assert (raised.value.where, raised.value.what) == ("kubernetes.ca_cert", f"there is no file {tmp_path}/ca")


def test_options_do_not_show_secrets() -> None:
    """A Connection may end up in a log."""
    shown = repr(Connection(host="https://lab", api_key=SECRET, password=SECRET, kubeconfig={"token": SECRET}))
    assert SECRET not in shown


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({"api_key": SECRET}, f"Bearer {SECRET}"),
        ({"username": "me", "password": "pw"}, "Basic bWU6cHc="),
        ({"kubeconfig": KUBECONFIG}, f"Bearer {SECRET}"),
        ({"kubeconfig": KUBECONFIG, "api_key": "other"}, "Bearer other"),
    ],
    ids=["token", "password", "kubeconfig", "token comes first"],
)
def test_credentials_go_along(server: Server, options: dict[str, Any], header: str) -> None:
    """With each call."""
    server.answers["/api"] = (200, {})
    client = client_of(host=server.url, **options)
    client.call("GET", "/api", where="api")
    client.close()
    assert server.asked[0][2]["authorization"] == header


@pytest.mark.parametrize(
    ("options", "header"),
    [({"api_key": "other"}, "Bearer other"), ({"username": "me", "password": "pw"}, "Basic bWU6cHc=")],
    ids=["token", "password"],
)
def test_credentials_given_override_those_of_the_kubeconfig(server: Server, options: dict[str, str], header: str) -> None:
    """Its address is used, its token is not."""
    here = {**KUBECONFIG, "clusters": [{"name": "lab", "cluster": {"server": server.url}}], "contexts": KUBECONFIG["contexts"][:1]}
    server.answers["/api"] = (200, {})
    client = client_of(kubeconfig=here, **options)
    client.call("GET", "/api", where="api")
    client.close()
    assert server.asked[0][2]["authorization"] == header


def test_call_sends_json_and_a_bound_for_the_server(server: Server, client: Client) -> None:
    """A call that we gave up must not take effect later."""
    server.answers["/api/v1/nodes/n1"] = (200, {"kind": "Node"})
    assert client.call("PATCH", "/api/v1/nodes/n1", body={"spec": {}}, where="node n1") == {"kind": "Node"}
    method, path, headers, body = server.asked[0]
    assert (method, path, body) == ("PATCH", "/api/v1/nodes/n1?timeout=15s", b'{"spec": {}}')
    assert (headers["content-type"], headers["accept"]) == ("application/merge-patch+json", "application/json")


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (401, {"message": "Unauthorized"}, Denied, "Unauthorized (HTTP 401) (kubernetes.api_key)"),
        (403, {"message": "nodes is forbidden"}, Denied, "nodes is forbidden (HTTP 403) (nodes)"),
        (302, "moved", Invalid, "moved (HTTP 302) (nodes)"),
        (200, "<html>Sign in</html>", Transient, "answered something else than JSON"),
    ],
)
def test_refusals(server: Server, client: Client, status: int, body: Any, error: type, said: str) -> None:
    """Redirects are not followed: they would carry the credentials along."""
    server.answers["/api"] = (status, body)
    with pytest.raises(error) as raised:
        client.call("GET", "/api", where="nodes")
    assert said in str(raised.value)


@pytest.fixture
def nobody() -> Iterator[str]:
    """The URL of a port that is bound, and where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def test_no_answer_is_transient_and_says_why(nobody: str) -> None:
    """In a person's words: urllib3's are full of object addresses."""
    with pytest.raises(Transient) as raised:
        client_of(host=nobody, api_key=SECRET).call("GET", "/api", where="nodes")
    assert str(raised.value) == f"{nobody} cannot be reached: Connection refused (kubernetes.host)"


@pytest.mark.parametrize(
    ("given", "address", "credentials"),
    [
        ({"host": "URL", "api_key": SECRET}, "kubernetes.host", "kubernetes.api_key"),
        ({"host": "URL", "username": "me", "password": "pw"}, "kubernetes.host", "kubernetes.username"),
        ({"kubeconfig": "FILE"}, "kubernetes.kubeconfig", "kubernetes.kubeconfig"),
        ({"kubeconfig": "FILE", "context": "lab"}, "kubernetes.context", "kubernetes.context"),
        ({"kubeconfig": "FILE", "api_key": SECRET}, "kubernetes.kubeconfig", "kubernetes.api_key"),
    ],
    ids=["host and token", "host and password", "kubeconfig", "context", "token beside a kubeconfig"],
)
def test_a_first_call_that_nobody_answers_or_admits_names_the_option(
    server: Server, nobody: str, given: dict[str, Any], address: str, credentials: str
) -> None:
    """The one that was given: no node or lease has anything to do with it."""
    server.answers["/api"] = (401, {"message": "Unauthorized"})
    for url, where in ((nobody, address), (server.url, credentials)):
        config = {**KUBECONFIG, "clusters": [{"name": "lab", "cluster": {"server": url}}], "contexts": KUBECONFIG["contexts"][:1]}
        client = client_of(**{name: {"URL": url, "FILE": config}.get(value, value) for name, value in given.items()})
        with pytest.raises((Transient, Denied)) as raised:
            client.call("GET", "/api", where="nodes")
        assert raised.value.where == where


def test_once_the_api_server_has_answered_errors_name_the_object(server: Server, client: Client) -> None:
    """Options that worked are not to blame for what happens in the middle of a run."""
    server.answers["/api"] = (404, {"message": "no such lease"})
    with pytest.raises(NotFound):
        client.call("GET", "/api", where="lease web")
    server.answers["/api"] = (401, {"message": "Unauthorized"})
    with pytest.raises(Denied) as refused:
        client.call("GET", "/api", where="node n1")
    server.shutdown()
    server.server_close()
    client.close()
    with pytest.raises(Transient) as silent:
        client.call("GET", "/api", where="node n2")
    assert (refused.value.where, silent.value.where) == ("node n1", "node n2")


def test_pages_go_on_until_there_is_no_more(server: Server, client: Client) -> None:
    """The server's token is handed back."""
    page: dict[str, Any] = {"metadata": {"continue": "next"}, "items": [1]}
    server.answers["/api"] = (200, page)
    pages = client.pages("/api", where="nodes", query={"fieldSelector": "a=b"})
    assert next(pages) == page
    server.answers["/api"] = (200, {"metadata": {}, "items": [2]})
    assert [page["items"] for page in pages] == [[2]]
    assert [path for _method, path, _headers, _body in server.asked] == [
        "/api?timeout=15s&fieldSelector=a%3Db&limit=500",
        "/api?timeout=15s&fieldSelector=a%3Db&limit=500&continue=next",
    ]


def test_lines_come_as_they_are_sent_however_they_are_cut(server: Server, client: Client) -> None:
    """Chunks are the transport's, lines are ours."""
    server.answers["/api"] = (200, ['{"a": 1}\n', '{"b"', ": 2}\n", '{"c": 3}\n{"d": 4}\n'])
    stream = client.stream("/api", where="nodes", query={"watch": "1"}, silence_seconds=5)
    lines = stream.lines()
    assert [next(lines) for _count in range(4)] == [b'{"a": 1}', b'{"b": 2}', b'{"c": 3}', b'{"d": 4}']
    server.over.set()
    with pytest.raises(Transient):  # cut off, not ended
        next(lines)


def test_closing_a_stream_wakes_its_reader(server: Server, client: Client) -> None:
    """From another thread, while it waits on the socket."""
    server.answers["/api"] = (200, ["1\n"])
    stream = client.stream("/api", where="nodes", query={}, silence_seconds=30)
    lines = stream.lines()
    assert next(lines) == b"1"
    timer = threading.Timer(0.1, stream.close)
    timer.start()
    began = time.monotonic()
    with pytest.raises(Transient):
        next(lines)
    assert time.monotonic() - began < 2
    timer.join()
    stream.close()


def test_silence_is_transient(server: Server, client: Client) -> None:
    """A connection that died silently."""
    server.answers["/api"] = (200, ["1\n"])
    lines = client.stream("/api", where="nodes", query={}, silence_seconds=0.1).lines()
    next(lines)
    with pytest.raises(Transient, match="did not answer in time"):
        next(lines)
