# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may log in and who may become root, read from the image's own files.

Sources: passwd(5), shadow(5) (a password that starts with `!` or `*` lets nobody in), group(5), sudoers(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.policy import Finding, Policy
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.tree import Tree

PEOPLE_FROM, PEOPLE_TO = 1000, 60000  # UID_MIN and UID_MAX of login.defs: below are services, above `nobody`
NO_SHELLS = ("/bin/false", "/bin/sync", "/sbin/nologin", "/usr/bin/false", "/usr/sbin/nologin")
ROOT_ITSELF = "root"
NOT_A_RULE = re.compile(r"\s*(#|@|Defaults\b|(User|Runas|Host|Cmnd|Cmd)_Alias\b|$)")

PasswdLine = tuple[str, int, int, str, str]  # name, uid, gid, home, shell


def users(tree: Tree, policy: Policy) -> Iterator[Finding]:
    """Whoever has a person's uid, another name for root, a password or a key that nobody declared; and declared ones that are missing."""
    accounts = passwd(tree)
    for name, uid, _gid, _home, shell in accounts:
        if uid == 0 and name != ROOT_ITSELF:
            yield _finding("/etc/passwd", f"{name} is root by another name (uid 0)", f"userdel -f {name}")
        elif PEOPLE_FROM <= uid <= PEOPLE_TO and name not in policy.users and shell not in NO_SHELLS:
            yield _finding("/etc/passwd", f"user {name} (uid {uid}) is not declared", f"userdel -r {name}, or declare it in users")
    for name in sorted(policy.users - {account[0] for account in accounts}):
        yield _finding("/etc/passwd", f"user {name} is declared and does not exist", f"useradd -m {name}, or take it out of users")
    yield from _passwords(tree)
    yield from _keys(tree, accounts)


def sudoers(tree: Tree, policy: Policy) -> Iterator[Finding]:
    """Whoever sudo lets become root and nobody declared; groups count by their members."""
    groups = _groups(tree)
    files = [("/etc/sudoers", tree.text("/etc/sudoers"))]
    # sudo itself leaves out names with a dot or a tilde at the end: a package manager's copies
    files += [
        (entry.path, entry.text) for entry in tree.files_below("/etc/sudoers.d") if not re.search(r"\.|~$", entry.path.rpartition("/")[2])
    ]
    for path, text in files:
        for number, line in enumerate(text.replace("\\\n", " ").splitlines(), 1):
            if NOT_A_RULE.match(line):
                continue
            for who in _named(line.split("=", 1)[0], groups):
                if who not in (ROOT_ITSELF, *policy.sudoers):
                    fix = f"remove the rule or {who} from its group, or declare it in sudoers"
                    yield Finding(rule="sudo", path=path, what=f"line {number} lets {who} become root, which is not declared", fix=fix)


def passwd(tree: Tree) -> list[PasswdLine]:
    """The accounts, lines that are none left out."""
    found: list[PasswdLine] = []
    for line in tree.text("/etc/passwd").splitlines():
        fields = line.split(":")
        if len(fields) == 7 and fields[2].isdigit() and fields[3].isdigit():  # noqa: PLR2004  # passwd(5)
            found.append((fields[0], int(fields[2]), int(fields[3]), fields[5], fields[6]))
    return found


def _passwords(tree: Tree) -> Iterator[Finding]:
    """One password on a thousand machines is everyone's: keys and user data bring what a machine needs."""
    for line in tree.text("/etc/shadow").splitlines():
        name, _colon, rest = line.partition(":")
        password = rest.partition(":")[0]
        if not password and rest:
            yield _finding("/etc/shadow", f"user {name} needs no password", f"passwd -l {name}")
        elif rest and password[0] not in "!*":
            yield _finding("/etc/shadow", f"user {name} has a password", f"passwd -l {name}")


def _keys(tree: Tree, accounts: list[PasswdLine]) -> Iterator[Finding]:
    homes = {home.rstrip("/") for _name, _uid, _gid, home, _shell in accounts} | {"/root"}
    for home in sorted(homes):
        for name in ("authorized_keys", "authorized_keys2"):
            entry = tree.entries.get(f"{home}/.ssh/{name}")
            if entry is not None and entry.size:
                fix = f"rm {entry.path}, and let user data bring the keys; or allow the path"
                yield _finding(entry.path, "keys that open every machine made of the image", fix)


def _groups(tree: Tree) -> dict[str, set[str]]:
    """`{group: members}`, those included whose primary group it is."""
    by_gid: dict[int, str] = {}
    members: dict[str, set[str]] = {}
    for line in tree.text("/etc/group").splitlines():
        fields = line.split(":")
        if len(fields) == 4 and fields[2].isdigit():  # noqa: PLR2004  # group(5)
            by_gid[int(fields[2])] = fields[0]
            members[fields[0]] = set(filter(None, fields[3].split(",")))
    for name, _uid, gid, _home, _shell in passwd(tree):
        members.setdefault(by_gid.get(gid, ""), set()).add(name)
    return members


def _named(left: str, groups: dict[str, set[str]]) -> list[str]:
    """Users that the left side of a rule (`alice, %wheel ALL`) names. An alias or a negation stays as it is written."""
    names: list[str] = []
    for part in re.split(r"\s*,\s*", left.strip()):
        who = part.split()[0] if part.split() else ""
        names += sorted(groups.get(who[1:], ())) if who.startswith("%") else [who] if who else []
    return names


def _finding(path: str, what: str, fix: str) -> Finding:
    return Finding(rule="users", path=path, what=what, fix=fix)
