# SPDX-License-Identifier: GPL-3.0-or-later
"""The template with every name resolved to an id, and the revision that follows.

Promises: reads only; at most one call per kind of thing asked for, all at once; a name that means nothing, or two things, is
`Invalid` with the option's path, what was expected and what was found. A name that moves later changes nothing in this run.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import (
    COMPUTE,
    IMAGE,
    NETWORK,
    VOLUME,
    Transport,
    every,
)
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import BootVolume, Network, Template
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid, NotFound
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision, revision_of

Found = Mapping[str, Any]
GIB = 1 << 30
CALLS_AT_ONCE = 8  # there are eight kinds of things to look up

_ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic:
    """One interface with ids. `security_group_ids` empty is the project's default group; `port_security` None the network's."""

    network_id: str
    subnet_id: str = ""
    fixed_ips: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()
    port_security: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Ids of all that a create call names. `nics` None lets Nova choose; `server_group_id` "" is none, or one to be made."""

    image_id: str
    image_digest: str
    flavor_id: str
    cores: int = 0
    memory_mib: int = 0
    nics: tuple[Nic, ...] | None = None
    security_group_ids: tuple[str, ...] = ()
    server_group_id: str = ""
    image_name: str = ""


def resolve(transport: Transport, template: Template, pinned: Mapping[str, str]) -> Resolved:
    """Look everything up. Where `pinned` is the image that the template asks for, the pinned one is taken (FM37)."""
    groups = {*template.security_groups, *(name for nic in template.networks or () for name in nic.security_groups or ())}
    networks = {nic.network for nic in template.networks or () if nic.network}
    subnets = {nic.subnet for nic in template.networks or () if nic.subnet}
    jobs: dict[str, Callable[[], Any]] = {
        "image": lambda: _image(transport, template, pinned),
        "flavor": lambda: _flavor(transport, template.flavor),
    }
    if networks:
        jobs["networks"] = lambda: _neutron(transport, "networks", networks, "openstack.networks[].network")
    if subnets:
        jobs["subnets"] = lambda: _neutron(transport, "subnets", subnets, "openstack.networks[].subnet")
    if groups:
        jobs["groups"] = lambda: _neutron(transport, "security-groups", groups, "openstack.security_groups")
    if template.key_name:
        jobs["key"] = lambda: _key(transport, template.key_name)
    if template.server_group:
        jobs["server_group"] = lambda: find_server_group(transport, template.server_group)
    if template.boot_volume and template.boot_volume.type:
        jobs["volume_type"] = lambda: _volume_type(transport, template.boot_volume)

    with ThreadPoolExecutor(CALLS_AT_ONCE) as threads:
        futures = {name: threads.submit(job) for name, job in jobs.items()}
    found = {name: future.result() for name, future in futures.items()}

    _check_fit(found["image"], found["flavor"], template.boot_volume)
    group_ids = {name: group["id"] for name, group in found.get("groups", {}).items()}
    by_default = tuple(sorted(group_ids[name] for name in template.security_groups))
    nics = None
    if template.networks is not None:
        nics = tuple(
            _nic(nic, index, found.get("networks", {}), found.get("subnets", {}), group_ids, by_default)
            for index, nic in enumerate(template.networks)
        )
    return Resolved(
        image_id=found["image"]["id"],
        image_name=found["image"].get("name") or template.image_asked,
        image_digest=_digest(found["image"]),
        flavor_id=found["flavor"]["id"],
        cores=found["flavor"]["vcpus"],
        memory_mib=found["flavor"]["ram"],
        nics=nics,
        security_group_ids=by_default,
        server_group_id=found.get("server_group") or "",
    )


def revision(template: Template, resolved: Resolved) -> Revision:
    """What a machine of this template is made of.

    User data counts before substitution and only as a digest, for it may hold a secret and fields are written on machines.
    A server group counts by the name asked for: its id is not known before it was made. Metadata and tags never replace.
    """
    fields = {
        "image": resolved.image_digest,
        "flavor": resolved.flavor_id,
        "networks": _say_nics(resolved.nics),
        "security_groups": ",".join(resolved.security_group_ids) if resolved.nics is None else None,
        "key_name": template.key_name,
        "server_group": template.server_group,
        "config_drive": "true" if template.config_drive else None,
        "boot_volume": _say_boot_volume(template.boot_volume),
        "user_data": "sha256:" + hashlib.sha256(template.user_data.encode()).hexdigest() if template.user_data else None,
    }
    image = {"asked": template.image_asked, "name": resolved.image_name, "id": resolved.image_id, "digest": resolved.image_digest}
    return revision_of(fields, image)


def find_server_group(transport: Transport, asked: str) -> str:
    """The id of the server group of this name or id; "" where there is none of this name."""
    listed = transport.request("GET", COMPUTE, "/os-server-groups", query=(("limit", "1000"),))["server_groups"]
    found = [group for group in listed if asked in (group["id"], group["name"])]
    if not found and _ID.fullmatch(asked):
        raise Invalid(what=f"there is no server group {asked}", where="openstack.server_group")
    return str(_only(found, "server group", asked, "openstack.server_group")["id"]) if found else ""


def _image(transport: Transport, template: Template, pinned: Mapping[str, str]) -> Found:
    where = "openstack.image" if template.image or not template.image_properties else "openstack.image_properties"
    asked = template.image_asked
    if not asked:
        raise Invalid(what="missing; expected the name or ID of an image, or image_properties", where=where)
    instead = pinned if pinned.get("asked") == asked else {}
    wanted, named = instead.get("id", ""), instead.get("name", "")
    if wanted or _ID.fullmatch(named or asked):
        try:
            found = [transport.request("GET", IMAGE, f"/images/{wanted or named or asked}")]
        except NotFound as exc:
            why = f", which this rollout pinned for {asked}, is gone" if wanted else " does not exist"
            raise Invalid(what=f"the image {wanted or named or asked}{why}", where=where) from exc
    else:
        by_name = bool(named or template.image)
        query = (("name", named or asked),) if by_name else tuple(sorted(template.image_properties.items()))
        found = list(every(transport, IMAGE, "/images", "images", query))
    revoked = [image[marks.IMAGE_REVOKED] for image in found if image.get(marks.IMAGE_REVOKED)]
    if revoked:
        from ansible_collections.immutable.fleet.plugins.module_utils.model.version import load_revocation

        what = f"the image {found[0]['name']} is revoked {load_revocation(revoked[0])}"
        raise Invalid(what=f"{what}; expected another version", where=where)
    usable = [image for image in found if image.get("status") == "active"]
    if found and not usable:
        raise Invalid(what=f"the image {named or asked} is {found[0].get('status')}; expected active", where=where)
    return _only(usable, "image", named or asked, where)


def _digest(image: Found) -> str:
    """The image's content hash; its id where Glance has none, as for a volume's snapshot."""
    if image.get("os_hash_value"):
        return f"{image['os_hash_algo']}:{image['os_hash_value']}"
    return f"md5:{image['checksum']}" if image.get("checksum") else f"id:{image['id']}"


def _flavor(transport: Transport, asked: str) -> Found:
    if not asked:
        raise Invalid(what="missing; expected the name or ID of a flavor", where="openstack.flavor")
    listed = list(every(transport, COMPUTE, "/flavors/detail", "flavors"))
    found = [flavor for flavor in listed if asked in (flavor["id"], flavor["name"])]
    if not found:
        raise Invalid(what=f"there is no flavor {asked!r}; there are {_names(listed)}", where="openstack.flavor")
    return _only(found, "flavor", asked, "openstack.flavor")


def _check_fit(image: Found, flavor: Found, volume: BootVolume | None) -> None:
    """Raise `Invalid` where no machine could ever be made of the two: what Nova would refuse, and what would end in ERROR later.

    A flavor without a disk of its own (0) takes any image. `virtual_size` is what the image unpacks to, where Glance knows it:
    the hypervisor, or Cinder, finds that it is too large only when the machine is being built.
    """
    needs = -(-max(image.get("size") or 0, image.get("virtual_size") or 0) // GIB)
    needs = max(needs, image.get("min_disk") or 0)
    name = f"the image {image.get('name') or image['id']}"
    if (image.get("min_ram") or 0) > flavor["ram"]:
        what = f"{name} needs {image['min_ram']} MiB of RAM, the flavor {flavor['name']} has {flavor['ram']}"
        raise Invalid(what=f"{what}; expected a flavor with that much", where="openstack.flavor")
    if volume is not None and needs > volume.size_gib:
        what = f"{name} needs {needs} GiB, the boot volume has {volume.size_gib}"
        raise Invalid(what=f"{what}; expected {needs} or more", where="openstack.boot_volume.size")
    if volume is None and 0 < flavor["disk"] < needs:
        what = f"{name} needs {needs} GiB of disk, the flavor {flavor['name']} has {flavor['disk']}"
        raise Invalid(what=f"{what}; expected a larger flavor, or openstack.boot_volume", where="openstack.flavor")


def _key(transport: Transport, name: str) -> Found:
    try:
        found: Found = transport.request("GET", COMPUTE, f"/os-keypairs/{name}")["keypair"]
    except NotFound as exc:
        raise Invalid(what=f"this user has no key pair {name!r}", where="openstack.key_name") from exc
    return found


def _volume_type(transport: Transport, volume: BootVolume | None) -> Found:
    asked = volume.type if volume else ""
    listed = transport.request("GET", VOLUME, "/types")["volume_types"]
    found = [kind for kind in listed if asked in (kind["id"], kind["name"])]
    if not found:
        raise Invalid(what=f"there is no volume type {asked!r}; there are {_names(listed)}", where="openstack.boot_volume.type")
    return _only(found, "volume type", asked, "openstack.boot_volume.type")


def _neutron(transport: Transport, kind: str, asked: set[str], where: str) -> dict[str, Found]:
    """`{name or id: object}` for all of `asked`: one call for the names and one for the ids, for Neutron joins filters by AND."""
    key = kind.replace("-", "_")
    fields = [("fields", name) for name in ("id", "name", "project_id", *(["network_id"] if kind == "subnets" else []))]
    listed: dict[str, Found] = {}
    for attribute, texts in (("id", [a for a in asked if _ID.fullmatch(a)]), ("name", [a for a in asked if not _ID.fullmatch(a)])):
        if texts:
            query = [*((attribute, text) for text in sorted(texts)), *fields]
            listed |= {item["id"]: item for item in transport.request("GET", NETWORK, f"/{kind}", query=query)[key]}
    thing = kind.replace("-", " ").removesuffix("s")
    matching = {text: [item for item in listed.values() if text in (item["id"], item["name"])] for text in sorted(asked)}
    return {text: _only(_own(transport, found), thing, text, where) for text, found in matching.items()}


def _own(transport: Transport, found: Sequence[Found]) -> Sequence[Found]:
    """Of several, the project's own: an administrator sees the group `default` of every project."""
    if len(found) > 1:
        project = transport.project_id()
        return [item for item in found if item.get("project_id") == project] or found
    return found


def _only(found: Sequence[Found], thing: str, asked: str, where: str) -> Found:
    """The single one found. Raises `Invalid` that names the ids when there are several."""
    if not found:
        raise Invalid(what=f"there is no {thing} {asked!r}", where=where)
    if len(found) > 1:
        ids = ", ".join(sorted(item["id"] for item in found))
        raise Invalid(what=f"{asked!r} means {len(found)} {thing}s: {ids}; expected one, or its ID", where=where)
    return found[0]


def _nic(
    nic: Network,
    index: int,
    networks: Mapping[str, Found],
    subnets: Mapping[str, Found],
    group_ids: Mapping[str, str],
    by_default: tuple[str, ...],
) -> Nic:
    subnet = subnets.get(nic.subnet)
    network_id = networks[nic.network]["id"] if nic.network else ""
    if subnet and network_id and subnet["network_id"] != network_id:
        raise Invalid(what=f"the subnet {nic.subnet!r} is not of the network {nic.network!r}", where=f"openstack.networks[{index}]")
    own = nic.security_groups
    return Nic(
        network_id=network_id or (subnet or {})["network_id"],
        subnet_id=subnet["id"] if subnet else "",
        fixed_ips=nic.fixed_ips,
        security_group_ids=by_default if own is None else tuple(sorted(group_ids[name] for name in own)),
        port_security=nic.port_security,
    )


def _say_nics(nics: tuple[Nic, ...] | None) -> str | None:
    """Interfaces as a compact text; addresses are a slot's, not the revision's."""
    if nics is None:
        return None
    parts = [[nic.network_id, nic.subnet_id, list(nic.security_group_ids), nic.port_security] for nic in nics]
    return json.dumps(parts, separators=(",", ":"))


def _say_boot_volume(volume: BootVolume | None) -> str | None:
    if volume is None:
        return None
    return f"{volume.size_gib}GiB" + (f" {volume.type}" if volume.type else "")


def _names(listed: Sequence[Found]) -> str:
    return ", ".join(sorted(str(item["name"]) for item in listed)) or "none"
