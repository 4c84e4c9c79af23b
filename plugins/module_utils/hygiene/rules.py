# SPDX-License-Identifier: GPL-3.0-or-later
"""The hygiene gate: what may not be in a golden image. Facts in, findings out.

Promises: pure; each finding names the file and what to do; an image without findings has none of what RULES name, as far as files
tell. What only a running machine shows (ports of services that nobody knows, whether the clock runs) is the boot test's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ansible_collections.immutable.fleet.plugins.module_utils.hygiene import accounts, secrets, traces, units
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.policy import Finding, Policy, without_allowed
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.tree import Tree

Rule = Callable[[Tree, Policy], Iterator[Finding]]


def findings_in(tree: Tree, policy: Policy) -> list[Finding]:
    """What every rule finds and the policy does not allow, in the order of RULES."""
    return without_allowed([finding for rule in RULES.values() for finding in rule(tree, policy)], policy)


def ports(tree: Tree, policy: Policy) -> Iterator[Finding]:
    """What starts with the machine and listens for others, and nobody declared."""
    for port, unit, path in units.listeners(tree):
        if unit not in units.SSH_NAMES and port not in policy.ports:
            fix = f"systemctl disable {unit}, or declare port {port}"
            yield Finding(rule="ports", path=path, what=f"{unit} starts with the machine and listens on port {port}", fix=fix)


def ssh(tree: Tree, policy: Policy) -> Iterator[Finding]:
    """Where SSH is to be off, nothing that serves it starts; else its port counts as declared."""
    if policy.ssh:
        return
    for unit, path in units.enabled(tree).items():
        if unit in units.SSH_NAMES:
            what = f"{unit} starts with the machine, and SSH is to be off"
            yield Finding(rule="ssh", path=path, what=what, fix=f"systemctl disable {unit}")


def clock(tree: Tree, policy: Policy) -> Iterator[Finding]:
    """Without the right time certificates and join tokens are refused."""
    started = units.enabled(tree)
    if policy.clock_sync and not any(name in started and units.unit_file(tree, name) for name in units.CLOCK_NAMES):
        fix = "install chrony, or systemctl enable systemd-timesyncd"
        yield Finding(rule="clock", path="/etc/systemd/system", what="nothing that sets the clock starts with the machine", fix=fix)


RULES: dict[str, Rule] = {
    "ssh_host_keys": traces.ssh_host_keys,
    "machine_id": traces.machine_id,
    "instance_data": traces.instance_data,
    "shell_history": traces.shell_history,
    "secrets": secrets.secrets,
    "logs": traces.logs,
    "package_caches": traces.package_caches,
    "leftovers": traces.leftovers,
    "ports": ports,
    "ssh": ssh,
    "users": accounts.users,
    "sudo": accounts.sudoers,
    "clock": clock,
}
