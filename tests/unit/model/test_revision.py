# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids that machines in the field carry. They stand here as literals: a release that computes others rolls every pool there is."""

from __future__ import annotations

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import changed_fields, revision_of

IMAGE, FLAVOR = "sha512:0123456789abcdef", "f1a2"
EDGE = "x" * 200  # the longest field that is kept as it is


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "ede0de807492"),
        ({"image": IMAGE}, "28e10adb4cc1"),
        ({"image": IMAGE, "flavor": FLAVOR, "networks": '["n1"]'}, "e60fb8a16f87"),
        ({"image": IMAGE, "user_data": EDGE}, "9c24fdcbd81f"),
        ({"image": IMAGE, "user_data": EDGE + "x"}, "56f717fa6e02"),
        ({"image": IMAGE, "user_data": "größer"}, "0f00c0cb9483"),
    ],
    ids=["nothing", "image", "several", "the longest that is kept", "one longer", "beyond ASCII"],
)
def test_a_revisions_id_never_changes(fields: dict[str, str], expected: str) -> None:
    """Whatever a later release does: neither the schema, nor what is shortened and how, nor the form that is hashed."""
    assert revision_of(fields).id == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"flavor": FLAVOR, "image": IMAGE},
        {"image": IMAGE, "flavor": FLAVOR, "boot_volume": "", "server_group": None},
    ],
    ids=["another order", "defaults"],
)
def test_order_and_defaults_are_no_difference(fields: dict[str, str | None]) -> None:
    """A field that a later release adds is empty for the pools that there are."""
    assert revision_of(fields) == revision_of({"image": IMAGE, "flavor": FLAVOR})


def test_where_the_image_lies_is_no_difference() -> None:
    """A copy of the same bytes under another name rolls nothing."""
    assert revision_of({"image": IMAGE}, {"id": "here"}) == revision_of({"image": IMAGE}, {"id": "there"})


def test_a_long_field_is_kept_as_its_digest() -> None:
    """Short enough for a metadata value, so that a difference can be told by its field."""
    kept = revision_of({"image": IMAGE, "user_data": EDGE + "x"}).fields
    assert kept == {"image": IMAGE, "user_data": "sha256:84a0678c90937f5dcf9994d5866668da6b995109c8ad845410559b48a4ecafed"}


def test_fields_that_differ_are_told_with_both_sides() -> None:
    """A field that is missing on one side is empty there."""
    before, after = {"image": "a", "flavor": "f", "gone": "g"}, {"image": "b", "flavor": "f", "new": "n"}
    assert changed_fields(before, after) == {"image": ("a", "b"), "gone": ("g", ""), "new": ("", "n")}
