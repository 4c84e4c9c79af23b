# SPDX-License-Identifier: GPL-3.0-or-later
"""What one machine leaves behind and all machines of an image would share, or would never need.

Sources: machine-id(5) ("uninitialized" and an empty file are made anew at the first boot), the clean command of cloud-init,
virt-sysprep's list of operations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.policy import Finding, Policy, is_like
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.tree import Entry, Tree

ROOT_HOME = "/root"
HISTORIES = (".*_history", ".histfile", ".lesshst", ".viminfo", ".wget-hsts", ".sqlite_history")
UNMADE = ("", "uninitialized")
INSTANCE_FOLDERS = ("/var/lib/cloud/data", "/var/lib/cloud/instances", "/var/lib/cloud/sem", "/var/lib/cloud/seed")
INSTANCE_FILES = (
    "/etc/netplan/50-cloud-init.yaml",
    "/etc/network/interfaces.d/50-cloud-init*",
    "/etc/udev/rules.d/70-persistent-net.rules",
    "/var/lib/NetworkManager/*.lease",
    "/var/lib/cloud/instance",
    "/var/lib/dhcp/*.leases",
    "/var/lib/systemd/credential.secret",
    "/var/lib/systemd/random-seed",
    "/var/log/cloud-init*.log",
)
CACHED = (
    f"{ROOT_HOME}/.cache/*",
    "/var/cache/apk/*",
    "/var/cache/apt/archives/*.deb",
    "/var/cache/apt/*pkgcache.bin",
    "/var/cache/dnf/*",
    "/var/cache/yum/*",
    "/var/lib/apt/lists/*_*",
)
LEFTOVERS = {
    "/usr/sbin/policy-rc.d": "keeps services from starting when packages are installed",
    "/etc/apt/apt.conf.d/99mmdebstrap": "belongs to the build",
}
SCRATCH = ("/tmp", "/var/tmp")  # noqa: S108  # the image's


def ssh_host_keys(tree: Tree, _policy: Policy) -> Iterator[Finding]:
    """All machines would prove to be each other."""
    for entry in tree.files_below("/etc/ssh"):
        if re.fullmatch(r"/etc/ssh/ssh_host_\w+_key", entry.path):
            yield _found("ssh_host_keys", entry, "a host key that every machine would share", f"rm {entry.path} {entry.path}.pub")


def machine_id(tree: Tree, _policy: Policy) -> Iterator[Finding]:
    """DHCP servers, journals and Kubernetes tell machines apart by it."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        entry = tree.entries.get(path)
        if entry is not None and entry.kind == "file" and entry.text.strip() not in UNMADE:
            yield _found("machine_id", entry, "an id that every machine would share", f"truncate --size 0 {path}")


def instance_data(tree: Tree, _policy: Policy) -> Iterator[Finding]:
    """With it cloud-init takes the first boot for a later one, and does nothing."""
    for folder in INSTANCE_FOLDERS:
        first = next(tree.below(folder), None)
        if first is not None:
            what = "cloud-init's data of the machine that the image was made on"
            yield _found("instance_data", first, what, "cloud-init clean --logs --seed")
    for pattern in INSTANCE_FILES:
        for entry in matching(tree, pattern):
            if entry.size or entry.kind == "link":
                yield _found("instance_data", entry, "belongs to the machine that the image was made on", f"rm {entry.path}")


def shell_history(tree: Tree, _policy: Policy) -> Iterator[Finding]:
    """What was typed often holds what should not be read."""
    for entry in tree.files_below(ROOT_HOME, "/home"):
        name = entry.path.rpartition("/")[2]
        if entry.size and any(is_like(name, pattern) for pattern in HISTORIES):
            yield _found("shell_history", entry, "a history of what somebody typed", f"rm {entry.path}")


def logs(tree: Tree, policy: Policy) -> Iterator[Finding]:
    """They tell of another machine. Each journal, and the largest files where all together are too large."""
    files = sorted(tree.files_below("/var/log"), key=lambda entry: -entry.size)
    for entry in files:
        if entry.path.startswith("/var/log/journal/"):
            yield _found("logs", entry, "a journal of the machine that the image was made on", f"rm {entry.path}")
    total = sum(entry.size for entry in files)
    for entry in files:
        if total <= policy.log_bytes_max:
            return
        what = f"{entry.size} bytes of log, {total} with the others; {policy.log_bytes_max} are allowed"
        yield _found("logs", entry, what, f"truncate --size 0 {entry.path}")
        total -= entry.size


def package_caches(tree: Tree, _policy: Policy) -> Iterator[Finding]:
    """Each machine would carry them, and each upload and clone."""
    for pattern in CACHED:
        found = [entry for entry in matching(tree, pattern) if entry.kind != "other"]
        if found:
            others = f" and {len(found) - 1} more" if len(found) > 1 else ""
            yield _found("package_caches", found[0], f"a cache of packages{others}", f"rm -r {pattern}")


def leftovers(tree: Tree, _policy: Policy) -> Iterator[Finding]:
    """What belongs to a build, and temporary files."""
    for path, why in LEFTOVERS.items():
        entry = tree.entries.get(path)
        if entry is not None:
            yield _found("leftovers", entry, why, f"rm {path}")
    for folder in SCRATCH:
        first = next(tree.below(folder), None)
        if first is not None:
            yield _found("leftovers", first, "a temporary file of the build", f"rm -r {first.path}")


def matching(tree: Tree, pattern: str) -> Iterator[Entry]:
    """What is named so ("/var/lib/dhcp/*.leases"), in one folder."""
    return (entry for entry in tree.below(pattern.rpartition("/")[0]) if is_like(entry.path, pattern))


def _found(rule: str, entry: Entry, what: str, fix: str) -> Finding:
    return Finding(rule=rule, path=entry.path, what=what, fix=fix)
