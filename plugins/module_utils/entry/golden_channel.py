# SPDX-License-Identifier: GPL-3.0-or-later
"""`golden_image_channel`: read the channel, decide, add one promotion, and say what it points to now."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.decide import channels
from ansible_collections.immutable.fleet.plugins.module_utils.entry.image_stores import Shelf
from ansible_collections.immutable.fleet.plugins.module_utils.entry.parse import exactly_one, who
from ansible_collections.immutable.fleet.plugins.module_utils.model.channel import PROMOTE, Catalogue, Promotion, parse_channel
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Invalid, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import VERSION, ref_of
from ansible_collections.immutable.fleet.plugins.module_utils.ports import ImageStore

Params = Mapping[str, Any]
HISTORY_MAX = 50  # of a result; the store keeps all


def refuse_nonsense(params: Params) -> None:
    """Raises `Invalid` before a connection is looked for."""
    exactly_one(params, "openstack", "vsphere", "simulated")
    parse_channel(params["channel"], "channel")
    if params["version"] is not None and not VERSION.fullmatch(params["version"]):
        raise Invalid(what=f"{params['version']!r} is no version; expected up to 63 of A-Z a-z 0-9 - . _", where="version")


def point(params: Params, shelf: Shelf, *, check: bool) -> dict[str, Any]:
    """The module's answer. Raises `Blocked` for a version that may not be used, `Conflict` where somebody was faster."""
    image, channel = parse_channel(params["channel"], "channel")
    seen = shelf.store.catalogue()
    asking = channels.Asking(by=who(os.environ), at=shelf.now(), token=os.urandom(8).hex(), why=params["reason"])
    wanted = _wanted(params, seen, asking)
    if wanted is None:
        return _answer(params["channel"], seen, seen, ())
    if check:
        return _answer(params["channel"], seen, seen, (wanted,))
    try:
        added = shelf.store.promote(wanted)
    except Conflict as error:
        now = shelf.store.catalogue()
        if wanted.kind == PROMOTE and _wanted(params, now, asking) is None:
            return _answer(params["channel"], seen, now, ())  # who was faster wanted the same
        raise channels.raced(seen.of(image, channel), now.of(image, channel), f"channel {params['channel']}") from error
    except Transient:
        added = _found(shelf.store, wanted)  # the answer was lost; what was done is to be seen
    return _answer(params["channel"], seen, shelf.store.catalogue(), (added,))


def _wanted(params: Params, seen: Catalogue, asking: channels.Asking) -> Promotion | None:
    image, channel = parse_channel(params["channel"], "channel")
    promotions = seen.of(image, channel)
    ref = ref_of(image, params["version"] or "")
    if params["state"] == "promoted":
        return channels.promoted(image, channel, ref, promotions, seen.versions, asking)
    standing = channels.points_to(promotions, seen.versions)
    if params["version"] and standing is not None and standing.version != ref:
        return None  # it was rolled back from before
    return channels.rolled_back(image, channel, promotions, seen.versions, asking)


def _found(store: ImageStore, wanted: Promotion) -> Promotion:
    """The promotion, where it was added though nobody said so. Raises `Transient`."""
    found = [each for each in store.catalogue().of(wanted.image, wanted.channel) if each.token == wanted.token]
    if not found:
        raise Transient(
            what="the promotion got no answer, and is not there",
            where=f"channel {wanted.image}/{wanted.channel}",
            forward="run the same task again: the channel still points where it did",
        )
    return found[0]


def _answer(name: str, before: Catalogue, now: Catalogue, added: tuple[Promotion, ...]) -> dict[str, Any]:
    """What the channel points to. `added` are promotions which `now` may not show yet: in check mode, or of a list that is late."""
    image, channel = parse_channel(name, "channel")
    was = channels.points_to(before.of(image, channel), before.versions)
    known = {each.number for each in now.of(image, channel)}
    promotions = [*now.of(image, channel), *(each for each in added if each.number not in known)]
    standing = channels.points_to(promotions, now.versions)
    version = now.versions.get(standing.version) if standing else None
    return {
        "channel": name,
        "changed": bool(added),
        "version": version.manifest.version if version else "",
        "id": version.id if version else "",
        "digest": version.manifest.digest if version else "",
        "before": was.version.partition("@")[2] if was else "",
        "history": history(promotions),
    }


def history(promotions: list[Promotion] | tuple[Promotion, ...]) -> list[dict[str, Any]]:
    """Newest first, as users read it."""
    newest = sorted(promotions, key=lambda each: -each.number)[:HISTORY_MAX]
    return [
        {
            "number": each.number,
            "version": each.version.partition("@")[2],
            "kind": each.kind,
            "at": say_instant(each.at),
            "by": each.by,
            "reason": each.why,
        }
        for each in newest
    ]
