# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a run whose account may not do all that it will have to: it is refused before its first write.

Promises: one refusal names all that is missing, as rules that can be pasted into a role. What is not known never refuses.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.immutable.fleet.plugins.module_utils.decide import going
from ansible_collections.immutable.fleet.plugins.module_utils.model.access import Right
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Node
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot

_Key = tuple[str, str, str, str]  # namespace, group, resource, name


def removes_pods(snapshot: Snapshot) -> bool:
    """Whether pods will be deleted instead of evicted, whatever the drain's policy: those of machines that are proven dead, or will be.

    A machine whose kubelet is silent is switched off before its pods are let go, if it stays so.
    """
    return any(going.is_proven_dead(machine) or _is_silent(machine.node) for machine in snapshot.machines.values())


def _is_silent(node: Node | None) -> bool:
    return node is not None and node.was_ready and node.ready is None


def denial(missing: Iterable[Right], user: str) -> Denied:
    """The refusal of a run that lacks these rights. `user` is who it is to the API server, "" where that is not known."""
    verbs: dict[_Key, list[str]] = {}
    for right in missing:
        verbs.setdefault((right.namespace, right.group, right.resource, right.name), []).append(right.verb)
    who = f'user "{user}"' if user else "the account of this run"
    return Denied(
        what=f"{who} cannot {'; '.join(_said(key, found) for key, found in verbs.items())}",
        where="kubernetes",
        forward=f"give it {_rules(verbs)}, then run the same task again",
        back="nothing to take back: nothing was changed",
    )


def not_known(why: str) -> Blocker:
    """That nobody says what the account may do; the run begins all the same."""
    forward = "nothing has to be done: a call that is refused says what is missing"
    return Blocker(code="access_unknown", what=f"what this account may do is not known: {why}", where="kubernetes", forward=forward)


def _said(key: _Key, verbs: list[str]) -> str:
    """As `delete, patch leases.coordination.k8s.io immutable-fleet-web in namespace kube-system`."""
    namespace, group, resource, name = key
    kind, _slash, subresource = resource.partition("/")
    full = f"{kind}.{group}" if group else kind
    full += f"/{subresource}" if subresource else ""
    return f"{', '.join(verbs)} {full}{f' {name}' if name else ''}{f' in namespace {namespace}' if namespace else ''}"


def _rules(verbs: dict[_Key, list[str]]) -> str:
    """The rules that would do, by the role that they belong into."""
    by_role: dict[str, dict[tuple[str, str], list[str]]] = {}
    for (namespace, group, resource, _name), found in verbs.items():
        role = f"a Role in namespace {namespace}" if namespace else "a ClusterRole"
        by_role.setdefault(role, {}).setdefault((group, resource), []).extend(found)
    return " and ".join(f"{role} with {', '.join(_rule(*what, found) for what, found in rules.items())}" for role, rules in by_role.items())


def _rule(group: str, resource: str, verbs: list[str]) -> str:
    """In YAML, as the rules of a role are written."""
    api = group or '""'
    return f"{{apiGroups: [{api}], resources: [{resource}], verbs: [{', '.join(dict.fromkeys(verbs))}]}}"
