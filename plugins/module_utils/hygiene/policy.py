# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image is allowed to hold, and what was found that it should not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

LOG_BYTES_MAX = 1 << 20  # all logs together: a fresh installation leaves some 100 KiB, a machine that ran for a day far more


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What is meant to be there: `path` is a pattern as in `.gitignore` (`*` within a name, `**` across folders), `rule` one of RULES."""

    rule: str
    path: str
    reason: str = ""

    def covers(self, finding: Finding) -> bool:
        """Whether this finding was foreseen."""
        return self.rule == finding.rule and is_like(finding.path, self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is declared. `ports` are those that TCP servers listen on for other machines; `users` may log in, `sudoers` become root."""

    ports: frozenset[int] = frozenset()
    ssh: bool = True
    users: frozenset[str] = frozenset()
    sudoers: frozenset[str] = frozenset()
    clock_sync: bool = True
    log_bytes_max: int = LOG_BYTES_MAX
    allowed: tuple[Allowance, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What should not be in the image. Names the file and never quotes a secret; `fix` is a command, or a sentence that says what to do."""

    rule: str
    path: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def without_allowed(findings: Sequence[Finding], policy: Policy) -> list[Finding]:
    """Those that nobody declared, in their order."""
    return [finding for finding in findings if not any(allowance.covers(finding) for allowance in policy.allowed)]


def is_like(path: str, glob: str) -> bool:
    """Whether the pattern fits the whole path. `fnmatch` would let `*` run across folders: wider than an allowance reads."""
    return _pattern(glob).fullmatch(path) is not None


@lru_cache(maxsize=256)
def _pattern(glob: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*|\?)", glob)
    words = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(words.get(part) or re.escape(part) for part in parts))
