# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machine or node a message is about. A file of its own: each task imports it, and lines.py only the controller."""

from __future__ import annotations


def subject_of(where: str) -> str:
    """The name in "machine web-3-x7k2p, failure domain az2"; "" where it is about no machine and no node."""
    for part in where.split(", "):
        kind, _space, name = part.partition(" ")
        if kind in ("machine", "node") and name:
            return name
    return ""
