# SPDX-License-Identifier: GPL-3.0-or-later
"""The Cloud port over a simulated world: in memory or in a file, in virtual or in real time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision, revision_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, NewMachine, Vm
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Listing
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.faults import CLOUD
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.session import Session
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import VMS

if TYPE_CHECKING:
    from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Room


class SimulatedCloud:
    """One pool's cloud. `fields` is what a machine is made of beside its image, for the revision: `{"flavor": "m1", ...}`.

    For a world that was made from the facts of a real cloud: `resolver` and `real_room` are that one's. The first is asked for
    revisions; the second what is left, when the loop wants to know, and no more is made in the world either.
    """

    def __init__(
        self,
        session: Session,
        pool: str,
        image: str,
        fields: Mapping[str, str] | None = None,
        resolver: Callable[[Mapping[str, str] | None], Revision] | None = None,
        real_room: Callable[[], Room] | None = None,
    ) -> None:
        self._session = session
        self._pool = pool
        self._image = image
        self._fields = dict(fields or {})
        self._resolver = resolver
        self._real_room = real_room
        self._stop_watching: Callable[[], None] | None = None

    def resolve(self, pinned: Mapping[str, str] | None = None) -> Revision:
        """See ports.Cloud."""
        if self._resolver is not None:
            return self._resolver(pinned)
        with self._session.world() as world, world.calls.around(CLOUD, "resolve"):
            instead = pinned if pinned and pinned.get("asked") == self._image else {}
            image = world.hypervisor.image(instead.get("digest", ""), instead.get("name", self._image))
            if world.state.published:
                world.images.refuse_revoked(image.name)
            pin = {"asked": self._image, "name": image.name, "id": image.digest, "digest": image.digest}
            return revision_of({**self._fields, "image": image.digest}, pin)

    def room(self) -> Room:
        """See ports.Cloud."""
        with self._session.world() as world, world.calls.around(CLOUD, "room"):
            if self._real_room is None:
                return world.hypervisor.room()
            room = self._real_room()
            if room.fits is not None:
                world.hypervisor.leave_room(room.fits)
            return room

    def watch(self, on_change: Callable[[], None]) -> bool:
        """See ports.Cloud. Whether the world pushes is one of its settings."""
        with self._session.world() as world:
            if not world.state.settings.pushes:
                return False
        self._stop_watching = self._session.watch(lambda kind: on_change() if kind == VMS else None)
        return True

    def list_vms(self, since: datetime | None, *, with_leftovers: bool) -> Listing:
        """See ports.Cloud. A delta where the world remembers far enough back."""
        with self._session.world() as world, world.calls.around(CLOUD, "list_vms"):
            vms = world.hypervisor.vms.get(self._pool, {})
            past = world.hypervisor.past_of(self._pool)
            leftovers = world.hypervisor.leftovers(self._pool) if with_leftovers else None
            age = world.calls.age_of(CLOUD)
            if age:
                as_of, vms = past.as_of(world.now - age, vms)
                return Listing(as_of=as_of, vms=tuple(vms.values()), leftovers=leftovers)
            changed = None if since is None else past.changed_since(since)
            if changed is None:
                return Listing(as_of=world.now, vms=tuple(vms.values()), leftovers=leftovers)
            return Listing(
                as_of=world.now,
                vms=tuple(vms[vm_id] for vm_id in changed if vm_id in vms),
                gone=tuple(vm_id for vm_id in changed if vm_id not in vms),
                leftovers=leftovers,
                is_full=False,
            )

    def create(self, machine: NewMachine) -> None:
        """See ports.Cloud."""
        with self._session.world() as world, world.calls.around(CLOUD, "create"):
            half = world.calls.dies_half_way()
            world.hypervisor.create(self._pool, self._image, machine, dies_half_way=half)
            if half:
                raise Transient(what="the create of the VM got no answer", where=f"machine {machine.name}")

    def delete(self, vm: Vm) -> None:
        """See ports.Cloud."""
        with self._session.world() as world, world.calls.around(CLOUD, "delete"):
            world.hypervisor.delete(vm)

    def power(self, vm: Vm, wanted: str) -> None:
        """See ports.Cloud."""
        with self._session.world() as world, world.calls.around(CLOUD, "power"):
            world.hypervisor.switch(vm, wanted)

    def clear(self, leftover: Leftover) -> None:
        """See ports.Cloud."""
        with self._session.world() as world, world.calls.around(CLOUD, "clear"):
            world.hypervisor.clear(leftover)

    def stop(self) -> None:
        """End the watch."""
        if self._stop_watching is not None:
            self._stop_watching()
            self._stop_watching = None
