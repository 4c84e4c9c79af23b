# SPDX-License-Identifier: GPL-3.0-or-later
"""A role's argument specs and its files know the same variables: none is taken that nobody can look up, none is documented in vain."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from ansible_collections.immutable.fleet.tests.unit.entry.test_role import ROLES

NAMES = sorted(path.name for path in ROLES.iterdir())


def documented(role: str) -> set[str]:
    """In any entry point, without those of other roles."""
    specs = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text())["argument_specs"]
    return {name for entry in specs.values() for name in entry["options"] if name.startswith(f"{role}_")}


def used(role: str) -> set[str]:
    """All that begin with the role's name, but names of its modules, roles and entry points."""
    texts = [path.read_text() for folder in ("tasks", "templates") for path in (ROLES / role / folder).rglob("*") if path.is_file()]
    return {name for text in texts for name in re.findall(rf"(?<![\w.])({role}_\w+)", text)}


def made(role: str) -> set[str]:
    """Facts, results, and variables of tasks."""
    found = set()
    for path in (ROLES / role / "tasks").glob("*.yml"):
        for task in tasks_of(yaml.safe_load(path.read_text())):
            found |= {*task.get("vars", {}), *task.get("ansible.builtin.set_fact", {}), task.get("register", "")}
            found.add(task.get("loop_control", {}).get("loop_var", ""))
    return found


def tasks_of(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those in blocks, too."""
    return [inner for task in tasks for inner in [task, *tasks_of(task.get("block", []))]]


@pytest.mark.parametrize("role", NAMES)
def test_what_a_role_takes_is_what_it_documents(role: str) -> None:
    assert used(role) - made(role) == documented(role) - made(role)


@pytest.mark.parametrize("role", NAMES)
def test_a_role_has_a_page(role: str) -> None:
    """The page names the role as users do."""
    assert f"# immutable.fleet.{role}\n" in (ROLES / role / "README.md").read_text()
