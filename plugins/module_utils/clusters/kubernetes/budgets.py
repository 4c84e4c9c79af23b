# SPDX-License-Identifier: GPL-3.0-or-later
"""Which PDBs select a pod. Pure.

One namespace may hold hundreds of PDBs and thousands of pods: trying each with each took 36 s for 1,500 and 30,000. So a PDB lies
under one label that its selector asks for, and a pod looks only under its own labels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.convert import BudgetFact
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget

_NO_LABEL = ("", "")  # of selectors that ask for no particular label


class Budgets:
    """PDBs by their full names."""

    def __init__(self) -> None:
        self._facts: dict[str, BudgetFact] = {}
        self._under: defaultdict[tuple[str, tuple[str, str]], set[str]] = defaultdict(set)  # (namespace, label) -> names

    def put(self, fact: BudgetFact) -> None:
        """Add one, or another one of its name."""
        self.drop(fact.budget.name)
        self._facts[fact.budget.name] = fact
        if fact.selector is not None:
            self._under[_place(fact)].add(fact.budget.name)

    def drop(self, name: str) -> None:
        """Forget one, if it is there."""
        fact = self._facts.pop(name, None)
        if fact is not None:
            self._under[_place(fact)].discard(name)

    def facts(self) -> dict[str, Budget]:
        """What a view shows of them, by full name."""
        return {name: fact.budget for name, fact in self._facts.items()}

    def lets_unready_go(self, name: str) -> bool:
        """Whether this PDB, which must be there, does not count an unready pod's eviction."""
        return self._facts[name].lets_unready_go

    def selecting(self, namespace: str, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Names of those that select a pod with these labels, sorted."""
        return tuple(sorted(name for name in self._candidates(namespace, labels) if selects(self._facts[name], labels)))

    def _candidates(self, namespace: str, labels: Mapping[str, str]) -> Iterator[str]:
        for label in (_NO_LABEL, *labels.items()):
            yield from self._under.get((namespace, label), ())


def selects(fact: BudgetFact, labels: Mapping[str, str]) -> bool:
    """Whether a PDB selects a pod of its namespace that has these labels."""
    return fact.selector is not None and fact.selector.matches(labels)


def _place(fact: BudgetFact) -> tuple[str, tuple[str, str]]:
    labels = fact.selector.labels if fact.selector is not None else ()
    return fact.namespace, labels[0] if labels else _NO_LABEL
