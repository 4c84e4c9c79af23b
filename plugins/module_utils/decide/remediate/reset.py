# SPDX-License-Identifier: GPL-3.0-or-later
"""Resetting an unhealthy machine before it is replaced: once, and replaced if that did not help in time (semantics section 5).

Promises: no machine is reset that may still serve, whose VM is off, or that somebody keeps; each at most once within two hours, over any
runs and kills. That it is to be reset is on record first, and only the run that wrote it there resets it: one that is killed in between
has not reset the machine, which is then replaced when the time is over. The same gate and rate hold as for replacing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.decide.remediate.judging import Finding
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.decision import Blocker
from ansible_collections.immutable.fleet.plugins.module_utils.model.health import HealthPolicy
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_duration
from ansible_collections.immutable.fleet.plugins.module_utils.model.remedies import Remedies

WAIT = "remediation"
AGAIN_AFTER = timedelta(hours=2)  # one that is unhealthy again so soon after it was reset: it did not help


def comes_first(machine: Machine, policy: HealthPolicy, record: Remedies) -> bool:
    """Whether it is to be reset before anything else is done to it. What is out of date on the record is left out of it already."""
    return policy.reboot is not None and machine.name not in record.resets and may_be_reset(machine)


def may_be_reset(machine: Machine) -> bool:
    """It runs, and serves nobody as far as is known: the pods of a kubelet that reports are asked to leave, which respects their PDBs."""
    if machine.vm.status != vm_states.RUNNING:
        return False
    if machine.service is not None:
        return machine.service.ready is not True
    return machine.node is None or machine.node.ready is not True


def awaited(candidates: Collection[Machine], policy: HealthPolicy, record: Remedies, now: datetime) -> dict[str, datetime]:
    """Until when those that were reset may come back, in the API server's clock as `now` is. One whose VM is off since does not."""
    if policy.reboot is None:
        return {}
    return {
        machine.name: until
        for machine in candidates
        if machine.name in record.resets
        and machine.vm.status == vm_states.RUNNING
        and now < (until := record.resets[machine.name] + policy.reboot)
    }


def waits(machine: Machine, finding: Finding, policy: HealthPolicy) -> Blocker:
    """What is told of one of `awaited`."""
    within = say_duration(policy.reboot) if policy.reboot is not None else ""
    return Blocker(
        code=WAIT,
        what=f"{finding.what}: reset, and replaced if that does not help within {within}",
        where=machine.where,
        since=finding.since,
    )


def remembered(record: Remedies, machines: Mapping[str, Machine], policy: HealthPolicy, now: datetime) -> Remedies:
    """Without resets of machines that are gone, and of those that did help.

    One that may take hours to help is remembered for longer: else it would be reset again when its time is over, and never replaced.
    """
    again_after = AGAIN_AFTER if policy.reboot is None else max(AGAIN_AFTER, 2 * policy.reboot)
    kept = {name: at for name, at in record.resets.items() if name in machines and now - at <= again_after}
    return record if len(kept) == len(record.resets) else replace(record, resets=kept)
