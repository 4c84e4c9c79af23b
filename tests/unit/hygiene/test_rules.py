# SPDX-License-Identifier: GPL-3.0-or-later
"""Each rule has an image that breaks it: the clean one with one thing changed."""

from __future__ import annotations

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.policy import Allowance, Policy
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.rules import RULES, findings_in
from ansible_collections.immutable.fleet.tests.unit.hygiene.trees import CLEAN, HOME, LINK, NOTHING, ROOT, tree

POLICY = Policy(users=frozenset({"ops"}), log_bytes_max=100)
WANTS = "/etc/systemd/system/multi-user.target.wants/"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n"
SUDO = "/etc/sudoers.d/"
PASSWD = CLEAN["/etc/passwd"]
LISTS = "/var/lib/apt/lists/"
CLOCK_UNIT = "/usr/lib/systemd/system/systemd-timesyncd.service"

# what it is, what is changed, the rule that finds it, where, and a word of what is said
BROKEN = [
    ("a host key", {"/etc/ssh/ssh_host_ed25519_key": KEY}, "ssh_host_keys", "/etc/ssh/ssh_host_ed25519_key", "share"),
    ("a machine id", {"/etc/machine-id": "4d1e6b1b2f\n"}, "machine_id", "/etc/machine-id", "share"),
    ("an id of D-Bus's own", {"/var/lib/dbus/machine-id": "4d1e6b1b2f\n"}, "machine_id", "/var/lib/dbus/machine-id", "share"),
    ("an instance", {"/var/lib/cloud/instances/i-1/sem": "x"}, "instance_data", "/var/lib/cloud/instances/i-1", "cloud-init"),
    ("a link to it", {"/var/lib/cloud/instance": LINK + "instances/i-1"}, "instance_data", "/var/lib/cloud/instance", "machine"),
    ("cloud-init's log", {"/var/log/cloud-init.log": "boot"}, "instance_data", "/var/log/cloud-init.log", "machine"),
    ("a lease", {"/var/lib/dhcp/dhclient.eth0.leases": "lease {}"}, "instance_data", "/var/lib/dhcp/dhclient.eth0.leases", "machine"),
    ("a seed", {"/var/lib/systemd/random-seed": "r"}, "instance_data", "/var/lib/systemd/random-seed", "machine"),
    ("root's history", {f"{ROOT}/.bash_history": "mysql -phunter2\n"}, "shell_history", f"{ROOT}/.bash_history", "typed"),
    ("a user's history", {f"{HOME}/.python_history": "x\n"}, "shell_history", f"{HOME}/.python_history", "typed"),
    ("a private key", {"/etc/app/tls.pem": KEY}, "secrets", "/etc/app/tls.pem", "line 1 holds a private key"),
    ("a password", {"/etc/app.ini": "[db]\npassword = s3Kr-tPw9\n"}, "secrets", "/etc/app.ini", "line 2 holds a value of password"),
    ("large logs", {"/var/log/syslog": "x" * 200}, "logs", "/var/log/syslog", "200 bytes of log, 224 with the others; 100 are allowed"),
    ("a journal", {"/var/log/journal/4d1e/system.journal": "J"}, "logs", "/var/log/journal/4d1e/system.journal", "journal"),
    ("a package", {"/var/cache/apt/archives/curl.deb": "!"}, "package_caches", "/var/cache/apt/archives/curl.deb", "cache"),
    ("lists", {f"{LISTS}a_Packages": "P", f"{LISTS}b_Release": "R"}, "package_caches", f"{LISTS}a_Packages",
     "1 more"),
    ("pip's cache", {f"{ROOT}/.cache/pip": "p"}, "package_caches", f"{ROOT}/.cache/pip", "cache"),
    ("the build's policy", {"/usr/sbin/policy-rc.d": "exit 101"}, "leftovers", "/usr/sbin/policy-rc.d", "services"),
    ("a temporary file", {"/tmp/ansible_x": "y"}, "leftovers", "/tmp/ansible_x", "temporary"),
    ("a server", {f"{WANTS}nginx.service": LINK + "/lib/systemd/system/nginx.service"}, "ports", f"{WANTS}nginx.service", "port 80"),
    ("a socket", {f"{WANTS}web.socket": LINK + "/lib/systemd/system/web.socket"}, "ports", f"{WANTS}web.socket", "port 8080"),
    ("a sysv server", {"/etc/rc2.d/S01exim4": LINK + "../init.d/exim4"}, "ports", "/etc/rc2.d/S01exim4", "port 25"),
    ("an unknown user", {"/etc/passwd": PASSWD + "eve:x:1001:1001::/home/eve:/bin/sh\n"}, "users", "/etc/passwd",
     "user eve (uid 1001) is not declared"),
    ("a second root", {"/etc/passwd": PASSWD + "toor:x:0:0::/root:/bin/sh\n"}, "users", "/etc/passwd", "toor is root"),
    ("a missing user", {"/etc/passwd": "root:x:0:0:root:/root:/bin/bash\n"}, "users", "/etc/passwd", "ops is declared and does"),
    ("a password of root", {"/etc/shadow": "root:$6$salt$hash:20000::::::\n"}, "users", "/etc/shadow", "user root has a password"),
    ("no password asked", {"/etc/shadow": "ops::20000::::::\n"}, "users", "/etc/shadow", "user ops needs no password"),
    ("a key to log in", {f"{HOME}/.ssh/authorized_keys": "ssh-ed25519 AAAA x\n"}, "users", f"{HOME}/.ssh/authorized_keys", "every machine"),
    ("a sudoer", {f"{SUDO}90-ops": "ops ALL=(ALL) NOPASSWD:ALL\n"}, "sudo", f"{SUDO}90-ops", "line 1 lets ops become root"),
    ("a sudoer by his group", {"/etc/group": "sudo:x:27:ops\n"}, "sudo", "/etc/sudoers", "line 4 lets ops become root"),
    ("no clock", {"/etc/systemd/system/sysinit.target.wants/systemd-timesyncd.service": NOTHING}, "clock", "/etc/systemd/system", "clock"),
    ("a masked clock", {"/etc/systemd/system/systemd-timesyncd.service": LINK + "/dev/null"}, "clock", "/etc/systemd/system", "clock"),
    ("a clock that is not installed", {CLOCK_UNIT: NOTHING}, "clock", "/etc/systemd/system", "clock"),
]  # fmt: skip


def test_a_clean_image_has_no_findings() -> None:
    """What the rules want can be had."""
    assert findings_in(tree(), POLICY) == []


@pytest.mark.parametrize(("changes", "rule", "path", "said"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_what_should_not_be_there_is_found(changes: dict[str, str], rule: str, path: str, said: str) -> None:
    """One finding, by the rule whose business it is, with the file and a way to mend it."""
    (finding,) = findings_in(tree(changes), POLICY)
    assert (finding.rule, finding.path) == (rule, path)
    assert said in finding.what
    assert finding.fix


def test_ssh_where_it_is_to_be_off() -> None:
    """The port of SSH is declared by `ssh`, not among the ports."""
    (finding,) = findings_in(tree(), Policy(users=frozenset({"ops"}), ssh=False))
    assert (finding.rule, finding.path) == ("ssh", f"{WANTS}ssh.service")
    masked = {"/etc/systemd/system/ssh.service": LINK + "/dev/null"}
    assert findings_in(tree(masked), Policy(users=frozenset({"ops"}), ssh=False)) == []


def test_every_rule_has_an_image_that_breaks_it() -> None:
    """A rule without one could stop to work unseen."""
    assert {row[2] for row in BROKEN} | {"ssh"} == set(RULES)


@pytest.mark.parametrize(
    ("policy", "changes"),
    [
        pytest.param(Policy(users=frozenset({"ops"}), ports=frozenset({80})), {f"{WANTS}nginx.service": LINK + "x"}, id="a declared port"),
        pytest.param(Policy(users=frozenset({"ops", "eve"})), {"/etc/passwd": PASSWD + "eve:x:1001:1::/:/bin/sh"}, id="a user"),
        pytest.param(Policy(users=frozenset({"ops"}), sudoers=frozenset({"ops"})), {f"{SUDO}90-ops": "ops ALL=(ALL) ALL"}, id="a sudoer"),
        pytest.param(Policy(users=frozenset({"ops"}), clock_sync=False), {CLOCK_UNIT: NOTHING},
                     id="no clock wanted"),
        pytest.param(Policy(users=frozenset({"ops"})), {"/var/log/syslog": "x" * 200}, id="logs below the limit"),
    ],
)  # fmt: skip
def test_what_is_declared_is_no_finding(policy: Policy, changes: dict[str, str]) -> None:
    """The same images, and a policy that says so."""
    assert findings_in(tree(changes), policy) == []


@pytest.mark.parametrize(
    ("rule", "path", "is_covered"),
    [("secrets", "/etc/app/*.pem", True), ("secrets", "/etc/**", True), ("secrets", "/etc/*", False), ("users", "/etc/app/*.pem", False)],
)
def test_an_allowance_is_as_wide_as_it_reads(rule: str, path: str, is_covered: bool) -> None:
    """`*` stays within a folder, and one rule's allowance is no other's."""
    policy = Policy(users=frozenset({"ops"}), allowed=(Allowance(rule=rule, path=path, reason="a test"),))
    assert (findings_in(tree({"/etc/app/tls.pem": KEY}), policy) == []) is is_covered
