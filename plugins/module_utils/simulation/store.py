# SPDX-License-Identifier: GPL-3.0-or-later
"""A world in a file, so that several processes live in the same one: tasks of a play, a drain in another terminal.

Promises: each call of a port is one SQLite transaction, so a process killed at any point leaves the world before or after
that call. The world's clock is real time, `speed` times as fast, counted from the file's creation; whoever opens the file
plays the events that are due.

Every row carries the version of the transaction that wrote it; a process reads the rows newer than what it has seen.
Deleted rows stay for a while as tombstones. `synchronous` is off: a power cut may cost the file, a killed process may not.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, FleetError, Invalid, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.simulation import codec
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import BALANCER, CLUSTER, VMS
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World

BUSY_TIMEOUT_SECONDS = 30.0  # transactions take milliseconds; so long only if a process was stopped within one
BUSY_PAUSE_SECONDS = 0.002
POLL_SECONDS = 0.05  # between looks for changes of other processes
NEVER_SECONDS = 1e9
TOMBSTONES_KEPT = 5000  # versions; who has seen nothing for longer reads the file anew

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE rows (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, value TEXT,
                   UNIQUE (kind, key));
CREATE INDEX rows_version ON rows (version);
"""
_WRITE_ROW = """INSERT INTO rows (kind, key, version, value) VALUES (?, ?, ?, ?)
ON CONFLICT (kind, key) DO UPDATE SET version = excluded.version, value = excluded.value"""
_WRITE_META = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"

_TELLS_VMS = {"host", "port", "image", "domain"}
_TELLS_BALANCER = {"backend", "backend_member"}
_TELLS_NOBODY = {"due", "lease", "fault", "published", "promoted"}


def create_world(path: str, world: World, *, speed: float = 1.0) -> StoreSession:
    """Make a world file of `world`, whose time goes on from where it is. Raises `Invalid`, `Conflict` (the file exists)."""
    if speed <= 0:
        raise Invalid(what=f"{speed} is no speed; expected a number above 0", where="speed")
    if Path(path).exists():
        raise Conflict(what="the file exists already", where=path)
    connection = _connect(path)
    meta: dict[str, Any] = {"schema": codec.SCHEMA, "version": 0, "forgotten": 0}
    meta |= {"epoch": world.now, "created": time.time(), "speed": speed}
    try:
        connection.executescript("BEGIN IMMEDIATE;" + _SCHEMA)
        connection.executemany(_WRITE_META, [(name, codec.dump(value)) for name, value in meta.items()])
        store = StoreSession(path, connection, world)
        store.write_all()
        connection.execute("COMMIT")
    except sqlite3.OperationalError as exc:  # another process was faster
        connection.close()
        raise Conflict(what=f"the file cannot be made: {exc}", where=path) from exc
    return store


def open_world(path: str) -> StoreSession:
    """Open a world file. Raises `Invalid` when there is none, or it is none."""
    if not Path(path).is_file():
        raise Invalid(what="there is no such world file; make one with immutable.fleet.simulated_world", where=path)
    connection = _connect(path)
    try:
        found = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    except sqlite3.OperationalError as exc:
        connection.close()
        raise Invalid(what=f"this is no world file: {exc}", where=path) from exc
    if codec.load(found.get("schema", "0")) != codec.SCHEMA:
        connection.close()
        raise Invalid(what="this world was made by another version of the collection; make it anew", where=path)
    return StoreSession(path, connection, World(codec.load(found["epoch"])))


class StoreSession:
    """A Session (session.py) over a file. One per process; threads take turns."""

    def __init__(self, path: str, connection: sqlite3.Connection, world: World) -> None:
        self._path = path
        self._connection = connection
        self._world = world
        self._turn = threading.RLock()
        self._version = -1  # of the rows read; -1: none yet
        self._on_foreign: list[Callable[[str], None]] = []
        self._noted: tuple[object, ...] = ()  # settings and counters as last written
        self._latest = world.now
        self._epoch, self._created, self.speed = world.now, 0.0, 1.0
        for table in world.state.tables.values():
            table.changed = {}
        self._read_clock()

    def now(self) -> datetime:
        """The world's clock: never backwards within a process."""
        world_seconds = (time.time() - self._created) * self.speed
        self._latest = max(self._latest, self._epoch + timedelta(seconds=world_seconds))
        return self._latest

    @contextmanager
    def world(self) -> Iterator[World]:
        """The world as all processes left it, advanced to now; what changes is written when the context ends.

        An error of the port's family is an answer like others; any other one takes everything back.
        """
        with self._turn:
            self._begin()
            try:
                self._read()
                self._world.advance(self.now())
                try:
                    yield self._world
                except FleetError:
                    self._end()
                    raise
                self._end()
            except FleetError:
                raise
            except BaseException:
                self._take_back()
                raise

    def watch(self, on_change: Callable[[str], None]) -> Callable[[], None]:
        """See Session. A thread looks for changes of other processes, and plays events when they are due."""
        with self._turn:
            end = self._world.listen(lambda kind, _name: on_change(kind))
            self._on_foreign.append(on_change)
        stopped = threading.Event()
        watcher = threading.Thread(target=self._look_out, args=(stopped,), name="simulated-world", daemon=True)
        watcher.start()

        def stop() -> None:
            stopped.set()
            watcher.join()
            with self._turn:
                end()
                self._on_foreign.remove(on_change)

        return stop

    def skip(self, span: timedelta) -> None:
        """Let the world's time jump ahead, for all processes."""
        with self.world():
            self._connection.execute(_WRITE_META, ("epoch", codec.dump(self._epoch + span)))
            self._version += 1  # so that other processes look at the clock again
            self._connection.execute(_WRITE_META, ("version", codec.dump(self._version)))
            self._read_clock()
        with self.world():
            pass  # plays what is due by now

    def close(self) -> None:
        """Close the file; nobody may use the session afterwards."""
        with self._turn:
            self._connection.close()

    def write_all(self) -> None:
        """Write every row; for a new file, within its first transaction."""
        for table in self._world.state.tables.values():
            table.changed = dict.fromkeys(table)
        self._version = 0
        self._read_clock()
        self._write()

    def _begin(self) -> None:
        """Wait for our turn at an even pace: SQLite's own back-off grows, so one busy process would starve the others."""
        give_up_at = time.monotonic() + BUSY_TIMEOUT_SECONDS
        self._connection.execute("PRAGMA busy_timeout = 0")
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as exc:
                if time.monotonic() > give_up_at:
                    raise Transient(what=f"the world file is busy: {exc}", where=self._path) from exc
                time.sleep(BUSY_PAUSE_SECONDS)
        self._connection.execute(f"PRAGMA busy_timeout = {round(BUSY_TIMEOUT_SECONDS * 1000)}")

    def _read_clock(self) -> None:
        found = dict(self._connection.execute("SELECT name, value FROM meta WHERE name IN ('epoch', 'created', 'speed')").fetchall())
        self._epoch = codec.load(found["epoch"])
        self._created = codec.load(found["created"])
        self.speed = codec.load(found["speed"])

    def _read(self) -> None:
        """Take over what other processes wrote."""
        ((text,),) = self._connection.execute("SELECT value FROM meta WHERE name = 'version'")
        if codec.load(text) == self._version:
            return
        meta = {name: codec.load(text) for name, text in self._connection.execute("SELECT name, value FROM meta")}
        state, seen = self._world.state, self._version
        if seen < meta["forgotten"]:
            seen = -1
            for table in state.tables.values():
                table.clear()
        tables, kinds = state.tables, set()
        query = "SELECT kind, key, value FROM rows WHERE version > ? ORDER BY id"
        for kind, key, text in self._connection.execute(query, (seen,)):
            kinds.add(kind)
            if text is None:
                tables[kind].pop(key, None)
            else:
                tables[kind][key] = codec.load(text)
        state.serial, state.chance.state = meta["serial"], int(meta["chance"])
        state.settings, state.profile = meta["settings"], meta["profile"]
        state.now = max(state.now, meta["now"])
        self._noted = self._notes()
        self._version = meta["version"]
        self._read_clock()
        self._world.reload()
        for table in tables.values():
            table.changed = {}
        self._tell(kinds)

    def _tell(self, kinds: set[str]) -> None:
        for on_change in list(self._on_foreign):
            if kinds & _TELLS_VMS:
                on_change(VMS)
            if kinds & _TELLS_BALANCER:
                on_change(BALANCER)
            if kinds - _TELLS_VMS - _TELLS_BALANCER - _TELLS_NOBODY:
                on_change(CLUSTER)

    def _notes(self) -> tuple[object, ...]:
        state = self._world.state
        return (state.serial, state.chance.state, replace(state.settings), state.profile)

    def _take_back(self) -> None:
        """Forget what this process did in the transaction; everything is read anew."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._version = -1

    def _end(self) -> None:
        self._write()
        self._connection.execute("COMMIT")

    def _write(self) -> None:
        """Write the rows that changed, under a new version; nothing where none did."""
        state = self._world.state
        changed = [(kind, table, table.changed) for kind, table in state.tables.items() if table.changed]
        if not changed and self._notes() == self._noted:
            return
        self._noted = self._notes()
        self._version += 1
        rows = []
        for kind, table, keys in changed:
            for key in keys or ():
                row = table.get(key)
                rows.append((kind, key, self._version, None if row is None else codec.dump(row)))
            table.changed = {}
        self._connection.executemany(_WRITE_ROW, rows)
        meta: dict[str, Any] = {"version": self._version, "now": state.now, "serial": state.serial}
        meta |= {"chance": str(state.chance.state), "settings": state.settings, "profile": state.profile}
        if self._version % TOMBSTONES_KEPT == 0:
            meta["forgotten"] = self._version - TOMBSTONES_KEPT
            self._connection.execute("DELETE FROM rows WHERE value IS NULL AND version <= ?", (meta["forgotten"],))
        self._connection.executemany(_WRITE_META, [(name, codec.dump(value)) for name, value in meta.items()])

    def _look_out(self, stopped: threading.Event) -> None:
        """The watcher: SQLite tells cheaply whether any other connection has written."""
        eye = _connect(self._path)
        try:
            seen = -1
            while not stopped.wait(self._pause()):
                version = eye.execute("PRAGMA data_version").fetchone()[0]
                if version != seen or self._next_due_in() == 0:
                    seen = version
                    self._refresh()
        finally:
            eye.close()

    def _refresh(self) -> None:
        try:
            with self.world():
                pass
        except Transient:
            return  # busy: the next look comes soon

    def _pause(self) -> float:
        """Until the next look for others, or the next event if that is sooner."""
        return min(POLL_SECONDS, self._next_due_in())

    def _next_due_in(self) -> float:
        """Real seconds until the next event; a large number when there is none."""
        with self._turn:
            due = self._world.next_due()
            return NEVER_SECONDS if due is None else max(0.0, (due - self.now()).total_seconds() / self.speed)


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = OFF")
    except sqlite3.DatabaseError as exc:
        connection.close()
        raise Invalid(what=f"this is no world file: {exc}", where=path) from exc
    return connection
