# SPDX-License-Identifier: GPL-3.0-or-later
"""Gates and hooks as given in a task: what is refused before anything is run or called."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.entry.gates import gate
from ansible_collections.immutable.fleet.plugins.module_utils.entry.wiring import probe_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import Gate
from ansible_collections.immutable.fleet.plugins.module_utils.probes.command import CommandProbe
from ansible_collections.immutable.fleet.plugins.module_utils.probes.http import HttpProbe

KNOWN = frozenset({"pool", "step"})


def options(command: list[str] | None = None, url: str | None = None) -> dict[str, Any]:
    return {"command": command, "url": url}


def test_a_gate_becomes_what_asks_it() -> None:
    """By what was given of the two."""
    command = gate(options(["sh", "-c", "true"]), "strategy.gate", KNOWN)
    url = gate(options(url="https://gate.example:8443/ready?pool=${pool}"), "strategy.gate", KNOWN)
    assert command == Gate(command=("sh", "-c", "true"))
    assert url == Gate(url="https://gate.example:8443/ready?pool=${pool}")
    assert isinstance(probe_of(command, timedelta(seconds=20), str), CommandProbe)
    assert isinstance(probe_of(url, timedelta(seconds=20), str), HttpProbe)


@pytest.mark.parametrize(
    ("given", "where", "expected"),
    [
        pytest.param(options(), "command, strategy.gate.url", "exactly one", id="neither"),
        pytest.param(options(["true"], "https://gate.example"), "command, strategy.gate.url", "exactly one", id="both"),
        pytest.param(options([]), "command", "expected a program", id="an empty command"),
        pytest.param(options([""]), "command", "expected a program", id="a command without a name"),
        pytest.param(options(["no-such-program"]), "command", "'no-such-program' is not there", id="no such program"),
        pytest.param(options(["/dev/null"]), "command", "not executable", id="no program at all"),
        pytest.param(options(["./check"]), "command", "expected a name or an absolute path", id="a path from somewhere"),
        pytest.param(options(url="gate.example/ready"), "url", "expected a form such as https://", id="no scheme"),
        pytest.param(options(url="file:///etc/passwd"), "url", "expected a form such as https://", id="no http"),
        pytest.param(options(url="https:///ready"), "url", "expected a form such as https://", id="no host"),
        pytest.param(options(url="https://gate.example:port/"), "url", "expected a form such as https://", id="no port"),
        pytest.param(options(url="https://gate.example/a b"), "url", "expected a form such as https://", id="a blank"),
        pytest.param(options(url="https://gate.example/\n"), "url", "expected a form such as https://", id="a line break"),
        pytest.param(options(url="https://me:hunter2@gate.example/"), "url", "a password in it; expected none", id="a password"),
        pytest.param(options(url="https://gate.example/${machine_name}"), "url", "expected ${pool}, ${step}", id="an unknown placeholder"),
    ],
)
def test_a_wrong_gate_is_refused(given: dict[str, Any], where: str, expected: str) -> None:
    """With the path of the option and what was expected; a secret in it is not repeated."""
    with pytest.raises(Invalid) as refused:
        gate(given, "strategy.gate", KNOWN)
    assert refused.value.where == f"strategy.gate.{where}"
    assert expected in refused.value.what
    assert "hunter2" not in str(refused.value)
