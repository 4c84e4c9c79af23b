# SPDX-License-Identifier: GPL-3.0-or-later
"""Two that work on one channel at once, each of which may be killed between any two calls: all ways that there are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.images import SimulatedImages
from ansible_collections.immutable.fleet.plugins.module_utils.decide.channels import doubt, points_to
from ansible_collections.immutable.fleet.plugins.module_utils.entry.golden_channel import point
from ansible_collections.immutable.fleet.plugins.module_utils.entry.golden_image import bring_about
from ansible_collections.immutable.fleet.plugins.module_utils.entry.image_stores import Shelf
from ansible_collections.immutable.fleet.plugins.module_utils.model.channel import Catalogue, Promotion
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import FleetError
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import Manifest, Revocation, Version
from ansible_collections.immutable.fleet.plugins.module_utils.ports import ImageStore
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import VirtualSession
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.world import World

DAWN = datetime(2026, 11, 21, 4, 10, 7, tzinfo=UTC)
CALLS_MAX = 6  # no task here makes more
Task = Callable[[ImageStore], None]


class KilledError(Exception):
    """The process is no more."""


class Watched:
    """A store that says what its channel points to after each call; before the `turn`-th it does something, or is killed."""

    def __init__(self, store: SimulatedImages, turn: int = -1, then: Callable[[], None] = lambda: None) -> None:
        self._store, self._turn, self._then, self._calls = store, turn, then, 0

    def catalogue(self) -> Catalogue:
        return self._call(self._store.catalogue)

    def publish(self, manifest: Manifest, path: str, *, text: str, signature: str = "") -> Version:
        return self._call(lambda: self._store.publish(manifest, path, text=text, signature=signature))

    def promote(self, promotion: Promotion) -> Promotion:
        return self._call(lambda: self._store.promote(promotion))

    def revoke(self, version: Version, revocation: Revocation) -> None:
        self._call(lambda: self._store.revoke(version, revocation))

    def retire(self, version: Version) -> None:
        self._call(lambda: self._store.retire(version))

    def users(self) -> Mapping[str, tuple[str, ...]]:
        return self._call(self._store.users)

    def _call(self, call: Callable[[], Any]) -> Any:
        if self._calls == self._turn:
            self._then()
        self._calls += 1
        answer = call()
        assert stands(self._store) in ("web@1", "web@2", "web@3")
        return answer


def stands(store: SimulatedImages) -> str:
    """The version that the channel points to, which may be used."""
    catalogue = store.catalogue()
    found = points_to(catalogue.of("web", "stable"), catalogue.versions)
    assert found is not None
    assert doubt(found.version, catalogue.versions) == ""
    return found.version


def shelf(store: ImageStore) -> Shelf:
    return Shelf(store, lambda: DAWN)


def promote(version: str) -> Task:
    params = {"channel": "web/stable", "state": "promoted", "version": version, "reason": ""}
    return lambda store: void(point(params, shelf(store), check=False))


def roll_back() -> Task:
    params = {"channel": "web/stable", "state": "rolled_back", "version": None, "reason": ""}
    return lambda store: void(point(params, shelf(store), check=False))


def revoke(version: str) -> Task:
    params = {"name": "web", "state": "revoked", "version": version, "reason": "bad"}
    return lambda store: void(bring_about(params, shelf(store), check=False))


def retain() -> Task:
    params = {"name": "web", "state": "retained", "keep": 3, "min_age": "0", "in_use": []}
    return lambda store: void(bring_about(params, shelf(store), check=False))


def void(_answer: object) -> None:
    """What a task answers is looked at elsewhere."""


TASKS = {"promote 3": promote("3"), "promote 1": promote("1"), "roll back": roll_back(), "revoke 2": revoke("2"), "retain": retain()}


def made() -> SimulatedImages:
    """Versions 1 and 2 promoted one after the other, 3 published."""
    store = SimulatedImages(VirtualSession(World(DAWN)))
    for number in ("1", "2", "3"):
        manifest = Manifest(name="web", version=number, digest=f"sha256:{number * 64}", created_at=DAWN)
        store.publish(manifest, "", text=manifest.dump())
    for number in ("1", "2"):
        promote(number)(store)
    return store


def attempt(task: Task, store: ImageStore) -> str:
    """How a task ended."""
    try:
        task(store)
    except FleetError as error:
        return error.code
    except KilledError:
        return "killed"
    return "done"


def die() -> None:
    raise KilledError


@pytest.mark.parametrize(("one", "other"), list(itertools.product(TASKS, TASKS)))
def test_the_channel_points_to_one_valid_version_at_every_moment(one: str, other: str) -> None:
    """Whatever comes between any two calls of a task, and wherever either is killed."""
    for turn, kill in itertools.product(range(CALLS_MAX), range(-1, CALLS_MAX)):
        store = made()
        between = Watched(store, kill, die)
        attempt(TASKS[one], Watched(store, turn, lambda between=between: void(attempt(TASKS[other], between))))
        stands(store)


@pytest.mark.parametrize("task", TASKS)
def test_a_task_that_was_killed_is_finished_by_the_next_run(task: str) -> None:
    """And says, run once more, that nothing is to be done; but for a rollback, which would go one further."""
    undisturbed = made()
    attempt(TASKS[task], Watched(undisturbed))
    for turn in range(CALLS_MAX):
        store = made()
        ended = attempt(TASKS[task], Watched(store, turn, die))
        if task != "roll back" and ended == "killed":
            assert attempt(TASKS[task], Watched(store)) == "done"
            assert stands(store) == stands(undisturbed)


def test_two_that_promote_the_same_at_once_are_both_content() -> None:
    """What they asked for is so; only one of them changed it."""
    store = made()
    ended: list[str] = []
    between = Watched(store)
    ended.append(attempt(promote("3"), Watched(store, 1, lambda: ended.append(attempt(promote("3"), between)))))
    assert ended == ["done", "done"]
    assert [each.version for each in store.catalogue().of("web", "stable")] == ["web@1", "web@2", "web@3"]


def test_of_two_that_promote_at_once_one_is_told() -> None:
    """The one that comes second: it may not overwrite what it never saw."""
    for first, second in (("3", "1"), ("1", "3")):
        store = made()
        ended: list[str] = []
        between = Watched(store)
        other = TASKS[f"promote {second}"]
        ended.append(attempt(TASKS[f"promote {first}"], Watched(store, 1, lambda: ended.append(attempt(other, between)))))  # noqa: B023
        assert ended == ["done", "conflict"]
        assert stands(store) == f"web@{second}"
