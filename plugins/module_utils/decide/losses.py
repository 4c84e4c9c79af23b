# SPDX-License-Identifier: GPL-3.0-or-later
"""New machines that ran and never became ready: counted in the pool record, so that a bad image stays bad over runs (FM18).

Counted before the machine is deleted: a run that is killed in between finds the machine, or the count. ERROR, and a build that
never ends, are the cloud's trouble, not the image's, and count elsewhere.
"""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.immutable.fleet.plugins.module_utils.decide import brake, ladder
from ansible_collections.immutable.fleet.plugins.module_utils.decide.classes import has_outlived_its_start
from ansible_collections.immutable.fleet.plugins.module_utils.decide.target import standing_refusal
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.machine import Machine
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Pool
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import Lost, PoolRecord, Refusal
from ansible_collections.immutable.fleet.plugins.module_utils.model.snapshot import Snapshot


def counts(machine: Machine, pool: Pool, snapshot: Snapshot) -> bool:
    """Whether a failed machine speaks against the revision, and the record does not know it yet."""
    vm, record, steering = machine.vm, snapshot.record, snapshot.steering
    has_run = vm.status in (vm_states.RUNNING, vm_states.STOPPED)
    if machine.was_ready or not has_run or vm.revision != pool.revision.id:
        return False
    if has_outlived_its_start(machine, pool, snapshot.at):
        return False  # it was ready once, and nobody knows; or it was counted then, and kept for a look since
    if standing_refusal(record, steering, vm.revision) is not None:
        return False  # the revision is refused already
    if steering.resumed is not None and vm.created_at < steering.resumed.at:
        return False  # an operator said: try again
    refusal = record.refused.get(vm.revision)
    if refusal is not None and machine.name in refusal.machines and vm.created_at < refusal.at:
        return False  # it was counted then; the clock of the operator who resumed may be another one
    known = record.lost.get(vm.revision, ())  # with `recreate` an earlier machine may have had its name
    return all(one.machine != machine.name or one.at < vm.created_at for one in known)


def with_loss(record: PoolRecord, machine: Machine, pool: Pool, snapshot: Snapshot) -> PoolRecord:
    """`record` with one more lost machine; where that is one too many, with the revision refused."""
    revision, limit = pool.revision.id, ladder.failed_new_limit(pool, record)
    what = brake.say_loss(machine.name, pool.strategy.startup_timeout, pool, snapshot.at)
    lost = (*record.lost.get(revision, ()), Lost(machine=machine.name, at=snapshot.at, what=what))
    if len(lost) < limit:
        return replace(record, lost={**record.lost, revision: lost})
    said = f"{what}; {len(lost)} lost, max_failed_new {limit}"
    image = pool.revision.image.get("asked") or pool.revision.fields.get("image", "")
    resumed = snapshot.steering.resumed.at if snapshot.steering.resumed is not None else None
    machines = tuple(one.machine for one in lost)
    return record.refusing(revision, Refusal(at=snapshot.at, what=said, image=image, machines=machines, resumed=resumed))
