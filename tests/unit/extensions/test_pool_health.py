# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source: which pools it tells of, and that neither silence nor an error ends it."""

from __future__ import annotations

import asyncio
import runpy
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
SOURCE = runpy.run_path(str(ROOT / "extensions/eda/plugins/event_source/pool_health.py"), run_name="pool_health")  # as rulebooks load it


def node(name: str, pool: str, status: str = "True", *, was_ready: bool = True) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "labels": {"immutable.fleet/pool": pool} if pool else {},
            "annotations": {"immutable.fleet/ready-at": "2026-11-21T04:10:07Z"} if was_ready else {},
        },
        "status": {"conditions": [{"type": "Ready", "status": status}]},
    }


def told(looks: list[Any], count: int) -> list[dict[str, Any]]:
    """The first events of these looks."""

    def look() -> Any:
        found = looks.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    async def collect() -> list[dict[str, Any]]:
        found = []
        async for event in SOURCE["events"](look, set(), 0):
            found.append(event)
            if len(found) == count:
                break
        return found

    return asyncio.run(collect())


def test_who_is_not_well() -> None:
    """Silent or not ready, of a pool, and no longer booting."""
    nodes = [
        node("a1", "web"),
        node("a2", "web", "Unknown"),
        node("a3", "web", "False"),
        node("a4", "web", "False", was_ready=False),
        node("b1", "api"),
        node("c1", "", "False"),
    ]
    found = SOURCE["counted"](nodes, set())
    assert found == {
        "web": {"pool": "web", "not_well": 2, "nodes": ["a2", "a3"], "of": 4},
        "api": {"pool": "api", "not_well": 0, "nodes": [], "of": 1},
    }
    assert SOURCE["counted"](nodes, {"api"}).keys() == {"api"}


def test_a_pool_is_told_of_while_it_is_not_well_and_once_when_it_is_again() -> None:
    """A look without an answer says so, and the next one comes."""
    ill, well = [node("a1", "web", "Unknown"), node("b1", "api")], [node("a1", "web"), node("b1", "api")]
    found = told([well, ill, OSError("no route"), ill, well, well, ill], 5)
    assert [(event["pool"], event["not_well"], event.get("error", "")) for event in found] == [
        ("web", 1, ""),
        ("", 0, "no route"),
        ("web", 1, ""),
        ("web", 0, ""),
        ("web", 1, ""),
    ]


def test_the_rulebook_starts_what_there_is() -> None:
    """Its source, its playbook and the variables that it sets exist."""
    (rules,) = yaml.safe_load((ROOT / "extensions/eda/rulebooks/remediate.yml").read_text())
    (source,) = rules["sources"]
    assert source["immutable.fleet.pool_health"].keys() <= yaml.safe_load(SOURCE["DOCUMENTATION"])["options"].keys()
    (action,) = rules["rules"][0]["actions"]
    name = action["run_playbook"]["name"]
    assert (ROOT / "playbooks" / f"{name.rpartition('.')[2]}.yml").is_file()
    arguments = yaml.safe_load((ROOT / "roles/remediate/meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert action["run_playbook"]["extra_vars"].keys() <= arguments.keys()
