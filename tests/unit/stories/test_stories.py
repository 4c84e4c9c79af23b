# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden stories: what a run does, line by line, in worlds where everything takes a fixed time.

`nox -s golden -- --update` rewrites them; review the difference like code.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.tests.unit.stories.drains import DRAINS, POOLS
from ansible_collections.immutable.fleet.tests.unit.stories.held_back import HELD_BACK
from ansible_collections.immutable.fleet.tests.unit.stories.plain import PLAIN_SCENARIOS
from ansible_collections.immutable.fleet.tests.unit.stories.runner import RANDOM, Scenario, play
from ansible_collections.immutable.fleet.tests.unit.stories.scenarios import SCENARIOS
from ansible_collections.immutable.fleet.tests.unit.stories.side_by_side import Story, play_side_by_side
from ansible_collections.immutable.fleet.tests.unit.stories.unhealthy import UNHEALTHY

GOLDEN = Path(__file__).parent / "golden"
FRESH_SEEDS = 3

SIDE_BY_SIDE = [("drain", story) for story in DRAINS] + [("pools", story) for story in POOLS]

ROLLOUTS = [("rollout", scenario) for scenario in SCENARIOS + HELD_BACK + UNHEALTHY] + [("plain", scenario) for scenario in PLAIN_SCENARIOS]


def named(value: str | Scenario | Story) -> str:
    """An area, or a story: by its name and the failure modes in its title, so that a test of each can be found by its number."""
    if isinstance(value, str):
        return value
    return " ".join([value.name, *(f"FM{int(number):02}" for number in re.findall(r"FM(\d+)", value.title))])


every_story = pytest.mark.parametrize(("area", "story"), SIDE_BY_SIDE, ids=named)
every_scenario = pytest.mark.parametrize(("area", "scenario"), ROLLOUTS, ids=named)


@pytest.mark.golden
@every_scenario
def test_the_story_is_the_one_reviewed(area: str, scenario: Scenario, request: pytest.FixtureRequest) -> None:
    """Whoever changes what a run does changes a story; floor and ceiling hold at every event of it."""
    compare(play(scenario), GOLDEN / area / f"{scenario.name}.txt", request)


@pytest.mark.golden
@every_story
def test_the_story_of_several_runs_is_the_one_reviewed(area: str, story: Story, request: pytest.FixtureRequest) -> None:
    """The same for drains of existing nodes and for pools that share a cluster; no budget is broken at any event."""
    compare(play_side_by_side(story), GOLDEN / area / f"{story.name}.txt", request)


def compare(told: str, golden: Path, request: pytest.FixtureRequest) -> None:
    """With the file, or with `--update` into the file."""
    if request.config.getoption("--update"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(told, encoding="utf-8")
    assert told == golden.read_text(encoding="utf-8")


@every_scenario
@pytest.mark.parametrize("chance", range(FRESH_SEEDS), ids=lambda number: f"seed{number}")
def test_the_same_holds_whatever_the_durations(area: str, scenario: Scenario, chance: int) -> None:
    """Under random durations the story differs, but the guards hold and the end is the same."""
    del area
    assert play(scenario, RANDOM, chance + 1)


@every_story
@pytest.mark.parametrize("chance", range(FRESH_SEEDS), ids=lambda number: f"seed{number}")
def test_several_runs_end_the_same_whatever_the_durations(area: str, story: Story, chance: int) -> None:
    """Their calls fall between each other's in another order each time."""
    assert play_side_by_side(story, RANDOM, chance + 1)
