# SPDX-License-Identifier: GPL-3.0-or-later
"""What answers of probes come to: verdicts by thresholds, and all probes of a machine taken together."""

from __future__ import annotations

from datetime import datetime

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import Health, ProbeLook, ServiceProbe, health_of, look_after
from ansible_collections.immutable.fleet.tests.unit.builders import NOW, later

PROBE = ServiceProbe(kind="tcp", port=80, consecutive_ok=3, consecutive_failed=2)
ANSWERS = {"+": (True, ""), "-": (False, "refused"), "?": (None, "no such program")}


def looks(answers: str) -> list[ProbeLook]:
    """What is remembered after each of these answers, one a second."""
    found: list[ProbeLook] = []
    for second, sign in enumerate(answers):
        found.append(look_after(found[-1] if found else None, ANSWERS[sign], PROBE, later(second)))
    return found


def seconds(instant: datetime) -> int:
    return int((instant - NOW).total_seconds())


@pytest.mark.parametrize(
    ("answers", "healthy", "since"),
    [
        pytest.param("+", None, 0, id="one good answer says nothing yet"),
        pytest.param("++", None, 0, id="nor do two"),
        pytest.param("+++", True, 2, id="the third does"),
        pytest.param("++-++", None, 0, id="they have to come in a row"),
        pytest.param("++-+++", True, 5, id="counted anew after a bad one"),
        pytest.param("-", None, 0, id="one bad answer says nothing either"),
        pytest.param("--", False, 1, id="two do, where two were asked for"),
        pytest.param("+++-", True, 2, id="a verdict stands until others speak against it"),
        pytest.param("+++-+-+-", True, 2, id="flapping leaves it as it was"),
        pytest.param("+++--", False, 4, id="from well to ill"),
        pytest.param("--++", False, 1, id="and back only after all three"),
        pytest.param("--+++", True, 4, id="which are here"),
        pytest.param("+++----", False, 4, id="since it became so, not since the last answer"),
        pytest.param("+++??", None, 4, id="nobody can be asked any more: unknown"),
        pytest.param("+++?", True, 2, id="one question that could not be asked changes nothing"),
        pytest.param("--??", None, 3, id="unknown is not unhealthy"),
        pytest.param("-?-", None, 0, id="and breaks a row"),
    ],
)
def test_a_verdict_needs_answers_in_a_row(answers: str, healthy: bool | None, since: int) -> None:
    """By the two thresholds; `since` is when the verdict was reached."""
    last = looks(answers)[-1]
    assert (last.healthy, seconds(last.since)) == (healthy, since)


@pytest.mark.parametrize(("answers", "expected"), [("+", True), ("+++", True), ("+-+", False), ("?+", False)])
def test_untarnished_is_who_never_failed_to_answer_well(answers: str, expected: bool) -> None:
    """So that a run which begins trusts what served before it from the first answer on."""
    assert looks(answers)[-1].is_untarnished is expected


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param(("+",), True, id="two more, and it is known"),
        pytest.param(("-",), True, id="one bad answer is no verdict either"),
        pytest.param(("++-",), True, id="it may be ill by the next one"),
        pytest.param(("+-+-",), False, id="now this and now that: there may never be a verdict"),
        pytest.param(("+++",), False, id="it is known"),
        pytest.param(("?",), False, id="it cannot be asked"),
        pytest.param(("+++??+",), True, id="it can be asked again"),
        pytest.param(("+", "+++"), True, id="one of two is missing"),
        pytest.param(("", "+++"), True, id="or has not answered at all"),
        pytest.param(("+", "?"), False, id="one that cannot be asked: well is not to be had"),
    ],
)
def test_a_verdict_is_pending_while_a_few_answers_will_bring_it(answers: tuple[str, ...], expected: bool) -> None:
    """So that nobody decides just before it, and nobody waits for ever."""
    found = health_of([looks(each)[-1] if each else None for each in answers])
    assert found is not None
    assert found.is_pending is expected


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param((), None, id="no probe has answered"),
        pytest.param(("+++", "+++"), Health(healthy=True, since=later(2), is_untarnished=True), id="well by all"),
        pytest.param(("+++", "--"), Health(healthy=False, since=later(1), what="refused"), id="ill by any"),
        pytest.param(("+++", "++"), Health(healthy=None, since=NOW, is_untarnished=True, is_pending=True), id="not known by one"),
        pytest.param(("+++", ""), Health(healthy=None, since=later(2), is_pending=True), id="one has not answered at all"),
        pytest.param(("??", "--"), Health(healthy=False, since=later(1), what="refused"), id="ill, though another cannot be asked"),
        pytest.param(("??", "+++"), Health(healthy=None, since=NOW, what="no such program"), id="unknown, with the reason"),
        pytest.param(("+++++", "-+++"), Health(healthy=True, since=later(3)), id="well since the last of them found so"),
        pytest.param(("+++-", "+++"), Health(healthy=True, since=later(2), what="refused"), id="a doubt is told"),
    ],
)
def test_all_probes_of_a_machine_together(answers: tuple[str, ...], expected: Health | None) -> None:
    """The worst decides, and what nobody knows is not made up."""
    assert health_of([looks(each)[-1] if each else None for each in answers]) == expected
