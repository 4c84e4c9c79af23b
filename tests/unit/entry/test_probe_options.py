# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes as given in a task: what they become, and what is refused before anything is asked."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.entry import specs
from ansible_collections.immutable.fleet.plugins.module_utils.entry.probes import probes_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import KINDS, ServiceProbe

OPTIONS = specs.HEALTH.options["health"]["options"]["probes"]["options"]


def options(**given: Any) -> dict[str, Any]:
    """A probe as Ansible hands it over, with its defaults."""
    return {name: option.get("default") for name, option in OPTIONS.items()} | given


def test_a_probe_becomes_a_value() -> None:
    """Durations and statuses are read, defaults are those of the documentation."""
    given = options(
        type="https", port=8443, path="/health", host="shop.example", status=["200", "300-399"], body="ok", expires_in="7d", interval="5s"
    )
    assert probes_of([given, options(type="tcp", port=22), options(type="command", command=["true"], timeout=20)]) == (
        ServiceProbe(
            kind="https",
            port=8443,
            path="/health",
            host="shop.example",
            status=((200, 200), (300, 399)),
            body="ok",
            expires_in=timedelta(days=7),
            interval=timedelta(seconds=5),
        ),
        ServiceProbe(kind="tcp", port=22),
        ServiceProbe(kind="command", command=("true",), timeout=timedelta(seconds=20)),
    )


def test_all_kinds_are_offered() -> None:
    """The choices are those that there are."""
    assert tuple(OPTIONS["type"]["choices"]) == KINDS


@pytest.mark.parametrize(
    ("given", "where", "expected"),
    [
        pytest.param({"type": "tcp"}, "port", "missing; expected a number", id="no port"),
        pytest.param({"type": "tcp", "port": 0}, "port", "expected 1 to 65535", id="port 0"),
        pytest.param({"type": "tcp", "port": 65536}, "port", "expected 1 to 65535", id="no such port"),
        pytest.param(
            {"type": "tcp", "port": 80, "path": "/"}, "path", "is not for type tcp; expected with http or https", id="a path for tcp"
        ),
        pytest.param({"type": "http", "port": 80, "expires_in": "7d"}, "expires_in", "expected with https or tls", id="an end for http"),
        pytest.param({"type": "http", "port": 80, "command": ["true"]}, "command", "expected with command", id="a command for http"),
        pytest.param({"type": "command", "command": ["true"], "port": 80}, "port", "is not for type command", id="a port for a command"),
        pytest.param({"type": "command"}, "command", "expected a program", id="no command"),
        pytest.param({"type": "command", "command": ["no-such-program"]}, "command", "is not there", id="no such program"),
        pytest.param({"type": "http", "port": 80, "path": "health"}, "path", "expected a form such as /health", id="a path from nowhere"),
        pytest.param({"type": "http", "port": 80, "path": "/a b"}, "path", "expected a form such as /health", id="a blank"),
        pytest.param({"type": "http", "port": 80, "path": "/\r\nX: y"}, "path", "expected a form such as /health", id="a second header"),
        pytest.param({"type": "http", "port": 80, "path": "/ü"}, "path", "written as %C3%A9", id="no ASCII"),
        pytest.param({"type": "http", "port": 80, "host": "a b"}, "host", "expected a form such as shop.example", id="no host"),
        pytest.param({"type": "http", "port": 80, "status": []}, "status", "the list is empty", id="no status"),
        pytest.param({"type": "http", "port": 80, "status": ["ok"]}, "status[0]", "expected such as 200", id="no number"),
        pytest.param({"type": "http", "port": 80, "status": ["200", "299-200"]}, "status[1]", "expected such as 200", id="backwards"),
        pytest.param({"type": "http", "port": 80, "status": ["700"]}, "status[0]", "expected such as 200", id="no status of HTTP"),
        pytest.param({"type": "tls", "port": 443, "ca_cert": "/no/such/file"}, "ca_cert", "there is no file", id="no file"),
        pytest.param(
            {"type": "tls", "port": 443, "validate_certs": False, "expires_in": "7d"},
            "expires_in",
            "expected validate_certs: true",
            id="an end that nobody looks at",
        ),
        pytest.param({"type": "tcp", "port": 80, "interval": "0"}, "interval", "0 leaves no time at all", id="no interval"),
        pytest.param({"type": "tcp", "port": 80, "timeout": "soon"}, "timeout", "soon", id="no duration"),
        pytest.param({"type": "tcp", "port": 80, "consecutive_ok": 0}, "consecutive_ok", "expected 1 or more", id="no answer needed"),
        pytest.param(
            {"type": "tcp", "port": 80, "consecutive_failed": -1}, "consecutive_failed", "expected 1 or more", id="fewer than none"
        ),
    ],
)
def test_a_wrong_probe_is_refused(given: dict[str, Any], where: str, expected: str) -> None:
    """With the path of the option and what was expected."""
    with pytest.raises(Invalid) as refused:
        probes_of([options(**given)])
    assert refused.value.where == f"health.probes[0].{where}"
    assert expected in refused.value.what


def test_a_file_of_certificates_is_taken(tmp_path: Path) -> None:
    """By its path."""
    file = tmp_path / "ca.pem"
    file.touch()
    assert probes_of([options(type="tls", port=443, ca_cert=str(file))])[0].ca_cert == str(file)
