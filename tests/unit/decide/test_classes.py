# SPDX-License-Identifier: GPL-3.0-or-later
"""The classes of semantics section 3: the first line that fits, and when time alone will change it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import (
    AVAILABLE,
    BOOTING,
    FAILED,
    GOING,
    NOT_READY,
    QUARANTINED,
    Census,
    classify,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.marks import Note
from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import Health, ServiceProbe
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import ANY
from ansible_collections.immutable.fleet.tests.unit.builders import (
    HELD,
    JOINED,
    NEW,
    NOW,
    OLD,
    YOUNG,
    ago,
    later,
    machine,
    pool,
    vm,
)

LIMITS = {"min_ready": timedelta(seconds=30), "startup_timeout": timedelta(seconds=600)}


@pytest.mark.parametrize(
    ("subject", "kind", "until"),
    [
        pytest.param(machine("m1", NEW, QUARANTINED, deleting=True), QUARANTINED, None, id="quarantined before anything else"),
        pytest.param(machine("m1", NEW, GOING, setting_aside=True), GOING, None, id="a quarantine that is only sent is still going"),
        pytest.param(machine("m1", NEW, FAILED, deleting=True), GOING, None, id="a delete in flight before ERROR"),
        pytest.param(machine("m1", choosing=True), GOING, None, id="a mark in flight is unavailable already"),
        pytest.param(machine("m1", chosen=Note(ago(9), "outdated")), GOING, None, id="our annotation on a schedulable node is a mark"),
        pytest.param(machine("m1", status=vm_states.DELETING), GOING, None, id="a VM that the cloud deletes"),
        pytest.param(machine("m1", status=vm_states.ERROR), FAILED, None, id="in ERROR, though its node is ready"),
        pytest.param(machine("m1", NEW, BOOTING), BOOTING, later(540), id="no node yet: until startup_timeout after its creation"),
        pytest.param(machine("m1", NEW, BOOTING, created_at=ago(600)), FAILED, None, id="no node for startup_timeout"),
        pytest.param(machine("m1", NEW, JOINED), BOOTING, later(510), id="joined and never ready: counted from its creation"),
        pytest.param(replace(machine("m1", NEW, JOINED), vm=vm("m1", created_at=ago(600))), FAILED, None, id="joined late and never ready"),
        pytest.param(machine("m1", NEW, NOT_READY), NOT_READY, later(540), id="was ready, is not: counted from when it stopped"),
        pytest.param(machine("m1", NEW, NOT_READY, ready_since=ago(600)), FAILED, None, id="was ready, is not for startup_timeout"),
        pytest.param(machine("m1", NEW, HELD), NOT_READY, None, id="a person's cordon: not available, for as long as it lasts"),
        pytest.param(machine("m1", NEW, YOUNG), BOOTING, later(20), id="ready for less than min_ready"),
        pytest.param(machine("m1", ready_since=ago(30)), AVAILABLE, None, id="ready for min_ready"),
        pytest.param(machine("m1", ready_since=ago(10)), BOOTING, later(20), id="FM16 a node that flaps begins min_ready anew"),
        pytest.param(machine("m1", status=vm_states.STOPPED), AVAILABLE, None, id="stopped, and its node is ready: the kubelet's word"),
    ],
)
def test_first_class_that_fits_and_when_it_ends_by_time(subject: Machine, kind: str, until: datetime | None) -> None:
    """Each class is derived from facts overlaid with what was sent; a timer is told with it."""
    assert classify(subject, pool(**LIMITS), NOW) == (kind, until)


WELL, ILL, UNKNOWN = (Health(healthy=healthy, since=ago(10)) for healthy in (True, False, None))
GOOD_SO_FAR = Health(healthy=None, since=ago(10), is_untarnished=True)


@pytest.mark.parametrize(
    ("subject", "kind", "until"),
    [
        pytest.param(machine("m1"), NOT_READY, None, id="nobody has answered yet: not available, and never failed for that"),
        pytest.param(machine("m1", health=UNKNOWN), NOT_READY, None, id="nor where the answers say nothing"),
        pytest.param(machine("m1", health=GOOD_SO_FAR), AVAILABLE, None, id="it was well before this run, and all it said was good"),
        pytest.param(machine("m1", was_ready=False, health=GOOD_SO_FAR), NOT_READY, None, id="a new one has to say it more than once"),
        pytest.param(machine("m1", health=WELL), BOOTING, later(20), id="well for less than min_ready"),
        pytest.param(machine("m1", health=Health(healthy=True, since=ago(30))), AVAILABLE, None, id="well for min_ready"),
        pytest.param(machine("m1", health=ILL), NOT_READY, later(590), id="its node is ready, and its service is not"),
        pytest.param(machine("m1", health=Health(healthy=False, since=ago(600))), FAILED, None, id="for startup_timeout"),
        pytest.param(machine("m1", NEW, BOOTING, health=WELL), BOOTING, later(540), id="its service is, and its node is not there yet"),
        pytest.param(machine("m1", NEW, NOT_READY, health=WELL), NOT_READY, later(540), id="its service is, and its node is not"),
        pytest.param(machine("m1", NEW, GOING, health=ILL), GOING, None, id="one that is going has only one way"),
    ],
)
def test_where_there_are_probes_a_machine_is_available_only_while_they_find_it_well(
    subject: Machine, kind: str, until: datetime | None
) -> None:
    """Unknown is neither available nor failed."""
    assert classify(subject, pool(probes=(ServiceProbe(kind="tcp", port=80),), **LIMITS), NOW) == (kind, until)


def test_census_keeps_outdated_apart_and_knows_the_next_timer() -> None:
    """Outdated machines come first in `of`; `wake_at` is when the first class changes by time."""
    old, new, young = machine("m1", OLD), machine("m2", NEW), machine("m3", NEW, YOUNG)
    census = Census({each.name: each for each in (new, young, old)}, pool(**LIMITS), NOW, {})
    assert (census.of(AVAILABLE), census.of(BOOTING), census.wake_at) == ([old, new], [young], later(20))


def test_census_judges_a_machine_again_when_its_time_has_come() -> None:
    """The memo of an earlier turn holds only until the instant beside it."""
    young, memo = {"m1": machine("m1", NEW, YOUNG)}, {}
    first = Census(young, pool(**LIMITS), NOW, memo)
    second = Census(young, pool(**LIMITS), later(20), memo)
    assert ([m.name for m in first.of(BOOTING)], [m.name for m in second.of(AVAILABLE)]) == (["m1"], ["m1"])


def test_a_removal_finds_every_revision_up_to_date() -> None:
    """`state: absent` asks for no revision, so no machine is outdated: all are surplus."""
    census = Census({"m1": machine("m1", OLD)}, replace(pool(replicas=0), revision=ANY), NOW, {})
    assert census.outdated[AVAILABLE] == []
