# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps secrets out of what is shown or written. `no_log` covers results only: neither display lines nor files.

Promises: a text that holds a known secret never leaves with it, also inside longer texts and nested values; bootstrap tokens
are recognised by their shape, since they are minted during the run and nobody could name them before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

HIDDEN = "********"
SECRET_LENGTH_MIN = 4  # a shorter "secret" would blacken ordinary words
_BOOTSTRAP_TOKEN = re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b")  # kubeadm's form


class Redactor:
    """Replaces secrets. Longest first, so that a secret that contains another one leaves no rest."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({secret for secret in secrets if len(secret) >= SECRET_LENGTH_MIN}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, text: str) -> str:
        """`text` without secrets."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _BOOTSTRAP_TOKEN.sub(HIDDEN, text)

    def value(self, value: Any) -> Any:
        """The same for nested dictionaries and lists, as they go into JSON. Keys are ours and stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.value(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in value]
        return value
