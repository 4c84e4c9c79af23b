# SPDX-License-Identifier: GPL-3.0-or-later
"""A gate, or a probe of a machine's service, that is a command: 0 passes."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import Question
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_duration
from ansible_collections.immutable.fleet.plugins.module_utils.probes.answer import last_line

CANNOT_ASK = os.EX_TEMPFAIL  # 75 of sysexits.h, which hardly any program that asks something ends with for another reason
TAIL_BYTES = 4096  # of the output; the rest is read and forgotten
VARIABLES = {"FLEET_POOL": "pool", "FLEET_MACHINE": "machine_name", "FLEET_STEP": "step", "FLEET_REVISION": "revision"}


class CommandProbe:
    """Runs `command` without a shell, with this process's environment and FLEET_POOL, FLEET_MACHINE, FLEET_STEP, FLEET_REVISION.

    It runs in a session of its own, so that nothing that it started outlives `timeout`.
    """

    def __init__(self, command: Sequence[str], timeout: timedelta, redact: Callable[[str], str]) -> None:
        self._command, self._timeout, self._redact = tuple(command), timeout, redact

    def ask(self, question: Question) -> tuple[bool, str]:
        """See ports.Probe."""
        values = question.values()
        given = {name: values[key] for name, key in VARIABLES.items()}
        passed, what = answer_of(self._command, given, self._timeout, self._redact)
        return passed is True, what


def answer_of(
    command: Sequence[str], given: Mapping[str, str], timeout: timedelta, redact: Callable[[str], str]
) -> tuple[bool | None, str]:
    """Whether `command` ended with 0, and what it said; `given` is added to its environment.

    None: it cannot be run here, or ended with CANNOT_ASK.
    """
    name = redact(Path(command[0]).name)
    try:
        process = subprocess.Popen(  # noqa: S603  # the command is the user's own
            command,
            env={**os.environ, **given},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return None, f"{name} cannot be run: {error.strerror}"
    code, output = _outcome(process, time.monotonic() + timeout.total_seconds())
    said = last_line(output, redact)
    if code == 0:
        return True, said
    ending = f"took longer than {say_duration(timeout)}" if code is None else f"ended with {code}"
    return None if code == CANNOT_ASK else False, f"{name} {ending}" + (f": {said}" if said else "")


def _outcome(process: subprocess.Popen[bytes], deadline: float) -> tuple[int | None, bytes]:
    """The exit code, None for one that took too long; and the end of the output."""
    output = _tail(process, deadline)
    if process.stdout is not None:
        process.stdout.close()
    try:
        return process.wait(max(0.0, deadline - time.monotonic())), output
    except subprocess.TimeoutExpired:
        with contextlib.suppress(PermissionError):  # under sudo it is not ours to end: left alone rather than waited for
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return None, output


def _tail(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """The last bytes of what it writes until it ends or `deadline`; a gate that writes without end fills no memory."""
    tail = b""
    if process.stdout is None:
        return tail
    descriptor = process.stdout.fileno()
    poller = select.poll()
    poller.register(descriptor, select.POLLIN | select.POLLHUP)
    while (left := deadline - time.monotonic()) > 0 and poller.poll(left * 1000):
        read = os.read(descriptor, 65536)
        if not read:
            break
        tail = (tail + read)[-TAIL_BYTES:]
    return tail
