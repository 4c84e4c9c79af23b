# SPDX-License-Identifier: GPL-3.0-or-later
"""`golden_image_info`: versions with their ancestry, channels with their history, who runs what, and where a package is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.decide import channels
from ansible_collections.immutable.fleet.plugins.module_utils.entry.golden_channel import history
from ansible_collections.immutable.fleet.plugins.module_utils.entry.image_stores import Shelf
from ansible_collections.immutable.fleet.plugins.module_utils.entry.parse import exactly_one
from ansible_collections.immutable.fleet.plugins.module_utils.model.channel import Catalogue
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_instant
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import NAME

Params = Mapping[str, Any]


def refuse_nonsense(params: Params) -> None:
    """Raises `Invalid` before a connection is looked for."""
    exactly_one(params, "openstack", "vsphere", "simulated")
    if params["name"] is not None and not NAME.fullmatch(params["name"]):
        raise Invalid(what=f"{params['name']!r} is no name of an image; expected up to 63 of a-z 0-9 - . _", where="name")
    if params["package_version"] is not None and params["package"] is None:
        raise Invalid(what="a version of which package? expected package beside it", where="package_version")


def look(params: Params, shelf: Shelf) -> dict[str, Any]:
    """The module's answer: two looks, at images and at machines."""
    catalogue = shelf.store.catalogue()
    machines = shelf.store.users()
    pointed = _pointed(catalogue)
    refs = [ref for ref, version in catalogue.versions.items() if params["name"] in (None, version.manifest.name)]
    refs.sort(key=lambda ref: (catalogue.versions[ref].manifest.created_at, ref), reverse=True)
    answer: dict[str, Any] = {
        "versions": [_version(ref, catalogue, pointed, machines) for ref in refs],
        "channels": {name: _channel(name, catalogue) for name in catalogue.channels() if params["name"] in (None, name.partition("/")[0])},
    }
    if params["package"] is not None:
        answer["package"] = _package(params["package"], params["package_version"], refs, catalogue, machines)
    return answer


def _pointed(catalogue: Catalogue) -> dict[str, list[str]]:
    """`{ref: channels that point to it}`."""
    found: dict[str, list[str]] = {}
    for name, promotions in catalogue.channels().items():
        standing = channels.points_to(promotions, catalogue.versions)
        if standing is not None:
            found.setdefault(standing.version, []).append(name)
    return found


def _version(ref: str, catalogue: Catalogue, pointed: Mapping[str, list[str]], machines: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    version = catalogue.versions[ref]
    manifest = version.manifest
    revoked = channels.revocation_of(ref, catalogue.versions)
    return {
        "name": manifest.name,
        "version": manifest.version,
        "ref": ref,
        "id": version.id,
        "digest": manifest.digest,
        "state": version.state,
        "parent": manifest.parent,
        "ancestry": list(channels.ancestry(ref, catalogue.versions)),
        "git_commit": manifest.git_commit,
        "inputs": dict(manifest.inputs),
        "inputs_digest": manifest.inputs_digest,
        "sbom": manifest.sbom,
        "created_at": say_instant(manifest.created_at),
        "is_signed": bool(version.signature),
        "revoked": f"{revoked[0]} {revoked[1]}" if revoked else "",
        "channels": pointed.get(ref, []),
        "machines": list(machines.get(version.id, ())),
    }


def _channel(name: str, catalogue: Catalogue) -> dict[str, Any]:
    promotions = catalogue.channels()[name]
    standing = channels.points_to(promotions, catalogue.versions)
    return {"version": standing.version.partition("@")[2] if standing else "", "history": history(promotions)}


def _package(
    name: str, wanted: str | None, refs: list[str], catalogue: Catalogue, machines: Mapping[str, tuple[str, ...]]
) -> dict[str, Any]:
    """Where a package is, and of which versions nobody can tell."""
    from ansible_collections.immutable.fleet.plugins.module_utils.bakery.packages import packages_of

    found, unknown = [], {}
    for ref in refs:
        version = catalogue.versions[ref]
        if not version.manifest.sbom:
            unknown[ref] = "no bill of materials"
            continue
        try:
            packages = packages_of(version.manifest.sbom, version.manifest.sbom_digest)
        except Invalid as error:
            unknown[ref] = error.what
            continue
        found += [
            {"ref": ref, "version": package_version, "machines": list(machines.get(version.id, ()))}
            for package, package_version in packages
            if package == name and wanted in (None, package_version)
        ]
    return {"name": name, "found": found, "unknown": unknown}
