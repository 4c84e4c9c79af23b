# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine's console says to somebody who waits."""

from __future__ import annotations

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.guest import last_line_of


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
