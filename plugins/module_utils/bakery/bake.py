# SPDX-License-Identifier: GPL-3.0-or-later
"""The bake: from inputs to an image with a manifest, stage after stage.

Promises: level-triggered. Each turn asks the disk what is there, has `decide/baking` say what comes next, and starts that; only the
loop waits. So a bake may be killed anywhere, and the next one goes on behind the last stage that was finished. No image gets a manifest
that the gate or the boot test refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ansible_collections.immutable.fleet.plugins.module_utils.bakery import bill, boot, chroot, disk, inputs
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.guest import Health
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.listing import listing_of
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.measure import measure
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.shelf import Shelf, write
from ansible_collections.immutable.fleet.plugins.module_utils.decide import baking
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.policy import Finding, Policy
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.rules import findings_in
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import InvariantViolated, Refused, Stopped
from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_count
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import Manifest, check_manifest

PAUSE_SECONDS = 0.1  # between two looks at a program; it costs one waitpid
FINDINGS_TOLD_MAX = 3  # in the message; the answer has all


class Work(Protocol):
    """A stage under way. `look` says whether it is finished and raises what went wrong; `stop` ends it, also when it has ended."""

    def look(self) -> bool: ...

    def stop(self) -> None: ...


class Host(boot.Audience, Protocol):
    """What the loop needs of where it runs."""

    def stop_reason(self) -> str: ...

    def wait(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to bake. With `image` it is a file from elsewhere, else a tree made of `debian` and the roles. `boot` None: it is not booted."""

    shelf: Shelf
    inputs: Mapping[str, str]
    debian: chroot.Debian | None = None
    image: Path | None = None
    named_roles: tuple[str, ...] = ()
    roles: Mapping[str, Path] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    size_mib: int = 0
    hygiene: Policy = field(default_factory=Policy)
    boot: baking.BootPolicy | None = None
    health: Health | None = None
    parent: str = ""
    git_commit: str = ""

    @property
    def order(self) -> tuple[str, ...]:
        """Its stages."""
        stages = baking.FROM_ELSEWHERE if self.image is not None else baking.MADE_HERE
        return tuple(stage for stage in stages if stage != baking.BOOT or self.boot is not None)


@dataclass(kw_only=True)
class Unclean(Refused):
    """The image holds what may not be in one. `findings` are all of them."""

    findings: list[Finding] = field(default_factory=list)

    code = "hygiene"


def bake(recipe: Recipe, host: Host) -> dict[str, float]:
    """The manifest is there afterwards. `{stage: seconds}` of what was done; empty where all was there.

    Raises `Unclean`, `boot.BootFailed`, `Invalid`, `ProgramFailed`, `LockHeld`; `Stopped` when `host` has a reason to stop.
    """
    took: dict[str, float] = {}
    with recipe.shelf.held():
        if recipe.shelf.manifest.exists():
            recipe.shelf.finish()  # a run that was killed behind the manifest
            return took
        recipe.shelf.clear_unfinished()
        recipe.shelf.begin(recipe.inputs)
        while stage := baking.next_stage(recipe.order, recipe.shelf.made()):
            if stage in took:
                raise InvariantViolated(what=f"stage {stage} ended well, and what it makes is not there", where=str(recipe.shelf.home))
            began = host.now()
            host.tell(Event(at=began, kind="stage", text=stage, data={"image": recipe.shelf.name, "version": recipe.shelf.version}))
            _finish(stage, recipe, host)
            took[stage] = (host.now() - began).total_seconds()
        recipe.shelf.finish()
    return took


def _finish(stage: str, recipe: Recipe, host: Host) -> None:
    """The one place that waits."""
    work = _start(stage, recipe, host)
    if work is None:
        return
    try:
        while not work.look():
            if reason := host.stop_reason():
                raise Stopped(what=f"stopped in the stage {stage}: {reason}", where=f"image {recipe.shelf.name}@{recipe.shelf.version}")
            host.wait(getattr(work, "pause_seconds", PAUSE_SECONDS))
    finally:
        work.stop()


def _start(stage: str, recipe: Recipe, host: Host) -> Work | None:
    """The work, or None for what takes moments and is done."""
    shelf = recipe.shelf
    if stage == baking.BASE and recipe.debian is not None:
        return chroot.base(shelf, recipe.debian)
    if stage == baking.TREE and recipe.image is not None:
        return disk.copied_out(shelf)
    if stage == baking.TREE:
        return chroot.Tree(shelf, recipe.roles, recipe.named_roles, recipe.variables)
    if stage == baking.DISK and recipe.image is not None:
        return disk.taken(shelf, recipe.image)
    if stage == baking.DISK:
        return disk.made(shelf, recipe.size_mib)
    if stage == baking.BOOT and recipe.boot is not None:
        return boot.Boot(shelf, recipe.boot, recipe.health, host)
    IN_MOMENTS[stage](recipe, host)
    return None


def _judge_hygiene(recipe: Recipe, host: Host) -> None:
    found = findings_in(listing_of(recipe.shelf.tree), recipe.hygiene)
    for finding in found:
        data = {"rule": finding.rule, "path": finding.path, "fix": finding.fix}
        host.tell(Event(at=host.now(), kind="finding", text=f"{finding.rule}: {finding}", data=data))
    if found:
        told = "; ".join(str(finding) for finding in found[:FINDINGS_TOLD_MAX])
        more = f"; and {len(found) - FINDINGS_TOLD_MAX} more" if len(found) > FINDINGS_TOLD_MAX else ""
        raise Unclean(
            what=f"the image may not be used: {say_count(len(found), 'finding')}: {told}{more}",
            where=f"image {recipe.shelf.name}@{recipe.shelf.version}",
            forward=f"let a role do it, or declare it under hygiene: {found[0].fix}",
            findings=found,
        )
    write(recipe.shelf.passed(baking.HYGIENE), "clean")


def _write_bill(recipe: Recipe, host: Host) -> None:
    shelf = recipe.shelf
    database = shelf.tree / bill.DPKG_STATUS[1:]
    packages = bill.packages_in(database.read_text(encoding="utf-8", errors="replace") if database.is_file() else "")
    document = bill.bill_of(shelf.name, shelf.version, packages, bill.distribution_of(listing_of(shelf.tree)), host.now())
    write(shelf.bill, json.dumps(document, indent=1))


def _write_manifest(recipe: Recipe, host: Host) -> None:
    shelf = recipe.shelf
    found = measure(str(shelf.image))
    manifest = Manifest(
        name=shelf.name,
        version=shelf.version,
        digest=found.digest,
        hashes=found.others,
        size=found.size,
        format=shelf.format,
        parent=recipe.parent,
        git_commit=recipe.git_commit,
        inputs=recipe.inputs,
        sbom=shelf.bill.name,
        sbom_digest=inputs.digest_of_file(shelf.bill),
        created_at=host.now(),
    )
    write(shelf.manifest, check_manifest(manifest).dump())


IN_MOMENTS: Mapping[str, Callable[[Recipe, Host], None]] = {
    baking.HYGIENE: _judge_hygiene,
    baking.BILL: _write_bill,
    baking.MANIFEST: _write_manifest,
}
