# SPDX-License-Identifier: GPL-3.0-or-later
"""`golden_image`: publish a version, revoke one with what was built upon it, remove those that nobody needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.measure import Measure, measure
from ansible_collections.immutable.fleet.plugins.module_utils.decide import channels
from ansible_collections.immutable.fleet.plugins.module_utils.entry.image_stores import Shelf
from ansible_collections.immutable.fleet.plugins.module_utils.entry.parse import exactly_one, who
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.channel import Catalogue
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Blocked, Conflict, Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import (
    NAME,
    PUBLISHED,
    UPLOADING,
    VERSION,
    Manifest,
    Revocation,
    Version,
    check_manifest,
    load_manifest,
    ref_of,
)

Params = Mapping[str, Any]


def refuse_nonsense(params: Params) -> None:
    """Raises `Invalid` before a file is read or a connection is looked for."""
    exactly_one(params, "openstack", "simulated")
    if not NAME.fullmatch(params["name"]):
        raise Invalid(what=f"{params['name']!r} is no name of an image; expected up to 63 of a-z 0-9 - . _", where="name")
    if params["version"] is not None and not VERSION.fullmatch(params["version"]):
        raise Invalid(what=f"{params['version']!r} is no version; expected up to 63 of A-Z a-z 0-9 - . _", where="version")
    own = [key for key in params["properties"] if str(key).startswith(marks.PREFIX)]
    if own:
        raise Invalid(what=f"{own[0]!r} is the collection's own; expected another key", where=f"properties.{own[0]}")
    if params["state"] == "published" and params["version"] is None and params["manifest"] is None:
        raise Invalid(what="expected one of them, for both say which version the file is", where="version, manifest")
    said_twice = [name for name in ("parent", "git_commit", "inputs") if params[name] and params["manifest"]]
    if said_twice:
        raise Invalid(what="the manifest says it already; expected one of them", where=f"manifest, {said_twice[0]}")
    if params["keep"] < channels.KEPT_PER_CHANNEL:
        raise Invalid(what=f"{params['keep']} leaves too little to go back to; expected 3 or more", where="keep")
    duration(params["min_age"], "min_age")


def bring_about(params: Params, shelf: Shelf, *, check: bool) -> dict[str, Any]:
    """The module's answer. Raises `Invalid`, `Blocked`, `Conflict`, and what the store answers."""
    if params["state"] == "published":
        return _publish(params, shelf, check=check)
    if params["state"] == "revoked":
        return _revoke(params, shelf, check=check)
    return _retain(params, shelf, check=check)


def _publish(params: Params, shelf: Shelf, *, check: bool) -> dict[str, Any]:
    manifest = _manifest(params)
    seen = shelf.store.catalogue()
    there = seen.versions.get(manifest.ref)
    is_there = there is not None and there.state == PUBLISHED
    if there is not None and is_there and there.manifest.digest != manifest.digest:
        what = f"{manifest.ref} is published with the digest {there.manifest.digest}, and a version never changes"
        raise Invalid(what=f"{what}; expected another version for {manifest.digest}", where="version")
    if there is not None and not is_there and there.revoked is not None:
        what = f"{manifest.ref} is revoked {there.revoked}, and has not all of its bytes"
        raise Blocked(what=what, where="name, version", forward="publish another version", back=channels.NOTHING_DONE)
    revoked = channels.revocation_of(manifest.parent, seen.versions) if manifest.parent and not is_there else None
    if revoked is not None:
        what = f"the parent {manifest.parent} may not be used: {revoked[0]} is revoked {revoked[1]}"
        raise Blocked(what=what, where="parent", forward="build upon another parent", back=channels.NOTHING_DONE)
    if there is not None and is_there:
        return {**_said(there), "changed": False}
    if check:
        return {**_said(Version(manifest=manifest, id="")), "changed": True}
    text = manifest.dump()
    signature = ""
    if params["sign_with"]:
        from ansible_collections.immutable.fleet.plugins.module_utils.bakery.signature import sign

        signature = sign(text, params["sign_with"])
    return {**_said(shelf.store.publish(manifest, params["path"], text=text, signature=signature)), "changed": True}


def _manifest(params: Params) -> Manifest:
    """Of the file as it lies there. It was made when it was written last, so that a task that runs again says the same."""
    found = measure(params["path"])
    if params["manifest"] is not None:
        return _completed(params, found)
    made = datetime.fromtimestamp(int(Path(params["path"]).stat().st_mtime), UTC)
    sbom = params["sbom"]
    return check_manifest(
        Manifest(
            name=params["name"],
            version=params["version"],
            digest=found.digest,
            created_at=made,
            size=found.size,
            format=params["format"],
            hashes=_others(found),
            parent=params["parent"],
            git_commit=params["git_commit"],
            inputs={str(key): str(value) for key, value in params["inputs"].items()},
            sbom=sbom,
            sbom_digest=measure(sbom).digest if sbom and Path(sbom).is_file() else "",
        )
    )


def _completed(params: Params, found: Measure) -> Manifest:
    """The manifest that whoever built the file wrote beside it, with the digests that the store will be asked for."""
    file = Path(params["manifest"])
    try:
        given = load_manifest(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise Invalid(what=f"the file cannot be read: {exc}", where="manifest") from exc
    for name, wanted in (("name", params["name"]), ("version", params["version"])):
        if wanted is not None and getattr(given, name) != wanted:
            raise Invalid(what=f"the manifest is of {given.ref}; expected {wanted}", where=f"manifest, {name}")
    if given.digest != found.digest:
        raise Invalid(what=f"the file has the digest {found.digest}; its manifest says {given.digest}", where="path")
    beside = file.parent / given.sbom
    sbom = str(beside.absolute()) if given.sbom and beside.is_file() else given.sbom
    return replace(given, size=found.size, hashes=_others(found), sbom=params["sbom"] or sbom)


def _others(found: Measure) -> dict[str, str]:
    """All hashes but the one that is the digest."""
    return {name: value for name, value in found.hashes.items() if name != "sha256"}


def _revoke(params: Params, shelf: Shelf, *, check: bool) -> dict[str, Any]:
    """The version first, then what was built upon it: it is the same from the first call on, for revocations are inherited."""
    seen = shelf.store.catalogue().versions
    ref = ref_of(params["name"], params["version"])
    if ref not in seen:
        raise Invalid(what=channels.doubt(ref, seen), where="name, version")
    if seen[ref].state == UPLOADING and seen[ref].revoked is None:
        raise Conflict(  # who uploads may replace the image, and the mark with it
            what=f"{ref} is not published: its upload did not end, or its image was deactivated; no machine can be made of it",
            where=f"image {ref}",
            forward="run the same task again later: when the upload has ended, or the image is active again",
            back=channels.NOTHING_DONE,
        )
    own = Revocation(at=shelf.now(), by=who(os.environ), why=params["reason"])
    heirs = Revocation(at=own.at, by=own.by, why=f"built upon {ref}: {params['reason']}")
    whole = (each for each in (ref, *channels.descendants(ref, seen)) if seen[each].state != UPLOADING)  # what is uploaded inherits it
    affected = [each for each in whole if seen[each].revoked is None]
    revoked = []
    for each in affected:
        try:
            if not check:
                shelf.store.revoke(seen[each], own if each == ref else heirs)
            revoked.append(each)
        except Conflict:
            if each == ref:
                raise  # of the others, one may be another project's: it inherits the revocation without a mark
    machines = shelf.store.users()
    return {
        **_said(seen[ref]),
        "changed": bool(revoked),
        "revoked": revoked,
        "machines": sorted(name for each in (ref, *channels.descendants(ref, seen)) for name in machines.get(seen[each].id, ())),
    }


def _retain(params: Params, shelf: Shelf, *, check: bool) -> dict[str, Any]:
    catalogue = shelf.store.catalogue()
    newer_than = shelf.now() - duration(params["min_age"], "min_age")
    used = _used(params["in_use"], shelf, catalogue)
    removable, kept = channels.retained(catalogue.versions, catalogue.channels(), used, keep=params["keep"], newer_than=newer_than)
    own = [ref for ref in removable if catalogue.versions[ref].manifest.name == params["name"]]
    removed, why = [], {each.ref: each.why for each in kept}
    for ref in own:
        try:
            if not check:
                shelf.store.retire(catalogue.versions[ref])
            removed.append(ref)
        except Conflict as error:  # the store still needs it: a linked clone, a volume
            why[ref] = error.what
    mine = {ref: said for ref, said in why.items() if catalogue.versions[ref].manifest.name == params["name"]}
    return {"name": params["name"], "changed": bool(removed), "removed": removed, "kept": mine}


def _used(given: list[str], shelf: Shelf, catalogue: Catalogue) -> dict[str, str]:
    """`{ref: why}` of versions that machines run, and of those that the user named by ref, id or digest."""
    machines = shelf.store.users()
    used: dict[str, str] = {}
    for ref, version in catalogue.versions.items():
        names = machines.get(version.id, ())
        if names:
            used[ref] = f"{names[0]} runs it" if len(names) == 1 else f"{names[0]} and {len(names) - 1} more run it"
        digests = {version.manifest.digest, *(f"{name}:{value}" for name, value in version.manifest.hashes.items())}
        if {ref, version.id, *digests} & set(given):
            used.setdefault(ref, "named in in_use")
    return used


def _said(version: Version) -> dict[str, Any]:
    manifest = version.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "ref": manifest.ref,
        "id": version.id,
        "digest": manifest.digest,
        "is_signed": bool(version.signature),
        "inputs_digest": manifest.inputs_digest,
    }
