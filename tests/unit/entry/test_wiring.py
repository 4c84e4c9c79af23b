# SPDX-License-Identifier: GPL-3.0-or-later
"""What the wiring makes of options that only an adapter understands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.convert import DrainRule
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.selector import Selector
from ansible_collections.immutable.fleet.plugins.module_utils.entry.wiring import _client, drain_rules
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "a",
    "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
    "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:6443"}}],
    "users": [{"name": "a", "user": {}}],
}


def params(selector: Any, **given: Any) -> dict[str, Any]:
    rule = {"behavior": "Drain", "order": 0, "namespaces": [], "selector": selector}
    return {"drain": {"rules": [rule | given]}}


def test_a_rule_keeps_cluster_apis_meaning() -> None:
    """Selector, namespaces, order and behaviour arrive as given."""
    rules = drain_rules(params({"matchLabels": {"app": "db"}}, behavior="WaitCompleted", order=7, namespaces=["shop"]))
    assert rules == [DrainRule(behaviour="WaitCompleted", selector=Selector((("app", "db"),)), namespaces=frozenset({"shop"}), order=7)]


@pytest.mark.parametrize(
    "selector",
    [
        pytest.param({"matchExpressions": [{"key": "app", "operator": "Like"}]}, id="unknown operator"),
        pytest.param({"matchExpressions": [{"operator": "In"}]}, id="no key"),
        pytest.param({"matchLabels": ["app"]}, id="labels as a list"),
    ],
)
def test_a_wrong_selector_is_refused_with_its_path(selector: dict[str, Any]) -> None:
    """Before anything is touched."""
    with pytest.raises(Invalid) as refused:
        drain_rules(params(selector))
    assert refused.value.where == "drain.rules[0].selector"


def test_a_module_that_drains_nothing_has_no_rules() -> None:
    """node_pool_info looks through the same wiring."""
    assert drain_rules({}) == []


def test_an_alias_of_an_option_connects_like_the_option() -> None:
    """Ansible leaves the alias beside the option that it stands for."""
    given = {"kubeconfig": KUBECONFIG, "validate_certs": False, "verify_ssl": False, "lock_namespace": "kube-system"}
    assert _client(given, lambda: datetime.now(UTC)) is not None
