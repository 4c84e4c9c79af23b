# SPDX-License-Identifier: GPL-3.0-or-later
"""What `golden_image_builder` does: options to a wish, the loop, its answer."""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.builder import Site, bring_about
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import Options, parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.decide import building
from ansible_collections.immutable.fleet.plugins.module_utils.decide.building import ABSENT, CAPTURED, OPENED, Wanted
from ansible_collections.immutable.fleet.plugins.module_utils.entry.faces import Face
from ansible_collections.immutable.fleet.plugins.module_utils.entry.host import Host
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import builders_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import FleetError, Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import NAME
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import NewMachine
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Cloud

Params = Mapping[str, Any]

PUBLIC_KEY = re.compile(r"(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/]+=*( [^\n]*)?")
CALL_TIMEOUT = timedelta(seconds=60)  # no pool waits for these calls
USER_DATA = "#cloud-config\n{described}\n"  # JSON is YAML


def refuse_nonsense(params: Params) -> None:
    """Raises `Invalid` before a connection is looked for."""
    if not NAME.fullmatch(params["name"]):
        raise Invalid(what=f"{params['name']!r} is no name of an image; expected up to 63 of a-z 0-9 - . _", where="name")
    if params["openstack"] is None:
        raise Invalid(what="missing; expected the cloud that builders are machines of", where="openstack")
    builders, builder = builders_of(params["name"]), params["builder"]
    if builder is not None and marks.slot_of(builders, builder) is None:
        raise Invalid(what=f"{builder!r} is no builder of {params['name']}; expected what state=opened answered", where="builder")
    max_age, timeout = duration(params["max_age"], "max_age"), duration(params["timeout"], "timeout")
    if max_age < timeout and params["state"] != ABSENT:  # with that, somebody asks for a removal; a build must not do it in passing
        what = f"{params['max_age']} would remove builders that others have open; expected timeout ({params['timeout']}) or longer"
        raise Invalid(what=what, where="max_age")
    if params["state"] == OPENED and not PUBLIC_KEY.fullmatch(params["public_key"].strip()):
        raise Invalid(what="no public key of SSH; expected one line, as a file with .pub has it", where="public_key")
    if params["openstack"]["boot_volume"] is not None:
        what = "a snapshot of a volume has no bytes that could be fetched; expected a flavor whose own disk is large enough"
        raise Invalid(what=what, where="openstack.boot_volume")
    if params["openstack"]["networks"] == []:
        raise Invalid(what="a builder without a network cannot be reached; expected one, or none named", where="openstack.networks")
    if params["state"] == CAPTURED and not Path(params["path"]).absolute().parent.is_dir():
        raise Invalid(what=f"there is no folder {Path(params['path']).absolute().parent}", where="path")


def run(params: Params, face: Face, *, check: bool) -> dict[str, Any]:
    """The answer of `golden_image_builder`. Raises what `bring_about` raises."""
    state, builders = params["state"], builders_of(params["name"])
    builder = params["builder"] or ("" if state != OPENED else marks.machine_name(builders, 0, _suffix()))
    wanted = Wanted(state=state, builder=builder, max_age=duration(params["max_age"], "max_age"))
    face.answer |= {"name": params["name"], "changed": False, "steps": []}
    if state == OPENED and not check:
        face.answer["builder"] = builder  # from before the first call: who sweeps has to know it
    site = _site(params, builders, builder, face)
    if check:
        return face.answer | {"changed": state != ABSENT or bool(_due(site, wanted, face))}
    done: list[building.Step] = []
    try:
        machine = bring_about(wanted, site, Host(face, duration(params["timeout"], "timeout")), done)
    except FleetError as error:
        face.reporter.tell(Event(at=face.now(), kind="end", text=str(error), data={"code": error.code, "pending": ""}))
        raise
    finally:
        face.answer |= {"changed": bool(done), "steps": [_said(step) for step in done]}
    face.reporter.tell(Event(at=face.now(), kind="end", text="done", data={"code": "ok", "pending": ""}))
    if machine is not None:
        face.answer |= {"id": machine.id, "addresses": list(machine.addresses)}
    return face.answer | ({"image_file": str(site.file)} if site.file is not None else {})


def _due(site: Site, wanted: Wanted, face: Face) -> bool:
    """Whether something would be removed."""
    listing = site.cloud.list_vms(None, with_leftovers=True)
    seen = building.Seen(vms=listing.vms, leftovers=listing.leftovers or (), captures=site.captures.list())
    return building.next_step(seen, wanted, face.now()).verb != building.DONE


def _site(params: Params, builders: str, builder: str, face: Face) -> Site:
    """Makes no call but what a new machine needs to be known: image, flavor and networks by their ids."""
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.captures import NovaCaptures
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import Client
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.cloud import OpenStackCloud

    options: Options = parse_options(params["openstack"], _user_data(params["public_key"] or ""))
    transport = Client(options.connection, CALL_TIMEOUT, face.now)
    cloud = OpenStackCloud(builders, options, call_timeout=CALL_TIMEOUT, now=face.now, transport=transport)
    machine = _machine(cloud, builder, face) if params["state"] == OPENED else None
    file = Path(params["path"]).absolute() if params["state"] == CAPTURED else None
    return Site(cloud=cloud, captures=NovaCaptures(transport, builders), machine=machine, file=file)


def _machine(cloud: Cloud, builder: str, face: Face) -> NewMachine:
    """Raises `Invalid` for an image, flavor or network that is not there."""
    revision = cloud.resolve()
    return NewMachine(
        name=builder, slot=0, failure_domain="", revision=revision.id, fields=revision.fields, attempt=1, created_at=face.now()
    )


def _user_data(public_key: str) -> str:
    """The key goes by user data, and no key pair of the cloud's can be left behind. A dollar sign stands for itself."""
    described = json.dumps({"ssh_authorized_keys": [public_key.strip()]})
    return USER_DATA.format(described=described).replace("$", "$$")


def _suffix() -> str:
    letters = string.ascii_lowercase + string.digits
    return "".join(secrets.choice(letters) for _letter in range(marks.NAME_SUFFIX_LENGTH))


def _said(step: building.Step) -> dict[str, str]:
    name = getattr(step.thing, "name", "") or getattr(step.thing, "builder", "")
    return {"step": step.verb, "of": name, "why": step.why}
