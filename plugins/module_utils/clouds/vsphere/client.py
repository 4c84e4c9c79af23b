# SPDX-License-Identifier: GPL-3.0-or-later
"""Transport: one session with vCenter, plain values in and out, faults and failures as our errors.

Of pyvmomi the SOAP stub and the types are used. `pyVim.connect` is left out: it asks the server for its versions before each
login, and keeps a session of its own in a global. The version spoken is fixed, vSphere 7.0's: newer ones take it.

A session that ended (idle, ended by an administrator, vCenter restarted) is made anew on the way. A read is then repeated. So is a
write that was refused for it, as nothing was done; a write without an answer is `Transient` and is looked up by whoever sent it.
RetrievePropertiesEx does not fail without a session: it answers with NotAuthenticated for each path, in `missingSet`.
"""

from __future__ import annotations

import atexit
import math
import ssl
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from xml.parsers.expat import ExpatError

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.answers import Page, quick_stub
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import Connection
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.refusals import NOT_AUTHENTICATED, refusal
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import TYPE, Data, Kind, Ref, Wanted
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, Invalid, LibraryMissing, NotFound, Transient

if TYPE_CHECKING:
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.automation import Automation

LIBRARY = "pyvmomi>=8.0.1.0"  # the first whose stub has time limits for calls and runs on Python 3.13
VERSION = "vim.version.v7_0"
PAGE = 1000  # objects of one answer; vCenter may send fewer, and says so with a token
VIEW = "vim.view.ContainerView"
CONNECTIONS = 8  # kept open; as many calls at once need no handshake
IDLE = 30  # seconds: a connection that was idle for longer may be closed at the other end, which a write could not tell from a loss
TRIES = 3  # of a read, and of a login, whose connection broke
SKEW_IGNORED = timedelta(seconds=2)

_PLAIN = (str, int, bool, float, bytes, datetime, type(None))


class _SessionEnded(Exception):
    """vCenter does not know this session (any more)."""


class _Session:
    """A login: the stub that carries its cookie, the service content, and the container views made in it."""

    def __init__(self, stub: Any, content: Any, user: str) -> None:
        self.stub, self.content, self.user = stub, content, user
        self.views: dict[tuple[Ref, frozenset[str]], Any] = {}
        self.lock = threading.Lock()


class Client:
    """The transport of one pool. Logs in at the first call, and out when the process ends; may be used from many threads."""

    def __init__(self, connection: Connection, call_timeout: timedelta, now: Callable[[], datetime]) -> None:
        """Makes no call. Raises `LibraryMissing`."""
        try:
            from pyVmomi import SoapAdapter, VmomiSupport
        except ImportError as exc:
            raise LibraryMissing(what="a pool on vSphere needs pyvmomi", library=LIBRARY) from exc
        self._soap, self._types = quick_stub(SoapAdapter, VmomiSupport), VmomiSupport
        self.skew = timedelta(0)
        self._connection, self._call_timeout, self._now = connection, call_timeout, now
        self._lock = threading.Lock()
        self._session: _Session | None = None
        self._automation: Automation | None = None
        atexit.register(self.close)  # it keeps the client: whoever used it is long gone when a process ends

    def read(self, *wanted: Wanted) -> dict[Ref, dict[str, Any]]:
        """As `Transport.read`."""
        for left in range(TRIES, 0, -1):
            try:
                found: dict[Ref, dict[str, Any]] = self._in_session("RetrievePropertiesEx", lambda session: self._retrieve(session, wanted))
                return found
            except Transient:
                if left == 1:
                    raise
        raise Transient(what="no answer to RetrievePropertiesEx")

    def call(self, this: Ref, method: str, **arguments: Any) -> Any:
        """As `Transport.call`."""

        def send(session: _Session) -> Any:
            given = {name: self._native(session, value) for name, value in arguments.items()}
            return self._plain(getattr(self._native(session, this), method)(**given))

        return self._in_session(f"{method} of {this}", send)

    def wait(self, collector: Ref, version: str, seconds: float) -> Data | None:
        """As `Transport.wait`. Asked again after the same version where the connection broke: vCenter says the same again."""
        with self._lock:
            session = self._session
        if session is None:
            raise NotFound(what=f"{collector} ended with its session")
        options = self._made("vmodl.query.PropertyCollector.WaitOptions", maxWaitSeconds=min(math.ceil(seconds), self._longest()))
        for left in range(TRIES, 0, -1):
            try:
                with self._as_our_errors("WaitForUpdatesEx"):
                    update = self._native(session, collector).WaitForUpdatesEx(version, options)
                    return None if update is None else self._plain(update)
            except _SessionEnded as exc:
                self._forget(session)
                raise NotFound(what=f"{collector} ended with its session") from exc
            except Transient:
                if left == 1:
                    raise
        raise Transient(what="no answer to WaitForUpdatesEx")

    def user(self) -> str:
        """As `Transport.user`."""
        return self._open().user

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """As `Transport.ask`. Its session is begun by the first of them, and ends with the other one."""
        from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.automation import Automation

        with self._lock:
            if self._automation is None:
                self._automation = Automation(self._connection, self._trust(), self._call_timeout)
            automation = self._automation
        return automation.ask(path, body)

    def settled(self, this: Ref, paths: Sequence[str], running: Collection[str]) -> dict[str, Any]:
        """What was read of an object once its first path is none of `running`: vCenter is asked once, and answers when it is so.

        For those whose calls no loop waits for. Five calls; `Transient` where it lasts longer than a call may.
        """

        def wait(session: _Session) -> dict[str, Any]:
            collector = session.content.propertyCollector.CreatePropertyCollector()
            try:
                start = self._start(self._native(session, this), this.kind, "")
                collector.CreateFilter(self._filter([Wanted(kind=this.kind, paths=tuple(paths))], [start]), partialUpdates=False)
                return self._awaited(collector, paths[0], running)
            finally:
                collector.DestroyPropertyCollector()

        found: dict[str, Any] = self._in_session(f"WaitForUpdatesEx of {this}", wait)
        return found

    def _longest(self) -> int:
        """Seconds that vCenter may keep a question for: half of what a call may take."""
        return int(self._call_timeout.total_seconds() / 2)

    def _awaited(self, collector: Any, path: str, running: Collection[str]) -> dict[str, Any]:
        seconds = self._longest()
        options = self._made("vmodl.query.PropertyCollector.WaitOptions", maxWaitSeconds=seconds)
        until, version, found = self._now() + self._call_timeout, "", dict[str, Any]()
        while not found or found.get(path) in running:
            update = collector.WaitForUpdatesEx(version, options)
            if update is None or self._now() > until:
                raise Transient(what=f"it is {found.get(path)} for more than {seconds} s")
            version = update.version
            changes = (change for part in update.filterSet for each in part.objectSet for change in each.changeSet)
            found |= {change.name: self._plain(change.val) for change in changes}
        return found

    def upload(self, url: str, chunks: Iterable[bytes], size: int) -> None:
        """POST a disk to where vCenter wants it, which is a host of it. Raises `Transient`, `Invalid` for a certificate."""
        from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.transfer import post

        with self._as_our_errors("the upload of a disk"):
            post(url, chunks, size, connection=self._connection, trust=self._trust(), timeout=self._call_timeout)

    def close(self) -> None:
        """As `Transport.close`."""
        with self._lock:
            session, self._session = self._session, None
            automation, self._automation = self._automation, None
        if automation is not None:
            automation.close()
        if session is None:
            return
        try:
            session.content.sessionManager.Logout()
        except (OSError, HTTPException, ExpatError, self._types.GetVmodlType("vmodl.MethodFault")):
            pass  # it ends by itself when it was idle for long enough
        finally:
            session.stub.DropConnections()

    # The session ------------------------------------------------------------------------------------------------------------
    def _in_session(self, call: str, send: Callable[[_Session], Any]) -> Any:
        """The answer; once more in a new session, when this one turned out to have ended."""
        for _attempt in range(2):
            session = self._open()
            try:
                with self._as_our_errors(call):
                    return send(session)
            except _SessionEnded:
                self._forget(session)
        raise Transient(what=f"the session ended as soon as it had begun [{call}]")

    def _open(self) -> _Session:
        with self._lock:
            for left in range(TRIES, 0, -1):
                if self._session is not None:
                    break
                try:
                    self._session = self._login()
                except Transient:
                    if left == 1:
                        raise
            if self._session is None:
                raise Transient(what="no answer to the login")
            return self._session

    def _login(self) -> _Session:
        given = self._connection
        stub = self._soap(
            host=given.hostname,
            port=given.port,
            version=VERSION,
            sslContext=self._trust(),
            httpProxyHost=given.proxy_host or None,
            httpProxyPort=given.proxy_port,
            poolSize=CONNECTIONS,
            connectionPoolTimeout=IDLE,
            httpConnectionTimeout=self._call_timeout.total_seconds(),
        )
        with self._as_our_errors("Login"):
            began = self._now()
            content = self._types.GetVmodlType("vim.ServiceInstance")("ServiceInstance", stub).RetrieveContent()
            answer = content.sessionManager.Login(given.username, given.password)
            self._compare_clocks(answer.loginTime, began)
        return _Session(stub, content, str(answer.userName))

    def _trust(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self._connection.ca_cert or None)
        except (OSError, ssl.SSLError) as exc:
            raise Invalid(what=f"not a file of certificates: {exc}", where="vsphere.ca_cert") from exc
        if not self._connection.validate_certs:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _forget(self, session: _Session) -> None:
        """Another thread may have logged in meanwhile: that session stays."""
        with self._lock:
            if self._session is session:
                self._session = None
        session.stub.DropConnections()

    def _compare_clocks(self, login_time: datetime, began: datetime) -> None:
        seen = login_time - (began + (self._now() - began) / 2)
        self.skew = timedelta(seconds=round(seen.total_seconds())) if abs(seen) > SKEW_IGNORED else timedelta(0)

    @contextmanager
    def _as_our_errors(self, call: str) -> Iterator[None]:
        """Translate what pyvmomi and the standard library raise. Their texts name hosts, objects and users, never a secret."""
        try:
            yield
        except self._types.GetVmodlType("vmodl.MethodFault") as exc:
            fault = self._fault(exc)
            if fault[TYPE].endswith(NOT_AUTHENTICATED):
                raise _SessionEnded from exc
            error = refusal(call, fault)
            if call == "Login":
                error.where = "vsphere.username, vsphere.password" if isinstance(error, Denied) else "vsphere.hostname"
            raise error from exc
        except ssl.SSLCertVerificationError as exc:
            what = f"the certificate was refused: {getattr(exc, 'verify_message', exc)} [{call}]"
            raise Invalid(what=what, where="vsphere.ca_cert, vsphere.validate_certs") from exc
        except (OSError, HTTPException, ExpatError) as exc:
            raise Transient(what=f"no answer: {str(exc) or exc.__class__.__name__} [{call}]") from exc

    def _fault(self, exc: Any) -> dict[str, Any]:
        """A fault as a data object, with its message."""
        fault = {TYPE: type(exc).__name__, "msg": getattr(exc, "msg", None) or ""}
        for name in ("privilegeId", "object", "datastore", "invalidProperty", "name"):
            value = getattr(exc, name, None)
            if value is not None:
                fault[name] = self._plain(value)
        return fault

    # Reads ------------------------------------------------------------------------------------------------------------------
    def _retrieve(self, session: _Session, wanted: Sequence[Wanted]) -> dict[Ref, dict[str, Any]]:
        """What was read. A view that is not in its own answer is gone, and what it would list only seems to be: as a session's end."""
        collector = session.content.propertyCollector
        options = self._made("vmodl.query.PropertyCollector.RetrieveOptions", maxObjects=PAGE)
        answer = collector.RetrievePropertiesEx(self._filters(session, wanted), options)
        found: dict[Ref, dict[str, Any]] = {}
        while answer is not None:
            for ref, values in answer.objects if isinstance(answer, Page) else self._objects(answer):
                found.setdefault(ref, {}).update(values)
            answer = collector.ContinueRetrievePropertiesEx(answer.token) if answer.token else None
        views = {ref for ref in found if ref.kind == VIEW}
        if len(views) < len({each.within for each in wanted if each.within is not None}):
            raise _SessionEnded
        return {ref: values for ref, values in found.items() if ref not in views}

    def _objects(self, answer: Any) -> Iterator[tuple[Ref, dict[str, Any]]]:
        """Of an answer that pyvmomi read."""
        for each in answer.objects:
            if any(type(missing.fault).__name__.endswith(NOT_AUTHENTICATED) for missing in each.missingSet):
                raise _SessionEnded
            yield self._plain(each.obj), {prop.name: self._plain(prop.val) for prop in each.propSet}

    def _filters(self, session: _Session, wanted: Sequence[Wanted]) -> list[Any]:
        """One filter for each container and for each set of objects."""
        below: dict[Ref, list[Wanted]] = {}
        for each in wanted:
            if each.within is not None:
                below.setdefault(each.within, []).append(each)
        filters = []
        for container, several in below.items():
            view = self._view(session, container, frozenset(each.kind for each in several))
            itself = Wanted(kind=VIEW, paths=("type",))
            filters.append(self._filter([itself, *several], [self._start(view, VIEW, "view", skip=False)]))
        for each in wanted:
            if each.within is None and each.objects:
                starts = [self._start(self._native(session, ref), ref.kind, each.along) for ref in each.objects]
                filters.append(self._filter([each], starts))
        return filters

    def _start(self, managed: Any, kind: str, along: str, *, skip: bool = True) -> Any:
        if not along:
            return self._made("vmodl.query.PropertyCollector.ObjectSpec", obj=managed)
        kind = type(managed).__name__ if kind == "content" else kind
        along_spec = self._made(
            "vmodl.query.PropertyCollector.TraversalSpec", type=self._types.GetVmodlType(kind), path=along, skip=False, name=along
        )
        return self._made("vmodl.query.PropertyCollector.ObjectSpec", obj=managed, skip=skip, selectSet=[along_spec])

    def _filter(self, wanted: Sequence[Wanted], starts: list[Any]) -> Any:
        paths = [
            self._made("vmodl.query.PropertyCollector.PropertySpec", type=self._types.GetVmodlType(each.kind), pathSet=list(each.paths))
            for each in wanted
        ]
        return self._made("vmodl.query.PropertyCollector.FilterSpec", propSet=paths, objectSet=starts, reportMissingObjectsInResults=True)

    def _view(self, session: _Session, container: Ref, kinds: frozenset[str]) -> Any:
        """A container view costs a call, and lives as long as its session: one is made for all lists."""
        with session.lock:
            if (container, kinds) not in session.views:
                types = [self._types.GetVmodlType(kind) for kind in sorted(kinds)]
                made = session.content.viewManager.CreateContainerView(
                    container=self._native(session, container), type=types, recursive=True
                )
                session.views[container, kinds] = made
            return session.views[container, kinds]

    # Values -----------------------------------------------------------------------------------------------------------------
    def _made(self, kind: str, **fields: Any) -> Any:
        return self._types.GetVmodlType(kind)(**fields)

    def _native(self, session: _Session, value: Any) -> Any:
        """A plain value as pyvmomi wants it."""
        if isinstance(value, Ref):
            if value.kind == "content":
                return getattr(session.content, value.id)
            return self._types.GetVmodlType(value.kind)(value.id, session.stub)
        if isinstance(value, Kind):
            return self._types.GetVmodlType(value.name)
        if isinstance(value, Mapping):
            fields = {name: self._native(session, inner) for name, inner in value.items() if name != TYPE}
            return self._made(value[TYPE], **fields)
        if isinstance(value, list | tuple):
            return [self._native(session, inner) for inner in value]
        return value

    def _plain(self, value: Any) -> Any:
        """What pyvmomi read as a plain value; what is unset in a data object is not there."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        if isinstance(value, list):
            return [self._plain(inner) for inner in value]
        if isinstance(value, self._types.ManagedObject):
            return Ref(kind.__name__, str(value._GetMoId()))  # noqa: SLF001  # pyvmomi writes its public methods so
        if isinstance(value, Exception):
            return self._fault(value)
        if isinstance(value, self._types.DataObject):
            fields = {name: self._plain(inner) for name, inner in vars(value).items()}
            return {TYPE: kind.__name__, **{name: inner for name, inner in fields.items() if inner is not None and inner != []}}
        return str(value) if isinstance(value, str) else int(value) if isinstance(value, int) else value
