# SPDX-License-Identifier: GPL-3.0-or-later
"""What `golden_image_builder` does: options to a wish, the loop, its answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import Options, parse_options
from ansible_collections.immutable.fleet.plugins.module_utils.decide.building import (
    ABSENT,
    CAPTURED,
    MAKE_ANOTHER,
    OPENED,
    Building,
    Wanted,
)
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports, Result, RunSettings, Step
from ansible_collections.immutable.fleet.plugins.module_utils.engine.threads import ThreadsRuntime
from ansible_collections.immutable.fleet.plugins.module_utils.entry import jobs
from ansible_collections.immutable.fleet.plugins.module_utils.entry.faces import Face
from ansible_collections.immutable.fleet.plugins.module_utils.entry.jobs import Watched
from ansible_collections.immutable.fleet.plugins.module_utils.entry.wiring import Kit
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import builders_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import FleetError, Invalid, InvariantViolated, Stopped
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import ANY
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import NAME
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Cloud

Params = Mapping[str, Any]

PUBLIC_KEY = re.compile(r"(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/]+=*( [^\n]*)?")
CALL_TIMEOUT = timedelta(seconds=60)  # no pool waits for these calls
FIRST_LOOK = 3 * CALL_TIMEOUT  # a cloud that answers nothing for so long is out of reach
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
    """The answer of `golden_image_builder`, of check mode what it would be. Raises what ended the run."""
    state, mark = params["state"], builders_of(params["name"])
    kit = _kit(params, mark)
    builder = params["builder"] or (
        "" if state != OPENED else marks.machine_name(mark, 0, kit.runtime.fresh_suffix(marks.NAME_SUFFIX_LENGTH))
    )
    path = str(Path(params["path"]).absolute()) if state == CAPTURED else ""
    face.answer |= {"name": params["name"], "changed": False, "steps": []}
    if state == OPENED and not check:
        face.answer["builder"] = builder  # from before the first call: who sweeps has to know it
    wanted = Wanted(state=state, mark=mark, builder=builder, max_age=duration(params["max_age"], "max_age"), path=path)
    job = Watched(Building(wanted, _cloud(kit).resolve() if state == OPENED else ANY))
    limit = duration(params["timeout"], "timeout")
    settings = RunSettings(holder="", call_timeout=CALL_TIMEOUT, first_look=FIRST_LOOK, timeout=limit, steering_look=None)
    result = jobs.run(job, kit, settings, face, check=check, seen=LockFact())
    face.answer |= {"changed": result.changed, "steps": [_said(step) for step in result.steps]}
    if result.failure is not None:
        raise _in_full(result.failure, result, wanted)
    if check:
        return face.answer
    machine = result.machines.get(builder)
    if state == OPENED and machine is not None:
        face.answer |= {"id": machine.vm.id, "addresses": list(machine.vm.addresses)}
    return face.answer | ({"image_file": path} if path else {})


def _in_full(failure: FleetError, result: Result, wanted: Wanted) -> FleetError:
    """One that was stopped says what it waited for; and a builder is no pool that one could go on with, or back."""
    if isinstance(failure, Stopped):
        failure.what = "; ".join((failure.what, *(blocker.what for blocker in result.blockers)))
        failure.where = f"builder {wanted.builder}" if wanted.builder else "all builders of the image"
        failure.back = "run the task with state absent: it removes what is there"
        if wanted.state == OPENED:
            failure.forward = MAKE_ANOTHER
    return failure


def _kit(params: Params, mark: str) -> Kit:
    """The cloud with its images of disks. No lock: two runs have no builder in common."""
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.captures import NovaCaptures
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import Client
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.cloud import OpenStackCloud

    options: Options = parse_options(params["openstack"], _user_data(params["public_key"] or ""))
    runtime = ThreadsRuntime()
    transport = Client(options.connection, CALL_TIMEOUT, runtime.now)
    cloud = OpenStackCloud(mark, options, call_timeout=CALL_TIMEOUT, now=runtime.now, transport=transport)
    return Kit(Ports(cloud=cloud, captures=NovaCaptures(transport, mark)), runtime)


def _cloud(kit: Kit) -> Cloud:
    if kit.ports.cloud is None:
        raise InvariantViolated(what="a builder is a machine of a cloud")
    return kit.ports.cloud


def _user_data(public_key: str) -> str:
    """The key goes by user data, and no key pair of the cloud's can be left behind. A dollar sign stands for itself."""
    described = json.dumps({"ssh_authorized_keys": [public_key.strip()]})
    return USER_DATA.format(described=described).replace("$", "$$")


def _said(step: Step) -> dict[str, str]:
    return {"step": step.verb, "of": step.machine, "why": step.reason}
