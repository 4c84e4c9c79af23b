# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest comes back as it was written, wrong ones are refused by key, and equal inputs are recognised."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import (
    Manifest,
    Revocation,
    check_manifest,
    load_manifest,
    load_revocation,
    parse_ref,
)
from ansible_collections.immutable.fleet.tests.unit.builders import NOW

FULL = Manifest(
    name="web",
    version="20261121.1",
    digest="sha256:" + "a" * 64,
    created_at=NOW,
    size=4096,
    format="raw",
    hashes={"sha512": "b" * 128},
    parent="base@7",
    git_commit="0a1b2c3",
    inputs={"base": "sha256:1", "roles": "sha256:2"},
    sbom="https://artefacts.example.com/web.cdx.json",
    sbom_digest="sha256:" + "c" * 64,
)


def test_a_manifest_comes_back_as_it_was() -> None:
    """Text and value are one thing: what was signed can be written again."""
    assert load_manifest(FULL.dump()) == FULL
    assert load_manifest(FULL.dump()).dump() == FULL.dump()
    assert FULL.ref == "web@20261121.1"


def test_a_key_of_a_later_release_is_passed_over() -> None:
    """An older controller can still use the image."""
    assert load_manifest(FULL.dump()[:-1] + ',"zone":"x"}') == FULL


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "web"}', "no json", '{"created_at": 3}'])
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        load_manifest(text)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"name": "Web"}, "name"),
        ({"name": ""}, "name"),
        ({"version": "1@2"}, "version"),
        ({"version": "1/2"}, "version"),
        ({"digest": "md5:1"}, "digest"),
        ({"parent": "base"}, "parent"),
        ({"parent": "web@20261121.1"}, "parent"),
    ],
    ids=str,
)
def test_a_wrong_manifest_is_refused_by_its_key(change: dict[str, Any], where: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_manifest(replace(FULL, **change))
    assert refused.value.where == where


def test_equal_inputs_are_recognised() -> None:
    """In any order; another parent is another build."""
    turned = replace(FULL, inputs={"roles": "sha256:2", "base": "sha256:1"}, version="2", digest="sha256:" + "d" * 64)
    assert turned.inputs_digest == FULL.inputs_digest
    assert replace(FULL, parent="base@8").inputs_digest != FULL.inputs_digest
    assert replace(FULL, inputs={}, parent="").inputs_digest == ""


def test_a_reference_is_name_and_version() -> None:
    assert parse_ref("ubuntu-24.04@1.2") == ("ubuntu-24.04", "1.2")
    with pytest.raises(Invalid) as refused:
        parse_ref("ubuntu", "image.version")
    assert refused.value.where == "image.version"


def test_a_revocation_comes_back_and_a_foreign_text_revokes_too() -> None:
    """Who wrote something there by hand meant it."""
    revoked = Revocation(at=NOW, by="ana@laptop", why="CVE-2026-1")
    assert load_revocation(revoked.dump()) == revoked
    foreign = load_revocation("do not use")
    assert foreign is not None
    assert foreign.why == "do not use"
    assert load_revocation("") is None
