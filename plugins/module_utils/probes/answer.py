# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gate said, for a person: its last line, short and without secrets."""

from __future__ import annotations

from collections.abc import Callable

LENGTH_MAX = 160


def last_line(output: bytes, redact: Callable[[str], str]) -> str:
    """The last line of `output` that says something; of a long one its end. Redacted first: half a secret is not recognised."""
    # A terminal's escape sequences would let a gate draw over other lines.
    lines = [_printable(line) for line in redact(output.decode(errors="replace")).splitlines()]
    line = next((line for line in reversed(lines) if line), "")
    return line if len(line) <= LENGTH_MAX else "..." + line[-LENGTH_MAX:]


def _printable(line: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in line).strip()
