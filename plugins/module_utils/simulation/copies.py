# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of VMs' disks: asked for, made, cleared away. A copy whose VM goes before it is whole goes with it, as Nova's does."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.immutable.fleet.plugins.module_utils.model import capture as captures
from ansible_collections.immutable.fleet.plugins.module_utils.model import vm as vm_states
from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import Capture
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, NotFound
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Vm
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.durations import Spread, constant
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Copy
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import COPIED, State


class Copies:
    """All of them, of all pools' VMs. `takes` is how long the cloud copies."""

    def __init__(self, state: State, takes: Spread | None = None) -> None:
        self._state = state
        self.takes = takes or constant(30)

    def of(self, pool: str) -> tuple[Capture, ...]:
        """Those of a pool's VMs."""
        return tuple(row.capture for row in self._state.copies.values() if row.pool == pool)

    def begin(self, pool: str, vm: Vm) -> None:
        """Ask for one. Raises `NotFound`, and `Conflict` while one of this VM is being made or it is on its way in or out."""
        state = self._state
        host = state.hosts.get(vm.id)
        if host is None:
            raise NotFound(what="no such VM", where=f"machine {vm.name}")
        is_copied = any(row.vm == vm.id and row.capture.status == captures.MAKING for row in state.copies.values())
        if is_copied or host.vm.status in (vm_states.BUILDING, vm_states.DELETING):
            raise Conflict(what="its disk is copied already" if is_copied else f"the VM is {host.vm.status}", where=f"machine {vm.name}")
        key = f"copy-{state.next_serial():x}"
        state.copies.put(key, Copy(Capture(id=key, builder=vm.name, status=captures.MAKING, created_at=state.now), pool, vm.id))
        state.plan(self.takes.draw(state.chance), COPIED, key)
        state.vm_changed(vm.name)

    def add(self, pool: str, capture: Capture) -> None:
        """One that was observed; it becomes whole in its time."""
        self._state.copies.put(capture.id, Copy(capture, pool, ""))
        if capture.status == captures.MAKING:
            self._state.plan(self.takes.draw(self._state.chance), COPIED, capture.id)

    def clear(self, key: str) -> None:
        """Delete one. One that is gone already is success."""
        row = self._state.copies.drop(key)
        if row is not None:
            self._state.vm_changed(row.capture.builder)

    def copied(self, key: str) -> None:
        """Event: the bytes are there, or the VM is not."""
        row = self._state.copies.get(key)
        if row is None:
            return
        if row.vm and row.vm not in self._state.hosts:
            self.clear(key)
            return
        row.capture = replace(row.capture, status=captures.WHOLE)
        self._state.copies.touch(key)
        self._state.vm_changed(row.capture.builder)
