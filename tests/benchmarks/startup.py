# SPDX-License-Identifier: GPL-3.0-or-later
"""What one `node_pool` task that changes nothing costs over one `ping` task, in CPU of ansible-playbook and all it starts."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.tests.benchmarks.figures import Figure
from ansible_collections.immutable.fleet.tests.shell import environment

PAIRS = 7
GOAL_SECONDS = 1.0
SPEED = 100  # the world's clock, so that the pool is soon there

Task = dict[str, Any]


def measure() -> Iterator[Figure]:
    """The median of pairs, one after the other: what else the machine does meets both alike."""
    with tempfile.TemporaryDirectory(prefix="immutable-fleet-bench-") as name:
        folder = Path(name)
        pool, ping = _pool(folder), {"ansible.builtin.ping": {}}
        _cpu_seconds(folder, [_world(folder), pool])  # both end up in Ansible's caches, and the pool is made
        pairs = [(_cpu_seconds(folder, [pool]), _cpu_seconds(folder, [ping])) for _pair in range(PAIRS)]
    over = statistics.median(ours - theirs for ours, theirs in pairs)
    yield Figure(name="CPU of a node_pool task over a ping task", value=over, unit="s", goal=GOAL_SECONDS)
    yield Figure(name="CPU of a playbook with one ping task", value=statistics.median(theirs for _ours, theirs in pairs), unit="s")


def _world(folder: Path) -> Task:
    return {"immutable.fleet.simulated_world": {"world": str(folder / "world.sqlite"), "speed": SPEED, "images": {"v1": {}}}}


def _pool(folder: Path) -> Task:
    simulated = {"world": str(folder / "world.sqlite"), "image": "v1"}
    return {"immutable.fleet.node_pool": {"name": "web", "replicas": 3, "simulated": simulated}}


def _cpu_seconds(folder: Path, tasks: list[Task]) -> float:
    """User and system time of one ansible-playbook and of its descendants."""
    book = folder / "play.yml"
    book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    with (folder / "output").open("w") as output:
        argv = [sys.executable, "-m", "ansible", "playbook", str(book)]
        process = subprocess.Popen(argv, env=environment(folder), stdout=output, stderr=subprocess.STDOUT)
        _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError((folder / "output").read_text(encoding="utf-8"))
    return usage.ru_utime + usage.ru_stime
