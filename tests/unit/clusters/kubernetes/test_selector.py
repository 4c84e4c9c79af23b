# SPDX-License-Identifier: GPL-3.0-or-later
"""Label selectors, as policy/v1 reads them."""

from __future__ import annotations

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.selector import selector_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid


def expression(operator: str, *values: str) -> dict[str, object]:
    return {"matchExpressions": [{"key": "tier", "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("raw", "matches"),
    [
        pytest.param({}, True, id="an empty selector selects all"),
        pytest.param({"matchLabels": {"app": "web"}}, True, id="label"),
        pytest.param({"matchLabels": {"app": "db"}}, False, id="another value"),
        pytest.param({"matchLabels": {"app": "web", "zone": "a"}}, False, id="all labels must be there"),
        pytest.param(expression("In", "front", "back"), True, id="in"),
        pytest.param(expression("In", "back"), False, id="not in the list"),
        pytest.param(expression("NotIn", "back"), True, id="notin"),
        pytest.param(expression("Exists"), True, id="exists"),
        pytest.param(expression("DoesNotExist"), False, id="does not exist"),
        pytest.param({"matchLabels": {"app": "web"}, **expression("NotIn", "front")}, False, id="both must hold"),
        pytest.param({"matchLabels": None, "matchExpressions": None}, True, id="nulls are empty"),
    ],
)
def test_selector(raw: dict[str, object], matches: bool) -> None:
    """Of a pod labelled app=web, tier=front."""
    selector = selector_of(raw)
    assert selector is not None
    assert selector.matches({"app": "web", "tier": "front"}) is matches


@pytest.mark.parametrize(("operator", "matches"), [("In", False), ("NotIn", True), ("Exists", False), ("DoesNotExist", True)])
def test_expression_about_a_label_that_is_not_there(operator: str, matches: bool) -> None:
    """NotIn holds, as in Kubernetes."""
    selector = selector_of(expression(operator, "front"))
    assert selector is not None
    assert selector.matches({}) is matches


def test_missing_selector_selects_nothing() -> None:
    """A PDB without one guards no pod."""
    assert selector_of(None) is None


def test_unknown_operator_is_an_error() -> None:
    """Not a silent mismatch: a drain rule with a typo must not be passed over."""
    with pytest.raises(Invalid, match="'in' is no operator"):
        selector_of(expression("in", "front"))
