# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build of ours clears away before its image is judged: what every build leaves and no image may have.

Only traces: what is somebody's decision (users, ports, secrets) is found and never mended. An image from elsewhere is not sealed.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.immutable.fleet.plugins.module_utils.hygiene import traces
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.policy import Policy
from ansible_collections.immutable.fleet.plugins.module_utils.hygiene.tree import Tree

REMOVED_WITH_CONTENTS = (*traces.INSTANCE_FOLDERS, *traces.SCRATCH, "/var/log/journal")
REMOVED = (traces.ssh_host_keys, traces.shell_history, traces.leftovers, traces.instance_data)
EMPTIED = (traces.machine_id,)

Step = tuple[str, str]  # ("remove" | "empty", path); a folder is removed with all that is in it


def steps(tree: Tree) -> Iterator[Step]:
    """What to do, in order, each path once."""
    done: set[str] = set()
    for verb, path in _all(tree):
        if path not in done:
            done.add(path)
            yield verb, path


def _all(tree: Tree) -> Iterator[Step]:
    anything = Policy()
    for rule in EMPTIED:
        yield from (("empty", finding.path) for finding in rule(tree, anything))
    for entry in tree.files_below("/var/log"):
        yield "empty", entry.path
    for folder in REMOVED_WITH_CONTENTS:
        yield from (("remove", entry.path) for entry in tree.below(folder) if "/" not in entry.path[len(folder) + 1 :])
    for pattern in traces.CACHED:
        yield from (("remove", entry.path) for entry in traces.matching(tree, pattern))
    for rule in REMOVED:
        for finding in rule(tree, anything):
            yield "remove", finding.path
            if finding.rule == "ssh_host_keys" and f"{finding.path}.pub" in tree:
                yield "remove", f"{finding.path}.pub"
