# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of docs/architecture.md say what the code does: phases, their classes, and the steps of a machine that leaves."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import (
    AVAILABLE,
    BOOTING,
    FAILED,
    GOING,
    NOT_READY,
    QUARANTINED,
    classify,
)
from ansible_collections.immutable.fleet.plugins.module_utils.engine.telling import PHASES, phase_of
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.tests.simulation.estate import Estate
from ansible_collections.immutable.fleet.tests.unit.builders import HELD, JOINED, NOW, OLD, YOUNG, machine, pod, pool

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """The cells of the table whose first column is called so."""
    rows = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows]


def gone(**more: Any) -> Machine:
    return machine("m1", OLD, GOING, **more)


# phase -> machines in it, with the classes that the table names for them, in its order
EXAMPLES: dict[str, list[tuple[Machine, str]]] = {
    "quarantined": [(machine("m1", OLD, QUARANTINED), QUARANTINED)],
    "deleting": [(gone(pods=(), status=vm_states.DELETING), GOING)],
    "detaching": [(gone(pods=(), attachments=("csi-1",)), GOING)],
    "draining": [(gone(pods=(pod("a"),)), GOING)],
    "drained": [(gone(pods=()), GOING)],
    "error": [(machine("m1", OLD, FAILED), FAILED)],
    "stopped": [
        (machine("m1", OLD, NOT_READY, status=vm_states.STOPPED), NOT_READY),
        (machine("m1", OLD, JOINED, status=vm_states.STOPPED), BOOTING),
    ],
    "building": [(machine("m1", OLD, BOOTING, status=vm_states.BUILDING), BOOTING)],
    "booting": [(machine("m1", OLD, BOOTING), BOOTING)],
    "cordoned": [(machine("m1", OLD, HELD), NOT_READY)],
    "ready": [(machine("m1", OLD, YOUNG), BOOTING), (machine("m1", OLD, AVAILABLE), AVAILABLE)],
    "not ready": [(machine("m1", OLD, NOT_READY), NOT_READY)],
    "joining": [(machine("m1", OLD, JOINED), BOOTING)],
}


def test_the_table_has_the_phases_in_their_order() -> None:
    """The first line that fits: the order is part of the meaning."""
    assert [row[0] for row in table("phase")] == [name for name, _fits in PHASES] == list(EXAMPLES)


@pytest.mark.parametrize(("phase", "_seen", "classes"), table("phase"), ids=lambda cell: cell[:12])
def test_a_machine_in_a_phase_is_of_the_class(phase: str, _seen: str, classes: str) -> None:
    """What an operator is told and what the rule counts belong together."""
    found = [(phase_of(subject), classify(subject, pool(3), NOW)[0]) for subject, _class in EXAMPLES[phase]]
    assert found == [(phase, expected) for _subject, expected in EXAMPLES[phase]]
    said = re.findall(f"{QUARANTINED}|{GOING}|{FAILED}|{NOT_READY}|{BOOTING}|{AVAILABLE}", classes)
    assert said == [expected for _subject, expected in EXAMPLES[phase]]


def test_a_machine_that_leaves_takes_the_steps_of_the_table() -> None:
    """All of them, in that order, in a real run."""
    estate = Estate()
    estate.run(estate.pool(1))
    estate.workload("cart", 2)
    estate.runtime.play_until(estate.runtime.now() + timedelta(minutes=1))
    estate.image = "v2"
    old, log = next(iter(estate.world.state.members)), Log()
    estate.watched = lambda ports: replace(ports, cluster=Looking(ports.cluster, log))  # type: ignore[method-assign]
    estate.run(estate.pool(1), log)
    steps = [kind for kind, subject in log.said if subject == old and kind in [row[0] for row in table("step")]]
    assert list(dict.fromkeys(steps)) == [row[0] for row in table("step")]


class Log:
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def tell(self, event: Any) -> None:
        self.said.append((event.kind, event.machine))


class Looking:
    """The cluster; a look is no event, so it is noted here."""

    def __init__(self, cluster: Any, log: Log) -> None:
        self._cluster, self._log = cluster, log

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._cluster, verb)

    def look(self, node: str) -> Any:
        self._log.said.append(("look", node))
        return self._cluster.look(node)


def test_every_phase_is_documented_where_users_read_it() -> None:
    """In the event file's page and in the module's return values."""
    events = (ROOT / "docs/events.md").read_text(encoding="utf-8").partition("Phases are")[2].partition("\n\n")[0]
    module = (ROOT / "plugins/modules/node_pool.py").read_text(encoding="utf-8")
    names = {name for name, _fits in PHASES}
    assert set(re.findall(r"`([a-z ]+)`", events)) == names
    assert {name for name in names | {AVAILABLE, FAILED} if f"V({name})" not in module} == set()
