# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies under extensions/ for others to read: it works on what our tasks return, and the built collection has it."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import jq  # the library that the controller itself uses
import yaml

from ansible_collections.immutable.fleet.tests.playbooks.conftest import Site
from ansible_collections.immutable.fleet.tests.shell import ROOT

QUERIES = Path("extensions/audit/event_query.yml")

# The controller reads results as a callback gets them: a registered variable has no `invocation`.
EVENTS = '''
import json
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: events
type: notification
short_description: Each task's result in a file beside the playbook
description: The part of a job event that the controller queries.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "events"

    def note(self, result):
        event = {"task": result._task.name, "resolved_action": result._task.resolved_action, "res": result._result}
        with Path(__file__).with_name("events.jsonl").open("a") as events:
            events.write(json.dumps(event, default=str) + "\\n")

    def v2_runner_on_ok(self, result):
        self.note(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.note(result)
'''


def counted(result: dict[str, Any], module: str = "immutable.fleet.node_pool") -> list[dict[str, Any]]:
    """What the controller would write down for this result of a task."""
    queries = yaml.safe_load((ROOT / QUERIES).read_text(encoding="utf-8"))
    query = queries.get(module, {}).get("query")
    return list(jq.compile(query).input_value(result).all()) if query else []


def of_a_real_cloud(result: dict[str, Any]) -> dict[str, Any]:
    """The result of a simulated run as it would be of another provider."""
    arguments = {**result["invocation"]["module_args"], "simulated": None}
    return {**result, "invocation": {"module_args": arguments}}


def test_each_machine_of_a_result_is_counted_as_one_node(site: Site) -> None:
    """A machine is known by name and pool, whichever task reports it; a plan, a removal and a simulated world count nothing."""
    plugins = site.folder / "callback_plugins"
    plugins.mkdir()
    (plugins / "events.py").write_text(EVENTS)
    pool = {"failure_domains": ["az1"]}
    tasks = {
        "made": site.pool(**pool),
        "again": site.pool(**pool),
        "plan": {**site.pool("v2", **pool), "check_mode": True},
        "refused": site.pool(failing=True, replicas=-1),
        "removed": site.pool(state="absent"),
    }
    run = site.run([site.make_world(failure_domains=["az1"]), *({**task, "name": name} for name, task in tasks.items())])
    assert run.code == 0, run.text
    events = {event["task"]: event for event in map(json.loads, (plugins / "events.jsonl").read_text().splitlines())}
    nodes = {name: counted(of_a_real_cloud(events[name]["res"]), events[name]["resolved_action"]) for name in tasks}

    names = [machine["name"] for machine in events["made"]["res"]["machines"]]
    facts = {"infra_type": "private_cloud", "infra_bucket": "compute", "device_type": "virtual_machine", "failure_domain": "az1"}
    made = [{"name": name, "canonical_facts": {"name": name, "pool": "web"}, "facts": {**facts, "node": name}} for name in names]
    assert len(names) == 3
    assert nodes == {"made": made, "again": made, "plan": [], "refused": [], "removed": []}
    assert counted(events["made"]["res"]) == [], "simulated machines do not exist"
    assert counted({"changed": False, "skipped": True}) == []


def test_the_built_collection_has_the_extensions(tmp_path: Path) -> None:
    """The controller looks for the query in the installed collection."""
    build = [sys.executable, "-m", "ansible", "galaxy", "collection", "build", "--output-path", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (archive,) = tmp_path.glob("immutable-fleet-*.tar.gz")
    with tarfile.open(archive) as built:
        held = built.extractfile(str(QUERIES))
        assert held is not None
        assert held.read() == (ROOT / QUERIES).read_bytes()
