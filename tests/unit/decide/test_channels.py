# SPDX-License-Identifier: GPL-3.0-or-later
"""What a channel points to after any history, and what may be promoted, rolled back and removed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.channels import (
    Asking,
    ancestry,
    descendants,
    doubt,
    points_to,
    promoted,
    raced,
    retained,
    revocation_of,
    rolled_back,
    version_meant,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.channel import (
    PROMOTE,
    ROLLBACK,
    Catalogue,
    Promotion,
    load_promotion,
    parse_channel,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Blocked, Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.version import BROKEN, UPLOADING, Manifest, Revocation, Version
from ansible_collections.immutable.fleet.tests.unit.builders import NOW

WHY = Revocation(at=NOW, by="ana@laptop", why="CVE-2026-1")
ASKING = Asking(by="ana@laptop", at=NOW, token="t")
OLD = timedelta(days=60)


def version(ref: str, *, parent: str = "", revoked: bool = False, state: str = "published", age: timedelta = OLD) -> Version:
    name, _at, number = ref.partition("@")
    manifest = Manifest(name=name, version=number, digest="sha256:" + "0" * 64, created_at=NOW - age, parent=parent)
    return Version(manifest=manifest, id=f"id-{ref}", state=state, revoked=WHY if revoked else None, begun_at=NOW - age)


def known(*versions: Version) -> dict[str, Version]:
    return {each.ref: each for each in versions}


def history(text: str) -> tuple[Promotion, ...]:
    """Of "6 7 8 <7": promotions of web@6, 7 and 8, then a rollback to 7."""
    return tuple(
        Promotion(
            image="web",
            channel="stable",
            number=number,
            version=f"web@{word.strip('<')}",
            kind=ROLLBACK if word.startswith("<") else PROMOTE,
            at=NOW,
            by="ci",
            token=f"t{number}",
        )
        for number, word in enumerate(text.split(), 1)
    )


@pytest.mark.parametrize(
    ("promotions", "revoked", "expected"),
    [
        ("", "", None),
        ("6", "", "6"),
        ("6 7 8", "", "8"),
        ("6 7 8 <7", "", "7"),
        ("6 7 8 <7 <6", "", "6"),
        ("6 7 8 <7 9", "", "9"),
        ("6 7 8 <7 9 <7", "", "7"),
        ("6 7 8", "8", "7"),
        ("6 7 8", "8 7", "6"),
        ("6 7 8", "8 7 6", None),
        ("6 7 8 <7", "7", "6"),
        ("6 7 6", "6", "7"),
        ("6 7 <5", "", "5"),
    ],
    ids=str,
)
def test_a_channel_points_to_the_newest_promotion_that_stands(promotions: str, revoked: str, expected: str | None) -> None:
    """What was rolled back from stays behind, also when what it was rolled back to is revoked."""
    versions = known(*(version(f"web@{number}", revoked=str(number) in revoked) for number in range(5, 10)))
    found = points_to(reversed(history(promotions)), versions)
    assert (found.version if found else None) == (f"web@{expected}" if expected else None)


def test_a_version_that_is_no_more_is_passed_over() -> None:
    """Somebody deleted it by hand; the channel still points to something that exists."""
    found = points_to(history("6 7"), known(version("web@6")))
    assert found is not None
    assert found.version == "web@6"


FAMILY = known(
    version("base@1", revoked=True),
    version("base@2"),
    version("mid@1", parent="base@1"),
    version("web@1", parent="mid@1"),
    version("web@2", parent="base@2"),
    version("loop@1", parent="loop@2"),
    version("loop@2", parent="loop@1"),
)


def test_ancestry_is_walked_to_its_known_end() -> None:
    assert ancestry("web@1", FAMILY) == ("mid@1", "base@1")
    assert ancestry("loop@1", FAMILY) == ("loop@2",)
    assert descendants("base@1", FAMILY) == ("mid@1", "web@1")


def test_children_inherit_a_revocation() -> None:
    assert revocation_of("web@1", FAMILY) == ("base@1", WHY)
    assert revocation_of("web@2", FAMILY) is None


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("web@2", ""),
        ("base@1", "base@1 is revoked by ana@laptop, since 2026-11-21T04:10:07Z: CVE-2026-1"),
        ("web@1", "web@1 was built upon base@1, which is revoked by ana@laptop, since 2026-11-21T04:10:07Z: CVE-2026-1"),
        ("half@1", "half@1 is not published: its upload did not end"),
        ("wrong@1", "wrong@1 has other bytes than its manifest says"),
        ("none@1", "the image store has no none@1; it has web@2"),
    ],
)
def test_why_a_version_may_not_be_used(ref: str, said: str) -> None:
    versions = FAMILY | known(version("half@1", state=UPLOADING), version("wrong@1", state=BROKEN))
    if ref == "none@1":
        versions = known(version("web@2"))
    assert doubt(ref, versions) == said


def promote(ref: str, promotions: str, versions: Mapping[str, Version]) -> Promotion | None:
    return promoted("web", "stable", ref, history(promotions), versions, ASKING)


VERSIONS = known(*(version(f"web@{number}") for number in (6, 7, 8)))


def test_a_promotion_has_the_next_number() -> None:
    found = promote("web@8", "6 7", VERSIONS)
    assert found == Promotion(image="web", channel="stable", number=3, version="web@8", kind=PROMOTE, at=NOW, by="ana@laptop", token="t")


def test_promoted_again_is_no_change() -> None:
    """Unless something newer was promoted and revoked: then it is said anew, so that it stays when that is taken back."""
    assert promote("web@8", "6 8", VERSIONS) is None
    newer_is_revoked = VERSIONS | known(version("web@8", revoked=True))
    assert promote("web@7", "7 8", newer_is_revoked) is not None


def test_what_may_not_be_used_is_not_promoted() -> None:
    with pytest.raises(Blocked, match="is revoked"):
        promote("web@8", "6 7", known(version("web@8", revoked=True)))


@pytest.mark.parametrize(
    ("promotions", "revoked", "expected"),
    [("6 7", "", "6"), ("6 7 8 <7", "", "6"), ("6 7 8", "7", "6"), ("6 7 8", "8", "6"), ("6 7 8 7", "8", "6")],
    ids=str,
)
def test_a_rollback_goes_to_the_version_before(promotions: str, revoked: str, expected: str) -> None:
    """Before the one that the channel points to now: after a rollback one further back."""
    versions = known(*(version(f"web@{number}", revoked=str(number) in revoked) for number in (6, 7, 8)))
    found = rolled_back("web", "stable", history(promotions), versions, ASKING)
    assert (found.version, found.kind, found.number) == (f"web@{expected}", ROLLBACK, len(promotions.split()) + 1)


@pytest.mark.parametrize(("promotions", "said"), [("", "no version"), ("6", "the only version"), ("6 7 <6", "the only version")])
def test_there_is_nothing_to_go_back_to(promotions: str, said: str) -> None:
    with pytest.raises(Blocked, match=said):
        rolled_back("web", "stable", history(promotions), VERSIONS, ASKING)


def test_who_came_second_is_told_who_was_faster() -> None:
    seen, now = history("6 7"), history("6 7 8")
    assert "promoted web@8 by ci" in raced(seen, now, "channel web/stable").what


def test_what_a_pool_means() -> None:
    """By a channel or by name; what may not be used is refused with the option's path."""
    catalogue = Catalogue(versions=VERSIONS, promotions=history("6 7"))
    assert version_meant(catalogue, channel=("web", "stable")).ref == "web@7"
    assert version_meant(catalogue, ref="web@6").ref == "web@6"
    with pytest.raises(Invalid, match="there is no channel web/canary; there are web/stable") as unknown:
        version_meant(catalogue, channel=("web", "canary"))
    assert unknown.value.where == "image.channel"
    with pytest.raises(Blocked, match="has no web@9"):
        version_meant(catalogue, ref="web@9")
    with pytest.raises(Blocked, match="no version that may be used"):
        version_meant(Catalogue(versions=known(version("web@6", revoked=True)), promotions=history("6")), channel=("web", "stable"))


def test_what_is_removed_and_what_stays() -> None:
    """The last three of a channel, what is in use, what is new, and what those were built upon."""
    versions = known(
        *(version(f"web@{number}", parent="base@1" if number == 8 else "") for number in range(1, 9)),
        version("base@1"),
        version("base@2"),
        version("web@9", age=timedelta(days=1)),
    )
    channels = {"web/stable": history("3 5 6 7 8 <7")}
    newer_than = NOW - timedelta(days=7)
    removed, kept = retained(versions, channels, {"web@1": "web-0-aaaaa runs it"}, newer_than=newer_than)
    assert removed == ("base@2", "web@2", "web@3", "web@4")
    assert {each.ref: each.why for each in kept} == {
        "base@1": "web@8 was built upon it",
        "web@1": "web-0-aaaaa runs it",
        "web@5": "among the last 3 of channel web/stable",
        "web@6": "among the last 3 of channel web/stable",
        "web@7": "among the last 3 of channel web/stable",
        "web@8": "among the last 3 of channel web/stable",
        "web@9": "new",
    }


@pytest.mark.parametrize(
    ("promotions", "bad", "removed"),
    [
        pytest.param("1 2 3 4 5 6 7 <4", (), ["web@1", "web@5"], id="rolled back three times"),
        pytest.param("1 2 3 4 5 6 7", ("5", "6", "7"), ["web@1"], id="the last three are revoked"),
        pytest.param("1 2 3 8 9 10", (), [], id="the last three are missing"),
        pytest.param("1 2 3 4 5 6 7", (), ["web@1", "web@2", "web@3", "web@4"], id="all well"),
    ],
)
def test_there_is_always_something_to_go_back_to(promotions: str, bad: tuple[str, ...], removed: list[str]) -> None:
    """Three that may be used and were not rolled back from, beside the last three of all."""
    numbers = [str(number) for number in range(1, 8)] if "7" in promotions else ["1", "2", "3"]
    versions = known(*(version(f"web@{number}", revoked=number in bad, age=OLD - timedelta(hours=int(number))) for number in numbers))
    gone, _kept = retained(versions, {"web/stable": history(promotions)}, {}, newer_than=NOW - timedelta(days=7))
    assert list(gone) == removed


def test_a_promotion_comes_back_from_its_text() -> None:
    (one,) = history("6")
    assert load_promotion(one.dump()) == one
    assert [load_promotion(text) for text in ("", "[]", '{"number": 1}', one.dump().replace('"number":1', '"number":0'))] == [None] * 4


@pytest.mark.parametrize("text", ["stable", "Web/stable", "web/", "web/a/b", "/stable"])
def test_a_wrong_name_of_a_channel_is_refused(text: str) -> None:
    assert parse_channel("ubuntu-24.04/stable", "channel") == ("ubuntu-24.04", "stable")
    with pytest.raises(Invalid) as refused:
        parse_channel(text, "image.channel")
    assert refused.value.where == "image.channel"
