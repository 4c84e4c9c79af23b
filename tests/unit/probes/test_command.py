# SPDX-License-Identifier: GPL-3.0-or-later
"""A gate that is a command, with real programs."""

from __future__ import annotations

import os
import select
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import Question
from ansible_collections.immutable.fleet.plugins.module_utils.probes.command import CommandProbe
from ansible_collections.immutable.fleet.plugins.module_utils.reports.redact import Redactor

QUESTION = Question(pool="web", step="before_drain", machine="web-3-x7k2p", revision="a1b2c3")
REDACT = Redactor(["hunter2"]).text


def ask(*command: str, seconds: float = 30, question: Question = QUESTION) -> tuple[bool, str]:
    return CommandProbe(command, timedelta(seconds=seconds), REDACT).ask(question)


def shell(script: str, seconds: float = 30) -> tuple[bool, str]:
    return ask("sh", "-c", script, seconds=seconds)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param("exit 0", (True, ""), id="0 passes"),
        pytest.param("echo 5 of 5 ready", (True, "5 of 5 ready"), id="with its last line"),
        pytest.param("exit 3", (False, "sh ended with 3"), id="all else does not"),
        pytest.param("exit 75", (False, "sh ended with 75"), id="nor does that nobody could be asked"),
        pytest.param("echo first; echo 3 of 5 ready >&2; echo; exit 1", (False, "sh ended with 1: 3 of 5 ready"), id="of both outputs"),
        pytest.param("kill -9 $$", (False, "sh ended with -9"), id="a signal"),
        pytest.param("echo password hunter2; exit 1", (False, "sh ended with 1: password ********"), id="without secrets"),
        pytest.param("printf '\\033[2J\\007up'", (True, "[2J up"), id="without a terminal's control characters"),
        pytest.param("printf '\\377\\376'", (True, "\ufffd\ufffd"), id="whatever its bytes are"),
        pytest.param("cat", (True, ""), id="nothing to read from us"),
        pytest.param(
            'echo "$FLEET_POOL $FLEET_MACHINE $FLEET_STEP $FLEET_REVISION"',
            (True, "web web-3-x7k2p before_drain a1b2c3"),
            id="what it is about",
        ),
    ],
)
def test_what_a_command_says(script: str, expected: tuple[bool, str]) -> None:
    """Passed or not, and one line for a person."""
    assert shell(script) == expected


def test_a_long_line_is_shortened_after_secrets_are_out() -> None:
    """Its end is kept; half a secret would not be recognised."""
    passed, what = shell("i=0; while [ $i -lt 40 ]; do printf 'hunter2 '; i=$((i+1)); done; echo end")
    assert passed
    assert what.startswith("...")
    assert what.endswith("******** end")
    assert len(what) == 163
    assert "hunter" not in what


def test_output_without_end_fills_no_memory() -> None:
    """Only its end is kept while the rest is read."""
    assert shell("head -c 20000000 /dev/zero | tr '\\0' x; echo; echo done") == (True, "done")


def test_between_steps_there_is_no_machine() -> None:
    """The variable is there and empty."""
    question = Question(pool="web", step="2")
    assert ask("sh", "-c", 'echo "[${FLEET_MACHINE-unset}]"', question=question) == (True, "[]")


def test_one_that_takes_too_long_is_ended_with_all_it_started(tmp_path: Path) -> None:
    """It has not passed."""
    pids = tmp_path / "pids"
    assert shell(f"sleep 600 & echo $! > {pids}; echo waiting for 2 of 5; wait", seconds=0.5) == (
        False,
        "sh took longer than 0.5s: waiting for 2 of 5",
    )
    await_end(int(pids.read_text()))


def await_end(pid: int) -> None:
    """Killed is not dead yet; fails where it was not even killed."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    assert poller.poll(60_000)


def test_what_it_leaves_running_does_not_change_its_answer(tmp_path: Path) -> None:
    """A gate that starts something and ends with 0 has passed, though its output is still held open."""
    pids = tmp_path / "pids"
    assert shell(f"setsid sleep 600 & echo $! > {pids}; echo started", seconds=0.5) == (True, "started")
    os.kill(int(pids.read_text()), 9)


@pytest.mark.parametrize(
    ("command", "what"),
    [
        pytest.param("no-such-program", "no-such-program cannot be run: No such file or directory", id="gone since it was checked"),
        pytest.param("/dev/null", "null cannot be run: Permission denied", id="no program"),
    ],
)
def test_one_that_cannot_be_run_has_not_passed(command: str, what: str) -> None:
    """It is no reason to fail: the next try may find it."""
    assert ask(command) == (False, what)
