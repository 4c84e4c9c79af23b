# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image's root file system holds, as values: what the hygiene rules look at.

Promises: a path is as the image's own programs see it ("/etc/machine-id"); a link is followed inside the image only, so that one that
points to `/etc/shadow` never shows the builder's. Contents are there for what rules read (`wants_text`), up to `TEXT_BYTES_MAX`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

TEXT_BYTES_MAX = 1 << 20  # a longer file is no configuration; logs are judged by their size
LINKS_MAX = 8  # on the way to one file, the bound that ends circles; Linux has 40

# What comes from packages. Whoever wants to be sure of that compares it with the packages' own checksums; keys lie elsewhere.
UNREAD_FOLDERS = (
    *("/bin/", "/boot/", "/dev/", "/lib/", "/lib32/", "/lib64/", "/proc/", "/run/", "/sbin/", "/sys/", "/usr/"),
    *("/var/cache/", "/var/lib/apt/", "/var/lib/dpkg/", "/var/lib/rpm/"),
)
OWN_FOLDERS = ("/usr/local/",)  # inside of those, what an estate puts there
READ_FOLDERS = (*OWN_FOLDERS, "/usr/lib/systemd/system/", "/lib/systemd/system/", "/usr/lib/os-release")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a folder. `text` is "" for what was not read, `target` where a link points."""

    path: str
    kind: Literal["file", "folder", "link", "other"]
    size: int = 0
    text: str = ""
    target: str = ""


@dataclass(frozen=True)
class Tree:
    """All entries by path."""

    entries: Mapping[str, Entry]

    def __contains__(self, path: str) -> bool:
        return self.find(path) is not None

    def find(self, path: str) -> Entry | None:
        """What a program in the image would find there, links followed; None where there is nothing."""
        for _hop in range(LINKS_MAX):
            path = self._through_folders(path)
            entry = self.entries.get(path)
            if entry is None or entry.kind != "link":
                return entry
            path = joined(path.rpartition("/")[0], entry.target)
        return None

    def text(self, path: str) -> str:
        """What a file says, "" where there is none."""
        entry = self.find(path)
        return entry.text if entry is not None else ""

    def below(self, *folders: str) -> Iterator[Entry]:
        """Everything below these folders ("/var/log"), a folder after the other, each sorted by path."""
        for folder in folders:
            prefix = folder.rstrip("/") + "/"
            at = bisect_left(self._sorted, prefix)
            while at < len(self._sorted) and self._sorted[at].startswith(prefix):
                yield self.entries[self._sorted[at]]
                at += 1

    def files_below(self, *folders: str) -> Iterator[Entry]:
        """The files among them."""
        return (entry for entry in self.below(*folders) if entry.kind == "file")

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self.entries)

    def _through_folders(self, path: str) -> str:
        """`path` with each link among its folders replaced by where it leads: /lib is /usr/lib where /usr is merged."""
        for _hop in range(LINKS_MAX):
            parts = path.split("/")
            for length in range(2, len(parts)):
                entry = self.entries.get("/".join(parts[:length]))
                if entry is not None and entry.kind == "link":
                    folder = joined("/".join(parts[: length - 1]), entry.target)
                    path = joined(folder, "/".join(parts[length:]))
                    break
            else:
                return path
        return path


def tree_of(entries: Iterable[Entry]) -> Tree:
    """A tree of what a reader brings."""
    return Tree({entry.path: entry for entry in entries})


def wants_text(path: str) -> bool:
    """Whether rules read what this file says; its place decides."""
    return path.startswith(READ_FOLDERS) or not path.startswith(UNREAD_FOLDERS)


def is_own(path: str) -> bool:
    """Whether it lies where an estate's files lie, and not only packages'."""
    return path.startswith(OWN_FOLDERS) or not path.startswith(UNREAD_FOLDERS)


def joined(folder: str, target: str) -> str:
    """Where `target` leads from `folder`, without dots: "/a/b" and "../c" are "/a/c"."""
    whole = target if target.startswith("/") else f"{folder}/{target}"
    parts: list[str] = []
    for part in whole.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
