# SPDX-License-Identifier: GPL-3.0-or-later
"""User data with placeholders: `${name}` is replaced for each machine, `$$` is a dollar sign.

Only `${` + letters, digits, underscores + `}` is a placeholder. Every other dollar sign stands for itself, so a shell's
`$HOME`, `$(date)` and `${HOME:-/}` pass unchanged; its `${HOME}` is written `$${HOME}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

_TOKEN = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)\})")
OPTION = "user_data"


def placeholders(text: str) -> frozenset[str]:
    """The names in `text`, to be checked against what will be known before anything is touched."""
    return frozenset(match[1] for match in _TOKEN.finditer(text) if match[1])


def refuse_unknown(text: str, known: frozenset[str]) -> None:
    """Raise `Invalid` when `text` has a placeholder that nobody will fill."""
    unknown = sorted(placeholders(text) - known)
    if unknown:
        names = ", ".join(f"${{{name}}}" for name in unknown)
        expected = ", ".join(f"${{{name}}}" for name in sorted(known)) or "none"
        raise Invalid(
            what=f"nothing is known by the name of {names}; expected {expected}. A shell's own ${{...}} is written $${{...}}",
            where=OPTION,
        )


def render(text: str, values: Mapping[str, str]) -> str:
    """`text` with its placeholders filled. Raises `Invalid` naming those without a value; never shows a value."""
    refuse_unknown(text, frozenset(values))
    return _TOKEN.sub(lambda match: values[match[1]] if match[1] else "$", text)
