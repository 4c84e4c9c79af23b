# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock in Glance where calls take longer than a holder may be silent, or lists are older than writes.

What every lock promises is in tests/conformance/test_lock.py.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.lock import NOT_KNOWN, GlanceLock
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, NotFound

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TTL = timedelta(seconds=60)


class Glance:
    """Images by id, each given once. `before` is called with the method of each call.

    A list may lack those in `unlisted`, and who asks for one of `unread` learns that there is none.
    """

    skew = timedelta(0)

    def __init__(self) -> None:
        self.images: dict[str, dict[str, Any]] = {}
        self.unlisted: set[str] = set()
        self.unread: set[str] = set()
        self.before: Callable[[str], None] = lambda _method: None
        self._given: set[str] = set()

    def project_id(self) -> str:
        return "p"

    def request(self, method: str, _service: str, path: str, *, body: Any = None, **_more: Any) -> Any:
        self.before(method)
        key = path.rpartition("/")[2]
        if method == "GET" and key in self.images and key not in self.unread:
            return self.images[key]
        if method == "GET" and key != "images":
            raise NotFound(what="no image")
        if method == "GET":
            return {"images": [image for key, image in self.images.items() if key not in self.unlisted]}
        if method == "POST":
            if body["id"] in self._given:
                raise Conflict(what="Image ID already exists")
            self._given.add(body["id"])
            self.images[body["id"]] = dict(body)
        elif key not in self.images:
            raise NotFound(what="no image")
        elif method == "DELETE":
            del self.images[key]
        else:
            self.images[key] |= {change["path"].removeprefix("/"): change["value"] for change in body}
        return None


def lock(glance: Glance) -> GlanceLock:
    transport: Any = glance  # in the place of the session
    return GlanceLock("web", transport=transport, now=lambda: NOON)


def test_a_holder_whose_calls_took_so_long_that_another_took_over_does_not_take_the_others_lock_for_its_own() -> None:
    """It would renew it from then on, and both would write."""
    glance = Glance()
    first = lock(glance).acquire(lock(glance).read(), "first", TTL)

    def takes_over(method: str) -> None:
        if method == "DELETE":
            glance.before = lambda _method: None
            lock(glance).acquire(lock(glance).read(), "newcomer", TTL)

    glance.before = takes_over
    with pytest.raises(Conflict, match="the lock is newcomer's now"):
        lock(glance).acquire(first, "slow", TTL)
    assert lock(glance).read().holder == "newcomer"


def test_a_list_that_is_older_than_the_lock_does_not_make_it_the_last_holders() -> None:
    """Who reads again sees whose it is."""
    glance = Glance()
    first = lock(glance).acquire(lock(glance).read(), "first", TTL)

    def lags(method: str) -> None:
        if method == "DELETE":
            glance.unlisted = {key for key, image in glance.images.items() if image["immutable.fleet.lock.holder"] == "second"}

    glance.before = lags
    with pytest.raises(Conflict):
        lock(glance).acquire(first, "second", TTL)
    glance.unlisted = set()
    assert (lock(glance).read().holder, lock(glance).read().token) == ("second", 2)


def test_a_list_that_lacks_the_holder_of_now_lets_nobody_pass_it_by() -> None:
    """Its number is given, and it is there: asked for by itself, it shows."""
    glance = Glance()
    seen = lock(glance).read()
    held = lock(glance).acquire(seen, "first", TTL)
    glance.unlisted = set(glance.images)
    with pytest.raises(Conflict):
        lock(glance).acquire(seen, "other", TTL)
    glance.unlisted = set()
    assert lock(glance).renew(held).holder == "first"


def test_two_never_hold_it_though_nothing_shows_the_holder_of_now() -> None:
    """The other has not got it but told that somebody may have it; the first learns at its next renewal that it has not."""
    glance = Glance()
    seen = lock(glance).read()
    held = lock(glance).acquire(seen, "first", TTL)
    glance.unlisted = glance.unread = set(glance.images)
    with pytest.raises(Conflict, match="whether somebody held it is not known"):
        lock(glance).acquire(seen, "other", TTL)
    glance.unlisted = glance.unread = set()
    found = lock(glance).read()
    assert (found.holder, found.token, found.ttl) == (NOT_KNOWN, 2, TTL)
    with pytest.raises(Conflict):
        lock(glance).renew(held)
    assert lock(glance).acquire(found, "other", TTL).token == 3  # once it was silent for that time, which is the engine's to wait for
