# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module and shows its events while it works: the class behind the action plugins of long tasks.

A module cannot print. It writes events to a file, and a thread here turns them into display lines, which ansible-core passes from
the forked worker to the one process that prints: so it works under forks, `strategy: free`, ansible-runner and AWX.

After a SIGKILL of ansible-playbook neither the worker nor the module notices by itself. The worker holds a lock on a stop file and
gives it up when its own parent changes; the module waits for that lock and stops when it gets it.
"""

from __future__ import annotations

import base64
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.immutable.fleet.plugins.module_utils.reports.lines import WIDTH, Lines
from ansible_collections.immutable.fleet.plugins.plugin_utils.follow import Follower, events_in
from ansible_collections.immutable.fleet.plugins.plugin_utils.in_place import become_user, in_place, is_local

# Said while there is time: on Ctrl-C ansible-core ends what prints at once, and the module's last words reach nobody.
HOW_TO_STOP = "Ctrl-C stops it at a safe point; the same playbook goes on"
WITHOUT_HINT = ("summary", "plan", "end")  # a run that tells no more than this has nothing to stop


@dataclass(frozen=True, slots=True)
class Place:
    """Where a local run reports, and the lock that says that somebody still listens. `folder` is there for the time of the run."""

    folder: Path
    events_file: Path
    stop_file: Path
    stop_lock: int


class LiveAction(ActionBase):  # type: ignore[misc]  # ansible-core publishes no types
    """Runs the module of the task's name. Its result is the module's, untouched."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Live where module and controller see the same files, else with the events at the end."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        known = task_vars or {}
        try:
            result.update(self._run_live(known) if is_local(self) else self._run_elsewhere(known))
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)  # noqa: SLF001  # as ansible-core's own actions do
        return result

    def _run_live(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        given = self._task.args.get("events_file")
        with _place(given) as place:
            watch = _ParentWatch(place.stop_lock)
            show = self._shower(task_vars, can_be_stopped=not self._task.check_mode)
            follower = Follower(place.events_file, show, watch.look, offset=_size(place.events_file))
            follower.start()
            try:
                files = {"events_file": str(place.events_file), "stop_file": str(place.stop_file)}
                with in_place(self, place.folder):
                    answer = self._run_module(files, task_vars)
            finally:
                follower.stop()
        if not given:
            answer.pop("events_file", None)  # it is gone
        return answer

    def _run_elsewhere(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """One line says so; the events come at the end, from a file beside the module."""
        given = self._task.args.get("events_file")
        if given or become_user(self) not in ("", "root"):  # another user could not write into the folder that Ansible makes
            self._say(f"no live lines here; {given or 'events_file'} on the host keeps what happens", task_vars)
            return self._run_module({}, task_vars)
        self._say("no live lines here; what happened is shown at the end", task_vars)
        self._make_tmp_path()
        shell = self._connection._shell  # noqa: SLF001  # as ansible-core's own actions do
        events_file = shell.join_path(shell.tmpdir, "immutable-fleet-events.jsonl")
        answer = self._run_module({"events_file": events_file}, task_vars)
        answer.pop("events_file", None)
        fetched = self._execute_module("ansible.legacy.slurp", module_args={"src": events_file}, task_vars=task_vars)
        text = base64.b64decode(fetched.get("content") or "")
        show = self._shower(task_vars)
        for event in events_in(text.split(b"\n")):
            show(event)
        return answer

    def _run_module(self, files: Mapping[str, str], task_vars: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(module_args={**self._task.args, **files}, task_vars=task_vars)
        return answer

    def _shower(self, task_vars: Mapping[str, Any], *, can_be_stopped: bool = False) -> Callable[[Mapping[str, Any]], None]:
        prefix = _prefix(task_vars)
        lines = Lines(WIDTH - len(prefix))
        hints = [HOW_TO_STOP] if can_be_stopped else []

        def show(event: Mapping[str, Any]) -> None:
            line = lines.line(event, time.monotonic())
            if line is None:
                return
            if hints and event.get("kind") not in WITHOUT_HINT:
                self._display.display(f"{prefix}{'':>7}  {hints.pop()}")
            self._display.display(prefix + line)

        return show

    def _say(self, line: str, task_vars: Mapping[str, Any]) -> None:
        self._display.display(_prefix(task_vars) + line)


def _prefix(task_vars: Mapping[str, Any]) -> str:
    """Whose line it is, where several hosts work at once."""
    host = str(task_vars.get("inventory_hostname", ""))
    return "" if host in ("", "localhost", "127.0.0.1") else f"[{host}] "


class _ParentWatch:
    """Gives the stop lock up when the process that started this worker is gone."""

    def __init__(self, stop_lock: int) -> None:
        self._stop_lock = stop_lock
        self._parent = os.getppid()

    def look(self) -> None:
        """Called now and then."""
        if os.getppid() != self._parent:
            fcntl.flock(self._stop_lock, fcntl.LOCK_UN)


@contextmanager
def _place(given: str | None) -> Iterator[Place]:
    """A private folder with the stop file and, unless the user named one, the event file."""
    folder = Path(tempfile.mkdtemp(prefix="immutable-fleet-"))
    stop_file = folder / "stop"
    stop_file.touch(mode=0o600)
    stop_lock = os.open(stop_file, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(stop_lock, fcntl.LOCK_EX)
        events_file = Path(os.path.expandvars(given)).expanduser().absolute() if given else folder / "events.jsonl"
        if not given:
            events_file.touch(mode=0o600)  # ours, also where the module runs as root: it would make one that only root reads
        yield Place(folder, events_file, stop_file, stop_lock)
    finally:
        os.close(stop_lock)
        shutil.rmtree(folder, ignore_errors=True)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
