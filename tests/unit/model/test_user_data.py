# SPDX-License-Identifier: GPL-3.0-or-later
"""User data: which dollar signs are ours."""

from __future__ import annotations

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.user_data import placeholders, refuse_unknown, render

SCRIPT = "#!/bin/sh\nkubeadm join ${api_server} --token ${token} # $$5 on $HOME, $(date), ${HOME:-/}, $${HOME}\n"


def test_only_plain_names_in_braces_are_placeholders() -> None:
    """A shell script keeps its own dollar signs, but for ${NAME}, which it has to escape."""
    assert placeholders(SCRIPT) == {"api_server", "token"}
    assert render(SCRIPT, {"api_server": "k8s:6443", "token": "abc.$$", "unused": "x"}) == (
        "#!/bin/sh\nkubeadm join k8s:6443 --token abc.$$ # $5 on $HOME, $(date), ${HOME:-/}, ${HOME}\n"
    )


def test_a_placeholder_that_nobody_fills_is_refused_before_anything_is_touched() -> None:
    """The message names it, what would be known, and the way out for a shell's own ${...}."""
    with pytest.raises(Invalid) as refused:
        refuse_unknown("${tokn} ${HOME} ${name}", frozenset({"name", "token"}))
    assert (refused.value.what, refused.value.where) == (
        "nothing is known by the name of ${HOME}, ${tokn}; expected ${name}, ${token}. A shell's own ${...} is written $${...}",
        "user_data",
    )


def test_no_value_is_ever_shown() -> None:
    """Values may be secrets."""
    with pytest.raises(Invalid) as refused:
        render("${token} ${missing}", {"token": "s3cret"})
    assert "s3cret" not in str(refused.value)
