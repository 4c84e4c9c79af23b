# SPDX-License-Identifier: GPL-3.0-or-later
"""Wiring of image stores: for the golden image modules, and for a pool that follows a channel or names a version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ansible_collections.immutable.fleet.plugins.module_utils.decide.channels import version_meant
from ansible_collections.immutable.fleet.plugins.module_utils.model.channel import parse_channel
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import Version, parse_ref, ref_of
from ansible_collections.immutable.fleet.plugins.module_utils.ports import ImageStore

if TYPE_CHECKING:
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import Client
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.client import Client as VsphereClient

Params = Mapping[str, Any]
CALL_TIMEOUT = timedelta(seconds=60)  # no loop waits for these calls, and a list of many images may be long
OTHER_WAYS = {"openstack": ("image", "image_properties"), "vsphere": ("template", "content_library"), "simulated": ("image",)}


@dataclass(frozen=True, slots=True)
class Shelf:
    """A store, and the clock of where it is."""

    store: ImageStore
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Followed:
    """A pool's options with the image that its channel points to now, and the client of its provider, connected already."""

    params: Params
    version: Version | None = None
    transport: Client | VsphereClient | None = field(default=None, repr=False)


def shelf(params: Params, visibility: str = "private", properties: Mapping[str, Any] | None = None) -> Shelf:
    """The store that the options name. Makes no call; raises `Invalid`, `LibraryMissing`."""
    if params.get("simulated") is not None:
        from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.images import SimulatedImages
        from ansible_collections.immutable.fleet.plugins.module_utils.entry.wiring import world_at

        session = world_at(params["simulated"]["world"])
        return Shelf(SimulatedImages(session), session.now)
    if params.get("vsphere") is not None:
        if visibility != "private" or properties:
            raise Invalid(what="templates have neither; expected them for OpenStack only", where="visibility, properties")
        return Shelf(_templates(params, _vsphere_client(params, CALL_TIMEOUT)), _now)
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.images import GlanceImages, Placing

    placing = Placing(visibility=visibility, properties={str(key): str(value) for key, value in (properties or {}).items()})
    return Shelf(GlanceImages(_client(params, CALL_TIMEOUT), now=_now, placing=placing), _now)


def followed(params: Params, call_timeout: timedelta) -> Followed:
    """What a pool is made of, where O(image) says it: the channel is asked now, and what it points to is pinned by its id.

    Raises `Invalid` and `Blocked` (no such version, revoked, not signed) before anything is touched.
    """
    wanted = params.get("image")
    if not wanted or params.get("state") == "absent":
        return Followed(params)
    _refuse_nonsense(params)
    if params.get("simulated") is not None:
        store = shelf(params).store
        version = _meant(wanted, store)
        return Followed({**params, "simulated": {**params["simulated"], "image": version.ref}}, version)
    if params.get("vsphere") is not None:
        vsphere = _vsphere_client(params, call_timeout)
        version = _meant(wanted, _templates(params, vsphere))
        return Followed({**params, "vsphere": {**params["vsphere"], "template": version.id}}, version, vsphere)
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.images import GlanceImages

    client = _client(params, call_timeout)
    version = _meant(wanted, GlanceImages(client, now=_now))
    return Followed({**params, "openstack": {**params["openstack"], "image": version.id}}, version, client)


def _meant(wanted: Params, store: ImageStore) -> Version:
    catalogue = store.catalogue()
    if wanted["channel"]:
        image, channel = parse_channel(wanted["channel"], "image.channel")
        version = version_meant(catalogue, channel=(image, channel))
    else:
        version = version_meant(catalogue, ref=ref_of(wanted["name"], wanted["version"]))
    if wanted["signed_by"]:
        from ansible_collections.immutable.fleet.plugins.module_utils.bakery.signature import verify

        signer, allowed = wanted["signed_by"], wanted["allowed_signers"]
        verify(version.text, version.signature, signer=signer, allowed_signers=allowed, what=version.ref)
    return version


def _refuse_nonsense(params: Params) -> None:
    wanted = params["image"]
    for provider, options in OTHER_WAYS.items():
        for option in options:
            if (params.get(provider) or {}).get(option):
                raise Invalid(what="expected one of them, for both say what machines are made from", where=f"image, {provider}.{option}")
    if bool(wanted["channel"]) == bool(wanted["name"]):
        raise Invalid(what="expected either a channel, or name and version", where="image.channel, image.name")
    if bool(wanted["name"]) != bool(wanted["version"]):
        raise Invalid(what="expected both or none: they name one version together", where="image.name, image.version")
    if wanted["channel"]:
        parse_channel(wanted["channel"], "image.channel")
    else:
        parse_ref(ref_of(wanted["name"], wanted["version"]), "image.name, image.version")
    if wanted["signed_by"] and not wanted["allowed_signers"]:
        raise Invalid(what="missing; expected the file that says whose keys count", where="image.allowed_signers")


def _client(params: Params, call_timeout: timedelta) -> Client:
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import Client
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import parse_options

    return Client(parse_options(params["openstack"]).connection, call_timeout, _now)


def _templates(params: Params, client: VsphereClient) -> ImageStore:
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.image_options import parse_image_options
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.images import VsphereImages

    return VsphereImages(client, parse_image_options(params["vsphere"]), now=_now)


def _vsphere_client(params: Params, call_timeout: timedelta) -> VsphereClient:
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.client import Client
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import parse_connection

    return Client(parse_connection(params["vsphere"]), call_timeout, _now)


def _now() -> datetime:
    return datetime.now(UTC)
