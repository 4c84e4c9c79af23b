# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run without the rights it takes is refused."""

from __future__ import annotations

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.decide.access import denial, removes_pods
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.access import Right
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.tests.unit.builders import machine, snapshot

PATCH, DELETE = Right(verb="patch", resource="nodes"), Right(verb="delete", resource="nodes")
EVICT = Right(verb="create", resource="pods/eviction")
WATCH = Right(verb="watch", resource="poddisruptionbudgets", group="policy")
LEASES = {"group": "coordination.k8s.io", "resource": "leases", "namespace": "kube-system"}
RENEW, MAKE = Right(verb="patch", name="immutable-fleet-web", **LEASES), Right(verb="create", **LEASES)


def test_a_refusal_names_all_that_is_missing_and_the_rules_to_add() -> None:
    """Verb, resource, namespace, user; the rules as they are written in a role; nothing was touched."""
    found = denial([WATCH, PATCH, DELETE, EVICT, RENEW, MAKE], "system:serviceaccount:ci:deploy")
    assert (found.code, found.what, found.where, found.forward, found.back) == (
        "denied",
        (
            'user "system:serviceaccount:ci:deploy" cannot watch poddisruptionbudgets.policy; patch, delete nodes; create pods/eviction; '
            "patch leases.coordination.k8s.io immutable-fleet-web in namespace kube-system; "
            "create leases.coordination.k8s.io in namespace kube-system"
        ),
        "kubernetes",
        (
            "give it a ClusterRole with {apiGroups: [policy], resources: [poddisruptionbudgets], verbs: [watch]}, "
            '{apiGroups: [""], resources: [nodes], verbs: [patch, delete]}, '
            '{apiGroups: [""], resources: [pods/eviction], verbs: [create]} and a Role in namespace kube-system with '
            "{apiGroups: [coordination.k8s.io], resources: [leases], verbs: [patch, create]}, then run the same task again"
        ),
        "nothing to take back: nothing was changed",
    )


def test_an_account_without_a_name_is_refused_too() -> None:
    """Before Kubernetes 1.28 nobody says who we are."""
    assert denial([PATCH], "").what == "the account of this run cannot patch nodes"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(machine("m1"), False, id="it runs"),
        pytest.param(machine("m1", status=vm_states.STOPPED, ready=None), True, id="off, and its kubelet silent"),
    ],
)
def test_pods_are_deleted_where_a_machine_is_proven_dead(found: Machine, expected: bool) -> None:
    """Whatever the drain's policy."""
    assert removes_pods(snapshot(found)) is expected
