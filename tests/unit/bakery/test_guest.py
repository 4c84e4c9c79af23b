# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that is booted: what its console says to somebody who waits, and its cable."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.bakery import guest
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.guest import Guest, last_line_of
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.scan import OURS


@pytest.mark.parametrize(
    ("console", "line"),
    [
        pytest.param(b"", "", id="nothing yet"),
        pytest.param(b"\x1bc\x1b[?7l\x1b[2J\r\n", "", id="firmware that clears the screen"),
        pytest.param(b"[    1.25] Run /init\r\n\r\n", "[    1.25] Run /init", id="blank lines behind it"),
        pytest.param(
            b"a\r\n[\x1b[0;32m  OK  \x1b[0m] Reached target \x1b[0;1;39mbasic\x1b[0m.\r\n", "[  OK  ] Reached target basic.", id="colours"
        ),
        pytest.param(b"one\r\ntwo", "two", id="a line under way"),
        pytest.param(b"\xff\x07caf\xc3\xa9\n", "\ufffdcaf\u00e9", id="bytes that are no text"),
    ],
)
def test_the_last_line_that_says_something(console: bytes, line: str) -> None:
    assert last_line_of(console) == line


def test_the_cable_has_no_other_end_until_ports_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine sends as it boots would fill it, and QEMU spin for room."""
    monkeypatch.setattr(guest, "_run", lambda _argv: None)
    monkeypatch.setattr(guest, "Program", lambda *_given, **_options: SimpleNamespace(stop=lambda: None))
    machine = Guest(tmp_path / "image.raw", "raw", tmp_path / "boot", None, uses_kvm=False)
    assert not (tmp_path / "boot" / OURS).exists()
    machine.scan()
    assert (tmp_path / "boot" / OURS).is_socket()
    machine.stop()
