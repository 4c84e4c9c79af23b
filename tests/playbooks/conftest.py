# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the real ansible-playbook against simulated worlds in temporary folders."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.immutable.fleet.tests.playbooks.browser import Browser
from ansible_collections.immutable.fleet.tests.shell import environment

SPEED = 100  # seconds of the world per second; a turn of the loop takes 5 s of it
TIMEOUT_SECONDS = 240  # of one ansible-playbook; a minute is what the slowest takes on a busy machine

QUICK = {"create": 20, "ready": 40, "delete": 10}
IMAGES: dict[str, Any] = {"v1": {}, "v2": {}, "bad": {"joins": False}, "broken": {"fault": "No valid host was found"}}


@dataclass
class Run:
    """What came of one playbook: the text that a person saw, and each task's result by the name it was registered under."""

    code: int
    text: str
    results: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.results[name]


class Site:
    """A folder with a world and the playbooks that work on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = folder / "world.sqlite"
        self._plays = 0

    def make_world(self, **described: Any) -> dict[str, Any]:
        """The task that makes the world."""
        wanted = {"speed": SPEED, "images": IMAGES, "failure_domains": ["az1", "az2"], "durations": QUICK, **described}
        return {"immutable.fleet.simulated_world": {"world": str(self.world), **wanted}}

    def change_world(self, **described: Any) -> dict[str, Any]:
        """A task that changes it."""
        return {"immutable.fleet.simulated_world": {"world": str(self.world), **described}}

    def pool(self, image: str = "v1", *, register: str = "", failing: bool = False, **options: Any) -> dict[str, Any]:
        """A task that declares the pool "web"; `failing` goes on after its failure."""
        where = {"world": str(self.world), "image": image}
        arguments = {"name": "web", "replicas": 3, "simulated": where, **options}
        return self.task("node_pool", arguments, register=register, failing=failing)

    def task(self, module: str, arguments: dict[str, Any], *, register: str = "", failing: bool = False) -> dict[str, Any]:
        task: dict[str, Any] = {f"immutable.fleet.{module}": arguments}
        if register:
            task["register"] = register
        if failing:
            task["ignore_errors"] = True
        return task

    def write(self, tasks: Sequence[dict[str, Any]], **play: Any) -> tuple[Path, Path]:
        """A playbook, and the file that its results go to."""
        self._plays += 1
        book, results = self.folder / f"play-{self._plays}.yml", self.folder / f"results-{self._plays}.json"
        names = [task["register"] for task in tasks if "register" in task]
        collected = "{{ {" + ", ".join(f"'{name}': {name}" for name in names) + "} | to_json }}"
        keep = {"ansible.builtin.copy": {"content": collected, "dest": str(results), "mode": "0600"}}
        plan = {"hosts": "localhost", "gather_facts": False, "tasks": [*tasks, keep] if names else list(tasks), **play}
        book.write_text(yaml.safe_dump([plan], sort_keys=False))
        return book, results

    def start(self, tasks: Sequence[dict[str, Any]], *arguments: str, **play: Any) -> subprocess.Popen[str]:
        """A playbook that goes on while the test does something else."""
        book, _results = self.write(tasks, **play)
        return subprocess.Popen(
            [*_ansible(), str(book), *arguments],
            env=environment(self.folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, tasks: Sequence[dict[str, Any]], *arguments: str, **play: Any) -> Run:
        """A playbook from beginning to end."""
        book, results = self.write(tasks, **play)
        return self._run(str(book), results, arguments)

    def paste(self, command: str) -> str:
        """What a shell in another folder says to a command that somebody copied from a message."""
        path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "-c", command],
            cwd="/",
            env={**environment(self.folder), **path},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        return done.stdout + done.stderr

    def run_named(self, playbook: str, *arguments: str, variables: dict[str, Any]) -> Run:
        """A playbook of the collection."""
        return self._run(playbook, self.folder / "none", (*arguments, "-e", json.dumps(variables)))

    def _run(self, book: str, results: Path, arguments: Sequence[str]) -> Run:
        done = subprocess.run(
            [*_ansible(), book, *arguments],
            env=environment(self.folder),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        text = done.stdout + done.stderr
        assert "Traceback" not in text, text
        found = json.loads(results.read_text()) if results.exists() else {}
        return Run(done.returncode, text, found)


def _ansible() -> list[str]:
    return [sys.executable, "-m", "ansible", "playbook"]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A fresh one."""
    return Site(tmp_path)


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    """Chromium; `nox -s playbooks` installs it."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium here; nox -s playbooks installs it")
    return Browser(program, tmp_path / "browser")
