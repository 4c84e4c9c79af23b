# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a pool has probes, they are heard before a silent kubelet is acted on, and before a check of health ends (FM17).

Probes have no memory of earlier runs: at a run's first look none has answered.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import BOOTING, NOT_READY
from ansible_collections.immutable.fleet.plugins.module_utils.decide.remediate.judging import PROBED, examine
from ansible_collections.immutable.fleet.plugins.module_utils.decide.rollout import Rollout
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Decision
from ansible_collections.immutable.fleet.plugins.module_utils.model.health import HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import Health, ServiceProbe
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.remedies import Remedies, Remedy
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import STOPPED
from ansible_collections.immutable.fleet.tests.unit.builders import NEW, NOW, ago, blocked, machine, pool, said, snapshot

SICK: dict[str, Any] = {"ready": None, "ready_since": ago(400)}
WELL = Health(healthy=True, since=ago(900))
ILL = Health(healthy=False, since=ago(1), what="refused")
ASKED = Health(healthy=None, since=ago(1), what="refused", is_pending=True)
NOT_ASKED = Health(healthy=None, since=ago(1), what="no such program")
FIRST = ("its kubelet is silent: its probes are asked first", None)


def probed(replicas: int) -> Pool:
    return pool(replicas, health=HealthPolicy(), probes=(ServiceProbe(kind="tcp", port=80),))


def silent(health: Health | None, seconds: float = 400, **more: Any) -> Machine:
    return machine("m0", NEW, NOT_READY, slot=0, ready=None, ready_since=ago(seconds), health=health, **more)


def others(count: int) -> list[Machine]:
    return [machine(f"m{number}", slot=number, health=WELL) for number in range(1, count)]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        pytest.param(silent(None), FIRST, id="none has answered yet"),
        pytest.param(silent(ASKED), FIRST, id="not often enough, be it badly"),
        pytest.param(silent(NOT_ASKED), ("Ready is Unknown", ago(100)), id="they cannot be asked, or say nothing clear"),
        pytest.param(silent(ILL), ("Ready is Unknown", ago(100)), id="they find it ill, too"),
        pytest.param(silent(WELL), ("observers disagree: its kubelet is silent, its probes find it well", None), id="they find it well"),
        pytest.param(
            machine("m0", NEW, NOT_READY, ready=False, ready_since=ago(400)),
            ("Ready is False", ago(100)),
            id="the kubelet says so of itself",
        ),
        pytest.param(
            silent(None, 20, status=STOPPED),
            ("its VM is off by the cloud's word, and its kubelet is silent", NOW),
            id="proven dead: nobody is there to ask",
        ),
    ],
)
def test_a_silent_kubelet_waits_for_the_word_of_the_probes(subject: Machine, expected: Any) -> None:
    """They may disagree."""
    wanted = probed(3)
    assert wanted.health is not None
    found = examine(subject, wanted, wanted.health, {}, NOW)
    assert (found and (found.what, found.unhealthy_at)) == expected


def passed(first: Machine, count: int, known: Remedies | None = None, *, only_heals: bool = False) -> Decision:
    seen = snapshot(first, *others(count), record=PoolRecord(health=(known or Remedies()).dump()))
    return Rollout(probed(count), only_heals=only_heals).decide(seen, NOW)


@pytest.mark.parametrize(
    ("health", "going", "told"),
    [
        pytest.param(None, [], ["remediation machine m0: its kubelet is silent: its probes are asked first"], id="no answer yet"),
        pytest.param(ILL, ["m0"], [], id="they find it ill"),
        pytest.param(
            WELL,
            [],
            ["unhealthy machine m0: observers disagree: its kubelet is silent, its probes find it well: left alone"],
            id="they find it well",
        ),
    ],
)
def test_nobody_goes_before_its_probes_have_spoken(health: Health | None, going: list[str], told: list[str]) -> None:
    """Not even one that a run before had noted."""
    found = passed(silent(health), 20, Remedies(slots={"0": Remedy("m0", ago(60))}))
    assert [line.split()[1].rstrip(":") for line in said(found) if line.startswith("choose")] == going
    assert blocked(found) == told
    assert not (health is None and found.finished)


@pytest.mark.parametrize(
    ("first", "finished"),
    [
        pytest.param(machine("m0", slot=0), False, id="a ready one has not answered yet"),
        pytest.param(machine("m0", slot=0, health=ASKED), False, id="not often enough"),
        pytest.param(machine("m0", slot=0, health=WELL), True, id="it is well"),
        pytest.param(machine("m0", slot=0, health=ILL), True, id="it is ill, not for long"),
        pytest.param(machine("m0", slot=0, health=NOT_ASKED), True, id="it cannot be asked"),
        pytest.param(silent(None), False, id="its kubelet is silent, and no probe has answered"),
        pytest.param(silent(None, 5, status=STOPPED), True, id="it is off: nobody to ask"),
        pytest.param(machine("m0", kind=BOOTING, slot=0, created_at=ago(100)), False, id="it boots, and may be found well"),
    ],
)
def test_a_pass_hears_the_probes_before_it_ends(first: Machine, finished: bool) -> None:
    """Else a pass over a pool with probes would always end well."""
    known = Remedies(first_seen={"m0": {PROBED: ago(1)}}) if first.health is ILL else None
    assert passed(first, 3, known, only_heals=True).finished is finished


def test_who_is_noted_still_counts_while_its_probes_are_asked() -> None:
    """Never more than the rate."""
    second = replace(others(20)[4], node=silent(None).node, health=ILL)
    seen = snapshot(silent(None), *(one for one in others(20) if one.name != second.name), second)
    known = PoolRecord(health=Remedies(slots={"0": Remedy("m0", ago(60))}).dump())
    found = Rollout(probed(20)).decide(replace(seen, record=known), NOW)
    assert said(found) == []
    assert f"remediation machine {second.name}: Ready is Unknown: waits its turn, 1 of 1 under way" in blocked(found)
