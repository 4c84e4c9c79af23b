# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of `golden_image_build` as a recipe; wrong ones are refused with their path, before anything is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.chroot import Debian
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.guest import Health
from ansible_collections.immutable.fleet.plugins.module_utils.decide.baking import BootPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.entry import baking
from ansible_collections.immutable.fleet.plugins.module_utils.entry.build_specs import GOLDEN_IMAGE_BUILD, RULES
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene import rules
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid, Refused
from ansible_collections.immutable.fleet.plugins.modules import golden_image_build
from ansible_collections.immutable.fleet.tests.unit.entry.test_specs import documented

CHROOT = {
    "suite": "bookworm",
    "mirror": None,
    "components": ["main"],
    "variant": "minbase",
    "packages": [],
    "apt_options": [],
    "size": None,
}
HYGIENE: dict[str, Any] = {"ports": [8080], "ssh": True, "users": [], "sudoers": [], "clock_sync": True, "allow": []}
BOOT: dict[str, Any] = {"test": True, "limit": "15m", "health": None}
OPTIONS: dict[str, Any] = {
    "name": "web",
    "version": None,
    "path": "images",
    "format": "qcow2",
    "chroot": CHROOT,
    "file": None,
    "roles": None,
    "roles_path": [],
    "variables": None,
    "extra_inputs": [],
    "parent": "",
    "git_commit": None,
    "hygiene": HYGIENE,
    "boot": BOOT,
    "timeout": None,
}


def test_options_and_documentation_are_twins() -> None:
    """What ansible-doc shows is what is accepted, and the rules that may be allowed are those there are."""
    options = yaml.safe_load(golden_image_build.DOCUMENTATION)["options"]
    assert documented(options) == documented(GOLDEN_IMAGE_BUILD.options)
    assert list(options) == list(GOLDEN_IMAGE_BUILD.options)
    assert list(rules.RULES) == RULES


def test_a_recipe() -> None:
    """All values, those that nobody gave as well."""
    recipe = baking.recipe_of({**OPTIONS, "boot": {**BOOT, "health": {"port": 8080, "path": "/ok"}}, "git_commit": "0a1b"})
    assert recipe.debian == Debian(suite="bookworm")
    assert recipe.boot == BootPolicy(awaited=("its user data was applied", "it is healthy"), ports=frozenset({8080}))
    assert (recipe.health, recipe.git_commit, recipe.size_mib) == (Health(port=8080, path="/ok"), "0a1b", 0)
    assert recipe.order == ("base", "tree", "hygiene", "bill", "disk", "boot", "manifest")
    assert sorted(recipe.inputs) == ["base", "disk", "gate", "layout"]
    assert len(recipe.shelf.version) == 12


def test_an_image_from_elsewhere(tmp_path: Path) -> None:
    """It is there first and looked into; without a boot test it is not booted."""
    (tmp_path / "vendor.qcow2").write_text("image")
    options = {**OPTIONS, "chroot": None, "file": str(tmp_path / "vendor.qcow2"), "boot": {**BOOT, "test": False}}
    assert baking.recipe_of(options).order == ("disk", "tree", "hygiene", "bill", "manifest")


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"hygiene": {**HYGIENE, "ports": []}}, id="a stricter gate"),
        pytest.param({"format": "raw"}, id="another format"),
        pytest.param({"chroot": {**CHROOT, "packages": ["curl"]}}, id="a package"),
        pytest.param({"variables": {"a": 1}}, id="a variable"),
        pytest.param({"parent": "base@7"}, id="another parent"),
    ],
)
def test_what_makes_another_version(changed: dict[str, Any]) -> None:
    """And the same again makes the same."""
    assert baking.recipe_of(OPTIONS).shelf.version == baking.recipe_of(OPTIONS).shelf.version
    assert baking.recipe_of({**OPTIONS, **changed}).shelf.version != baking.recipe_of(OPTIONS).shelf.version


def test_a_base_is_shared_by_what_is_made_of_it() -> None:
    """Roles, variables and the gate do not make another base; packages do."""
    one = baking.recipe_of(OPTIONS).shelf.base
    assert baking.recipe_of({**OPTIONS, "name": "db", "variables": {"a": 1}}).shelf.base == one
    assert baking.recipe_of({**OPTIONS, "chroot": {**CHROOT, "packages": ["curl"]}}).shelf.base != one


@pytest.mark.parametrize(
    ("changed", "where", "said"),
    [
        ({"name": "Web"}, "name", "'Web' is no name of an image"),
        ({"version": "a/b"}, "version", "'a/b' is no version"),
        ({"chroot": None, "file": "/nowhere.qcow2"}, "file", "there is no file /nowhere.qcow2"),
        ({"parent": "base"}, "parent", "'base' names no version"),
        ({"roles": ["nowhere"]}, "roles", "role 'nowhere' is not there"),
        ({"extra_inputs": ["/nowhere"]}, "extra_inputs", "cannot be read: No such file or directory: /nowhere"),
        ({"chroot": {**CHROOT, "size": "4T"}}, "chroot.size", "'4T' is no size; expected a form such as 800M or 4G"),
        ({"hygiene": {**HYGIENE, "ports": [0]}}, "hygiene.ports", "0 is no port; expected 1 to 65535"),
        ({"boot": {**BOOT, "limit": "soon"}}, "boot.limit", "'soon' is not a duration"),
        (
            {"boot": {**BOOT, "health": {"port": 9, "path": ""}}},
            "boot.health.port",
            "port 9 is not declared; expected one of hygiene.ports",
        ),
        ({"boot": {**BOOT, "health": {"port": 8080, "path": "ok"}}}, "boot.health.path", "'ok' is no path of a URL"),
    ],
)
def test_what_is_wrong_is_refused_by_its_path(changed: dict[str, Any], where: str, said: str) -> None:
    """With what was expected."""
    with pytest.raises(Invalid) as refused:
        baking.recipe_of({**OPTIONS, **changed})
    assert refused.value.where == where
    assert said in refused.value.what


def test_a_version_of_other_inputs_is_refused(tmp_path: Path) -> None:
    """A version is immutable, and the message says what differs."""
    recipe = baking.recipe_of({**OPTIONS, "path": str(tmp_path), "version": "7"})
    with pytest.raises(Refused, match="version 7 is there and was made of other inputs: base, old"):
        baking._same_inputs({"inputs": {**recipe.inputs, "base": "sha256:0", "old": "1"}}, recipe)
    baking._same_inputs({"inputs": recipe.inputs}, recipe)
