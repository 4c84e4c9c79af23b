# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealing takes the traces of a build away and nothing that somebody decided."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.hygiene import seal
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.rules import findings_in
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.tree import Entry, Tree, tree_of
from ansible_collections.immutable.fleet.tests.unit.hygiene.test_rules import BROKEN, POLICY
from ansible_collections.immutable.fleet.tests.unit.hygiene.trees import LINK, ROOT, tree

SEALED = {"ssh_host_keys", "machine_id", "instance_data", "shell_history", "logs", "package_caches", "leftovers"}


def sealed(found: Tree) -> Tree:
    """The tree after the steps, as bakery/chroot.py takes them."""
    entries = dict(found.entries)
    for verb, path in seal.steps(found):
        if verb == "empty":
            entries[path] = Entry(path, "file")
        else:
            entries = {place: entry for place, entry in entries.items() if place != path and not place.startswith(f"{path}/")}
    return tree_of(entries.values())


@pytest.mark.parametrize("changes", [row[1] for row in BROKEN if row[2] in SEALED], ids=[row[0] for row in BROKEN if row[2] in SEALED])
def test_a_trace_is_gone(changes: Mapping[str, str]) -> None:
    """An image of our own making passes the gate without a role that cleans up."""
    assert findings_in(sealed(tree(changes)), POLICY) == []


@pytest.mark.parametrize(
    "changes", [row[1] for row in BROKEN if row[2] not in SEALED], ids=[row[0] for row in BROKEN if row[2] not in SEALED]
)
def test_a_decision_stays(changes: Mapping[str, str]) -> None:
    """Whoever put it there learns of it."""
    assert len(findings_in(sealed(tree(changes)), POLICY)) == 1


def test_nothing_else_is_touched() -> None:
    """Every step, of an image with a bit of everything."""
    changes = {
        "/etc/ssh/ssh_host_rsa_key": "-----",
        "/etc/ssh/ssh_host_rsa_key.pub": "ssh-rsa",
        "/etc/machine-id": "4d1e",
        f"{ROOT}/.bash_history": "ls",
        "/var/lib/cloud/instances/i-1/sem": "x",
        "/var/lib/cloud/instance": LINK + "instances/i-1",
        "/tmp/x/y": "z",
        "/var/lib/apt/lists/a_Packages": "P",
    }
    assert list(seal.steps(tree(changes))) == [
        ("empty", "/etc/machine-id"),
        ("empty", "/var/log/dpkg.log"),
        ("remove", "/var/lib/cloud/instances/i-1"),
        ("remove", "/tmp/x"),
        ("remove", "/var/lib/apt/lists/a_Packages"),
        ("remove", "/etc/ssh/ssh_host_rsa_key"),
        ("remove", "/etc/ssh/ssh_host_rsa_key.pub"),
        ("remove", f"{ROOT}/.bash_history"),
        ("remove", "/var/lib/cloud/instance"),
    ]
