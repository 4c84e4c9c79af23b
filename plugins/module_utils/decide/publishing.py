# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be published and revoked, and who uses a version.

Promises: a version never changes, nothing is built upon a revoked one, and no revocation is lost with an upload.
Pure: everything is read off a manifest and the versions as a store lists them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ansible_collections.immutable.fleet.plugins.module_utils.decide.channels import (
    NOTHING_DONE,
    Versions,
    descendants,
    doubt,
    revocation_of,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Blocked, Conflict, Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import PUBLISHED, UPLOADING, Manifest, Revocation, Version


def published(manifest: Manifest, versions: Versions) -> Version | None:
    """The version that is there already, None where it may be uploaded.

    Raises `Invalid` where it is there with other bytes, `Blocked` where it or what it was built upon is revoked.
    """
    there = versions.get(manifest.ref)
    if there is not None and there.state == PUBLISHED:
        if there.manifest.digest == manifest.digest:
            return there
        what = f"{manifest.ref} is published with the digest {there.manifest.digest}, and a version never changes"
        raise Invalid(what=f"{what}; expected another version for {manifest.digest}", where="version")
    if there is not None and there.revoked is not None:
        what = f"{manifest.ref} is revoked {there.revoked}, and has not all of its bytes"
        raise Blocked(what=what, where="name, version", forward="publish another version", back=NOTHING_DONE)
    revoked = revocation_of(manifest.parent, versions) if manifest.parent else None
    if revoked is not None:
        what = f"the parent {manifest.parent} may not be used: {revoked[0]} is revoked {revoked[1]}"
        raise Blocked(what=what, where="parent", forward="build upon another parent", back=NOTHING_DONE)
    return None


def revocations(ref: str, versions: Versions, own: Revocation) -> dict[str, Revocation]:
    """`{ref: revocation}` to write, the version's first: from that call on all are revoked, for revocations are inherited.

    What is marked already stays as it is. Raises `Invalid` for a version that is not there, `Conflict` for one without all of its bytes.
    """
    if ref not in versions:
        raise Invalid(what=doubt(ref, versions), where="name, version")
    if versions[ref].state == UPLOADING and versions[ref].revoked is None:
        raise Conflict(  # who uploads may replace the image, and the mark with it
            what=f"{ref} is not published: its upload did not end, or its image was deactivated; no machine can be made of it",
            where=f"image {ref}",
            forward="run the same task again later: when the upload has ended, or the image is active again",
            back=NOTHING_DONE,
        )
    heirs = Revocation(at=own.at, by=own.by, why=f"built upon {ref}: {own.why}")
    whole = [each for each in (ref, *descendants(ref, versions)) if versions[each].state != UPLOADING]  # what is uploaded inherits it
    return {each: own if each == ref else heirs for each in whole if versions[each].revoked is None}


def used(versions: Versions, machines: Mapping[str, tuple[str, ...]], named: Collection[str]) -> dict[str, str]:
    """`{ref: why}` of versions that machines run (`{id: (machine, ...)}`), and of those that are `named` by ref, id or digest."""
    found: dict[str, str] = {}
    for ref, version in versions.items():
        names = machines.get(version.id, ())
        if names:
            found[ref] = f"{names[0]} runs it" if len(names) == 1 else f"{names[0]} and {len(names) - 1} more run it"
        digests = {version.manifest.digest, *(f"{name}:{value}" for name, value in version.manifest.hashes.items())}
        if {ref, version.id, *digests} & set(named):
            found.setdefault(ref, "named in in_use")
    return found
