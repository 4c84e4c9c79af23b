# SPDX-License-Identifier: GPL-3.0-or-later
"""Live lines wherever Ansible runs: one fork or many, hosts in step or free, under ansible-runner as AWX has it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.tests.playbooks.conftest import Site
from ansible_collections.immutable.fleet.tests.shell import environment

POOLS = ("alpha", "beta", "gamma")
WIDTH = 80
LINE = re.compile(r"^\[(\w+)\] +(\S+)  (.*)$", re.MULTILINE)


def pools(site: Site) -> tuple[list[dict[str, Any]], str]:
    """A pool for each inventory host, in a world of its own; and the inventory."""
    inventory = site.folder / "inventory"
    inventory.write_text("".join(f"{name} ansible_connection=local\n" for name in POOLS))
    world = str(site.folder / "{{ inventory_hostname }}.sqlite")
    make = site.make_world()
    make["immutable.fleet.simulated_world"]["world"] = world
    return [make, site.pool(name="{{ inventory_hostname }}", simulated={"world": world, "image": "v1"})], str(inventory)


def check(text: str) -> None:
    """Each host's lines are whole, in the order of its own time, and no line of one is lost in another's."""
    for name in POOLS:
        lines = [rest for host, _elapsed, rest in LINE.findall(text) if host == name]
        created = [line.split()[0] for line in lines if " create " in line]
        ready = [line.split()[0] for line in lines if " ready " in line]
        assert len(created) == len(set(created)) == 3
        assert sorted(created) == sorted(ready)
        assert all(machine.startswith(f"{name}-") for machine in created)
        assert lines[0].startswith("== 0/3 done")
        assert lines[-1] == "end: done"
    assert max(len(line) for line in text.splitlines() if line.startswith("[")) <= WIDTH


@pytest.mark.parametrize(("forks", "strategy"), [(1, "linear"), (20, "linear"), (20, "free")])
def test_lines_are_whole_under_forks_and_strategies(site: Site, forks: int, strategy: str) -> None:
    """Workers hand their lines to the one process that prints."""
    tasks, inventory = pools(site)
    run = site.run(tasks, "-i", inventory, "--forks", str(forks), hosts="all", strategy=strategy)
    assert run.code == 0, run.text
    check(run.text)


def test_lines_reach_ansible_runner_while_the_task_works(site: Site) -> None:
    """Which is how AWX runs playbooks: each line becomes an event of the job long before the task has ended."""
    tasks, inventory = pools(site)
    book, _results = site.write(tasks, hosts="all")
    folder = site.folder / "runner"
    folder.mkdir()
    seen: list[tuple[str, str]] = []

    def keep(event: dict[str, Any]) -> bool:
        seen.append((event["created"], event["stdout"]))
        return True

    settings = {name: value for name, value in environment(site.folder).items() if os.environ.get(name) != value}
    import ansible_runner  # not where only the smoke tests run

    runner = ansible_runner.run(
        private_data_dir=str(folder),
        playbook=str(book),
        inventory=inventory,
        envvars={**settings, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        event_handler=keep,
        quiet=True,
        settings={"suppress_env_files": True},
    )
    assert runner.rc == 0
    text = "\n".join(re.sub(r"\x1b\[[0-9;]*m", "", stdout) for _created, stdout in seen).replace("\r", "")
    check(text)
    first = next(created for created, stdout in seen if " create " in stdout)
    last = next(created for created, stdout in reversed(seen) if "end: done" in stdout)
    assert first < last
