# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden stories: what a run does, line by line, in worlds where everything takes a fixed time.

`nox -s golden -- --update` rewrites them; review the difference like code.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.tests.unit.stories.runner import RANDOM, Scenario, play
from ansible_collections.immutable.fleet.tests.unit.stories.scenarios import SCENARIOS

GOLDEN = Path(__file__).parent / "golden" / "rollout"
FRESH_SEEDS = 3

every_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)


@pytest.mark.golden
@every_scenario
def test_the_story_is_the_one_reviewed(scenario: Scenario, request: pytest.FixtureRequest) -> None:
    """Whoever changes what a run does changes a story; floor and ceiling hold at every event of it."""
    told, golden = play(scenario), GOLDEN / f"{scenario.name}.txt"
    if request.config.getoption("--update"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(told, encoding="utf-8")
    assert told == golden.read_text(encoding="utf-8")


@every_scenario
@pytest.mark.parametrize("chance", range(FRESH_SEEDS), ids=lambda number: f"seed{number}")
def test_the_same_holds_whatever_the_durations(scenario: Scenario, chance: int) -> None:
    """Under random durations the story differs, but the guards hold and the end is the same."""
    assert play(scenario, RANDOM, chance + 1)
