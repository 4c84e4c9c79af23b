# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets stay out of what is shown."""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.module_utils.reports.redact import HIDDEN, Redactor


def test_the_longer_secret_goes_first() -> None:
    """A secret that contains another one leaves no rest of itself."""
    assert Redactor(["pass", "password-2"]).text("password-2 pass") == f"{HIDDEN} {HIDDEN}"


def test_a_short_secret_blackens_no_ordinary_word() -> None:
    """An empty or tiny value is no secret that could be kept."""
    assert Redactor(["", "az"]).text("az1 is hazy") == "az1 is hazy"


def test_names_that_look_a_little_like_tokens_stay() -> None:
    """Six and sixteen characters with a dot between them, nothing else, is a bootstrap token."""
    text = "node web-01.example.com, image golden.2026-11, 10.0.0.1"
    assert Redactor().text(text) == text


def test_values_are_cleaned_at_any_depth() -> None:
    """Numbers and truth values stay what they are."""
    value = {"a": ["secret!", {"b": ("x secret!", 3, None, True)}]}
    assert Redactor(["secret!"]).value(value) == {"a": [HIDDEN, {"b": [f"x {HIDDEN}", 3, None, True]}]}
