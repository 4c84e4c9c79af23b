# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole processes, from the start of Python to their end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

MODULE = "ansible_collections.immutable.fleet.plugins.modules.node_pool"
PATH = str(Path(__file__).resolve().parents[2] / "build/collections")


def node_pool(task: Mapping[str, Any]) -> dict[str, Any]:
    """Run the module as Ansible's worker would, and hand back its result."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"ANSIBLE_MODULE_ARGS": task}, file)
        file.flush()
        answer: dict[str, Any] = json.loads(output([sys.executable, "-m", MODULE, file.name]))
    return answer


def output(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """What a command prints; one that fails is an error. It finds the collection where no other environment is given."""
    given = environment or {**os.environ, "PYTHONPATH": PATH}
    done = subprocess.run(argv, env=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{done.stdout}{done.stderr}")
    return done.stdout


def seconds(call: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.monotonic()
    call()
    return time.monotonic() - began
