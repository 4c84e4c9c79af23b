# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.simulation.history import CHANGES_MAX, History
from ansible_collections.immutable.fleet.tests.unit.simulation.worlds import DAWN

SECOND = timedelta(seconds=1)


def test_tells_what_was() -> None:
    """As of an instant: changes after it are undone, additions and removals too."""
    history: History[str] = History(DAWN)
    history.record(DAWN + SECOND, "a", None)
    history.record(DAWN + 2 * SECOND, "a", "old")
    history.record(DAWN + 3 * SECOND, "b", "gone")
    assert history.as_of(DAWN + 2 * SECOND, {"a": "new"}) == (DAWN + 2 * SECOND, {"a": "new", "b": "gone"})
    assert history.as_of(DAWN + SECOND, {"a": "new"}) == (DAWN + SECOND, {"a": "old", "b": "gone"})
    assert history.as_of(DAWN - SECOND, {"a": "new"}) == (DAWN, {"b": "gone"})


def test_changes_since() -> None:
    """Each key once; the instant itself is included, since a list begun at it may have missed it."""
    history: History[str] = History(DAWN)
    for second, key in ((1, "a"), (2, "b"), (3, "a")):
        history.record(DAWN + second * SECOND, key, None)
    assert list(history.changed_since(DAWN + 2 * SECOND) or ()) == ["a", "b"]
    assert history.changed_since(DAWN) is None


def test_says_when_it_has_forgotten() -> None:
    """Who asks further back than is kept is told to take everything, instead of getting a part."""
    history: History[str] = History(DAWN)
    for number in range(CHANGES_MAX + 1):
        history.record(DAWN + number * SECOND, "a", None)
    assert history.changed_since(DAWN) is None
    assert history.changed_since(DAWN + SECOND) is not None
