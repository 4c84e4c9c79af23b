# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be published and revoked, and which versions are in use."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.publishing import published, revocations, used
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Blocked, Conflict, Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import UPLOADING, Version
from ansible_collections.immutable.fleet.tests.unit.decide.test_channels import WHY, known, version


def with_digest(made: Version, letter: str) -> Version:
    return replace(made, manifest=replace(made.manifest, digest="sha256:" + letter * 64))


NEW = version("web@2", parent="web@1")


@pytest.mark.parametrize(
    "there",
    [
        pytest.param((), id="nothing there"),
        pytest.param((version("web@1"),), id="its parent may be used"),
        pytest.param((version("web@1"), version("web@2", state=UPLOADING)), id="an upload that did not end"),
        pytest.param((version("web@1"), with_digest(version("web@2", state=UPLOADING), "b")), id="an upload of other bytes"),
    ],
)
def test_what_may_be_uploaded(there: tuple[Version, ...]) -> None:
    assert published(NEW.manifest, known(*there)) is None


def test_what_is_there_is_not_uploaded_again() -> None:
    """Though its parent was revoked since: then it is revoked as well, and nothing is published."""
    assert published(NEW.manifest, known(version("web@1", revoked=True), NEW)) == NEW


@pytest.mark.parametrize(
    ("there", "kind", "said"),
    [
        pytest.param((with_digest(NEW, "b"),), Invalid, "a version never changes", id="other bytes"),
        pytest.param((version("web@2", state=UPLOADING, revoked=True),), Blocked, "web@2 is revoked by ana", id="revoked in its upload"),
        pytest.param((version("web@1", revoked=True),), Blocked, "the parent web@1 may not be used", id="its parent is revoked"),
        pytest.param(
            (version("web@0", revoked=True), version("web@1", parent="web@0")), Blocked, "web@0 is revoked", id="its parent's parent is"
        ),
    ],
)
def test_what_may_not_be_published(there: tuple[Version, ...], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        published(NEW.manifest, known(*there))


FAMILY = known(version("web@1"), version("web@2", parent="web@1"), version("web@3", parent="web@2"), version("web@4"))
HEIRS = replace(WHY, why="built upon web@1: CVE-2026-1")


@pytest.mark.parametrize(
    ("changed", "marked"),
    [
        pytest.param({}, {"web@1": WHY, "web@2": HEIRS, "web@3": HEIRS}, id="the version first, then its heirs"),
        pytest.param({"web@1": version("web@1", revoked=True)}, {"web@2": HEIRS, "web@3": HEIRS}, id="what is marked stays as it is"),
        pytest.param(
            {"web@3": version("web@3", parent="web@2", state=UPLOADING)}, {"web@1": WHY, "web@2": HEIRS}, id="an upload inherits it"
        ),
    ],
)
def test_what_a_revocation_marks(changed: dict[str, Version], marked: dict[str, object]) -> None:
    found = revocations("web@1", {**FAMILY, **changed}, WHY)
    assert (found, [*found]) == (marked, [*marked])


@pytest.mark.parametrize(
    ("ref", "kind"),
    [pytest.param("web@9", Invalid, id="not there"), pytest.param("web@5", Conflict, id="an upload under way would lose the mark")],
)
def test_what_cannot_be_revoked(ref: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        revocations(ref, {**FAMILY, "web@5": version("web@5", state=UPLOADING)}, WHY)


def test_what_is_in_use() -> None:
    """Machines come before a name: they say more."""
    machines = {"id-web@1": ("a",), "id-web@2": ("a", "b", "c")}
    fourth = with_digest(FAMILY["web@4"], "f")
    assert used({**FAMILY, "web@4": fourth}, machines, ["web@1", fourth.manifest.digest]) == {
        "web@1": "a runs it",
        "web@2": "a and 2 more run it",
        "web@4": "named in in_use",
    }
