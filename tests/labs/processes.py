# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts, watches and ends a lab's processes.

Promises: a process is ended by its pid only, and only if it is still the one that was started: the pid file also
holds its start time, so a recycled pid is never signalled. "Stopped" means that the port is free again.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TextIO

STATE, BORN = 0, 19  # fields of /proc/PID/stat after the name: state, start time
LOOK_SECONDS = 0.05
LOG_TAIL = 3000  # characters of a dead process's log that explain why it died


class LabError(Exception):
    """The lab can't do what was asked; the text is for the person who asked."""


class Progress:
    """Lines with the seconds since the command began."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self.began = time.monotonic()
        self.out = out

    def __call__(self, *words: object) -> None:
        print(f"{self.seconds():6.1f}s ", *words, file=self.out, flush=True)

    def seconds(self) -> float:
        return time.monotonic() - self.began


def start_time(pid: int) -> str | None:
    """When the process began, in ticks since boot; None when it is gone for good.

    A killed leader is a zombie at once, its threads (and with them its port) go later: not gone until they are.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        if fields[STATE] == "Z" and len(list(Path(f"/proc/{pid}/task").iterdir())) <= 1:
            return None
    except OSError:
        return None
    return fields[BORN]


class Processes:
    """The processes of one lab: `run` holds NAME.pid, `log` holds NAME.out."""

    def __init__(self, run: Path, log: Path, cwd: Path) -> None:
        self.run, self.log, self.cwd = run, log, cwd

    def pid(self, name: str) -> int | None:
        """The living process of that name."""
        try:
            pid, born = (self.run / f"{name}.pid").read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if start_time(int(pid)) == born else None

    def known(self, pattern: str = "*") -> list[str]:
        """Names with a pid file, living or not."""
        return sorted(file.stem for file in self.run.glob(f"{pattern}.pid"))

    def start(self, name: str, argv: Iterable[object], environment: Mapping[str, str] | None = None) -> None:
        """Starts it unless it runs. Nothing of the caller's cloud, cluster or Python settings reaches it."""
        if self.pid(name):
            return
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "KUBE", "PYTHON"))}
        with (self.log / f"{name}.out").open("ab") as out:
            child = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.cwd,
                env={**inherited, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **(environment or {})},
                start_new_session=True,
            )
        (self.run / f"{name}.pid").write_text(f"{child.pid} {start_time(child.pid)}")

    def stop(self, names: Iterable[str], seconds: float = 20, sign: signal.Signals = signal.SIGTERM) -> None:
        """Ends them side by side; whoever is there after `seconds` is killed with its whole session."""
        names = list(names)
        left = {name: pid for name in names if (pid := self.pid(name))}
        for name in set(names) - set(left):
            (self.run / f"{name}.pid").unlink(missing_ok=True)
        for pid in left.values():
            os.kill(pid, sign)
        deadline = time.monotonic() + seconds
        while left:
            left = {name: pid for name, pid in left.items() if not self._ended(name, pid)}
            if left and time.monotonic() > deadline:
                for pid in left.values():
                    os.killpg(pid, signal.SIGKILL)
                deadline = time.monotonic() + seconds
            time.sleep(LOOK_SECONDS if left else 0)

    def _ended(self, name: str, pid: int) -> bool:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # when it is our own child
        if self.pid(name):
            return False
        (self.run / f"{name}.pid").unlink(missing_ok=True)
        return True

    def wait_for(self, what: str, test: Callable[[], object], seconds: float = 90, alive: Iterable[str] = ()) -> None:
        """Returns once `test()` is true; fails with the log's end as soon as one of `alive` has died."""
        deadline = time.monotonic() + seconds
        alive = list(alive)
        while True:
            answer: object = None
            try:
                if test():
                    return
            except Exception as error:  # noqa: BLE001 - whatever a client library raises while its server starts  # pylint: disable=broad-except
                answer = error
            for name in alive:
                if not self.pid(name):
                    tail = (self.log / f"{name}.out").read_text(errors="replace")[-LOG_TAIL:]
                    raise LabError(f"{name} died while we waited for {what}; the end of {self.log / name}.out:\n{tail}")
            if time.monotonic() > deadline:
                raise LabError(f"gave up waiting for {what} after {seconds:.0f} s: {answer!r}; logs: {self.log}")
            time.sleep(LOOK_SECONDS)

    def table(self) -> str:
        """A line per process with its memory, children included (RabbitMQ's shell starts the real one)."""
        rows, total = [], 0
        for name in self.known():
            pid = self.pid(name)
            mebibytes = sum(map(memory, family(pid))) if pid else 0
            total += mebibytes
            rows.append(f"  {name:<20} {pid or 'dead':>8} {mebibytes:6} MiB")
        return "\n".join([*rows, f"  {'all':<20} {'':>8} {total:6} MiB"]) if rows else "  nothing runs"


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                todo += [int(child) for child in children.read_text().split()]
            except OSError:
                continue
    return found


def memory(pid: int) -> int:
    """Resident MiB; 0 for a process that has just ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024


def run(argv: Iterable[object], environment: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Runs a command to its end and returns what it printed; fails with both its outputs."""
    words = [str(word) for word in argv]
    env = {**os.environ, "LANG": "C.UTF-8", **(environment or {})}
    done = subprocess.run(words, capture_output=True, text=True, env=env, cwd=cwd, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout
