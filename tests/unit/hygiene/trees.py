# SPDX-License-Identifier: GPL-3.0-or-later
"""Small root file systems: a clean one, and the same with something added, changed or taken away."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.tree import Entry, Tree, tree_of, wants_text

HOME = "/home/ops"
ROOT = "/root"
LINK = "-> "
NOTHING = "(nothing)"

CLEAN = {
    "/etc/machine-id": "",
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/usr/sbin/nologin\nops:x:1000:1000::/home/ops:/bin/bash\n",
    "/etc/shadow": "root:*:20000:0:99999:7:::\ndaemon:*:20000::::::\nops:!:20000::::::\n",
    "/etc/group": "root:x:0:\nsudo:x:27:\nops:x:1000:\n",
    "/etc/sudoers": "# comment\nDefaults env_reset\nroot ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n",
    "/etc/ssh/sshd_config": "PermitRootLogin no\n",
    "/etc/systemd/system/multi-user.target.wants/ssh.service": LINK + "/lib/systemd/system/ssh.service",
    "/etc/systemd/system/sysinit.target.wants/systemd-timesyncd.service": LINK + "/lib/systemd/system/systemd-timesyncd.service",
    "/lib": LINK + "usr/lib",
    "/usr/lib/systemd/system/ssh.service": "[Service]\nExecStart=/usr/sbin/sshd -D\n",
    "/usr/lib/systemd/system/systemd-timesyncd.service": "[Service]\n",
    "/usr/lib/systemd/system/nginx.service": "[Service]\nLoadCredential=passwd.hashed-password.root\n",
    "/usr/lib/systemd/system/web.socket": "[Socket]\nListenStream=8080\n",
    "/usr/share/doc/openssl/example.pem": "-----BEGIN PRIVATE KEY-----\n",
    "/var/lib/dbus/machine-id": LINK + "/etc/machine-id",
    "/var/log/dpkg.log": "startup archives unpack\n",
    "/var/lib/systemd/random-seed": "",
}


def tree(changes: Mapping[str, str] | None = None) -> Tree:
    """CLEAN with these changes: a text, `LINK` with a target, or NOTHING for what is not there."""
    files = {**CLEAN, **(changes or {})}
    things = {path: entry(path, text) for path, text in files.items() if text != NOTHING}
    folders = {str(folder): Entry(str(folder), "folder") for path in things for folder in PurePosixPath(path).parents if folder.name}
    return tree_of({**folders, **things}.values())


def entry(path: str, text: str) -> Entry:
    if text.startswith(LINK):
        return Entry(path, "link", target=text.removeprefix(LINK))
    return Entry(path, "file", size=len(text), text=text if wants_text(path) else "")
