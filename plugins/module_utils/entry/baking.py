# SPDX-License-Identifier: GPL-3.0-or-later
"""What `golden_image_build` does: options to a recipe, the bake, its answer."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.bakery import inputs
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.bake import Recipe, Unclean, bake
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.chroot import Debian, playbook_program
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.disk import GRUB_FOLDER
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.guest import Health
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.shelf import Shelf
from ansible_collections.immutable.fleet.plugins.module_utils.decide import baking
from ansible_collections.immutable.fleet.plugins.module_utils.entry.faces import Face
from ansible_collections.immutable.fleet.plugins.module_utils.entry.host import Host
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.policy import Allowance, Policy
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import FleetError, Invalid, Refused
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import NAME, VERSION, parse_ref

Params = Mapping[str, Any]

SIZE = re.compile(r"(\d+)([MG])")
MIB = {"M": 1, "G": 1024}
PORT_MAX = 65535
SSH_PORT = baking.SSH_PORT
GIT_SECONDS = 10.0
PLACES = (".ansible/roles", ".ansible/collections")  # of the user, where ansible-galaxy installs to
SYSTEM_PLACES = ("/etc/ansible/roles", "/usr/share/ansible/roles", "/usr/share/ansible/collections")

# Program or file -> the Debian package that has it.
TO_ENCLOSE = {"unshare": "util-linux", "setpriv": "util-linux"}
TO_MAKE = {"mmdebstrap": "mmdebstrap", "tar": "tar", "sfdisk": "fdisk", "mke2fs": "e2fsprogs", "grub-mkimage": "grub-common"}
TO_MAKE |= {f"{GRUB_FOLDER}/boot.img": "grub-pc-bin", "qemu-img": "qemu-utils"}
TO_TAKE = {"qemu-img": "qemu-utils", "mount": "mount", "tar": "tar", "sfdisk": "fdisk"}
TO_BOOT = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "xorrisofs": "xorriso"}


def run(params: Params, face: Face, *, check: bool) -> dict[str, Any]:
    """The answer of `golden_image_build`. Raises what `bake` raises, and `Invalid` or `Refused` before anything is touched."""
    recipe = recipe_of(params)
    limit = duration(params["timeout"], "timeout") if params["timeout"] is not None else None
    made = recipe.shelf.read_manifest()
    if made is not None:
        _same_inputs(made, recipe)
        recipe.shelf.image_is_there()
    face.answer |= {"name": recipe.shelf.name, "version": recipe.shelf.version, "changed": False, "stages": [], "findings": []}
    if check:
        return _plan(recipe, is_made=made is not None)
    if made is None:
        _needs(recipe)
        face.answer |= {"stages": _bake(recipe, face, limit), "changed": True}
    return face.answer | _whole(recipe)


def recipe_of(params: Params) -> Recipe:
    """What is to be baked. Raises `Invalid`."""
    if not NAME.fullmatch(params["name"]):
        raise Invalid(what=f"{params['name']!r} is no name of an image; expected up to 63 of a-z 0-9 - . _", where="name")
    if params["parent"]:
        parse_ref(params["parent"], "parent")
    image = Path(params["file"]) if params["file"] else None
    if image is not None and not image.is_file():
        raise Invalid(what=f"there is no file {image}", where="file")
    policy, boot, health = _policy(params["hygiene"]), None, None
    if params["boot"]["test"]:
        health = _health(params["boot"]["health"], policy)
        awaited = (baking.USER_DATA, baking.HEALTH)
        boot = baking.BootPolicy(awaited=awaited, ports=policy.ports, ssh=policy.ssh, limit=duration(params["boot"]["limit"], "boot.limit"))
    named = tuple(params["roles"] or ())
    roles = inputs.roles_of(named, _places(params["roles_path"]))
    debian = _debian(params["chroot"]) if params["chroot"] else None
    base = {"debian": repr(debian), "image": image}
    found = inputs.inputs_of(base, roles, params["variables"] or {}, [Path(path) for path in params["extra_inputs"]])
    size = _size(params["chroot"] or {})
    # What judges an image is an input as well: one that a stricter gate never saw is another version.
    found |= {"gate": inputs.digest_of([params["hygiene"], params["boot"]]), "disk": f"{params['format']} {size or 'fitting'}"}
    version = params["version"] or inputs.version_of(found, params["parent"])
    if not VERSION.fullmatch(version):
        raise Invalid(what=f"{version!r} is no version; expected up to 63 of A-Z a-z 0-9 - . _", where="version")
    shelf = Shelf(
        folder=Path(params["path"]).absolute(),
        name=params["name"],
        version=version,
        format=params["format"],
        base_digest=inputs.digest_of([inputs.LAYOUT, repr(debian)]) if debian is not None else "",
    )
    return Recipe(
        shelf=shelf,
        inputs=found,
        debian=debian,
        image=image,
        named_roles=named,
        roles=roles,
        variables=params["variables"] or {},
        size_mib=size,
        hygiene=policy,
        boot=boot,
        health=health,
        parent=params["parent"],
        git_commit=params["git_commit"] if params["git_commit"] is not None else _commit_of(list(roles.values())),
    )


def _bake(recipe: Recipe, face: Face, limit: timedelta | None) -> list[dict[str, Any]]:
    try:
        took = bake(recipe, Host(face, limit))
    except FleetError as error:
        if isinstance(error, Unclean):
            fields = ("rule", "path", "what", "fix")
            face.answer["findings"] = [{name: getattr(finding, name) for name in fields} for finding in error.findings]
        face.reporter.tell(Event(at=face.now(), kind="end", text=str(error), data={"code": error.code, "pending": ""}))
        raise
    face.reporter.tell(Event(at=face.now(), kind="end", text="done", data={"code": "ok", "pending": ""}))
    return [{"stage": stage, "seconds": round(seconds, 1)} for stage, seconds in took.items()]


def _plan(recipe: Recipe, *, is_made: bool) -> dict[str, Any]:
    done = recipe.shelf.made()
    left = [] if is_made else [stage for stage in recipe.order if not done[stage]]
    return {"changed": not is_made, "plan": left}


def _whole(recipe: Recipe) -> dict[str, Any]:
    """Where everything is."""
    shelf = recipe.shelf
    manifest = shelf.read_manifest() or {}
    files = {"image_file": shelf.image, "manifest_file": shelf.manifest, "sbom_file": shelf.bill}
    return {name: str(path) for name, path in files.items()} | {"digest": manifest.get("digest", ""), "manifest": manifest}


def _same_inputs(made: Mapping[str, Any], recipe: Recipe) -> None:
    """A version is made once. Raises `Refused` where it was made of something else."""
    was = made.get("inputs", {})
    changed = sorted(name for name in {*was, *recipe.inputs} if was.get(name) != recipe.inputs.get(name))
    if changed:
        raise Refused(
            what=f"version {recipe.shelf.version} is there and was made of other inputs: {', '.join(changed)}",
            where=str(recipe.shelf.manifest),
            forward="give another version, or none: then inputs make it",
        )


def _needs(recipe: Recipe) -> None:
    """Raises `Refused` for what is missing on this machine."""
    if os.geteuid() != 0:
        raise Refused(what="a root file system is made and read as root", where="golden_image_build", forward="become: true")
    needed = dict(TO_ENCLOSE)
    needed |= TO_TAKE if recipe.image is not None else TO_MAKE
    needed |= TO_BOOT if recipe.boot is not None else {}
    missing = {name: package for name, package in needed.items() if not (Path(name).exists() if "/" in name else shutil.which(name))}
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        raise Refused(what=f"not installed here: {', '.join(missing)}", where="golden_image_build", forward=f"apt-get install {packages}")
    if recipe.named_roles and not shutil.which(playbook_program()):
        raise Refused(what="ansible-playbook, which applies the roles, is not on PATH", where="roles", forward="pip install ansible-core")


def _policy(hygiene: Mapping[str, Any]) -> Policy:
    for port in hygiene["ports"]:
        _port(port, "hygiene.ports")
    return Policy(
        ports=frozenset(hygiene["ports"]),
        ssh=hygiene["ssh"],
        users=frozenset(hygiene["users"]),
        sudoers=frozenset(hygiene["sudoers"]),
        clock_sync=hygiene["clock_sync"],
        allowed=tuple(Allowance(**{name: entry[name] for name in ("rule", "path", "reason")}) for entry in hygiene["allow"]),
    )


def _health(health: Mapping[str, Any] | None, policy: Policy) -> Health | None:
    if health is None:
        return None
    port = _port(health["port"], "boot.health.port")
    if port not in policy.ports and not (port == SSH_PORT and policy.ssh):
        raise Invalid(what=f"port {port} is not declared; expected one of hygiene.ports", where="boot.health.port")
    if health["path"] and not health["path"].startswith("/"):
        raise Invalid(what=f"{health['path']!r} is no path of a URL; expected a form such as /healthz", where="boot.health.path")
    return Health(port=port, path=health["path"])


def _port(port: int, where: str) -> int:
    if not 0 < port <= PORT_MAX:
        raise Invalid(what=f"{port} is no port; expected 1 to {PORT_MAX}", where=where)
    return port


def _debian(chroot: Mapping[str, Any]) -> Debian:
    return Debian(
        suite=chroot["suite"],
        mirror=chroot["mirror"] or "",
        components=tuple(chroot["components"]),
        variant=chroot["variant"],
        packages=tuple(chroot["packages"]),
        apt_options=tuple(chroot["apt_options"]),
    )


def _size(chroot: Mapping[str, Any]) -> int:
    """Of the disk, in MiB; 0: as large as needed."""
    text = chroot.get("size")
    if text is None:
        return 0
    match = SIZE.fullmatch(text)
    if match is None:
        raise Invalid(what=f"{text!r} is no size; expected a form such as 800M or 4G", where="chroot.size")
    return int(match[1]) * MIB[match[2]]


def _places(given: Sequence[str]) -> list[Path]:
    """Where roles are looked for: what was given, then where Ansible looks."""
    variables = ("ANSIBLE_ROLES_PATH", "ANSIBLE_COLLECTIONS_PATH")
    inherited = [Path(place) for name in variables for place in os.environ.get(name, "").split(os.pathsep) if place]
    return [*map(Path, given), *inherited, *(Path.home() / place for place in PLACES), *map(Path, SYSTEM_PLACES)]


def _commit_of(folders: Sequence[Path]) -> str:
    """The commit that the first role lies in, with `-dirty` where it was changed since; "" where it lies in none."""
    if not folders:
        return ""
    git = ["git", "-C", str(folders[0]), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(git, check=True, capture_output=True, text=True, timeout=GIT_SECONDS).stdout.strip()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
