# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that the suites share. A test with an argument `seed` runs once for each seed."""

from __future__ import annotations

import fcntl
import gc
from collections.abc import Generator
from pathlib import Path

import pytest

SEEDS_DEFAULT = 1000
TURN = Path(__file__).parents[1] / "build/openstack.lock"
KILLS_DEFAULT = 5  # each moment that is known needs 20, a quarter of an hour


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("immutable.fleet")
    group.addoption("--seeds", type=int, default=SEEDS_DEFAULT, metavar="N", help="simulate the seeds 0 to N-1")
    group.addoption("--seed", type=int, default=None, metavar="N", help="replay this seed only")
    group.addoption("--kills", type=int, default=KILLS_DEFAULT, metavar="N", help="kill so many runs in the labs' chain of reruns")
    group.addoption("--no-skip", action="store_true", help="a test that is skipped or expected to fail fails: for CI")
    group.addoption("--update", action="store_true", help="rewrite the golden stories instead of comparing with them")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        replay = metafunc.config.getoption("seed")
        share = metafunc.definition.get_closest_marker("share")
        seeds = range(0, metafunc.config.getoption("seeds"), share.args[0] if share else 1) if replay is None else [replay]
        metafunc.parametrize("seed", seeds)
    if "kill" in metafunc.fixturenames:
        metafunc.parametrize("kill", range(metafunc.config.getoption("kills")))


def pytest_collection_finish() -> None:
    """Thousands of tests live to the end: the garbage collector need not look through them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def kills(request: pytest.FixtureRequest) -> int:
    """How many there are."""
    return int(request.config.getoption("kills"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Two runs share the lab's OpenStack, as `nox -s labs` has them; a test that counts everybody's writes there has it alone."""
    if item.get_closest_marker("openstack") is None:
        return (yield)
    with TURN.open("w", encoding="ascii") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.config.getoption("--no-skip") and report.skipped:
        report.outcome = "failed"
    return report
