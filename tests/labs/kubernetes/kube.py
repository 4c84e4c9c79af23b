# SPDX-License-Identifier: GPL-3.0-or-later
"""A small Kubernetes client of the standard library for labs, tests and benchmarks, and the lab's audit log.

kube = Kube(agent="my-test")
kube.get("/api/v1/nodes")["items"]
mark = audit_mark()
...
evictions = [call for call in audit_since(mark) if call["objectRef"].get("subresource") == "eviction"]
"""

import base64
import http.client
import json
import ssl
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from .site import Site

Json = dict[str, Any]
T = TypeVar("T")

JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
CALL_SECONDS = 65
NODES = "/api/v1/nodes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
FOREVER_SECONDS = 10**9
CONFLICTS_MAX = 20


class ApiError(Exception):
    """An answer of 400 and more."""

    def __init__(self, status: int, body: Json, headers: http.client.HTTPMessage) -> None:
        super().__init__(f"{status} {body.get('reason', '')}: {str(body.get('message', ''))[:300]}")
        self.status, self.body, self.headers = status, body, headers


class Kube:
    """Keeps one connection per thread. `token` and `certificate` (certificate, key in PEM) replace the kubeconfig's user."""

    def __init__(
        self,
        kubeconfig: Path | None = None,
        *,
        agent: str = "lab",
        token: str | None = None,
        certificate: tuple[bytes, bytes] | None = None,
        as_user: str | None = None,
        as_groups: Sequence[str] = (),
    ) -> None:
        self.kubeconfig = kubeconfig or Site.from_environment().kubeconfig
        config = json.loads(self.kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        url = urllib.parse.urlsplit(cluster["server"])
        self.host, self.port = str(url.hostname), url.port
        self.tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        self.headers = [("User-Agent", agent), ("Accept", JSON)]
        if token:
            self.headers.append(("Authorization", f"Bearer {token}"))
        else:
            stored = [base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key")]
            with tempfile.NamedTemporaryFile() as file:
                file.write(b"".join(certificate or stored))
                file.flush()
                self.tls.load_cert_chain(file.name)
        if as_user:
            self.headers += [("Impersonate-User", as_user), *(("Impersonate-Group", group) for group in as_groups)]
        self.local = threading.local()

    def another(self, **changes: Any) -> Self:
        """A client of the same cluster for another user."""
        return type(self)(self.kubeconfig, **changes)

    def connect(self, seconds: float = CALL_SECONDS) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=seconds)

    def send(
        self, connection: http.client.HTTPSConnection, method: str, path: str, body: Any, kind: str, query: Mapping[str, Any]
    ) -> http.client.HTTPResponse:
        if query:
            path += f"{'&' if '?' in path else '?'}{urllib.parse.urlencode(query)}"
        data = b"" if body is None else json.dumps(body).encode()
        connection.putrequest(method, path)
        for name, value in [*self.headers, ("Content-Length", str(len(data)))]:
            connection.putheader(name, value)
        if data:
            connection.putheader("Content-Type", kind)
        connection.endheaders(data)
        return connection.getresponse()

    def raw(self, method: str, path: str, body: Any = None, kind: str = JSON, **query: Any) -> tuple[int, http.client.HTTPMessage, bytes]:
        """(status, headers, body). A connection that the server has closed meanwhile is opened again once."""
        while True:
            connection = getattr(self.local, "connection", None)
            fresh = connection is None
            if connection is None:
                connection = self.local.connection = self.connect()
            try:
                answer = self.send(connection, method, path, body, kind, query)
                return answer.status, answer.headers, answer.read()
            except (http.client.HTTPException, OSError):
                connection.close()
                self.local.connection = None
                if fresh:
                    raise

    def call(self, method: str, path: str, body: Any = None, kind: str = JSON, **query: Any) -> Json:
        status, headers, data = self.raw(method, path, body, kind, **query)
        try:
            answer = json.loads(data) if data else {}
        except ValueError:
            answer = {"message": data.decode(errors="replace")}
        if status >= 400:
            raise ApiError(status, answer, headers)
        return dict(answer)

    def get(self, path: str, **query: Any) -> Json:
        return self.call("GET", path, **query)

    def find(self, path: str) -> Json | None:
        """GET, or None where there is nothing."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def post(self, path: str, body: Json) -> Json:
        return self.call("POST", path, body)

    def put(self, path: str, body: Json) -> Json:
        return self.call("PUT", path, body)

    def patch(self, path: str, body: Json, kind: str = MERGE) -> Json:
        return self.call("PATCH", path, body, kind)

    def delete(self, path: str, **query: Any) -> bool:
        """False when there was nothing to delete."""
        try:
            self.call("DELETE", path, **query)
        except ApiError as error:
            if error.status != 404:
                raise
            return False
        return True

    def ensure(self, path: str, body: Json) -> bool:
        """POST, or leave what is there. True when it was made."""
        try:
            self.post(path, body)
        except ApiError as error:
            if error.status != 409:
                raise
            return False
        return True

    def watch(self, path: str, seconds: int = 60, **query: Any) -> Iterator[tuple[str, Json]]:
        """(type, object) until the server ends the watch."""
        connection = self.connect(seconds + 15)
        try:
            answer = self.send(connection, "GET", path, None, JSON, {**query, "watch": "1", "timeoutSeconds": seconds})
            if answer.status >= 400:
                raise ApiError(answer.status, {"message": answer.read().decode()[:300]}, answer.headers)
            for line in answer:
                event = json.loads(line)
                yield event["type"], event["object"]
        finally:
            connection.close()


def wait(
    what: str, test: Callable[[], T], seconds: float = 60, every: float = 0.1, missing: Callable[[], object] | None = None
) -> tuple[T, float]:
    """Asks until the answer is true: (the answer, the seconds it took). `missing` is asked once, for the error's text."""
    began, last = time.monotonic(), None
    while time.monotonic() - began < seconds:
        try:
            answer = test()
            if answer:
                return answer, time.monotonic() - began
            last = None
        except (ApiError, OSError, http.client.HTTPException) as error:
            last = error
        time.sleep(every)
    raise TimeoutError(f"{what}: not within {seconds} s" + _left(missing) + (f" ({last!r})" if last else ""))


def _left(missing: Callable[[], object] | None) -> str:
    try:
        return f"; still missing: {missing()}" if missing else ""
    except (ApiError, OSError, http.client.HTTPException) as error:
        return f"; what is missing can't be told: {error!r}"


def readiness(node: Json) -> str:
    """True, False, Unknown, or empty when nobody has said anything yet."""
    conditions = node.get("status", {}).get("conditions", [])
    return next((str(condition["status"]) for condition in conditions if condition["type"] == "Ready"), "")


# --- the audit log ---------------------------------------------------------------------------------------------------


def audit_mark(log: Path | None = None) -> int:
    """Where the audit log ends now."""
    file = log or Site.from_environment().audit_log
    return file.stat().st_size if file.exists() else 0


def audit_since(mark: int, log: Path | None = None) -> list[Json]:
    """The calls that were answered since, without those of the control plane and kwok.

    The useful fields: userAgent, verb, requestURI, objectRef (resource, subresource, name), responseStatus (code).
    """
    with (log or Site.from_environment().audit_log).open("rb") as file:
        file.seek(mark)
        return [json.loads(line) for line in file if line.endswith(b"\n")]


# --- the kubelet of a node, off and on -------------------------------------------------------------------------------


def kubelet_stop(kube: Kube, node: str) -> None:
    """Gives the node's lease to a holder that never renews it: to kwok and to the cluster, the kubelet is dead.

    kwok leaves node and pods alone from then on; the node becomes NotReady after LAB_NODE_GRACE. Nothing happens where
    there is no such node.
    """
    dead = {"holderIdentity": "lab-stopped", "leaseDurationSeconds": FOREVER_SECONDS}
    for tries_left in reversed(range(CONFLICTS_MAX)):
        lease = kube.find(f"{LEASES}/{node}")
        try:
            if lease:
                kube.put(f"{LEASES}/{node}", lease | {"spec": lease["spec"] | dead})
            elif kube.find(f"{NODES}/{node}"):  # so young that kwok has not seen it yet
                renewed = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
                kube.post(LEASES, {"metadata": {"name": node}, "spec": dead | {"renewTime": renewed}})
            return
        except ApiError as error:
            if error.status != 409 or not tries_left:  # 409: renewed or made meanwhile
                raise


def kubelet_start(kube: Kube, node: str) -> None:
    """Lets kwok take the node again, within a quarter of LAB_LEASE_SECONDS."""
    kube.delete(f"{LEASES}/{node}")
