# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that does a stage's work, in an enclosure that leaves nothing behind.

Promises: when the program ends, or this process is killed in whatever way, everything that it started has ended and everything that
it mounted is gone. So it is by construction, not by cleaning up: mounts are in a mount namespace of their own and processes in a
process namespace, and both end with their first process, which the kernel kills when its parent dies (prctl(2), PR_SET_PDEATHSIG).
Nothing here waits.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import FleetError

ENCLOSED = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"),
)
TAIL_BYTES = 16384
LAST_LINES_MAX = 3
WORDS_MAX = 600  # characters of a message; the rest is in the log
NOISE = re.compile(r"^(\s*|PLAY RECAP.*|\S+\s+: ok=\d+.*|\+ .*)$")  # nothing that says why
KILL_SECONDS = 10.0  # for the kernel to end a killed program


class ProgramFailed(FleetError):
    """A program that a stage needs ended with an error; `what` has its last words, `where` the file with all of them."""

    code = "stage_failed"


class Program:
    """One running program; its output goes to a file."""

    def __init__(
        self, name: str, argv: Sequence[str], log: Path, settings: Mapping[str, str | None] | None = None, folder: Path | None = None
    ) -> None:
        """Starts it in `folder`; `name` is what a message calls it, and a setting of None takes a variable away.

        Raises `ProgramFailed` where it cannot be started.
        """
        self._name, self._log = name, log
        environment = {**os.environ, "LC_ALL": "C.UTF-8", **(settings or {})}
        try:
            with log.open("wb") as output:
                self._process = subprocess.Popen(  # noqa: S603  # programs and options are ours, values come as arguments of their own
                    [*ENCLOSED, *argv],
                    env={variable: value for variable, value in environment.items() if value is not None},
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise ProgramFailed(what=f"{ENCLOSED[0]} cannot be run: {error.strerror}") from error

    def look(self) -> bool:
        """Whether it has ended well. Raises `ProgramFailed` where it ended otherwise."""
        code = self._process.poll()
        if code:
            raise ProgramFailed(what=f"{self._name} ended with {code}: {last_words(self._log)}", where=str(self._log))
        return code == 0

    def has_ended(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """End it, with all that it started. May be called again."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(KILL_SECONDS)


class Making:
    """A program that makes `part`, as a stage under way: what it made gets the name `final` last, once it is whole."""

    def __init__(self, program: Program, part: Path, final: Path, check: Callable[[Path], None] | None = None) -> None:
        """`check` is asked about `part` before it gets its name, and raises what is wrong with it."""
        self._program, self._part, self._final, self._check = program, part, final, check
        self.stop = program.stop

    def look(self) -> bool:
        """Whether it is finished. Raises `ProgramFailed`, and what `check` raises."""
        if not self._program.look():
            return False
        if self._check is not None:
            self._check(self._part)
        self._part.replace(self._final)
        return True


def last_words(log: Path) -> str:
    """The last lines of a log that say something, in one."""
    try:
        text = log.read_bytes()[-TAIL_BYTES:].decode("utf-8", errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if not NOISE.match(line)]
    failed = [line for line in lines if line.startswith(("fatal:", "ERROR!", "[ERROR]", "E: "))]
    said = failed[-1] if failed else " / ".join(lines[-LAST_LINES_MAX:])
    return said if len(said) <= WORDS_MAX else said[:WORDS_MAX] + "..."
