# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks each running machine's service in its rhythm. Answers are facts, as lists are: decisions see what they come to.

A question is one short call of the runtime's, so nothing waits here. A new machine is asked as soon as it runs, and more often until
it is known to be well: its first good answers are what a rollout waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import PortError
from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import (
    Answer,
    Health,
    ProbeLook,
    ServiceProbe,
    health_of,
    look_after,
)
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Prober, Runtime

AT_ONCE = 16  # questions under way: half of what the runtime carries, the other half is for calls
EAGER = timedelta(seconds=2)  # the rhythm until a machine's first verdict, where its own is slower

Key = tuple[str, int]  # VM id, number of the probe


class Probing:
    """All probes of a run. Only the loop's thread touches it."""

    def __init__(self, prober: Prober, probes: Sequence[ServiceProbe], runtime: Runtime) -> None:
        self._prober, self._probes, self._runtime = prober, tuple(probes), runtime
        self._looks: dict[Key, ProbeLook] = {}
        self._due: dict[Key, datetime] = {}
        self._flying: set[Key] = set()
        self._health: dict[str, Health] = {}
        self._vms: Mapping[str, Vm] = {}

    def health(self) -> Mapping[str, Health]:
        """By VM id, of those that have answered at all; the same mapping as long as nothing changed."""
        return self._health

    def turn(self, vms: Mapping[str, Vm], now: datetime) -> None:
        """Ask what is due of the machines that run; what is known of those that are gone, or do not run, is forgotten."""
        if vms is not self._vms:  # a new list
            self._vms = vms
            self._take_those_that_run(now)
        ready = sorted((due, key) for key, due in self._due.items() if due <= now and key not in self._flying)
        for _due, key in ready[: AT_ONCE - len(self._flying)]:
            self._ask(key, vms[key[0]])

    def _take_those_that_run(self, now: datetime) -> None:
        asked = {(vm.id, number) for vm in self._vms.values() if _is_asked(vm) for number in range(len(self._probes))}
        if self._due.keys() != asked:
            self._due = {key: self._due.get(key, now) for key in asked}
            self._looks = {key: look for key, look in self._looks.items() if key in asked}
            self._health = {vm_id: health for vm_id, health in self._health.items() if (vm_id, 0) in asked}

    def next_due(self) -> datetime | None:
        """When `turn` has something to ask; None: an answer comes first, or there is nobody to ask."""
        if len(self._flying) >= AT_ONCE:
            return None
        return min((due for key, due in self._due.items() if key not in self._flying), default=None)

    def _ask(self, key: Key, vm: Vm) -> None:
        probe = self._probes[key[1]]

        def answered(result: object, error: Exception | None) -> None:
            self._flying.discard(key)
            if isinstance(error, PortError):
                self._take(key, (None, str(error)))
            elif error is not None:
                raise error
            elif isinstance(result, tuple):
                self._take(key, (result[0], str(result[1])))

        self._flying.add(key)
        self._runtime.submit(_question(self._prober, probe, vm), answered)

    def _take(self, key: Key, answer: Answer) -> None:
        if key not in self._due:
            return  # gone meanwhile
        now, probe, vm_id = self._runtime.now(), self._probes[key[1]], key[0]
        look = self._looks[key] = look_after(self._looks.get(key), answer, probe, now)
        self._due[key] = now + (probe.interval if look.healthy is not None else min(probe.interval, EAGER))
        health = health_of([self._looks.get((vm_id, number)) for number in range(len(self._probes))])
        if health is not None and health != self._health.get(vm_id):
            self._health = {**self._health, vm_id: health}


def _is_asked(vm: Vm) -> bool:
    """Whether somebody is there to answer. What a machine without our marks does is not our business."""
    return vm.is_ours and vm.status == vm_states.RUNNING


def _question(prober: Prober, probe: ServiceProbe, vm: Vm) -> Callable[[], Answer]:
    return lambda: prober.probe(probe, vm)
