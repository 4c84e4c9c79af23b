# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that messages name: they run as they stand."""

from __future__ import annotations

import shlex

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.model.reach import Reach, control

HEAD = "ansible localhost -m immutable.fleet.node_pool_control -a "
PRODUCTION = Reach("kubernetes", {"context": "production", "lock_namespace": "fleet"})


@pytest.mark.parametrize(
    ("reach", "expected"),
    [
        pytest.param(Reach(), "'name=web state=paused kubernetes={}'", id="the current context"),
        pytest.param(PRODUCTION, "'name=web state=paused kubernetes=context=production,lock_namespace=fleet'", id="a named context"),
        pytest.param(Reach("simulated", {"world": "/tmp/w.sqlite"}), "'name=web state=paused simulated=world=/tmp/w.sqlite'", id="a world"),
        pytest.param(
            Reach("kubernetes", {"context": "a b"}),
            """'{"name": "web", "state": "paused", "kubernetes": {"context": "a b"}}'""",
            id="a value that key=value cannot hold",
        ),
        pytest.param(
            Reach("kubernetes", {"host": "https://k8s:6443"}, ("K8S_AUTH_API_KEY",)),
            "'name=web state=paused kubernetes=host=https://k8s:6443'  # with K8S_AUTH_API_KEY set",
            id="a secret is not told",
        ),
    ],
)
def test_a_command_finds_the_pool_where_its_task_does(reach: Reach, expected: str) -> None:
    """It holds no double quote where it can do without: JSON, in which results are shown, would put a backslash before it."""
    assert control("web", reach, "paused") == HEAD + expected


def test_what_is_left_to_do_is_a_comment() -> None:
    """So that the whole line can be pasted."""
    line = control("web", PRODUCTION, "retargeted", image="golden-2026-10", then="then run the same playbook again")
    assert line.endswith("  # then run the same playbook again")
    assert shlex.split(line, comments=True)[-1] == (
        "name=web state=retargeted image=golden-2026-10 kubernetes=context=production,lock_namespace=fleet"
    )


def test_a_quote_in_a_value_does_not_end_the_argument() -> None:
    """A shell hands over what was meant."""
    line = control("web", Reach("kubernetes", {"context": "o'hara; rm"}), "paused")
    assert shlex.split(line)[-1] == """{"name": "web", "state": "paused", "kubernetes": {"context": "o'hara; rm"}}"""
