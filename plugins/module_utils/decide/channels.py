# SPDX-License-Identifier: GPL-3.0-or-later
"""What a channel points to, and what may be promoted, rolled back, revoked and removed.

Promises: a channel points to the newest promoted version that may be used, at every moment, whoever is killed where: promotions
are only added, each with one call, and a revocation is one call. What was rolled back from does not come back by itself.
Pure: everything is read off promotions and versions as a store lists them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ansible_collections.immutable.fleet.plugins.module_utils.model.channel import PROMOTE, ROLLBACK, Catalogue, Promotion
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Blocked, Conflict, Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import BROKEN, PUBLISHED, Revocation, Version

KEPT_PER_CHANNEL = 3  # semantics section 6: at least so many can always be gone back to

Versions = Mapping[str, Version]  # by ref
NOTHING_DONE = "nothing to take back: nothing was changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who wants to point a channel elsewhere. `token` is chance, for who gets no answer."""

    by: str
    at: datetime
    token: str = ""
    why: str = ""


def ancestry(ref: str, versions: Versions) -> tuple[str, ...]:
    """Parents of a version, nearest first, as far as they are known. A parent that a store has no more ends it."""
    found: list[str] = []
    here = versions.get(ref)
    while here is not None and here.manifest.parent and here.manifest.parent not in (*found, ref):
        found.append(here.manifest.parent)
        here = versions.get(here.manifest.parent)
    return tuple(found)


def descendants(ref: str, versions: Versions) -> tuple[str, ...]:
    """Versions that were built upon this one, directly or not."""
    return tuple(sorted(other for other in versions if ref in ancestry(other, versions)))


def revocation_of(ref: str, versions: Versions) -> tuple[str, Revocation] | None:
    """`(whose, why)`: the version's own revocation, or that of its nearest revoked ancestor; None where it may be used."""
    for each in (ref, *ancestry(ref, versions)):
        version = versions.get(each)
        if version is not None and version.revoked is not None:
            return each, version.revoked
    return None


def doubt(ref: str, versions: Versions) -> str:
    """Why no machine may be made of a version; "" where it may."""
    version = versions.get(ref)
    if version is None:
        return f"the image store has no {ref}; it has {_names(versions)}"
    revoked = revocation_of(ref, versions)
    if revoked is not None:
        whose, why = revoked
        return f"{ref} is revoked {why}" if whose == ref else f"{ref} was built upon {whose}, which is revoked {why}"
    if version.state == BROKEN:
        return f"{ref} has other bytes than its manifest says"
    return "" if version.state == PUBLISHED else f"{ref} is not published: its upload did not end"


def stack(promotions: Iterable[Promotion]) -> tuple[Promotion, ...]:
    """The promotions that were not rolled back, oldest first. A rollback takes away what came after the version that it names."""
    standing: list[Promotion] = []
    for each in sorted(promotions, key=lambda promotion: promotion.number):
        if each.kind == ROLLBACK and any(one.version == each.version for one in standing):
            while standing[-1].version != each.version:
                standing.pop()
        elif not standing or standing[-1].version != each.version:
            standing.append(each)
    return tuple(standing)


def points_to(promotions: Iterable[Promotion], versions: Versions) -> Promotion | None:
    """The promotion that a channel stands by; None where no version of it may be used."""
    return next((each for each in reversed(stack(promotions)) if not doubt(each.version, versions)), None)


def promoted(image: str, channel: str, ref: str, promotions: Sequence[Promotion], versions: Versions, asking: Asking) -> Promotion | None:
    """The promotion to add, None where the channel points there already. Raises `Blocked` for a version that may not be used."""
    said = doubt(ref, versions)
    if said:
        raise Blocked(what=said, where=f"channel {image}/{channel}", forward="promote another version", back=NOTHING_DONE)
    before = points_to(promotions, versions)
    if before is not None and before.version == ref and stack(promotions)[-1].version == ref:
        return None
    return _next(image, channel, ref, PROMOTE, promotions, asking)


def rolled_back(image: str, channel: str, promotions: Sequence[Promotion], versions: Versions, asking: Asking) -> Promotion:
    """The promotion that points the channel to the version before the one it points to. Raises `Blocked` where there is none."""
    where = f"channel {image}/{channel}"
    usable = [each.version for each in stack(promotions) if not doubt(each.version, versions)]
    earlier = [ref for ref in usable if ref != usable[-1]]
    if not earlier:
        what = f"{usable[0]} is the only version of the channel that may be used" if usable else "no version of the channel may be used"
        raise Blocked(what=what, where=where, forward="promote a version instead", back=NOTHING_DONE)
    return _next(image, channel, earlier[-1], ROLLBACK, promotions, asking)


def version_meant(catalogue: Catalogue, *, ref: str = "", channel: tuple[str, str] = ("", "")) -> Version:
    """The version of this ref, or the one that `(image, channel)` points to. Raises `Invalid`, `Blocked` where it may not be used."""
    versions = catalogue.versions
    if ref:
        said = doubt(ref, versions)
        if said:
            raise Blocked(what=said, where="image.name, image.version", forward="name another version", back=NOTHING_DONE)
        return versions[ref]
    promotions = catalogue.of(*channel)
    name = "/".join(channel)
    if not promotions:
        raise Invalid(what=f"there is no channel {name}; there are {', '.join(catalogue.channels()) or 'none'}", where="image.channel")
    standing = points_to(promotions, versions)
    if standing is None:
        said = "; ".join(dict.fromkeys(doubt(each.version, versions) for each in reversed(stack(promotions))))
        forward = f"promote a version: immutable.fleet.golden_image_channel with channel={name}"
        raise Blocked(
            what=f"the channel {name} has no version that may be used: {said}", where="image.channel", forward=forward, back=NOTHING_DONE
        )
    return versions[standing.version]


def raced(seen: Sequence[Promotion], now: Sequence[Promotion], where: str) -> Conflict:
    """What somebody is told who came second: who was faster, and to what the channel points."""
    known = {each.number for each in seen}
    newer = [str(each) for each in now if each.number not in known] or ["by somebody who is not to be seen"]
    return Conflict(
        what=f"the channel was pointed elsewhere meanwhile: {'; '.join(newer)}",
        where=where,
        forward="look at the channel, and run the same task again if it is still right",
        back=NOTHING_DONE,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A version that is not removed, and why."""

    ref: str
    why: str


def retained(
    versions: Versions,
    channels: Mapping[str, Sequence[Promotion]],
    used: Mapping[str, str],
    *,
    keep: int = KEPT_PER_CHANNEL,
    newer_than: datetime,
) -> tuple[tuple[str, ...], tuple[Kept, ...]]:
    """`(refs to remove, those kept and why)`, in order of their age.

    Kept are the last `keep` versions that a channel points to or can go back to, and the last `keep` of its promotions: of those, ones that
    were rolled back from or revoked are nothing to go back to. Kept is what `used` names with a reason (machines run it, a pool may roll
    back to it), what is newer than an instant, and every ancestor of those: else a revocation would not be inherited.
    """
    keep = max(keep, KEPT_PER_CHANNEL)
    why: dict[str, str] = dict(used)
    for channel, promotions in channels.items():
        newest = dict.fromkeys(each.version for each in sorted(promotions, key=lambda one: -one.number))
        usable = dict.fromkeys(each.version for each in reversed(stack(promotions)) if not doubt(each.version, versions))
        for ref in [*list(usable)[:keep], *list(newest)[:keep]]:
            why.setdefault(ref, f"among the last {keep} of channel {channel}")
    for ref, version in versions.items():
        if (version.begun_at or version.manifest.created_at) >= newer_than:
            why.setdefault(ref, "new")
    for ref in list(why):
        for parent in ancestry(ref, versions):
            why.setdefault(parent, f"{ref} was built upon it")
    ordered = sorted(versions, key=lambda ref: (versions[ref].manifest.created_at, ref))
    return tuple(ref for ref in ordered if ref not in why), tuple(Kept(ref=ref, why=why[ref]) for ref in ordered if ref in why)


def _next(image: str, channel: str, ref: str, kind: str, promotions: Collection[Promotion], asking: Asking) -> Promotion:
    number = 1 + max((each.number for each in promotions), default=0)
    return Promotion(
        image=image,
        channel=channel,
        number=number,
        version=ref,
        kind=kind,
        at=asking.at,
        by=asking.by,
        token=asking.token,
        why=asking.why,
    )


def _names(versions: Versions) -> str:
    return ", ".join(sorted(versions)) or "none"
