# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether one machine is well, as the API server and the cloud see it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import AVAILABLE, BOOTING, FAILED, NOT_READY, classify
from ansible_collections.immutable.fleet.plugins.module_utils.decide.remediate.judging import MISSING, examine
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.health import DEFAULT_CHECKS, ConditionCheck, HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import Health
from ansible_collections.immutable.fleet.tests.unit.builders import JOINED, NEW, NOW, ago, later, machine, pool

DEADLOCK = ConditionCheck("KernelDeadlock", "True", timedelta(minutes=2))
POLICY = HealthPolicy(conditions=(*DEFAULT_CHECKS, DEADLOCK))
LONG_AGO = ago(86_400)


def silent(seconds: float, **more: Any) -> Machine:
    return machine("m1", NEW, NOT_READY, ready=None, ready_since=ago(seconds), **more)


def probed(subject: Machine, *, healthy: bool | None) -> Machine:
    return replace(subject, health=Health(healthy=healthy, since=ago(100), what="refused"))


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        pytest.param(machine(), None, id="ready"),
        pytest.param(machine(kind=BOOTING), None, id="it boots"),
        pytest.param(machine(kind=JOINED), None, id="it joined and was never ready"),
        pytest.param(silent(299), ("Ready is Unknown", later(1)), id="silent, not for so long"),
        pytest.param(silent(300), ("Ready is Unknown", NOW), id="silent for its timeout"),
        pytest.param(
            machine("m1", NEW, NOT_READY, ready=False, ready_since=ago(400)), ("Ready is False", ago(100)), id="it says so of itself"
        ),
        pytest.param(
            machine(conditions={"KernelDeadlock": ("True", ago(60))}), ("KernelDeadlock is True", later(60)), id="a condition of one's own"
        ),
        pytest.param(machine(conditions={"KernelDeadlock": ("Unknown", LONG_AGO)}), None, id="unknown is not unhealthy"),
        pytest.param(machine(conditions={"DiskPressure": ("True", LONG_AGO)}), None, id="a condition that nobody asked for"),
        pytest.param(
            silent(20, status=vm_states.STOPPED),
            ("its VM is off by the cloud's word, and its kubelet is silent", NOW),
            id="proven dead: for so long that it does not reboot",
        ),
        pytest.param(
            silent(20, status=vm_states.ERROR),
            ("Ready is Unknown", later(280)),
            id="in ERROR and silent: that is no proof",
        ),
        pytest.param(
            machine("m1", NEW, NOT_READY, ready=False, ready_since=ago(60), status=vm_states.ERROR),
            ("Ready is False", later(240)),
            id="in ERROR while its kubelet speaks: no proof, so its own time",
        ),
        pytest.param(
            machine(status=vm_states.ERROR),
            ("observers disagree: the cloud says that its VM is in ERROR, its kubelet reports that it is ready", None),
            id="FM21: one observer against the other",
        ),
        pytest.param(probed(machine(), healthy=False), ("its probes fail: refused", later(1100)), id="its service fails"),
        pytest.param(probed(machine(), healthy=None), None, id="nobody knows of its service"),
        pytest.param(
            probed(silent(400), healthy=True),
            ("observers disagree: its kubelet is silent, its probes find it well", None),
            id="FM17: cut off from the API server only",
        ),
        pytest.param(probed(silent(400), healthy=False), ("Ready is Unknown", ago(100)), id="both find it ill"),
        pytest.param(machine(kind=BOOTING, created_at=ago(2399)), None, id="never joined: the startup timeout's business"),
        pytest.param(
            machine(kind=BOOTING, created_at=LONG_AGO),
            ("it has no Node", later(300)),
            id="somebody deleted its Node: from when it was seen",
        ),
        pytest.param(machine(kind=BOOTING, created_at=LONG_AGO, status=vm_states.STOPPED), None, id="no Node, and off: it cannot join"),
    ],
)
def test_a_finding_says_what_is_wrong_and_from_when_the_machine_is_unhealthy(subject: Machine, expected: Any) -> None:
    """No evidence is no finding; disagreement is one that no time makes unhealthy."""
    found = examine(subject, pool(3, health=POLICY), POLICY, {}, NOW)
    assert (found and (found.what, found.unhealthy_at)) == expected


@pytest.mark.parametrize(
    ("seen", "unhealthy_at"),
    [
        pytest.param({}, later(200), id="only the server's word"),
        pytest.param({"Ready": ago(250)}, later(50), id="this run has seen it for longer"),
        pytest.param({"KernelDeadlock": ago(1000)}, later(200), id="another finding does not count"),
    ],
)
def test_since_is_the_earlier_of_the_servers_word_and_of_what_was_seen(seen: dict[str, datetime], unhealthy_at: datetime) -> None:
    """Ready may change from False to Unknown, whereby the server's instant begins anew."""
    found = examine(silent(100), pool(3, health=POLICY), POLICY, seen, NOW)
    assert found is not None
    assert (found.unhealthy_at, set(seen)) == (unhealthy_at, {"Ready"})


def test_what_is_over_is_forgotten() -> None:
    """A flapping node begins anew each time it was ready."""
    seen = {"Ready": ago(290), MISSING: ago(1000)}
    assert examine(machine(), pool(3, health=POLICY), POLICY, seen, NOW) is None
    assert seen == {}


@pytest.mark.parametrize(
    ("subject", "watched", "unwatched"),
    [
        (silent(5000), NOT_READY, FAILED),
        (machine(status=vm_states.ERROR), AVAILABLE, FAILED),
        (machine(kind=BOOTING, created_at=LONG_AGO), NOT_READY, FAILED),
        (machine(kind=BOOTING, created_at=ago(1300)), FAILED, FAILED),
        (machine(kind=FAILED), FAILED, FAILED),
    ],
    ids=["silent for long", "in ERROR, and reports", "lost its Node", "never joined", "never built"],
)
def test_where_remediation_looks_after_a_pool_it_says_what_has_failed(subject: Machine, watched: str, unwatched: str) -> None:
    """What was ready once fails only through the gate; what never was fails by its startup timeout as ever."""
    assert classify(subject, pool(3, health=POLICY), NOW)[0] == watched
    assert classify(subject, pool(3), NOW)[0] == unwatched
