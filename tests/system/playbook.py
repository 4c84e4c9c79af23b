# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the real ansible-playbook with one task of ours, follows what the module tells meanwhile, and kills it when asked."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.tests.labs.openstack.site import Site as OpenStackSite

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 900.0  # a rollout takes one minute, and many on a busy machine; less than pytest's patience in nox
LOOK_SECONDS = 0.02

Event = dict[str, Any]


@dataclass
class Outcome:
    """What came of one task: the exit status, the text that a person saw, the task's result, how long it took."""

    code: int
    text: str
    result: dict[str, Any]
    seconds: float
    events: list[Event] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.result["changed"])

    @property
    def failure(self) -> dict[str, str]:
        """The task's own account of its failure."""
        found: dict[str, str] = self.result.get("failure") or {}
        assert found, f"the task did not fail in words of ours:\n{self.text}"
        return found


MODULE = re.compile(r"AnsiballZ_(node|golden)_")
WITHOUT_EVENTS = (
    "golden_image",
    "golden_image_channel",
    "golden_image_info",
    "node_pool_info",
    "node_pool_control",
    "simulated_world",
)


class Playbooks:
    """A folder with the playbooks that were run, their results and their event files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    def run(self, module: str, options: dict[str, Any], *flags: str, fails: bool = False, **environment: str) -> Outcome:
        """From beginning to end. A task that fails unless it should, and one that does not though it should, fail the test."""
        started = self.start(module, options, *flags, **environment)
        outcome = started.outcome()
        assert bool(outcome.result.get("failed")) == fails, outcome.text
        assert (outcome.code != 0) == fails, outcome.text
        return outcome

    def start(self, module: str, options: dict[str, Any], *flags: str, **environment: str) -> Running:
        """A playbook that goes on while the test does something else."""
        stem = self._stem(module)
        book, result, events = (stem.with_suffix(f".{kind}") for kind in ("yml", "json", "jsonl"))
        given = options if module in WITHOUT_EVENTS else {**options, "events_file": str(events)}
        task = {f"immutable.fleet.{module}": given, "register": "answer"}
        _write(book, [{"block": [task], "always": [_keep("answer", result)]}])
        output = stem.with_suffix(".out").open("w+")
        process = subprocess.Popen(
            [sys.executable, "-m", "ansible", "playbook", str(book), *flags],
            env=_environment(self.folder) | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return Running(process, output, result, events)

    def named(self, playbook: str, inventory: Path, variables: dict[str, Any], *, fails: bool = False) -> str:
        """A playbook of the collection from beginning to end; the text that a person saw."""
        argv = [
            sys.executable,
            "-m",
            "ansible",
            "playbook",
            f"immutable.fleet.{playbook}",
            "-i",
            str(inventory),
            "-e",
            json.dumps(variables),
        ]
        done = subprocess.run(argv, env=_environment(self.folder), capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
        text = done.stdout + done.stderr
        assert "Traceback" not in text, text
        assert (done.returncode != 0) == fails, text
        return text

    def refusals(self, module: str, wrong: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The results of tasks with these options, which all fail, in one playbook."""
        stem = self._stem("refusals")
        names = [f"wrong_{number}" for number in range(len(wrong))]
        tasks: list[dict[str, Any]] = [
            {f"immutable.fleet.{module}": options, "register": name, "ignore_errors": True}
            for name, options in zip(names, wrong, strict=True)
        ]
        _write(stem.with_suffix(".yml"), [*tasks, _keep(f"[{', '.join(names)}]", stem.with_suffix(".json"))])
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", str(stem.with_suffix(".yml"))],
            env=_environment(self.folder),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        results: list[dict[str, Any]] = json.loads(stem.with_suffix(".json").read_text())
        return results

    def _stem(self, name: str) -> Path:
        self._count += 1
        return self.folder / f"{self._count:02d}-{name}"


class Running:
    """A playbook under way."""

    def __init__(self, process: subprocess.Popen[str], output: Any, result: Path, events: Path) -> None:
        self.process, self.events_file = process, events
        self._output, self._result = output, result
        self._began = time.monotonic()

    def outcome(self, seconds: float = TIMEOUT_SECONDS) -> Outcome:
        """Its end."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"not ended within {seconds:g} s:\n{self.text()}\n{self._told()}") from None
        took = time.monotonic() - self._began
        text = self.text()
        self._output.close()
        assert "Traceback" not in text, text
        result = json.loads(self._result.read_text()) if self._result.exists() else {}
        return Outcome(code, text, result, took, self.events())

    def text(self) -> str:
        """What a person has seen so far."""
        self._output.flush()
        return Path(self._output.name).read_text(encoding="utf-8")

    def events(self) -> list[Event]:
        """All that the module has told so far."""
        if not self.events_file.exists():
            return []
        return [json.loads(line) for line in self.events_file.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]

    def until(self, what: str, test: Callable[[Event], object], seconds: float = TIMEOUT_SECONDS) -> Event | None:
        """The first event that is as `test` wants it; None when the run ended without one."""
        deadline = time.monotonic() + seconds
        for event in self._follow():
            if event is not None and test(event):
                return event
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"not within {seconds:g} s: {what}\n{self.text()}\n{self._told()}")
        return None

    def until_over(self, seconds: float) -> int | None:
        """Its exit status if it ends within so long, else None."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def module(self) -> int:
        """The process of our module."""
        found = [pid for pid in descendants(self.process.pid) if MODULE.search(_command_of(pid))]
        assert found, f"no module runs:\n{self.text()}"
        return found[-1]

    def kill_module(self) -> None:
        """SIGKILL of its whole process group, with the worker of Ansible in it, and of what is left of ansible-playbook."""
        with contextlib.suppress(AssertionError, ProcessLookupError):  # it ended just now
            os.killpg(os.getpgid(self.module()), signal.SIGKILL)
        self.kill()

    def kill(self) -> None:
        """SIGKILL of everything that it started."""
        for pid in [*descendants(self.process.pid), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()

    def _follow(self) -> Iterator[Event | None]:
        """Each event as it comes, and None now and then; ends with the process."""
        seen = 0
        while True:
            is_over = self.process.poll() is not None
            events = self.events()
            yield from events[seen:]
            seen = len(events)
            if is_over:
                return
            yield None
            time.sleep(LOOK_SECONDS)

    def _told(self) -> str:
        return "\n".join(json.dumps(event) for event in self.events()[-40:])


def descendants(pid: int) -> list[int]:
    """Processes that `pid` started, and theirs, oldest first."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = [pid]
    for known in found:
        found += [child for child, parent in parents.items() if parent == known]
    return found[1:]


def _write(book: Path, tasks: list[dict[str, Any]]) -> None:
    """A playbook in JSON, which is YAML."""
    book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")


def _keep(expression: str, file: Path) -> dict[str, Any]:
    """A task that writes a value where the test finds it."""
    content = "{{ " + expression + " | to_json }}"
    return {"ansible.builtin.copy": {"content": content, "dest": str(file), "mode": "0600"}, "check_mode": False}


def alive(pid: int) -> bool:
    """Whether the process still runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _environment(folder: Path) -> dict[str, str]:
    """What a user's shell has, with no configuration of this machine's user but the lab's clouds."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "OS_", "K8S_AUTH_", "KUBE"))}
    return kept | {
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/collections"),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "OS_CLIENT_CONFIG_FILE": str(OpenStackSite.from_environment().home / "clouds.yaml"),
        "LC_ALL": "C.UTF-8",
    }
