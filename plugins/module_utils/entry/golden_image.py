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
from ansible_collections.immutable.fleet.plugins.module_utils.decide import channels, publishing
from ansible_collections.immutable.fleet.plugins.module_utils.entry.image_stores import Shelf
from ansible_collections.immutable.fleet.plugins.module_utils.entry.parse import exactly_one, who
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import (
    NAME,
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
    exactly_one(params, "openstack", "vsphere", "simulated")
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
    there = publishing.published(manifest, shelf.store.catalogue().versions)
    if there is not None:
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
            hashes=found.others,
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
    return replace(given, size=found.size, hashes=found.others, sbom=params["sbom"] or sbom)


def _revoke(params: Params, shelf: Shelf, *, check: bool) -> dict[str, Any]:
    seen = shelf.store.catalogue().versions
    ref = ref_of(params["name"], params["version"])
    revoked = []
    own = Revocation(at=shelf.now(), by=who(os.environ), why=params["reason"])
    for each, revocation in publishing.revocations(ref, seen, own).items():
        try:
            if not check:
                shelf.store.revoke(seen[each], revocation)
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
    used = publishing.used(catalogue.versions, shelf.store.users(), params["in_use"])
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
