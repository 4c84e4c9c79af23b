# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps an eye on a pool's machines: who is not plainly well is examined each turn, all others only when they change.

What it remembers of findings only makes them earlier: since when this run has seen each of them. What outlives a run is dated by the API
server, or on the pool's record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import compress
from operator import is_not
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.health import HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot

if TYPE_CHECKING:  # a pool in which all is well compiles none of it
    from ansible_collections.immutable.fleet.plugins.module_utils.decide.remediate.admission import Round


class Ward:
    """Looks after one pool by a policy, turn after turn."""

    def __init__(self, policy: HealthPolicy) -> None:
        self._policy = policy
        self._before: Mapping[str, Machine] = {}
        self._doubtful: set[str] = set()
        self._seen: dict[str, dict[str, datetime]] = {}  # machine -> kind of finding -> since when, in the loop's clock
        self._to_reset: set[str] = set()  # noted on record by this run, which hence knows that nobody did it yet

    def look(self, pool: Pool, snapshot: Snapshot) -> Round | None:
        """What remediation does in this turn; None where all are well. O(machines), and little of it in bytecode."""
        machines = snapshot.machines
        if machines is not self._before:
            for machine in compress(machines.values(), map(is_not, machines.values(), map(self._before.get, machines))):
                (self._doubtful.discard if self._is_plainly_well(machine) else self._doubtful.add)(machine.name)
            self._doubtful.intersection_update(machines)
            self._before = machines
        # Of those on record a probe of this run may have said nothing yet, so that they look well.
        names = self._doubtful | _on_record(snapshot)
        for name in self._seen.keys() - names:
            del self._seen[name]
        if snapshot.stale:
            return None  # facts that stand still say nothing against a machine (FM17)
        return self._examined(sorted(names), pool, snapshot) if names or "first_seen" in snapshot.record.health else None

    def _is_plainly_well(self, machine: Machine) -> bool:
        if machine.service is not None:
            return machine.service.ready is True
        node = machine.node
        if node is None or node.ready is not True or machine.vm.status != vm_states.RUNNING:
            return False
        if machine.health is not None and machine.health.healthy is False:
            return False
        return not any(node.conditions.get(check.type, ("",))[0] == check.status for check in self._policy.conditions)

    def _examined(self, names: Iterable[str], pool: Pool, snapshot: Snapshot) -> Round | None:
        from ansible_collections.immutable.fleet.plugins.module_utils.decide.remediate.admission import Round, admit, with_first_seen
        from ansible_collections.immutable.fleet.plugins.module_utils.decide.remediate.judging import examine
        from ansible_collections.immutable.fleet.plugins.module_utils.model.remedies import load_remedies

        known = load_remedies(snapshot.record.health)
        findings = {}
        for name in names:
            if name not in self._seen:
                self._seen[name] = {kind: at + snapshot.ahead for kind, at in known.first_seen.get(name, {}).items()}
            finding = examine(snapshot.machines[name], pool, self._policy, self._seen[name], snapshot.at)
            if finding is not None:
                findings[name] = finding
        if findings:
            found = admit(findings, self._seen, pool, self._policy, snapshot, known, self._to_reset)
            if found.record is not None:
                self._to_reset |= found.record.resets.keys() - known.resets.keys()
            return found
        record = with_first_seen(known, self._seen, snapshot)
        return Round(record=record) if record != known else None


def _on_record(snapshot: Snapshot) -> set[str]:
    """Machines of which the record says since when they are not well."""
    given = snapshot.record.health.get("first_seen")
    return set(snapshot.machines.keys() & given.keys()) if isinstance(given, dict) else set()


def why_failed(machine: Machine, remedy: Round | None, now: datetime) -> str:
    """Why a failed machine goes, as it is told."""
    found = remedy.findings.get(machine.name) if remedy is not None else None
    if found is not None:
        lasts = now - found.since
        return f"unhealthy: {found.what}" + (f" for {say_duration(lasts)}" if lasts else "")
    fault = f": {machine.vm.fault}" if machine.vm.fault else ""
    return ("failed and never joined" if machine.is_unused else "failed") + fault
