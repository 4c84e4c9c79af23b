# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services start with a machine, and where they listen, as far as files tell.

Sources: systemd.unit(5) (the load path and its order, wants and requires folders, a link to /dev/null masks), systemd.socket(5)
(ListenStream). What a service listens on stands in its own program: `LISTENERS` knows the common ones, the boot test sees the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.tree import Tree

LOAD_PATH = ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
PULLING = re.compile(r"/([^/]+)\.(wants|requires)/([^/]+)$")
NEVER_AT_BOOT = ("rescue.target", "emergency.target", "halt.target", "poweroff.target", "reboot.target", "kexec.target")
RUN_LEVELS = re.compile(r"/etc/rc[2345]\.d/S\d\d(.+)$")  # services without a unit of their own, of Debian's sysv packages

# Service -> TCP ports that it opens to other machines as its package configures it.
LISTENERS = {
    "apache2": (80,),
    "bind9": (53,),
    "cups": (631,),
    "dovecot": (143, 993),
    "exim4": (25,),
    "haproxy": (),  # none until somebody configures one
    "httpd": (80,),
    "kubelet": (10250,),
    "mariadb": (3306,),
    "mysql": (3306,),
    "named": (53,),
    "nfs-server": (2049,),
    "nginx": (80,),
    "postfix": (25,),
    "postgresql": (5432,),
    "prometheus-node-exporter": (9100,),
    "redis-server": (6379,),
    "rpcbind": (111,),
    "smbd": (139, 445),
    "ssh": (22,),
    "sshd": (22,),
    "telnet": (23,),
    "vsftpd": (21,),
    "xinetd": (),
}
SSH_NAMES = ("ssh.service", "sshd.service", "ssh.socket", "sshd.socket", "dropbear.service", "dropbear.socket")
CLOCK_NAMES = (
    *("chrony.service", "chronyd.service", "systemd-timesyncd.service"),
    *("ntp.service", "ntpd.service", "ntpsec.service", "openntpd.service"),
)


def enabled(tree: Tree) -> dict[str, str]:
    """`{unit: the link that starts it}` of all that a boot pulls in and nobody masked."""
    found: dict[str, str] = {}
    for entry in tree.below(*LOAD_PATH):
        match = PULLING.search(entry.path)
        if match and match[1] not in NEVER_AT_BOOT and not is_masked(tree, match[3]):
            found.setdefault(match[3], entry.path)
    for entry in tree.below("/etc"):
        match = RUN_LEVELS.match(entry.path)
        if match and unit_file(tree, f"{match[1]}.service") is None and not is_masked(tree, f"{match[1]}.service"):
            found.setdefault(f"{match[1]}.service", entry.path)
    return found


def is_masked(tree: Tree, unit: str) -> bool:
    """A link to /dev/null, or an empty file, in the folder that comes first."""
    entry = tree.entries.get(f"/etc/systemd/system/{unit}")
    return entry is not None and (entry.target == "/dev/null" or (entry.kind == "file" and not entry.size))


def unit_file(tree: Tree, unit: str) -> str | None:
    """Where the unit is described; an instance (`getty@tty1.service`) by its template."""
    template = re.sub(r"@.+(\.\w+)$", r"@\1", unit)
    places = (f"{folder}/{name}" for name in dict.fromkeys((unit, template)) for folder in LOAD_PATH)
    return next((place for place in places if place in tree), None)


def listeners(tree: Tree) -> Iterator[tuple[int, str, str]]:
    """`(port, unit, path)` of all that starts with the machine and listens for others, once each."""
    started = enabled(tree)
    for unit, path in sorted(started.items()):
        name, _dot, kind = unit.rpartition(".")
        if kind == "socket":
            ports = _socket_ports(tree.text(unit_file(tree, unit) or ""))
        elif kind == "service" and f"{name}.socket" not in started:  # else the socket listens, and the service starts later
            ports = _ssh_ports(tree) if unit in SSH_NAMES else LISTENERS.get(name.partition("@")[0], ())
        else:
            ports = ()
        for port in ports:
            yield port, unit, path


def _socket_ports(text: str) -> tuple[int, ...]:
    """Ports of `ListenStream=22`, `=0.0.0.0:22`, `=[::]:22`; not those that only this machine reaches, nor paths."""
    found: list[int] = []
    for value in re.findall(r"(?m)^\s*ListenStream\s*=\s*(\S*)", text):
        if not value:
            found.clear()  # an empty one takes back what stood before
        elif match := re.fullmatch(r"(?:(?!127\.|\[::1\])(?:[\d.]+|\[[^\]]*\]):)?(\d+)", value):
            found.append(int(match[1]))
    return tuple(dict.fromkeys(found))


def _ssh_ports(tree: Tree) -> tuple[int, ...]:
    """Sshd takes all `Port` lines of its files, 22 where there is none."""
    texts = [tree.text("/etc/ssh/sshd_config"), *(entry.text for entry in tree.files_below("/etc/ssh/sshd_config.d"))]
    ports = [int(port) for text in texts for port in re.findall(r"(?mi)^\s*Port\s+(\d+)", text)]
    return tuple(dict.fromkeys(ports)) or LISTENERS["ssh"]
