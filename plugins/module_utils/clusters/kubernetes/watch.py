# SPDX-License-Identifier: GPL-3.0-or-later
"""One resource, followed by list and watch in a thread of its own.

This thread is the one place in the adapter that blocks, on the socket. A watch that dies silently is noticed by the end that the
server was asked for (`timeoutSeconds`): the stream is over or silent by then, and the next one goes on from the last version.

What `as_of` rests on. A list is a quorum read: all that happened before its request began is in it. A line of a watch says that
the stream lives; changes come in order, yet a watch trails the store a little, so a line proves what is older than LAG. That
a watch was let in proves nothing: what was missed is still to come. Nor does its orderly end: a server that is behind, or was
restored from a backup, lets a watch in from a version it does not have yet, and is silent (seen with 1.36). On a quiet
resource there is a bookmark about two seconds before the end of each watch, so `as_of` is at most WATCH_SECONDS + LAG old
while all is well; where a watch ends without any line, the resource is listed again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.answers import Expired, error_of
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.client import (
    JSON,
    METADATA,
    METADATA_LIST,
    Client,
    Stream,
)
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.convert import key_of, version_of
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.table import Table
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import PortError, Throttled, Transient

WATCH_SECONDS = 10  # one cheap request for each resource in this time
WATCH_SECONDS_AFTER_TROUBLE = 3  # its bookmark comes after a second: `as_of` moves again soon
SILENCE_SECONDS = WATCH_SECONDS + 5  # the server ends a watch a little late when it is busy
LAG = timedelta(seconds=1)  # measured: 0.01 s in the lab; 0.1 to 0.5 s are seen under load
BACKOFF_SECONDS = 0.2
BACKOFF_SECONDS_MAX = 5.0  # an API server is back 2 s after a crash; six requests in this time hurt no one
LIST_TRIES_MAX = 3  # of a list whose pages expired between calls
STALE_FAILURES_MAX = 5  # watches refused in a row before the version itself is doubted


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What to follow. `read` turns an object into a fact, or into None when it does not interest."""

    name: str
    path: str
    read: Callable[[Mapping[str, Any], timedelta], Any]
    query: Mapping[str, str] = field(default_factory=dict)
    metadata_only: bool = False  # the server leaves out the rest: a Secret's data never comes here


class Watch:
    """Keeps `table` (under `lock`) like the resource, and says how new that is."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        table: Table[Any],
        lock: threading.RLock,
        *,
        on_change: Callable[[], None],
        jitter: Callable[[], float],
    ) -> None:
        """`on_change` is told of news, of trouble, and of its end; `jitter` gives numbers from 0 to 1."""
        self._client, self._resource, self._table, self._lock = client, resource, table, lock
        self._on_change, self._jitter = on_change, jitter
        self._stopped = threading.Event()
        self._stream: Stream | None = None
        self._version = ""
        self._as_of: datetime | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch {resource.name}", daemon=True)
        self.error = ""

    def list_all(self) -> None:
        """Read everything once. Raises the list's error."""
        for _attempt in range(LIST_TRIES_MAX - 1):
            try:
                return self._list()
            except Expired:
                continue
        return self._list()

    def start(self) -> None:
        """Follow, from the list on."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; it will, promptly."""
        self._stopped.set()
        stream = self._stream
        if stream is not None:
            stream.close()

    def join(self, seconds: float) -> None:
        """Wait for the end of the thread, for so long."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def as_of(self) -> datetime:
        """Every change before this instant has reached the table. Never goes back."""
        return self._as_of or datetime.min.replace(tzinfo=UTC)

    def _hear(self, instant: datetime) -> None:
        self._as_of = max(instant, self._as_of or instant)

    def _list(self) -> None:
        resource, begun, rows = self._resource, self._client.now(), []
        version = ""
        for page in self._client.pages(
            resource.path, where=resource.name, query=resource.query, accept=METADATA_LIST if resource.metadata_only else JSON
        ):
            shift = self._client.skew.now
            rows += [(key_of(raw), int(version_of(raw)), resource.read(raw, shift)) for raw in page.get("items") or ()]
            version = version_of(page)
        with self._lock:
            self._table.replace(rows, int(version))
        self._version = version
        self._hear(begun)

    def _run(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            trouble: PortError | None = None
            try:
                if not self._version:
                    self.list_all()
                    self._on_change()
                failures = 0 if self._follow(after_trouble=failures > 0) else failures + 1
                if failures:
                    self._version = ""
            except Expired as error:
                self._version = ""
                failures, trouble = failures + 1, error
            except PortError as error:
                failures, trouble = failures + 1, error
                if failures % STALE_FAILURES_MAX == 0:
                    self._version = ""
            except (KeyError, TypeError, ValueError) as exc:  # an object that breaks the API's own rules; this thread must not die
                self._version = ""
                what = f"the API server's answer is not understood: {type(exc).__name__} {exc}"
                failures, trouble = failures + 1, Transient(what=what, where=self._resource.name)
            if trouble is not None and not (isinstance(trouble, Expired) and failures == 1):
                self._say(str(trouble))
            if failures:
                self._wait(failures, trouble)

    def _follow(self, *, after_trouble: bool) -> bool:
        """One watch from beginning to end; False when it brought nothing, not even a bookmark."""
        has_spoken = False
        query = {
            **self._resource.query,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS_AFTER_TROUBLE if after_trouble else WATCH_SECONDS),
            "resourceVersion": self._version,
        }
        self._stream = stream = self._client.stream(
            self._resource.path,
            where=self._resource.name,
            query=query,
            silence_seconds=SILENCE_SECONDS,
            accept=METADATA if self._resource.metadata_only else JSON,
        )
        if self._stopped.is_set():  # `stop` may have looked before there was a stream
            stream.close()
        self._say("")
        try:
            for line in stream.lines():
                has_spoken = True
                self._take(json.loads(line))
                self._hear(self._client.now() - LAG)
        finally:
            self._stream = None
        return has_spoken

    def _take(self, event: Mapping[str, Any]) -> None:
        kind, raw = event["type"], event["object"]
        if kind == "ERROR":
            raise error_of(raw.get("code") or 500, {}, json.dumps(raw), self._resource.name)
        version = version_of(raw)
        if kind != "BOOKMARK":
            with self._lock:
                if kind == "DELETED":
                    is_news = self._table.drop(key_of(raw), int(version))
                else:
                    is_news = self._table.put(key_of(raw), int(version), self._resource.read(raw, self._client.skew.now))
            if is_news:
                self._on_change()
        self._version = version

    def _say(self, error: str) -> None:
        if self._stopped.is_set() or error == self.error:
            return
        self.error = error
        self._on_change()

    def _wait(self, failures: int, error: PortError | None) -> None:
        seconds = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS * 2 ** min(failures, 10)) * (0.5 + self._jitter() / 2)
        if isinstance(error, Throttled) and error.after is not None:
            seconds = max(seconds, error.after.total_seconds())
        self._stopped.wait(seconds)
