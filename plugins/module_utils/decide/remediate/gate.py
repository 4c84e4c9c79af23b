# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether too many machines are not well for the machines to be the cause: then none of them is replaced.

Counted are all that are not well, also those whose time is not up yet: machines that stop together are not noticed in the same
second, and the first of them would be taken. A failure domain of which nothing is well is one outage, told once, and counts in
nothing else. One sick machine is never a storm, so a percentage lets at least one go, however small the pool.
Sources: semantics section 5; FM17, FM19.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import count_of, say_count

STORM = "storm"
OUTAGE = "outage"

LOOK_BEHIND = "find what they have in common (network, API server, hypervisor), or allow more with health.max_unhealthy"


@dataclass(frozen=True, slots=True)
class Gate:
    """`shut` are the failure domains of which no machine is replaced for being unhealthy, with `blockers` that say why."""

    shut: frozenset[str] = frozenset()
    blockers: tuple[Blocker, ...] = field(default=())

    @property
    def is_open(self) -> bool:
        """Whether nothing is held back anywhere."""
        return not self.shut


def gate(staying: Collection[Machine], ill: Mapping[str, object], max_unhealthy: int | str, pool: str) -> Gate:
    """The gate of a pool with these machines; `ill` by name of those that are not well. O(machines)."""
    total = _by_domain(staying)
    sick = _by_domain([machine for machine in staying if machine.name in ill])
    out = {domain for domain, count in sick.items() if len(total) > 1 and count == total[domain] > 1}
    blockers = [_outage(domain, total[domain]) for domain in sorted(out)]
    rest, rest_sick = (sum(count for domain, count in counts.items() if domain not in out) for counts in (total, sick))
    if rest_sick > _limit(max_unhealthy, rest):
        blockers.append(_storm(rest_sick, rest, max_unhealthy, f"pool {pool}"))
        return Gate(frozenset(total), tuple(blockers))
    shut = set(out)
    for domain in sorted(sick.keys() - out) if len(total) > 1 else ():
        if sick[domain] > _limit(max_unhealthy, total[domain]):
            shut.add(domain)
            blockers.append(_storm(sick[domain], total[domain], max_unhealthy, f"failure domain {domain}"))
    return Gate(frozenset(shut), tuple(blockers))


def _limit(max_unhealthy: int | str, total: int) -> int:
    count = count_of(max_unhealthy, total, round_up=False, option="health.max_unhealthy")
    return max(1, count) if "%" in str(max_unhealthy) else count


def _by_domain(machines: Collection[Machine]) -> dict[str, int]:
    found: dict[str, int] = {}
    for machine in machines:
        found[machine.failure_domain] = found.get(machine.failure_domain, 0) + 1
    return found


def _storm(sick: int, total: int, max_unhealthy: int | str, where: str) -> Blocker:
    share = f" ({round(100 * sick / total)}%)" if "%" in str(max_unhealthy) else ""
    allowed = f"max_unhealthy {max_unhealthy}" + (f" allows {_limit(max_unhealthy, total)}" if share else "")
    what = f"{sick} of {say_count(total, 'machine')} are not well{share}, {allowed}: none of them is replaced for it"
    return Blocker(code=STORM, what=what, where=where, forward=LOOK_BEHIND)


def _outage(domain: str, total: int) -> Blocker:
    what = f"the failure domain is out: none of its {say_count(total, 'machine')} is well; one outage, and none is replaced for it"
    return Blocker(code=OUTAGE, what=what, where=f"failure domain {domain}", forward=f"bring failure domain {domain} back")
