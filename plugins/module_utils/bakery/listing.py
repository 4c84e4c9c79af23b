# SPDX-License-Identifier: GPL-3.0-or-later
"""A root file system on disk as the values that the hygiene rules look at.

Promises: no link is followed, so nothing outside of the folder is read; what cannot be read is told as an error, never left out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.tree import TEXT_BYTES_MAX, Entry, Tree, tree_of, wants_text
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Transient


def listing_of(root: Path) -> Tree:
    """Everything below `root`. Takes about a second for 50,000 files. Raises `Transient` for what cannot be read."""
    try:
        return tree_of(_entries(os.fsencode(root), ""))
    except OSError as error:
        raise Transient(what=f"the root file system cannot be read: {error.strerror}", where=str(error.filename or root)) from error


def _entries(folder: bytes, inside: str) -> Iterator[Entry]:
    with os.scandir(folder) as found:
        children = list(found)
    for child in children:
        path = f"{inside}/{os.fsdecode(child.name)}"
        status = child.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            yield Entry(path, "folder")
            yield from _entries(child.path, path)
        elif stat.S_ISLNK(status.st_mode):
            target = os.readlink(child.path)  # noqa: PTH115  # in bytes: names in an image need not be text
            yield Entry(path, "link", target=os.fsdecode(target))
        elif stat.S_ISREG(status.st_mode):
            is_read = 0 < status.st_size <= TEXT_BYTES_MAX and wants_text(path)
            yield Entry(path, "file", status.st_size, _text(child.path) if is_read else "")
        else:
            yield Entry(path, "other")


def _text(path: bytes) -> str:
    """What a file says; "" for one that is no text."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(TEXT_BYTES_MAX)
    return "" if b"\0" in content else content.decode("utf-8", errors="replace")
