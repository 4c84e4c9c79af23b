# SPDX-License-Identifier: GPL-3.0-or-later
"""The port `Lock` for a pool without a cluster: images of Glance's without data, hidden from its lists.

Nothing in OpenStack can be written on condition, but an image can be made with an id of ours, once and never again: Glance refuses the
id of one that exists and of one that was deleted. So who makes the image with the id of (project, pool, n) holds the lock with token n,
and nobody else ever will. What operators ask is a second chain of such images, as it is written by whoever has seen the last.

The holder alone writes on its image, and looks after each write whether a successor is there. Of the older images the newcomer deletes
what it finds. Where somebody deleted all of them, the numbers go on after the last one that was given. That nobody holds it any more
is not taken from a list then, which may be older than the last write: the next image says that its holder is not known, and newcomers
wait until a holder has been silent for its whole time, as they do for one that was killed.
Sources: semantics section 1; Glance's `images.create` (409 for an id that is or was in use), `os_hidden` since Rocky.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import IMAGE, Transport, every
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.images_convert import PATCH
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, NotFound, PortError
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact, load_object, load_record
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Steering, load_steering

HOLDS, STEERS = "holds", "steers"  # the two chains
NOT_KNOWN = "not known: the lock was deleted"  # a holder that is perhaps none

Json = Mapping[str, Any]


class GlanceLock:
    """The lock of one pool. A read is one list, a write at most three calls."""

    def __init__(self, pool: str, *, transport: Transport, now: Callable[[], datetime]) -> None:
        self._pool = pool
        self._transport = transport
        self._now = now
        self._name = f"{marks.LOCK_NAME}{pool}"

    def read(self) -> LockFact:
        """As `Lock.read`."""
        return self._fact(self._images())

    def acquire(self, seen: LockFact, holder: str, ttl: timedelta) -> LockFact:
        """As `Lock.acquire`. The look before narrows down to a moment what `seen` may have missed: a renewal of a holder thought dead.

        `Conflict` also where the lock was deleted: it is then held by nobody known, and may be taken as from a holder that is silent.
        """
        images = self._images()
        found = self._fact(images)
        if (found.token, found.holder, found.renewals) != (seen.token, seen.holder, seen.renewals):
            raise Conflict(what="the lock was written meanwhile", where=self._name)
        stamp = self._stamp()
        values = {
            marks.LOCK_HOLDER: holder,
            marks.LOCK_SINCE: stamp,
            marks.LOCK_RENEWALS: stamp,
            marks.LOCK_TTL: str(max(1, round(ttl.total_seconds()))),
            marks.LOCK_STATE: seen.record.dump(),
        }
        number = self._make_next(HOLDS, seen.token, values, {**values, marks.LOCK_HOLDER: NOT_KNOWN})
        if number > seen.token + 1:
            raise Conflict(what="the lock was deleted, and whether somebody held it is not known", where=self._name)
        for image in images:
            if image[marks.LOCK_CHAIN] == HOLDS:
                self._delete(image)
        return self._own(number)

    def renew(self, held: LockFact) -> LockFact:
        """As `Lock.renew`."""
        return self._write(held, {marks.LOCK_RENEWALS: self._stamp(), marks.LOCK_STATE: held.record.dump()})

    def release(self, held: LockFact) -> None:
        """As `Lock.release`."""
        with suppress(Conflict):  # another's now, or nobody's
            self._write(held, {marks.LOCK_HOLDER: "", marks.LOCK_STATE: held.record.dump()})

    def steer(self, seen: LockFact, steering: Steering) -> LockFact:
        """As `Lock.steer`."""
        number = int(seen.version or 0)
        values = {marks.LOCK_STATE: steering.dump()}
        self._make_next(STEERS, number, values, values)
        for image in self._images():
            if image[marks.LOCK_CHAIN] == STEERS and _number(image) <= number:
                self._delete(image)
        return self.read()

    def _write(self, held: LockFact, values: Mapping[str, str]) -> LockFact:
        """Write on the holder's image. Raises `Conflict` where the lock is another's."""
        changes = [{"op": "replace", "path": f"/{key}", "value": value} for key, value in values.items()]
        path = f"/images/{self._id(HOLDS, held.token)}"
        try:
            self._transport.request("PATCH", IMAGE, path, body=changes, headers={"Content-Type": PATCH})
        except NotFound as exc:
            raise Conflict(what="the lock is another's now", where=self._name) from exc
        return self._own(held.token)

    def _own(self, token: int) -> LockFact:
        """The lock, which is that of `token` still. Raises `Conflict` where it has a successor: what was sent may have taken long."""
        found = self.read()
        if found.token != token:
            raise Conflict(what=f"the lock is {found.holder or 'nobody'}'s now", where=self._name)
        return found

    def _make_next(self, chain: str, seen: int, values: Mapping[str, str], instead: Mapping[str, str]) -> int:
        """The number of the image of a chain after the one that was seen, with `values`. Raises `Conflict` where somebody was faster.

        A greater number where those after `seen` were given before, and their images are gone with all after them: somebody deleted the
        lock. It has the values `instead` then. Three calls more for each of them. No number is passed over that could still be given, so
        that two who go on from here meet at the same one.
        """
        number = seen + 1
        while True:
            about = {marks.LOCK_CHAIN: chain, marks.LOCK_NUMBER: str(number)}
            image = {"id": self._id(chain, number), "name": self._name, "visibility": "private", "os_hidden": True}
            written = values if number == seen + 1 else instead
            try:
                self._transport.request("POST", IMAGE, "/images", body={**image, **about, **written})
                return number
            except Conflict:
                if self._is_there(image["id"]) or any(
                    image[marks.LOCK_CHAIN] == chain and _number(image) >= number for image in self._images()
                ):
                    raise
                number += 1

    def _is_there(self, image_id: object) -> bool:
        """By itself: a list may lack it for a moment."""
        try:
            self._transport.request("GET", IMAGE, f"/images/{image_id}")
        except NotFound:
            return False
        return True

    def _delete(self, image: Json) -> None:
        """One that has a successor. What stays does no harm, and the next newcomer tries again."""
        with suppress(PortError):
            self._transport.request("DELETE", IMAGE, f"/images/{image['id']}")

    def _images(self) -> list[Json]:
        query = (("name", self._name), ("visibility", "private"), ("os_hidden", "true"), ("owner", self._transport.project_id()))
        return [image for image in every(self._transport, IMAGE, "/images", "images", query) if marks.LOCK_CHAIN in image]

    def _fact(self, images: list[Json]) -> LockFact:
        """The newest of both chains."""
        steering = max((image for image in images if image[marks.LOCK_CHAIN] == STEERS), key=_number, default=None)
        fact = LockFact()
        if steering is not None:
            fact = replace(fact, version=str(_number(steering)), steering=load_steering(load_object(steering.get(marks.LOCK_STATE))))
        lock = max((image for image in images if image[marks.LOCK_CHAIN] == HOLDS), key=_number, default=None)
        if lock is None:
            return fact
        return replace(
            fact,
            holder=lock.get(marks.LOCK_HOLDER) or "",
            since=lock.get(marks.LOCK_SINCE) or "",
            renewals=lock.get(marks.LOCK_RENEWALS) or "",
            token=_number(lock),
            ttl=timedelta(seconds=int(lock.get(marks.LOCK_TTL) or 0)),
            record=load_record(lock.get(marks.LOCK_STATE)),
        )

    def _id(self, chain: str, number: int) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{marks.PREFIX}/{self._transport.project_id()}/{self._pool}/{chain}/{number}"))

    def _stamp(self) -> str:
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _number(image: Json) -> int:
    return int(image[marks.LOCK_NUMBER])
