# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets in files: by the form that an issuer gives them, and by how random an assigned value looks.

Promises: a finding has the file, the line and the kind, and never the value. What comes from packages is not read (tree.UNREAD_FOLDERS).
Entropy: Shannon's, in bits a character, of one value. Random base64 of 32 characters has about 4.5, hexadecimal 3.6, words and paths
stay below 4 and 3. Rejected: entropy of any text, since checksums, certificates and UUIDs are as random as keys; so a value counts only
where something is assigned, and a shorter or less random one only where the name says that it is a secret.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.policy import Finding, Policy, is_like
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.tree import Entry, Tree, is_own

# Forms as their issuers document them.
FORMS = {
    "a private key": re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    "a private key of age": re.compile(r"\bAGE-SECRET-KEY-1[0-9A-Z]{58}\b"),
    "an access key of AWS": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a token of GitHub": re.compile(r"\b(?:gh[pousr]_[0-9A-Za-z]{36}|github_pat_[0-9A-Za-z_]{82})"),
    "a token of GitLab": re.compile(r"\bglpat-[0-9A-Za-z_-]{20}"),
    "a token of Slack": re.compile(r"\bxox[abeprs]-[0-9A-Za-z-]{10,}"),
    "an API key of Google": re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b"),
    "a token of Vault": re.compile(r"\bhv[bsr]\.[0-9A-Za-z_-]{24,}"),
    "a JSON web token": re.compile(r"\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}"),
    "a password in an address": re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@$<{]+:(?!\$|%\(|\{\{|<)[^\s/:@]{3,}@"),
    "a join token of Kubernetes": re.compile(r"\btoken:?[= ]+[\"']?[a-z0-9]{6}\.[a-z0-9]{16}\b"),
}
HOST_KEYS = "/etc/ssh/ssh_host_*_key"  # a rule of their own finds them
KEY_TABLES = ("/etc/krb5.keytab",)  # binary, so known by their place

ASSIGNED = re.compile(r"""^\s*(?:export\s+)?["']?([\w.-]*\w)["']?\s*(?:[:=]|\s+is\s+)\s*["']?([^\s"']{8,})["']?,?;?\s*(?:#.*)?$""")
SECRET_NAME = re.compile(r"(?i)(passw(or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|client-key-data|credential)")
NOT_A_SECRET_NAME = re.compile(r"(?i)(_file|file|path|_dir|_cmd|_command|_url|_length|_min|_max|_days|_age|_id|type|expires?)$")
PLACEHOLDER = re.compile(r"(?i)^(\$|%[({s]|\{\{|<|/|\.|no$|yes$|none$|null$|true$|false$)|^(.)\2*$|changeme|example|xxxx|\*\*\*\*")
OPAQUE = re.compile(r"[A-Za-z0-9+/_=-]{32,}")
HEXADECIMAL = re.compile(r"[0-9a-fA-F-]+")
NAMED_BITS = 2.7  # a value whose name says "secret": eight different characters have 3, `password` 2.75
UNNAMED_BITS = 4.3  # below what 32 random characters of base64 have in 99 of 100
COMMENTS = ("#", ";", "//")
FINDINGS_PER_FILE_MAX = 5  # a file full of them is said once


def secrets(tree: Tree, _policy: Policy) -> Iterator[Finding]:
    """What looks like a secret in files that no package brought."""
    for entry in tree.below("/"):
        if entry.kind != "file" or not is_own(entry.path) or is_like(entry.path, HOST_KEYS):
            continue
        if entry.path in KEY_TABLES:
            yield _finding(entry, 0, "a key table of Kerberos")
        elif entry.text:
            for _count, (number, kind) in zip(range(FINDINGS_PER_FILE_MAX), secrets_in(entry.text), strict=False):
                yield _finding(entry, number, kind)


def secrets_in(text: str) -> Iterator[tuple[int, str]]:
    """`(line, kind)` of what looks like one, once a line."""
    for number, line in enumerate(text.splitlines(), 1):
        kind = next((kind for kind, form in FORMS.items() if form.search(line)), "") or _assigned(line)
        if kind:
            yield number, kind


def entropy(text: str) -> float:
    """Bits a character; 0 for a text of one letter."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def _assigned(line: str) -> str:
    """What kind of secret a line assigns, "" for none."""
    match = None if line.lstrip().startswith(COMMENTS) else ASSIGNED.match(line)
    if match is None or PLACEHOLDER.search(match[2]):
        return ""
    name, value = match[1], match[2]
    if SECRET_NAME.search(name) and not NOT_A_SECRET_NAME.search(name):
        return f"a value of {name}" if entropy(value) >= NAMED_BITS else ""
    if OPAQUE.fullmatch(value) and not HEXADECIMAL.fullmatch(value) and entropy(value) >= UNNAMED_BITS:
        return f"a random value of {name}"
    return ""


def _finding(entry: Entry, number: int, kind: str) -> Finding:
    what = f"line {number} holds {kind}" if number else f"is {kind}"
    fix = "let user data bring it, or a secret store at run time; allow the path where it is none"
    return Finding(rule="secrets", path=entry.path, what=what, fix=fix)
