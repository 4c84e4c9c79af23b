# SPDX-License-Identifier: GPL-3.0-or-later
"""Gates and hooks as given in a task."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import Gate
from ansible_collections.immutable.fleet.plugins.module_utils.model.user_data import placeholders


def gate(given: Mapping[str, Any], path: str, known: AbstractSet[str]) -> Gate:
    """A command or a URL, checked as far as that is possible without running or calling it. Raises `Invalid`.

    `known` are the placeholders that a URL may have.
    """
    command, url = given["command"], given["url"]
    if (command is None) == (url is None):
        raise Invalid(what="expected exactly one of them", where=f"{path}.command, {path}.url")
    if url is not None:
        return Gate(url=_url(url, f"{path}.url", known))
    return Gate(command=program(command, f"{path}.command"))


def program(words: Sequence[str], path: str) -> tuple[str, ...]:
    """A program of this host with its arguments. Raises `Invalid`."""
    if not words or not words[0]:
        raise Invalid(what="empty; expected a program and its arguments", where=path)
    name = words[0]
    if "/" in name and not name.startswith("/"):
        raise Invalid(what=f"{name!r} depends on where the module runs; expected a name or an absolute path", where=path)
    if shutil.which(name) is None:
        what = f"{name!r} is not there, or not executable; expected a program of the host that the module runs on"
        raise Invalid(what=what, where=path)
    return tuple(words)


def _url(url: str, path: str, known: AbstractSet[str]) -> str:
    unknown = sorted(placeholders(url) - known)
    if unknown:
        names = ", ".join(f"${{{name}}}" for name in sorted(known))
        raise Invalid(what=f"nothing is known by the name of ${{{unknown[0]}}} here; expected {names}", where=path)
    try:
        parts = urlsplit(url)
        is_complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_complete = False
    if not is_complete or any(letter.isspace() or not letter.isprintable() for letter in url):
        raise Invalid(what=f"{_shown(url)!r} is no address; expected a form such as https://gate.example/ready", where=path)
    if "@" in parts.netloc:
        what = "has a user or a password in it; expected none: a command can read a secret from where it is kept"
        raise Invalid(what=what, where=path)
    return url


def _shown(url: str) -> str:
    """Without what may be a secret."""
    return url.partition("?")[0].rpartition("@")[2]
