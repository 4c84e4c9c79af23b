# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the next machine goes: its slot and its failure domain.

A domain's skew (most minus fewest machines that stay) is at most 1 when nothing is in flight. The lowest free slot is
taken, so that slots stay 0..replicas-1 over any number of replacements.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Creating


class Places:
    """Slots and domains taken by machines that stay and by creates in flight; hands out free ones, fewest first.

    `vacated` are places of one machine each, `{name: (slot, failure domain)}`, which are filled first, by a machine of that name.
    """

    def __init__(
        self,
        domains: Sequence[str],
        staying: Collection[Machine],
        leaving: Iterable[Machine],
        creating: Collection[Creating],
        vacated: Mapping[str, tuple[int, str]],
    ) -> None:
        self._domains = tuple(domains) or ("",)
        self._taken = {machine.vm.slot for machine in staying} | {sent.slot for sent in creating}
        self._staying: Counter[str] = Counter()
        self._leaving: Counter[str] = Counter()
        if len(self._domains) > 1:
            self._staying.update([machine.failure_domain for machine in staying])
            self._staying.update([sent.failure_domain for sent in creating])
            self._leaving.update([machine.failure_domain for machine in leaving])
        self._next_slot = 0
        self._vacated = sorted((slot, name, domain) for name, (slot, domain) in vacated.items())

    def take(self) -> tuple[int, str, str]:
        """`(slot, failure domain, name)` for one more machine. Ties go where most outdated machines wait to be replaced."""
        if self._vacated:
            slot, name, domain = self._vacated.pop(0)
            self._take(slot, domain)
            return slot, domain, name
        while self._next_slot in self._taken:
            self._next_slot += 1
        order = {name: index for index, name in enumerate(self._domains)}
        domain = min(self._domains, key=lambda name: (self._staying[name], -self._leaving[name], order[name]))
        slot = self._next_slot
        self._take(slot, domain)
        return slot, domain, ""

    def _take(self, slot: int, domain: str) -> None:
        self._taken.add(slot)
        self._staying[domain] += 1
