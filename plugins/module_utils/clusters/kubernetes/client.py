# SPDX-License-Identifier: GPL-3.0-or-later
"""Transport: from connection options to JSON answers of the API server.

The official client is used for what it is good at and what users expect to work: kubeconfigs, exec plugins, tokens that refresh
themselves, TLS, proxies. Requests go through its connection pool as plain JSON: its typed models cost more than the calls
(1,500 pods: 0.1 s for the call, 1.5 s for the objects), and its error class breaks with urllib3 2.6 (`getheaders` is gone).

Nothing is repeated here: an error's class says whether the loop may.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.answers import error_of
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.skew import Skew
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid, LibraryMissing, PortError, Transient

OPTIONS = "kubernetes."  # where the fields of a Connection stand in a task
LIBRARY = "kubernetes>=24.2.0"  # the oldest that kubernetes.core takes, too
POOL_SIZE = 40  # 32 calls at once and six watches
CONNECT_SECONDS = 5
CALL_SECONDS = 20  # semantics 1: an answer that is not there by then is Transient
SERVER_SECONDS = 15  # asked of the server, so that a call which we gave up does not take effect later
PAGE_SIZE = 500  # as kubectl: 2 MiB of pods at a time instead of 120 MiB for 30,000

JSON = "application/json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach a cluster, named as kubernetes.core names it. Paths may begin with "~".

    `host` with credentials is enough by itself; else `kubeconfig` (path or the content as a dictionary) with `context`; with
    nothing given the pod's own service account, then the default kubeconfig. What is given here overrides the kubeconfig.
    """

    kubeconfig: str | Mapping[str, Any] | None = field(default=None, repr=False)
    context: str | None = None
    host: str | None = None
    api_key: str | None = field(default=None, repr=False)
    validate_certs: bool | None = None
    ca_cert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    proxy: str | None = None

    @property
    def address_option(self) -> str:
        """Path of the option that says where the API server is."""
        return OPTIONS + ("host" if self.host else "context" if self.context else "kubeconfig")

    @property
    def credentials_option(self) -> str:
        """Path of the option that says who we are to it."""
        given = (name for name in ("api_key", "username", "client_cert", "context") if getattr(self, name))
        return OPTIONS + next(given, "kubeconfig")


class Client:
    """JSON calls to one API server; thread-safe."""

    def __init__(self, connection: Connection, *, now: Callable[[], datetime]) -> None:
        """Raises `LibraryMissing`, and `Invalid` for options that cannot work. Makes no call."""
        self._connection = connection
        self._has_answered = False  # to these credentials, with whatever
        self._configuration, self._pool = _pool_of(connection)
        self._credentials_lock = threading.Lock()
        self.host: str = self._configuration.host.rstrip("/")
        self.now = now
        self.skew = Skew()

    def call(
        self,
        method: str,
        path: str,
        *,
        where: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        accept: str = JSON,
    ) -> dict[str, Any]:
        """One request, and its answer's JSON. Raises what answers.error_of says, `Transient` without an answer.

        `where` is the object that errors name. Until there was an answer, they name the option that leads to the API server.
        """
        begun = self.now()
        headers = self._headers(accept)
        if body is not None:
            headers["Content-Type"] = MERGE_PATCH if method == "PATCH" else JSON
        data = None if body is None else json.dumps(body).encode()
        url = self._url(path, {"timeout": f"{SERVER_SECONDS}s", **(query or {})})
        response = self._request(method, url, headers, data, CALL_SECONDS, where, preload=True)
        self.skew.learn(response.headers.get("Date"), begun, self.now())
        if response.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise self._refusal(response, where)
        try:
            answer = json.loads(response.data)
        except ValueError as exc:
            raise Transient(what=f"{self.host} answered something else than JSON", where=where) from exc
        return answer if isinstance(answer, dict) else {}

    def pages(self, path: str, *, where: str, query: Mapping[str, str] | None = None, accept: str = JSON) -> Iterator[dict[str, Any]]:
        """A list, page by page. All pages show the same instant, the one of the first page's call, and its version.

        No resourceVersion is given: the list is as new as the store (a quorum read), not as the server's cache. After a
        lock was taken over nothing else will do, and only `Expired` can come between pages.
        """
        token = ""
        while True:
            page = self.call("GET", path, where=where, query={**(query or {}), "limit": str(PAGE_SIZE), "continue": token}, accept=accept)
            yield page
            token = page["metadata"].get("continue") or ""
            if not token:
                return

    def stream(self, path: str, *, where: str, query: Mapping[str, str], silence_seconds: float, accept: str = JSON) -> Stream:
        """A watch: its lines as they come. Raises like `call`; silence for longer is `Transient`."""
        response = self._request("GET", self._url(path, query), self._headers(accept), None, silence_seconds, where, preload=False)
        if response.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise self._refusal(response, where)
        return Stream(response, lambda exc: _unanswered(exc, self.host, where))

    def ca_certificate(self) -> str:
        """The CA certificates the API server is checked with, in PEM; "" where there are none of our own."""
        path = self._configuration.ssl_ca_cert
        if not path:
            return ""
        with open(path, encoding="ascii") as file:  # noqa: PTH123 - pathlib would be one more import for each task
            return file.read()

    def close(self) -> None:
        """Close idle connections."""
        self._pool.clear()

    def _url(self, path: str, query: Mapping[str, str]) -> str:
        return f"{self.host}{path}?{urlencode({key: value for key, value in query.items() if value})}"

    def _headers(self, accept: str) -> dict[str, str]:
        with self._credentials_lock:  # a token that is over is renewed here, once for all threads
            settings = self._configuration.auth_settings()
        credentials = {setting["key"]: setting["value"] for setting in settings.values() if setting["value"]}
        return {"Accept": accept, "User-Agent": "immutable.fleet", **credentials}

    def _request(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, seconds: float, where: str, *, preload: bool
    ) -> Any:
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        timeout = Timeout(connect=CONNECT_SECONDS, read=seconds)
        try:
            response = self._pool.request(
                method, url, body=body, headers=headers, timeout=timeout, retries=False, redirect=False, preload_content=preload
            )
        except HTTPError as exc:
            raise _unanswered(exc, self.host, where if self._has_answered else self._connection.address_option) from exc
        self._has_answered = self._has_answered or response.status != HTTPStatus.UNAUTHORIZED
        return response

    def _refusal(self, response: Any, where: str) -> PortError:
        option = where if self._has_answered else self._connection.credentials_option
        return error_of(response.status, response.headers, response.data, option)


class Stream:
    """The lines of one watch. `lines` is for one thread, `close` for any."""

    def __init__(self, response: Any, error: Callable[[Exception], PortError]) -> None:
        self._response = response
        self._error = error

    def lines(self) -> Iterator[bytes]:
        """Each line as soon as it is whole; ends when the server ends it. Raises `Transient` when the connection breaks."""
        from urllib3.exceptions import HTTPError

        rest = b""
        try:
            for chunk in self._response.stream(amt=None, decode_content=False):  # None: each chunk as it comes, never filled up
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
        except (HTTPError, OSError, ValueError) as exc:  # the latter two when `close` came in between
            raise self._error(exc) from exc
        finally:
            self._response.close()

    def close(self) -> None:
        """End `lines` now, wherever it waits."""
        connection = self._response.connection
        sock = getattr(connection, "sock", None)
        if sock is None:
            return
        try:
            # Closing a descriptor does not wake a thread that reads from it; a shutdown does. Not the TLS socket's own
            # method: that takes the TLS state away under the reader.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        except OSError:
            return  # over already


def _pool_of(connection: Connection) -> tuple[Any, Any]:
    """(the official client's Configuration, its urllib3 pool)"""
    try:
        from kubernetes import client, config
    except ImportError as exc:
        raise LibraryMissing(what=f"the Python package kubernetes cannot be imported: {exc}", library=LIBRARY) from exc
    configuration = client.Configuration()
    if not _is_enough(connection):
        _load(connection, configuration, config)
    _override(connection, configuration)
    configuration.connection_pool_maxsize = POOL_SIZE
    return configuration, client.ApiClient(configuration).rest_client.pool_manager


def _is_enough(connection: Connection) -> bool:
    has_certificate = connection.client_cert and connection.client_key
    has_password = connection.username and connection.password
    return bool(connection.host and (connection.api_key or has_certificate or has_password))


def _load(connection: Connection, configuration: Any, config: Any) -> None:
    """What service account or kubeconfig say. Texts of a parser's errors are left out: they quote the file, with its secrets."""
    from kubernetes.config.config_exception import ConfigException
    from yaml import YAMLError

    source, context = connection.kubeconfig, connection.context
    if source is None and context is None:
        with suppress(ConfigException):  # not in a pod, or in one without a service account's token
            config.load_incluster_config(client_configuration=configuration)
            return
    to = {"context": context, "client_configuration": configuration, "persist_config": False}
    try:
        if isinstance(source, Mapping):
            config.load_kube_config_from_dict(dict(source), **to)
        else:
            config.load_kube_config(os.path.expanduser(source) if source else None, **to)  # noqa: PTH111
    except ConfigException as exc:
        known = _contexts(source, config)
        if context is not None and known and context not in known:
            raise Invalid(what=f"the kubeconfig has no context {context!r}; it has {', '.join(known)}", where=OPTIONS + "context") from exc
        of = f" {source}" if isinstance(source, str) else ""
        raise Invalid(what=f"no usable kubeconfig{of}: {exc}", where=OPTIONS + "kubeconfig") from exc
    except YAMLError as exc:
        raise Invalid(what="the kubeconfig is not YAML", where=OPTIONS + "kubeconfig") from exc
    except (AttributeError, LookupError, TypeError, ValueError, OSError) as exc:  # what its loader makes of an odd file
        raise Invalid(what=f"the kubeconfig cannot be used ({type(exc).__name__})", where=OPTIONS + "kubeconfig") from exc


def _contexts(source: str | Mapping[str, Any] | None, config: Any) -> list[str]:
    """Names of the contexts that exist; none when even those cannot be read."""
    from kubernetes.config.config_exception import ConfigException

    if isinstance(source, Mapping):
        return [str(context.get("name")) for context in source.get("contexts") or ()]
    try:
        contexts, _current = config.list_kube_config_contexts(os.path.expanduser(source) if source else None)  # noqa: PTH111
    except ConfigException:
        return []
    return [context["name"] for context in contexts]


def _override(connection: Connection, configuration: Any) -> None:
    if connection.host:
        configuration.host = connection.host
    if connection.api_key:
        _authorize(configuration, f"Bearer {connection.api_key}")
    elif connection.username and connection.password:
        from urllib3 import make_headers

        basic = make_headers(basic_auth=f"{connection.username}:{connection.password}")
        _authorize(configuration, basic["authorization"])
    if connection.validate_certs is not None:
        configuration.verify_ssl = connection.validate_certs
    if connection.proxy:
        configuration.proxy = connection.proxy
    paths = {"ca_cert": connection.ca_cert, "client_cert": connection.client_cert, "client_key": connection.client_key}
    for option, attribute in (("ca_cert", "ssl_ca_cert"), ("client_cert", "cert_file"), ("client_key", "key_file")):
        if given := paths[option]:
            path = os.path.expanduser(given)  # noqa: PTH111
            if not os.path.isfile(path):  # noqa: PTH113
                raise Invalid(what=f"there is no file {given}", where=OPTIONS + option)
            setattr(configuration, attribute, path)


def _authorize(configuration: Any, header: str) -> None:
    """Instead of what a kubeconfig or a service account gave: newer clients keep that under another key, which they prefer."""
    configuration.api_key = {"authorization": header}
    configuration.refresh_api_key_hook = None  # else the kubeconfig's token would come back


def _unanswered(exc: Exception, host: str, where: str) -> PortError:
    """The error for a call without an answer. urllib3's own texts are full of object addresses: the cause says it better."""
    chain: list[BaseException] = []
    link: BaseException | None = exc
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    if any("CERTIFICATE_VERIFY_FAILED" in str(link) for link in chain):
        what = f"{host} has a certificate that the given CA did not sign, or that is not valid for this name or now"
        return Invalid(what=what, where=f"{OPTIONS}ca_cert, {OPTIONS}validate_certs")
    if any("Timeout" in type(link).__name__ for link in chain):
        return Transient(what=f"{host} did not answer in time", where=where)
    reasons = [link.strerror for link in chain if isinstance(link, OSError) and link.strerror]
    return Transient(what=f"{host} cannot be reached: {reasons[-1] if reasons else 'the connection broke off'}", where=where)
