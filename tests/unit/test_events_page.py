# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/events.md is the schema: every kind and key that runs tell stands there, and nothing that no run tells."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.cluster import SimulatedCluster
from ansible_collections.immutable.fleet.plugins.module_utils.decide.drain_nodes import DrainNodes
from ansible_collections.immutable.fleet.plugins.module_utils.decide.remove import removal
from ansible_collections.immutable.fleet.plugins.module_utils.engine import loop
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports, RunSettings
from ansible_collections.immutable.fleet.plugins.module_utils.engine.telling import PHASES
from ansible_collections.immutable.fleet.plugins.module_utils.model import decision, vm
from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import DRAINING, REMOVED, SERVING, MemberChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import DrainPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.reports.lines import PHASE_WORDS, WORDS
from ansible_collections.immutable.fleet.tests.simulation.estate import Estate

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/events.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([a-z ]+)` \| .* \| (.*?) ?\|$", re.MULTILINE)
COMMON = {"at", "kind", "machine", "text"}
NEVER_TOLD = {"askgate", "lookat"}  # they change nothing, so the loop tells nothing of them
ONLY_FAILED = {"what", "where", "since", "forward", "back"}  # keys of an `end` that is a failure


def documented() -> dict[str, set[str]]:
    """`{kind: its keys beside the common ones}`."""
    rows = {kind: set(re.findall(r"`([a-z_]+)`", re.sub(r"\([^)]*\)", "", keys))) for kind, keys in ROW.findall(PAGE)}
    kinds = {kind: keys - {"ok"} for kind, keys in rows.items() if kind not in COMMON}
    return kinds | {"retarget": kinds["begin"]}


def python_files() -> Iterator[ast.AST]:
    for path in (ROOT / "plugins/module_utils").rglob("*.py"):
        yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def literal_texts(node: ast.expr) -> set[str]:
    """The texts that an argument may be: `"end"`, or both sides of `"a" if ... else "b"`."""
    return {leaf.value for leaf in ast.walk(node) if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)}


def kinds_in_the_code() -> set[str]:
    """Of events that are made of a literal, and of the verbs of actions."""
    kinds: set[str] = set()
    for node in python_files():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            if node.func.id == "Event" and isinstance(named.get("kind"), ast.Constant):
                kinds |= literal_texts(named["kind"])
            elif node.func.id == "ChangeNode":
                kinds |= literal_texts(node.args[2]) if len(node.args) > 2 else {"label"}
        elif isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) and target.id == "verb" for target in node.targets):
            kinds |= literal_texts(node.value)  # of a ChangeNode that may be one of several
    one_word = (
        {name.strip().lower() for name in decision.Action.split("|")}
        - {"changenode", "deletenode", "changemembers", "power", "copydisk"}
        - NEVER_TOLD
    )
    wishes = {decision.Wish(MemberChange(name="", to=to), "", "").verb for to in (SERVING, DRAINING, REMOVED)}
    return (
        kinds | one_word | wishes | {"capture", "delete node", "remove pod", vm.OFF, vm.REBOOT, "blocked", "unblocked", "waits", "waited"}
    )


def test_every_kind_that_the_code_tells_is_documented_and_no_other() -> None:
    """A reader of the page can rely on it both ways."""
    assert set(documented()) == kinds_in_the_code()


def test_lines_know_only_kinds_that_exist() -> None:
    """A word for a kind that nothing tells would never be seen."""
    assert set(WORDS) <= set(documented())


# Kinds and phases that have no line, and why.
WITHOUT_A_LINE = {
    "begin": "the first line's time is its own",
    "phase": "each has a word of its own",
    "summary": "a line of its own form",
    "capacity": "the summary counts it",
    "evict": "pods are counted in summaries",
    "pod gone": "pods are counted in summaries",
    "label": "it changes nothing that a machine does",
    "clear": "it belongs to no machine",
    "delete node": "the machine is gone by then, which has a line",
    "unblocked": "what went on has a line",
    "waited": "what went on has a line",
}
PHASES_WITHOUT_A_LINE = {
    "building": "its create has one",
    "draining": "the choice has one",
    "quarantined": "setting it aside has one",
    "deleting": "the delete has one",
}


def test_every_change_of_a_machine_has_a_line() -> None:
    """A kind or phase that is new has a word, or a reason for having none."""
    assert set(documented()) == set(WORDS) | set(WITHOUT_A_LINE)
    assert {name for name, _fits in PHASES} == set(PHASE_WORDS) | set(PHASES_WITHOUT_A_LINE)
    assert not set(WORDS) & set(WITHOUT_A_LINE)
    assert not set(PHASE_WORDS) & set(PHASES_WITHOUT_A_LINE)


class Told:
    """Keeps every event of the runs it is handed to."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        self.events.append(event)


def gone(told: Told) -> set[str]:
    return {event.machine for event in told.events if event.kind == "gone"}


def eventful_life() -> list[Event]:
    """A pool that is made, rolled with a pod in the way, and removed by force; nodes that are drained and opened again."""
    told = Told()
    estate = Estate().domains("az1", "az2")
    estate.run(estate.pool(3, labels={"tier": "web"}), told)
    estate.workload("cart", 6, min_available="4").workload("rock", 2, min_available="2")
    estate.image = "v2"
    estate.run(estate.pool(3, drain=DrainPolicy(timeout=timedelta(minutes=1))), told)
    nodes = tuple(sorted({event.machine for event in told.events if event.kind == "phase" and event.text == "ready"} - gone(told)))[:2]
    for state in ("drained", "uncordoned"):
        ports = Ports(cluster=SimulatedCluster(estate.session, ""))
        policy = DrainPolicy(timeout=timedelta(minutes=1), include_cordoned=True)
        loop.run(DrainNodes(nodes, policy, state), ports, estate.runtime, told, RunSettings(holder="test"))
    estate.run(removal(estate.pool(0, drain=DrainPolicy(timeout=timedelta(minutes=1), on_timeout="force"))), told)
    return told.events


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return eventful_life()


def test_every_key_that_a_run_tells_is_documented_and_no_other(events: list[Event]) -> None:
    """Whole events of an eventful life are compared with the page, kind by kind."""
    page = documented()
    wrong = {
        (event.kind, key)
        for event in events
        for key in set(event.as_json()) ^ (COMMON | page[event.kind])
        if not (event.kind == "end" and key in ONLY_FAILED and event.data["code"] == "ok")
    }
    assert wrong == set()


def test_the_eventful_life_is_eventful(events: list[Event]) -> None:
    """What the comparison rests on."""
    kinds = {event.kind for event in events}
    assert kinds >= {"begin", "create", "choose", "evict", "pod gone", "phase", "gone", "blocked", "capacity", "summary", "label", "end"}
    assert kinds >= {"cordon", "uncordon", "unblocked", "delete"}
