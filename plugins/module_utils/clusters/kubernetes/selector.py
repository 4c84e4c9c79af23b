# SPDX-License-Identifier: GPL-3.0-or-later
"""Label selectors as policy/v1 and Cluster API's drain rules mean them. Pure.

An empty selector selects everything, a missing one nothing (policy/v1; policy/v1beta1 had it the other way round).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid


@dataclass(frozen=True, slots=True)
class Selector:
    """`labels` must all be there; `expressions` are (key, operator, values) and must all hold."""

    labels: tuple[tuple[str, str], ...] = ()
    expressions: tuple[tuple[str, str, frozenset[str]], ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return all(labels.get(key) == value for key, value in self.labels) and all(
            _holds(labels.get(key), operator, values) for key, operator, values in self.expressions
        )


OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
EVERYTHING = Selector()


def selector_of(raw: Mapping[str, Any] | None) -> Selector | None:
    """The selector in `{"matchLabels": {...}, "matchExpressions": [{"key", "operator", "values"}]}`; None selects nothing.

    Raises `Invalid` for an operator that Kubernetes does not have.
    """
    if raw is None:
        return None
    expressions = raw.get("matchExpressions") or ()
    for expression in expressions:
        if expression["operator"] not in OPERATORS:
            raise Invalid(what=f"{expression['operator']!r} is no operator of a label selector; expected one of {', '.join(OPERATORS)}")
    return Selector(
        tuple(sorted((raw.get("matchLabels") or {}).items())),
        tuple((item["key"], item["operator"], frozenset(item.get("values") or ())) for item in expressions),
    )


def _holds(value: str | None, operator: str, values: frozenset[str]) -> bool:
    if operator == "In":
        return value in values
    if operator == "NotIn":  # also true for an object without the label
        return value not in values
    return (value is not None) == (operator == "Exists")
