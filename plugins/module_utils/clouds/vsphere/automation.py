# SPDX-License-Identifier: GPL-3.0-or-later
"""vCenter's Automation API, which knows content libraries: JSON over HTTP by the standard library, in a session of its own.

Only what reads is asked here, so whatever broke on the way is asked again. Sources: "Sessions" and "Errors" of the vSphere Automation API
reference, https://developer.broadcom.com/xapis/vsphere-automation-api/latest/.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from http.client import HTTPException
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import Connection
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, Invalid, NotFound, PortError, Throttled, Transient

SESSION = "vmware-api-session-id"
TRIES = 3
WORDS_MAX = 400  # of an answer that refuses
REDIRECTS = range(300, 400)


class _LoggedOut(Denied):
    """The session has ended; of the call that begins one, that the password is wrong."""


_BY_STATUS: Mapping[int, type[PortError]] = {400: Invalid, 401: _LoggedOut, 403: Denied, 404: NotFound, 429: Throttled}


class Automation:
    """One session, begun by the first question. Several threads may ask at once; those that find no session wait for one."""

    def __init__(self, connection: Connection, trust: ssl.SSLContext, timeout: timedelta) -> None:
        self._connection, self._timeout = connection, timeout
        proxy = {"https": f"http://{connection.proxy_host}:{connection.proxy_port}"} if connection.proxy_host else {}
        self._opener = urllib.request.OpenerDirector()  # none that follows a redirect: password and session are for nobody else
        self._opener.add_handler(urllib.request.ProxyHandler(proxy))
        self._opener.add_handler(urllib.request.HTTPSHandler(context=trust))
        self._opener.add_handler(urllib.request.HTTPErrorProcessor())
        self._opener.add_handler(urllib.request.HTTPDefaultErrorHandler())
        self._lock = threading.Lock()  # of the session's beginning
        self._session = ""

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """GET, or POST where there is a body: what was answered. Raises the errors of model/errors."""
        for left in range(TRIES, 0, -1):
            session = ""
            try:
                session = self._begun()
                return self._send("GET" if body is None else "POST", path, body, {SESSION: session})
            except Denied as exc:
                if not session:
                    exc.where = "vsphere.username, vsphere.password"
                    raise
                if not isinstance(exc, _LoggedOut) or left == 1:
                    raise  # a new session may no more, and would be one that nobody ends
                with self._lock:
                    self._session = "" if self._session == session else self._session  # another thread may have begun one
            except Transient:
                if left == 1:
                    raise
        raise Transient(what=f"no answer to {path}")

    def close(self) -> None:
        """End the session. Never fails."""
        with self._lock:
            session, self._session = self._session, ""
        if session:
            with suppress(PortError):  # it ends by itself when it was idle for long enough
                self._send("DELETE", "/api/session", headers={SESSION: session})

    def _begun(self) -> str:
        with self._lock:
            if not self._session:
                self._session = str(self._send("POST", "/api/session", headers={"Authorization": self._basic()}))
            return self._session

    def _basic(self) -> str:
        given = f"{self._connection.username}:{self._connection.password}"
        return "Basic " + base64.b64encode(given.encode()).decode()

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> Any:
        url = f"https://{self._connection.hostname}:{self._connection.port}{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})}, method=method)
        call = f"{method} {path}"
        try:
            with self._opener.open(request, timeout=self._timeout.total_seconds()) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as exc:
            with exc:
                said = " ".join(exc.read().decode(errors="replace").split())[:WORDS_MAX]
            kind = Invalid if exc.code in REDIRECTS else _BY_STATUS.get(exc.code, Transient)
            raise kind(what=f"{said or exc.reason} ({exc.code}) [{call}]") from exc
        except urllib.error.URLError as exc:
            if isinstance(exc.reason, ssl.SSLCertVerificationError):
                what = f"the certificate was refused: {getattr(exc.reason, 'verify_message', exc.reason)} [{call}]"
                raise Invalid(what=what, where="vsphere.ca_cert, vsphere.validate_certs") from exc
            raise Transient(what=f"no answer: {exc.reason} [{call}]") from exc
        except (OSError, HTTPException, ValueError) as exc:
            raise Transient(what=f"no answer: {str(exc) or type(exc).__name__} [{call}]") from exc
